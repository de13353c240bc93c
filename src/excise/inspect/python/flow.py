"""The flow analyser: from what an outsider controls to what hurts, across the whole tree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from excise.inspect.analyser import Analyser, Tree, is_python
from excise.inspect.finding import Confidence, Finding, Severity, Step
from excise.inspect.python.consistency import Guarded
from excise.inspect.python.link import Found, Linker
from excise.inspect.python.program import Program
from excise.inspect.python.provenance import Hop
from excise.inspect.python.sinks import ARGUMENT, BUILT
from excise.inspect.python.summary import summarise
from excise.inspect.weakness import BY_ID

CONTROLS: Final = {
    "http": "the request",
    "tool": "the arguments of a tool call, which a model fills from whatever it has read",
    "model": "the model's answer, which follows whatever the model has read",
    "message": "the message that arrives",
    "network": "what the remote server answers",
    "environment": "an environment variable",
    "archive": "the archive",
    "api": "the argument of whoever calls this function",
    "internal": "the argument of this internal function",
    "field": "what the object was made with",
    "present": "the model's repository",
    "handed": "what a model asks the tool to run",
    "unknown": "data whose origin could not be followed",
}
STRONG: Final = frozenset({"http", "tool", "model", "message"})
DANGEROUS: Final = frozenset(
    {"code-execution", "command-execution", "unsafe-deserialisation", "template-injection", "query-injection"}
)
NEAR: Final = 2
"""Functions that a word of an argument list goes through, from where it enters: farther ones are checked on the way."""
REVIVING: Final = re.compile(
    r"deserial|reviv|unmarshal|from_(config|dict|json|state)|retrieve_(class|obj)|reconstruct", re.IGNORECASE
)
SHOWN_BELOW: Final = frozenset({"api", "internal", "field"})


def conclude(tree: Tree) -> Iterator[Finding]:
    """Link the records of every file and say what reaches what."""
    linker = Linker(Program(tree.notes))
    every = [(f, s) for f in linker.run() if (s := _severity(f)) is not None or _may_lack(f)]
    guards = Guarded(linker.guarded)
    for found, severity in every:
        sibling = guards.sibling(found)
        if severity is None:
            if sibling:
                yield guards.inconsistent(_finding(found, Severity.LOW), sibling)
            continue
        level = Severity.NOTE if is_test(found.at.func.path) else severity
        for finding in _reported(found, level):
            yield guards.advised(finding, sibling)


def _may_lack(found: Found) -> bool:
    """Whether a flow that is no finding by itself is one where a sibling has a guard."""
    used = found.at.rule == "sink" and found.flow.what != BUILT
    return found.kind in ("api", "internal") and used and not is_test(found.at.func.path)


def _reported(found: Found, severity: Severity) -> Iterator[Finding]:
    """A flow at its sink, where it hurts; at each call on the way, where a guard could stand as well, as a low one."""
    frames = [h for h in found.hops if h.rule == "call" and h.text]
    if found.at.rule == "sink" or not frames or found.kind not in STRONG:
        yield _finding(found, severity)
        return
    yield _finding(replace(found, at=found.hops[-1]), severity)
    for frame in frames:
        yield _finding(replace(found, at=frame), min(severity, Severity.LOW))


def _severity(found: Found) -> Severity | None:
    """What it costs, by what the sink gives and who reaches it; None where that is no finding at all."""
    weakness, kind, part = found.flow.weakness, found.kind, found.part
    direct = found.at.rule == "sink"
    if weakness == "remote-code-trust":
        return Severity.LOW
    if kind == "handed":
        return Severity.MEDIUM
    if kind == "unknown":
        return Severity.NOTE
    if found.flow.what == BUILT:
        return Severity.NOTE if direct and kind in (*STRONG, "api", "internal") else None
    if found.flow.what == ARGUMENT:
        return Severity.MEDIUM if kind in STRONG and len(_functions(found)) <= NEAR else None
    if weakness in DANGEROUS:
        if (
            weakness == "query-injection"
            and part not in ("fmt", "join", "host", "url")
            and kind not in STRONG
        ):
            return None
        if kind in STRONG:
            return Severity.HIGH
        if kind == "network":
            return Severity.HIGH if weakness != "query-injection" else Severity.MEDIUM
        if not direct:
            return Severity.LOW if kind in ("api", "internal") and _hands_over(found) else None
        return Severity.LOW if kind in ("internal", "environment") else Severity.MEDIUM
    if kind in STRONG:
        if weakness in ("path-traversal", "request-forgery") and kind == "model":
            return Severity.MEDIUM
        return Severity.HIGH
    if weakness == "archive-extraction":
        return Severity.MEDIUM if direct else None
    if weakness == "xml-entities":
        return Severity.LOW if direct else None
    if weakness == "path-traversal" and kind == "api" and part in ("join", "url") and direct:
        return Severity.NOTE
    if weakness == "request-forgery" and kind in ("api", "internal") and direct:
        return Severity.NOTE
    if weakness == "dynamic-dispatch" and direct and found.flow.what == "imported" and _revives(found):
        return Severity.LOW
    return None


def _revives(found: Found) -> bool:
    """Whether a function that makes objects of data imports what the data names."""
    return found.kind in ("api", "internal") and bool(REVIVING.search(found.at.func.qual))


TESTS: Final = re.compile(
    r"(^|/)(tests?|testing|examples?|benchmarks?)/|(^|/)(test_[^/]*|[^/]*_test|conftest)\.py$"
)


def is_test(path: str) -> bool:
    """Code that no outsider reaches, however it is written."""
    return bool(TESTS.search(path))


def _hands_over(found: Found) -> bool:
    """Whether the function hands its argument to an executor of another class or module, one call away."""
    return len(_functions(found)) == 2 and (found.flow.sink.owner, found.flow.sink.path) != (
        found.at.func.owner,
        found.at.func.path,
    )


def _functions(found: Found) -> list[int]:
    return list(dict.fromkeys(h.func.id for h in found.hops))


def _finding(found: Found, severity: Severity) -> Finding:
    weakness = found.flow.weakness
    if weakness == "request-forgery" and found.part == "url":
        weakness = "path-traversal"
    about = BY_ID[weakness]
    at = found.at
    return Finding(
        weakness=weakness,
        severity=severity,
        confidence=_confidence(found),
        path=at.func.path,
        line=at.line,
        symbol=at.func.qual,
        title=_title(found),
        steps=tuple(_steps(found)),
        controls=CONTROLS[found.kind],
        gets=about.gets,
        fix=about.fix,
    )


def _title(found: Found) -> str:
    said = found.flow.what if found.kind == "present" else f"{CONTROLS[found.kind]}: {found.flow.what}"
    return said[:1].upper() + said[1:]


def _confidence(found: Found) -> Confidence:
    if found.kind in STRONG:
        return "high" if len(_functions(found)) <= 3 else "medium"
    return "medium" if found.kind in ("network", "api", "present") else "low"


def _steps(found: Found) -> Iterator[Step]:
    last: tuple[str, int] | None = None
    for hop in found.hops:
        if (hop.func.path, hop.line) == last and hop.rule == "flow":
            continue
        last = (hop.func.path, hop.line)
        yield Step(hop.func.path, hop.line, _fact(hop, found), hop.rule, hop.text)  # type: ignore[arg-type]


def _fact(hop: Hop, found: Found) -> str:
    where = hop.func.qual or "the module"
    if hop.rule == "source":
        return f"untrusted data enters {where}: {CONTROLS[found.kind]}"
    if hop.rule == "sink":
        return f"it is {found.flow.what}"
    return f"passed on by a call in {where}" if hop.rule == "call" else f"moves on in {where}"


ANALYSER: Final = Analyser(
    id="flow",
    weaknesses=(
        "code-execution", "command-execution", "unsafe-deserialisation", "remote-code-trust", "template-injection", "query-injection",
        "path-traversal", "archive-extraction", "request-forgery", "xml-entities", "dynamic-dispatch",
        "inconsistent-guard",
    ),
    wants=is_python,
    read=summarise,
    conclude=conclude,
)  # fmt: skip
