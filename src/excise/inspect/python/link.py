"""Put the functions' records together: what reaches a sink across functions, bottom-up from the sinks to the callers.

Which parameters of a function reach which sink is pushed from it to its callers until nothing is new. A parameter that a
caller fills with a source is a flow; one that nobody fills is one only where the outside world calls
(`Provenance.entry`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from excise.inspect.python import vocabulary as v
from excise.inspect.python.program import Class, Func, Program
from excise.inspect.python.provenance import MOST_HOPS, Base, Hop, Provenance
from excise.inspect.python.values import later

OBEYING: Final = frozenset({"code-execution", "unsafe-deserialisation", "template-injection"})
"""What obeys its data whatever it is: told even where the data could not be followed to its origin."""
EXECUTING: Final = frozenset({"code-execution", "command-execution"})


def _is_tool(owner: Class, func: Func) -> bool:
    """A class that agents call: named or derived as a tool, by the methods that agents call."""
    names = (owner.name, *owner.record["b"])
    return func.qual.rpartition(".")[2] in v.TOOL_METHODS and any(v.TOOL_BASES.search(n) for n in names)


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


class Linker:
    """The link of one program. `guarded` collects the flows that a guard stopped, for the consistency of guards."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.values = Provenance(program)
        self.guarded: list[tuple[str, Hop, str, tuple[tuple[str, int], ...]]] = []

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
        for (func_id, at), meant in self.values.meant.items():
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
        bases = self.values.bases(func, value)
        if value and not bases and weakness in OBEYING:
            flow = Flow(weakness, func, -1, (), "", (hop,), what, name, func)
            yield from self._arrived(
                Base("unknown", func, guards=self.values.held(func, value)), flow, hop, queue, seen
            )
        for base in bases:
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
        kind = self.values.entry(base)
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
        for caller, at, skipped in self.values.callers.get(flow.func.id, ()):
            call = caller.body.calls[at]
            hop = Hop(caller, call[1], "call", call[2])
            for value in self.values.filled(flow.func, call[3], flow.param, skipped):
                for base in self.values.bases(caller, value):
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
