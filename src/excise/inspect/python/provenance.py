"""Where a value comes from, across functions: through results, fields and enclosing functions, up to parameters and sources.

What a function's result is made of (`result`) is found by need and kept, bottom-up over the circles of the call graph.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from excise.inspect.python.components import circles
from excise.inspect.python.program import Class, Func, Program
from excise.inspect.python.values import later

MOST_HOPS: Final = 8
"""Calls between a source and its sink."""
MOST_BASES: Final = 8
"""Origins that one value is followed to."""
MOST_DEPTH: Final = 12
"""Results of results that are looked into."""


ROUNDS: Final = 4
"""Times that the functions of a circle are passed over: each carries an origin over one more call."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One line that a value came over, in which function, and what happens there (`source`, `flow`, `call`, `sink`)."""

    func: Func
    line: int
    rule: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Base:
    """What a value comes from: a parameter (`param` >= 0) of `func`, a field, or a source of some kind."""

    kind: str
    func: Func
    param: int = -1
    path: tuple[str, ...] = ()
    part: str = ""
    hops: tuple[Hop, ...] = ()
    guards: tuple[tuple[str, int], ...] = ()


def _origins(bases: list[Base]) -> list[tuple[Any, ...]]:
    return [(b.kind, b.func.id, b.param, b.path, b.part) for b in bases]


def _distinct(bases: list[Base]) -> list[Base]:
    """The first way from each origin: a circle finds the others longer each time."""
    out: dict[tuple[Any, ...], Base] = {}
    for origin, base in zip(_origins(bases), bases, strict=True):
        out.setdefault(origin, base)
    return list(out.values())


