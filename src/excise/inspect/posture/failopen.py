"""Checks that pass when they fail: an exception of the check is caught, and things go on as if it had passed.

Two forms: `try: check(x) except Exception: pass`, with what was to be guarded after it; and a check that answers yes in
its handler. A handler that raises, answers no, or leaves is right.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from excise.inspect.analyser import per_file
from excise.inspect.finding import Finding, Severity, Step
from excise.inspect.posture.shape import Function, Named, is_shipped, last, own_calls, touched
from excise.inspect.tree import Source
from excise.inspect.weakness import BY_ID

_CHECK: Final = re.compile(
    r"^_*(?:verify|authenticate|authorize|authorise|sanitize|sanitise|scan|is_safe|is_allowed|is_authorized|is_trusted|is_valid_(?:token|signature|path|host|origin)"
    r"|check_(?:auth\w*|access|permission\w*|token|signature|safe\w*|path|url|host|origin|policy|scan\w*|malicious\w*|injection\w*)"
    r"|validate_(?:token|signature|path|url|host|origin|permission\w*|access|code|command|query|policy|safe\w*|input|request)"
    r"|(?:verify|scan|authenticate|authorize|sanitize)_\w+|ensure_(?:safe|allowed|authorized|trusted)\w*|require_(?:auth|permission)\w*)$"
)
_YES: Final = re.compile(r"^_*(?:is|has|can|check|verify|validate|authenticate|authorize|allow)")
_NOT_SECURITY: Final = re.compile(
    r"scan_(?:dir|folder|tree|line|token|string|number|ident|key|once|all|iter|range|rows|table|column|block)|verify_(?:mode|ssl|certs?)$|can_(?:import|render|display|use|handle|read|load|open|write|parse|run)|is_(?:available|installed|running|alive|connected|port|in_|type|subclass|instance|callable|json|number|int|float|file|dir|empty|none|nan|git|tty|interactive|notebook|colab|ipython|torch|tensor|async|coroutine|iterable|hashable|json_serializable|jsonable|picklable|serializable)|has_(?:attr|changed|changes|method|gpu|cuda)"
)
_SECURITY: Final = re.compile(
    r"auth|safe|secur|trust|permi|allow|token|sign|malicious|danger|polic|valid_(?:path|url|host|origin)|origin|access|guard|inject|sandbox|credential|password",
    re.IGNORECASE,
)
_EXCEPT: Final = re.compile(r"\bexcept\b")
_HOT: Final = (
    "verify", "authenticat", "authori", "saniti", "scan", "check_", "validate_", "ensure_", "require_", "is_safe",
    "is_allowed", "is_trusted", "is_auth", "is_valid_", "has_perm", "has_access", "can_access", "allow_",
)  # fmt: skip
"""Pieces of the names of checks."""
_BROAD: Final = frozenset({"Exception", "BaseException"})


def find(source: Source) -> Iterator[Finding]:
    """The handlers of one file that let pass."""
    for named in touched(source, _HOT, _EXCEPT):
        for node in _tries(named.node):
            yield from _passed(source, named, node)
            yield from _answered(source, named, node)


def _tries(function: Function) -> Iterator[ast.Try]:
    stack: list[ast.AST] = list(function.body)
    while stack:
        node = stack.pop()
        if isinstance(node, Function | ast.ClassDef):
            continue
        if isinstance(node, ast.Try):
            yield node
        stack += ast.iter_child_nodes(node)


def _broad(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or last(kind) in _BROAD for kind in kinds)


def _passed(source: Source, named: Named, node: ast.Try) -> Iterator[Finding]:
    """A check whose failure is swallowed: its result is not used, so its exception was its answer."""
    statements = [s.value for s in node.body if isinstance(s, ast.Expr)]
    asked = [c.value if isinstance(c, ast.Await) else c for c in statements]
    check = next(
        (
            c
            for c in asked
            if isinstance(c, ast.Call)
            and _CHECK.match(last(c.func))
            and not _NOT_SECURITY.search(last(c.func))
        ),
        None,
    )
    if check is None or len(node.body) > 2:
        return
    for handler in node.handlers:
        if _broad(handler) and all(map(_goes_on, handler.body)):
            yield _finding(
                source,
                named,
                check.lineno,
                handler,
                f"{last(check.func)} may fail, and what it guards goes on",
            )


def _goes_on(statement: ast.stmt) -> bool:
    """Whether a statement of a handler neither leaves nor answers: nothing, a log, a counter."""
    if isinstance(statement, ast.Pass | ast.Continue):
        return isinstance(statement, ast.Pass)
    if isinstance(statement, ast.Expr):
        name = last(statement.value.func) if isinstance(statement.value, ast.Call) else ""
        return isinstance(statement.value, ast.Constant) or name in {
            "debug",
            "info",
            "warning",
            "warn",
            "error",
            "exception",
            "print",
            "log",
        }
    return False


def _answered(source: Source, named: Named, node: ast.Try) -> Iterator[Finding]:
    """A check that says yes when it could not look."""
    name = named.node.name
    if not (_YES.match(name) and _SECURITY.search(name)) or _NOT_SECURITY.search(name):
        return
    if not any(isinstance(n, ast.Return) and _no(n.value) for n in ast.walk(named.node)):
        return
    for handler in node.handlers:
        yes = next(
            (
                s
                for s in handler.body
                if isinstance(s, ast.Return) and isinstance(s.value, ast.Constant) and s.value.value is True
            ),
            None,
        )
        if yes is not None and _broad(handler) and any(True for _ in own_calls(named.node)):
            yield _finding(source, named, yes.lineno, handler, f"{name} answers yes when it could not look")


def _no(value: ast.expr | None) -> bool:
    return not (isinstance(value, ast.Constant) and value.value is True)


def _finding(source: Source, named: Named, line: int, handler: ast.ExceptHandler, what: str) -> Finding:
    weakness = BY_ID["fail-open"]
    steps = (
        Step(source.path, line, "the check", "guard", source.line(line).strip()),
        Step(source.path, handler.lineno, what, "present", source.line(handler.lineno).strip()),
    )
    return Finding(
        weakness.id, Severity.MEDIUM, "medium", source.path, handler.lineno, what, steps,
        "whatever makes the check raise: an odd input, a time-out, a service that is down", weakness.gets, weakness.fix,
        symbol=named.symbol,
    )  # fmt: skip


FAIL_OPEN = per_file("fail-open", ("fail-open",), is_shipped, find)
