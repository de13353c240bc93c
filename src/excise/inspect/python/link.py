"""Put the functions' records together: what reaches a sink across functions, bottom-up from the sinks to the callers.

Two summaries are made by need and kept: what a function's result is made of (`result`), and which of its parameters
reach which sink (`flows`, pushed from each function to its callers until nothing is new). A parameter that a caller
fills with a source is a flow; one that nobody fills is one only where the outside world calls (`entry`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from excise.inspect.python import vocabulary as v
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
EXECUTING: Final = frozenset({"code-execution", "command-execution"})


def _is_tool(owner: Class, func: Func) -> bool:
    """A class that agents call: named or derived as a tool, by the methods that agents call."""
    names = (owner.name, *owner.record["b"])
    return func.qual.rpartition(".")[2] in v.TOOL_METHODS and any(v.TOOL_BASES.search(n) for n in names)


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


@dataclass(frozen=True, slots=True)
class Flow:
    """Parameter `param` of `func` reaches a sink: the hops from the function's first line to the sink's."""

    weakness: str
    func: Func
    param: int
    path: tuple[str, ...]
    part: str
    hops: tuple[Hop, ...]
    what: str
    name: str
    sink: Func


@dataclass(frozen=True, slots=True)
class Found:
    """A source that reaches a sink: the whole chain. `kind` is that of the source; `at` is where it is reported."""

    flow: Flow
    kind: str
    hops: tuple[Hop, ...]
    part: str
    at: Hop
    guards: tuple[tuple[str, int], ...] = ()


def _origins(bases: list[Base]) -> list[tuple[Any, ...]]:
    return [(b.kind, b.func.id, b.param, b.path, b.part) for b in bases]


def _distinct(bases: list[Base]) -> list[Base]:
    """The first way from each origin: a circle finds the others longer each time."""
    out: dict[tuple[Any, ...], Base] = {}
    for origin, base in zip(_origins(bases), bases, strict=True):
        out.setdefault(origin, base)
    return list(out.values())


class Linker:
    """The link of one program. `guarded` collects the flows that a guard stopped, for the consistency of guards."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._results: dict[int, list[Base]] = {}
        self._called_before: dict[tuple[int, int], list[Base]] = {}
        self._fields: dict[tuple[str, str], list[Base]] = {}
        self._callers: dict[int, list[tuple[Func, int, int]]] = {}
        self._meant: dict[tuple[int, int], list[tuple[Func | Class, int]]] = {}
        self.guarded: list[tuple[str, Hop, str, tuple[tuple[str, int], ...]]] = []
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
                self._meant[(func.id, at)] = meant
                for callee, skipped in meant:
                    target = self.program.method(callee, "__init__") if isinstance(callee, Class) else callee
                    if target is not None:
                        self._callers.setdefault(target.id, []).append((func, at, skipped))

    def _calls(self) -> dict[int, list[int]]:
        """The functions that each function calls."""
        out: dict[int, list[int]] = {}
        for (caller, _), meant in self._meant.items():
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

    def _named(self, func: Func, guards: list[Any]) -> Iterator[tuple[str, int]]:
        """The guards by kind; a call of a project's function is one if that function refuses by the parameter."""
        for kind, line in guards:
            if not kind.startswith("v:"):
                yield kind, line
                continue
            _, call, argument = kind.split(":")
            for callee, skipped in self._meant.get((func.id, int(call)), ()):
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
        meant = self._meant.get((func.id, at), [])
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
                    for value in self._filled(callee, arguments, base.param, skipped):
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

    def _filled(self, callee: Func, arguments: list[Any], param: int, skipped: int) -> list[Any]:
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

    # Sinks

    def run(self) -> Iterator[Found]:
        """Every source that reaches a sink."""
        queue: deque[Flow] = deque()
        seen: set[tuple[str, int, int, int]] = set()
        for func in self.program.funcs:
            for row in func.body.sinks if func.record["s"] else ():
                yield from self._sink(func, row, queue, seen)
        tools: dict[str, Flow] = {}
        while queue:
            flow = queue.popleft()
            owner = flow.func.owner
            if owner is not None and flow.weakness in EXECUTING and _is_tool(owner, flow.func):
                tools.setdefault(owner.name, flow)
            yield from self._up(flow, queue, seen)
        yield from self._handed(tools)

    def _handed(self, tools: dict[str, Flow]) -> Iterator[Found]:
        """Where a tool that executes its argument is made, for an agent to use, without an opt-in of the caller."""
        for (func_id, at), meant in self._meant.items():
            for callee, _ in meant:
                flow = tools.get(callee.name) if isinstance(callee, Class) else None
                func = self.program.funcs[func_id]
                if flow is None or not func.qual:
                    continue
                call = func.body.calls[at]
                if not call[5]:
                    hop = Hop(func, call[1], "call", call[2])
                    yield Found(flow, "handed", (hop, *flow.hops), "", hop)

    def _sink(self, func: Func, row: list[Any], queue: deque[Flow], seen: set[Any]) -> Iterator[Found]:
        weakness, line, what, text, value, name, owner = row
        if owner.startswith("self.") and "Sandbox" in self._field_kind(func, owner[5:]):
            return
        hop = Hop(func, line, "sink", text)
        if not value:
            flow = Flow(weakness, func, -1, (), "", (hop,), what, name, func)
            yield Found(flow, "present", (hop,), "", hop)
        for base in self.bases(func, value):
            flow = Flow(weakness, func, base.param, base.path, base.part, (*base.hops, hop), what, name, func)
            yield from self._arrived(base, flow, hop, queue, seen)

    def _field_kind(self, func: Func, attr: str) -> str:
        owner = self.program.owner_of(func)
        return self.program.field_name(owner, attr.split(".", maxsplit=1)[0]) if owner else ""

    def _arrived(
        self, base: Base, flow: Flow, at: Hop, queue: deque[Flow], seen: set[Any]
    ) -> Iterator[Found]:
        stop = self.stops(flow.weakness, base, at.func)
        if stop:
            self.guarded.append((flow.weakness, at, flow.what, stop))
            return
        if base.param < 0:
            yield Found(flow, base.kind, flow.hops, base.part, at, base.guards)
            return
        kind = self.entry(base)
        if kind:
            start = Hop(base.func, base.func.record["l"], "source", base.func.record["p"][base.param])
            yield Found(flow, kind, (start, *flow.hops), base.part, at, base.guards)
        else:
            start = Hop(base.func, base.func.record["l"], "source", base.func.record["p"][base.param])
            yield Found(
                flow,
                "api" if base.func.record["u"] else "internal",
                (start, *flow.hops),
                base.part,
                at,
                base.guards,
            )
        last = flow.hops[-1]
        key = (flow.weakness, base.func.id, base.param, last.func.id * 100_000 + last.line)
        if key not in seen and len(flow.hops) < 3 * MOST_HOPS:
            seen.add(key)
            queue.append(flow)

    def _up(self, flow: Flow, queue: deque[Flow], seen: set[Any]) -> Iterator[Found]:
        for caller, at, skipped in self._callers.get(flow.func.id, ()):
            call = caller.body.calls[at]
            hop = Hop(caller, call[1], "call", call[2])
            for value in self._filled(flow.func, call[3], flow.param, skipped):
                for base in self.bases(caller, value):
                    part = later(flow.part, base.part)
                    new = Flow(
                        flow.weakness,
                        caller,
                        base.param,
                        base.path,
                        part,
                        (*base.hops, hop, *flow.hops),
                        flow.what,
                        flow.name,
                        flow.sink,
                    )
                    whole = Base(base.kind, base.func, base.param, base.path, part, base.hops, base.guards)
                    yield from self._arrived(whole, new, hop, queue, seen)

    def stops(self, weakness: str, base: Base, func: Func) -> tuple[tuple[str, int], ...]:
        """The guards that keep this weakness away from this value; an opt-in of the class counts for its methods."""
        accepted = v.ACCEPTED.get(weakness, frozenset())
        held = tuple(g for g in base.guards if g[0] in accepted)
        if held:
            return held
        owner = self.program.owner_of(func)
        if owner is not None and "gate" in accepted and any(c.record["g"] for c in self.program.bases(owner)):
            return (("gate", owner.record["l"]),)
        if weakness == "path-traversal" and base.part == "name":
            return (("name", 0),)
        if weakness == "command-execution" and base.part == "quoted":
            return (("quoted", 0),)
        return ()