class Provenance:
    """What the values of one program come from. `meant` are the callees of each call, `callers` the calls of each function."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._results: dict[int, list[Base]] = {}
        self._called_before: dict[tuple[int, int], list[Base]] = {}
        self._fields: dict[tuple[str, str], list[Base]] = {}
        self.callers: dict[int, list[tuple[Func, int, int]]] = {}
        self.meant: dict[tuple[int, int], list[tuple[Func | Class, int]]] = {}
        self._refs: dict[tuple[Any, ...], list[tuple[Func | Class, int]]] = {}
        self._settling = 0
        self._unsettled: list[tuple[int, int]] = []
        self._index_calls()
        self._refs.clear()
        self._circles = circles(self._calls())

    def _index_calls(self) -> None:
        for func in self.program.funcs:
            refs = func.record["t"]
            for at, ref in enumerate(refs.split("\n") if refs else ()):
                meant = self._callees(func, ref)
                if not meant:
                    continue
                self.meant[(func.id, at)] = meant
                for callee, skipped in meant:
                    target = self.program.method(callee, "__init__") if isinstance(callee, Class) else callee
                    if target is not None:
                        self.callers.setdefault(target.id, []).append((func, at, skipped))

    def _calls(self) -> dict[int, list[int]]:
        """The functions that each function calls."""
        out: dict[int, list[int]] = {}
        for (caller, _), meant in self.meant.items():
            out.setdefault(caller, []).extend(f.id for f, _ in meant if isinstance(f, Func))
        return out

    def _callees(self, func: Func, ref: str) -> list[tuple[Func | Class, int]]:
        """As `Program.callees`, once for all calls of a class or module that mean the same."""
        if ref.startswith("n:"):
            key: tuple[Any, ...] = (ref,)
        else:
            owner = self.program.owner_of(func) if ref[0] in "sua" else None
            key = (ref, func.module, owner)
        if key not in self._refs:
            self._refs[key] = self.program.callees(func, ref)
        return self._refs[key]

    # Values

    def bases(self, func: Func, value: list[Any], depth: int = 0) -> list[Base]:
        """Where a packed value comes from, guards at its use included."""
        out: list[Base] = []
        for origin, part, lines, guards in value:
            held = tuple(self._named(func, guards))
            for base in self._origin(func, origin, depth):
                hops = base.hops + tuple(
                    Hop(func, n, "flow") for n in lines if not base.hops or n != base.hops[-1].line
                )
                joined = later(part, base.part)
                out.append(
                    Base(
                        base.kind,
                        base.func,
                        base.param,
                        base.path,
                        joined,
                        hops[: 3 * MOST_HOPS],
                        base.guards + held,
                    )
                )
            if len(out) >= MOST_BASES:
                break
        return out

    def held(self, func: Func, value: list[Any]) -> tuple[tuple[str, int], ...]:
        """The guards at the use of a packed value, whatever it comes from."""
        return tuple(g for _, _, _, guards in value for g in self._named(func, guards))

    def _named(self, func: Func, guards: list[Any]) -> Iterator[tuple[str, int]]:
        """The guards by kind; a call of a project's function is one if that function refuses by the parameter."""
        for kind, line in guards:
            if not kind.startswith("v:"):
                yield kind, line
                continue
            _, call, argument = kind.split(":")
            for callee, skipped in self.meant.get((func.id, int(call)), ()):
                if isinstance(callee, Func) and int(argument) + skipped in callee.record["v"]:
                    yield "validator", line
                    break

    def _origin(self, func: Func, origin: list[Any], depth: int) -> list[Base]:
        kind = origin[0]
        if kind == "P":
            return [Base("param", func, origin[1], tuple(origin[2]))]
        if kind == "S":
            return [Base(origin[1], func, hops=(Hop(func, origin[2], "source", origin[3]),))]
        if depth > MOST_DEPTH:
            return []
        if kind == "R":
            return self._called(func, origin[1], depth + 1)
        if kind == "A":
            return self._field(func, origin[1], depth + 1)
        return self._enclosing(func, origin[1], depth + 1)

    def _called(self, func: Func, at: int, depth: int) -> list[Base]:
        key = (func.id, at)
        known = self._called_before.get(key)
        if known is None:
            self._called_before[key] = []  # a way back adds nothing
            if self._settling:
                self._unsettled.append(key)
            known = self._called_before[key] = self._call(func, at, depth)
        return known

    def _call(self, func: Func, at: int, depth: int) -> list[Base]:
        ref, line, _, arguments, receiver, _ = func.body.calls[at]
        meant = self.meant.get((func.id, at), [])
        given = [entry for _, value in arguments for entry in value]
        if not any(isinstance(m, Func) for m, _ in meant):
            return self.bases(func, [*given, *receiver], depth)
        out: list[Base] = []
        for callee, skipped in meant:
            if isinstance(callee, Class):
                out += self.bases(func, given, depth)
                continue
            for base in self.result(callee):
                if base.param < 0:
                    hops = (*base.hops, Hop(func, line, "call"))
                    out.append(Base(base.kind, base.func, -1, (), base.part, hops, base.guards))
                else:
                    for value in self.filled(callee, arguments, base.param, skipped):
                        for got in self.bases(func, value, depth):
                            out.append(
                                Base(
                                    got.kind,
                                    got.func,
                                    got.param,
                                    got.path,
                                    got.part or base.part,
                                    got.hops,
                                    got.guards + base.guards,
                                )
                            )
            if len(out) > MOST_BASES:
                break
        if not out and ref.startswith("n:"):  # meant by its name alone: it may be another library's
            return self.bases(func, [*given, *receiver], depth)
        return out[:MOST_BASES]

    def filled(self, callee: Func, arguments: list[Any], param: int, skipped: int) -> list[Any]:
        """The values that a call gives a parameter."""
        names = callee.record["p"]
        name = names[param] if param < len(names) else ""
        return [
            value
            for key, value in arguments
            if key in (param - skipped, name, "*", "**")
            or (
                key not in names
                and isinstance(key, str)
                and param == len(names) - 1
                and name in ("kwargs", "kwds", "options")
            )
        ]

    def result(self, func: Func) -> list[Base]:
        """What a function's result is made of: its parameters and sources; a field of `self` among them.

        Bottom-up over the components of the call graph: functions that call each other in a circle are settled together,
        so that what is found does not depend on which of them is asked for first.
        """
        if func.id not in self._results:
            members = self._circles.get(func.id)
            if members is None:
                self._results[func.id] = []  # a way back that is no call, through a field, adds nothing
                self._results[func.id] = self._returned(func)
            else:
                self._settle(members)
        return self._results[func.id]

    def _returned(self, func: Func) -> list[Base]:
        return [b for b in self.bases(func, func.body.result) if b.param < 0 or b.func is func][:MOST_BASES]

    def _settle(self, members: tuple[int, ...]) -> None:
        """The results of a circle: from nothing upwards until none changes, `ROUNDS` times at most."""
        self._results |= {one: [] for one in members}
        for _ in range(ROUNDS):
            before = {one: self._results[one] for one in members}
            for key in self._unsettled:
                self._called_before.pop(key, None)
            self._unsettled.clear()
            self._settling += 1
            for one in members:
                self._results[one] = _distinct(self._returned(self.program.funcs[one]))
            self._settling -= 1
            if all(_origins(self._results[one]) == _origins(before[one]) for one in members):
                return

    def _field(self, func: Func, attr: str, depth: int) -> list[Base]:
        owner = self.program.owner_of(func)
        if owner is None:
            return [Base("field", func)]
        key = (owner.name, attr)
        if key not in self._fields:
            self._fields[key] = [Base("field", func)]
            out: list[Base] = []
            for kind in self.program.bases(owner):
                for at, value in kind.record["s"].get(attr, []):
                    setter = self.program.at(kind.path, at)
                    for base in self.bases(setter, value, depth):
                        kind_ = "field" if base.param >= 0 else base.kind
                        out.append(
                            Base(
                                kind_,
                                base.func,
                                -1,
                                (),
                                "" if kind_ == "field" else base.part,
                                base.hops,
                                base.guards,
                            )
                        )
            self._fields[key] = out[:4] or [Base("field", func)]
        return self._fields[key]

    def _enclosing(self, func: Func, name: str, depth: int) -> list[Base]:
        at = func.record.get("o")
        if at is None:
            return []
        outer = self.program.at(func.path, at)
        value = outer.body.inner.get(name)
        if value is None:
            return self._enclosing(outer, name, depth) if depth < MOST_DEPTH else []
        return [
            Base(
                "field" if b.param >= 0 and not self.entry(b) else (self.entry(b) or b.kind),
                b.func,
                -1,
                (),
                b.part,
                b.hops,
                b.guards,
            )
            for b in self.bases(outer, value, depth)
        ]

    def entry(self, base: Base) -> str:
        """The kind of source that a parameter is, empty where the outside world does not fill it."""
        return base.func.record["k"] if base.param in base.func.record["e"] else ""
