"""The functions and classes of the whole tree by the names that Python gives them, and which function a call means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from excise.inspect.python.body import Body, unpack
from excise.inspect.python.names import package_of

MOST_CALLEES = 4
"""Functions that one call may mean; a name that more functions have means none of them."""


@dataclass(frozen=True, eq=False)
class Func:
    """One function of the tree: its number, its file, its record (`summary`), and its class."""

    id: int
    path: str
    record: Mapping[str, Any]
    module: str
    owner: Class | None = None

    @property
    def body(self) -> Body:
        """Its sinks, calls and values, unpacked."""
        return unpack(self.record["b"])

    @property
    def qual(self) -> str:
        """The dotted name within its file; empty for the module itself."""
        return self.record["q"]


@dataclass(frozen=True, eq=False)
class Class:
    """One class of the tree: dotted name, file, record, its methods by name."""

    name: str
    path: str
    module: str
    record: Mapping[str, Any]
    methods: dict[str, Func]


class Program:
    """All files' notes under one roof. `notes` maps a path to the notes of `summary.summarise`."""

    def __init__(self, notes: Mapping[str, Any]) -> None:
        self.notes = notes
        self.funcs: list[Func] = []
        self.modules: dict[str, list[str]] = {}
        self.symbols: dict[str, dict[str, Func | Class]] = {}
        self.by_method: dict[str, list[Func]] = {}
        self._resolved: dict[str, Func | Class | None] = {}
        self._offsets: dict[str, int] = {}
        packages = {p.removesuffix("__init__.py").rstrip("/") for p in notes if p.endswith("__init__.py")}
        for path, note in notes.items():
            self._add(path, note, packages)

    def _add(self, path: str, note: Mapping[str, Any], packages: set[str]) -> None:
        names = [package_of(path)]
        parts = path.split("/")
        for n in range(1, len(parts)):
            if "/".join(parts[:n]) in packages:
                names.append(package_of("/".join(parts[n - 1 :])))
                break
        else:
            names += [package_of("/".join(parts[n:])) for n in range(1, min(len(parts), 4))]
        for name in names:
            self.modules.setdefault(name, []).append(path)
        here: dict[str, Func | Class] = {}
        self.symbols[path] = here
        self._offsets[path] = len(self.funcs)
        made: list[Func] = []
        owners: dict[int, Class] = {}
        for name, about in note["c"].items():
            kind = Class(f"{names[0]}.{name}", path, names[0], about, {})
            for at in about["m"].values():
                owners[at] = kind
            here.setdefault(name, kind)
        for at, record in enumerate(note["f"]):
            func = Func(len(self.funcs), path, record, names[0], owners.get(at))
            self.funcs.append(func)
            made.append(func)
            last = record["q"].rpartition(".")[2]
            if at in owners:
                owners[at].methods[last] = func
                self.by_method.setdefault(last, []).append(func)
            here.setdefault(record["q"], func)

    def at(self, path: str, index: int) -> Func:
        """The function with that place in its file's notes."""
        return self.funcs[self._offsets[path] + index]

    def find(self, name: str, depth: int = 0) -> Func | Class | None:
        """The function or class that a dotted name means, through re-exports; None where it is not of this tree."""
        if name in self._resolved:
            return self._resolved[name]
        self._resolved[name] = None
        found = self._written(name) or self._through(name, depth)
        self._resolved[name] = found
        return found

    def _written(self, name: str) -> Func | Class | None:
        """What a file of one of the modules above a name defines under the rest of it; the longest module first."""
        head, rest = name, ""
        while "." in head:
            head, _, last = head.rpartition(".")
            rest = f"{last}.{rest}" if rest else last
            for path in self.modules.get(head, ()):
                found = self.symbols[path].get(rest)
                if found is not None:
                    return found
        return None

    def _through(self, name: str, depth: int) -> Func | Class | None:
        head = name.rpartition(".")[0]
        if not head or depth > 6:
            return None
        while head:
            paths = self.modules.get(head)
            if paths:
                first, dot, rest = name[len(head) + 1 :].partition(".")
                onto = self.notes[paths[0]]["i"].get(first)
                return self.find(onto + dot + rest, depth + 1) if onto and onto + dot + rest != name else None
            owner = self._written(head)
            if isinstance(owner, Class):
                return self.method(owner, name[len(head) + 1 :])
            head = head.rpartition(".")[0]
        return None

    def bases(self, kind: Class, depth: int = 0) -> list[Class]:
        """A class and the classes of the tree that it inherits from, nearest first."""
        out = [kind]
        if depth < 6:
            for name in kind.record["b"]:
                base = self.find(f"{kind.module}.{name}") or self.find(name)
                if isinstance(base, Class) and base is not kind:
                    out += self.bases(base, depth + 1)
        return out

    def method(self, kind: Class, name: str) -> Func | None:
        """The method that a class has under that name, inherited ones included."""
        return next((c.methods[name] for c in self.bases(kind) if name in c.methods), None)

    def field_type(self, kind: Class, attr: str) -> Class | None:
        """The class of an attribute, where an assignment or annotation shows it."""
        for owner in self.bases(kind):
            name = owner.record["t"].get(attr)
            if name:
                found = self.find(name) or self.find(f"{owner.module}.{name}")
                return found if isinstance(found, Class) else None
        return None

    def field_name(self, kind: Class, attr: str) -> str:
        """The dotted name of the class of an attribute, also where that class is not of the tree."""
        return next((o.record["t"][attr] for o in self.bases(kind) if o.record["t"].get(attr)), "")

    def callees(self, caller: Func, ref: str) -> list[tuple[Func | Class, int]]:
        """What a call's reference means: each function with the number of parameters that the call does not write."""
        kind, _, rest = ref.partition(":")
        if kind in ("d", "h"):
            found = self.find(rest if kind == "d" else f"{caller.module}.{rest}")
            return self._called(found)
        if kind == "l":
            found = self.symbols[caller.path].get(rest)
            return [(found, 0)] if isinstance(found, Func) else []
        if kind in ("s", "u"):
            return self._own(caller, rest, above=kind == "u")
        if kind == "a":
            attr, _, name = rest.partition(":")
            owner = self.owner_of(caller)
            typed = self.field_type(owner, attr) if owner else None
            return self._method(typed, name)
        if kind == "t":
            name, _, method = rest.rpartition(":")
            found = self.find(name) or self.find(f"{caller.module}.{name}")
            return self._method(found, method)
        return self._by_name(rest)

    def _called(self, found: Func | Class | None) -> list[tuple[Func | Class, int]]:
        if isinstance(found, Class):
            return [(found, 1)]
        if isinstance(found, Func):
            bound = found.owner is not None and found.record["p"][:1] == ["cls"]
            return [(found, 1 if bound else 0)]
        return []

    def _method(self, found: Func | Class | None, name: str) -> list[tuple[Func | Class, int]]:
        func = self.method(found, name) if isinstance(found, Class) else None
        return [(func, _bound(func))] if func else []

    def owner_of(self, caller: Func) -> Class | None:
        """The class that a function belongs to, also one inside a method."""
        if caller.owner is not None:
            return caller.owner
        head = caller.qual.split(".")[0]
        found = self.symbols[caller.path].get(head)
        return found if isinstance(found, Class) else None

    def _own(self, caller: Func, name: str, *, above: bool) -> list[tuple[Func | Class, int]]:
        owner = self.owner_of(caller)
        if owner is None:
            return []
        chain = self.bases(owner)[1:] if above else self.bases(owner)
        func = next((c.methods[name] for c in chain if name in c.methods), None)
        return [(func, _bound(func))] if func else []

    def _by_name(self, name: str) -> list[tuple[Func | Class, int]]:
        found = self.by_method.get(name, [])
        return [(f, _bound(f)) for f in found] if len(found) <= MOST_CALLEES else []


def _bound(func: Func) -> int:
    return 1 if func.record["p"][:1] in (["self"], ["cls"]) else 0
