"""What is known to be checked at a point of a function, and which checks an expression makes.

A fact is `(origin, kind)`: contain, dotdot, prefix, allow, typed, regex, host, integrity, validator, deny. A gate (an
opt-in that must be given) holds for everything that follows. `v:CALL:ARGUMENT` is a call whose callee is known only
when calls are linked: it is a validator if that function refuses by that parameter.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from excise.inspect.python import vocabulary as v
from excise.inspect.python.names import absolute, dotted

if TYPE_CHECKING:
    from excise.inspect.python.local import Local
    from excise.inspect.python.values import Origin

Fact = tuple[Any, str]
GATE: Any = ("gate",)


class Guards:
    """The facts that hold, each with the line of its check."""

    def __init__(self) -> None:
        self.facts: dict[tuple[Any, str], int] = {}
        self.derived: dict[str, tuple[list[Fact], list[Fact]]] = {}

    def copy(self) -> Guards:
        """A copy to change on a branch."""
        new = Guards()
        new.facts = dict(self.facts)
        new.derived = self.derived if not self.derived else dict(self.derived)
        return new

    def add(self, facts: Iterable[Fact], line: int) -> None:
        """These facts hold from now on."""
        for fact in facts:
            self.facts.setdefault(fact, line)

    def without(self, facts: Iterable[Fact]) -> Guards:
        """A copy that does not know these facts."""
        new = self.copy()
        for fact in facts:
            new.facts.pop(fact, None)
        return new

    def forget(self, name: str) -> None:
        """A variable has a new value: what a test of the old one said is gone."""
        self.derived.pop(name, None)

    def derive(self, targets: list[ast.expr], value: ast.expr, local: Local) -> None:
        """`ok = check(x)`: a later test of `ok` is a test of `x`."""
        if (
            len(targets) == 1
            and isinstance(targets[0], ast.Name)
            and isinstance(value, (ast.Compare, ast.BoolOp, ast.Call, ast.UnaryOp))
        ):
            positive, negative = tests(value, local)
            if positive or negative:
                self.derived = {**self.derived, targets[0].id: (positive, negative)}
            if isinstance(value, ast.Call):
                self.statement(value, local)

    def statement(self, node: ast.Call, local: Local) -> None:
        """`validate(x)` as a statement: if it returns, `x` is checked. `x.relative_to(base)` raises as well."""
        if isinstance(node.func, ast.Attribute) and node.func.attr == "relative_to":
            self.add([(o, "contain") for o in _origins(node.func.value, local)], node.lineno)
        self.add(_validated(node, local), node.lineno)

    def of(self, origin: Origin) -> list[list[Any]]:
        """`[kind, line]` of each fact about an origin, gates included."""
        base = origin[:2] if origin[0] == "P" else origin
        return [
            [kind, line]
            for (subject, kind), line in self.facts.items()
            if subject in (origin, GATE) or (origin[0] == "P" and subject == (*base, ()))
        ]


def join(one: Guards, other: Guards, *, keep: bool) -> Guards:
    """What holds after two branches meet: what holds on both, or with `keep` on one."""
    new = Guards()
    if keep:
        new.facts = {**one.facts, **other.facts}
    else:
        new.facts = {f: n for f, n in one.facts.items() if f in other.facts}
    new.derived = {**one.derived, **other.derived}
    return new


def tests(node: ast.expr, local: Local) -> tuple[list[Fact], list[Fact]]:
    """What holds if the expression is true, and what holds if it is false."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        positive, negative = tests(node.operand, local)
        return negative, positive
    if isinstance(node, ast.BoolOp):
        pairs = [tests(item, local) for item in node.values]
        if isinstance(node.op, ast.And):
            falses = [f for _, n in pairs for f in n] if _only_switches(node, local) else []
            return [f for p, _ in pairs for f in p], falses
        return [], [f for _, n in pairs for f in n]
    if isinstance(node, ast.NamedExpr):
        return tests(node.value, local)
    if isinstance(node, ast.Compare):
        return _comparison(node, local)
    if isinstance(node, ast.Call):
        return _predicate(node, local)
    if isinstance(node, (ast.Name, ast.Attribute)):
        name = node.id if isinstance(node, ast.Name) else node.attr
        if name in local.guards.derived:
            return local.guards.derived[name]
        return ([(GATE, "gate")], []) if v.GATE_NAME.search(name) else ([], [])
    return [], []


def _only_switches(node: ast.BoolOp, local: Local) -> bool:
    """`switch and not check(x)`: false means checked, unless the switch is off by default."""
    return local.default_on(ast.BoolOp(node.op, node.values[:-1])) and len(node.values) > 1


def _origins(node: ast.expr, local: Local) -> dict[Any, tuple[str, tuple[int, ...]]]:
    """The origins of an expression without noting its calls again."""
    quiet = local.sinks, local.calls
    local.sinks, local.calls = [], list(local.calls)
    try:
        return local.eval(node)
    finally:
        local.sinks, local.calls = quiet


def _about(node: ast.expr, local: Local, kind: str) -> list[Fact]:
    """The fact for each origin of an expression; a check of a mere part of a value says nothing of the whole."""
    facts: list[Fact] = []
    for origin, (part, _) in _origins(node, local).items():
        if part == "host":
            facts.append((origin, "host"))
        elif (
            part in ("", "whole", "join", "fmt", "url", "quoted")
            or kind in ("validator", "integrity")
            or kind == "dotdot"
        ):
            facts.append((origin, kind))
    return facts


def _comparison(node: ast.Compare, local: Local) -> tuple[list[Fact], list[Fact]]:
    op, left, right = node.ops[0], node.left, node.comparators[0]
    if isinstance(op, (ast.Is, ast.IsNot)):
        return [], []
    text = dotted(left) + " " + dotted(right)
    if v.INTEGRITY_NAME.search(text):
        facts: list[Fact] = [(GATE, "integrity")]
    elif isinstance(op, (ast.In, ast.NotIn)):
        facts = _membership(left, right, local)
    elif isinstance(op, (ast.Eq, ast.NotEq)):
        facts = _equality(left, right, local)
    else:
        return [], []
    if isinstance(op, (ast.In, ast.NotIn)) and isinstance(
        left, ast.Constant
    ):  # `".." in path` refuses when it is true
        return (facts, []) if isinstance(op, ast.NotIn) else ([], facts)
    return (facts, []) if isinstance(op, (ast.In, ast.Eq)) else ([], facts)


def _membership(left: ast.expr, right: ast.expr, local: Local) -> list[Fact]:
    if isinstance(left, ast.Constant):
        kind = "dotdot" if left.value in ("..", "../", "/../") else "deny"
        return _about(right, local, kind)
    if "parents" in ast.dump(right):
        return [*_about(right, local, "contain"), *_about(left, local, "contain")]
    return _about(left, local, "allow")


def _equality(left: ast.expr, right: ast.expr, local: Local) -> list[Fact]:
    for one, other in ((left, right), (right, left)):
        if isinstance(one, ast.Attribute) and one.attr == "parent":
            return _about(one.value, local, "contain")
        if isinstance(one, ast.Constant):
            return _about(other, local, "allow") if one.value not in ("", None, 0) else []
        if isinstance(one, ast.Call) and dotted(one.func).endswith(("commonpath", "commonprefix")):
            return [f for arg in one.args for f in _about(arg, local, "contain")]
    return [
        f
        for f in _about(left, local, "allow") + _about(right, local, "allow")
        if f[1] == "host" or f[0][0] != "A"
    ]


_PREDICATES = {
    "is_relative_to": "contain",
    "relative_to": "contain",
    "isidentifier": "regex",
    "isalnum": "regex",
    "isdigit": "typed",
    "isnumeric": "typed",
    "fullmatch": "regex",
    "match": "regex",
}


def _predicate(node: ast.Call, local: Local) -> tuple[list[Fact], list[Fact]]:
    name = absolute(local.module, dotted(node.func))
    if name in ("any", "all") and node.args and isinstance(node.args[0], (ast.GeneratorExp, ast.ListComp)):
        return _quantified(name, node.args[0], local)
    if name == "isinstance" and len(node.args) == 2:
        types = {n.id for n in ast.walk(node.args[1]) if isinstance(n, ast.Name)}
        return (
            (_about(node.args[0], local, "typed"), [])
            if types and types <= {"int", "float", "bool", "UUID"}
            else ([], [])
        )
    if name in ("getattr", "hasattr") and len(node.args) >= 2:
        marks = isinstance(node.args[1], ast.Constant)
        return (_about(node.args[0], local, "mark"), []) if marks else ([], [])
    if name in ("re.match", "re.fullmatch", "re.search") and len(node.args) > 1:
        return _about(node.args[1], local, "regex"), []
    if name.endswith(("commonpath", "os.path.samefile")):
        return [f for arg in node.args for f in _about(arg, local, "contain")], []
    if isinstance(node.func, ast.Attribute):
        attr, base = node.func.attr, node.func.value
        if attr == "startswith":
            return _prefix(base, node, local)
        if attr in ("match", "fullmatch") and node.args:
            return _about(node.args[0], local, "regex"), []
        if attr in _PREDICATES:
            return _about(base, local, _PREDICATES[attr]), []
        if attr == "get" and v.GATE_NAME.search(ast.unparse(node)):
            return [(GATE, "gate")], []
        if v.GATE_NAME.search(dotted(base).rsplit(".", 1)[-1]):
            return [(GATE, "gate")], []
    facts = _validated(node, local, predicate=True)
    last = name.rsplit(".", 1)[-1]
    if not facts and v.GATE_NAME.search(last):
        return [(GATE, "gate")], []
    if v.VALIDATOR_NAME.search(last) or facts:
        return (facts, []) if name in v.DOMAIN_CHECKS else (facts, facts)
    return [], []


def _prefix(base: ast.expr, node: ast.Call, local: Local) -> tuple[list[Fact], list[Fact]]:
    """`x.startswith(y)`: containment where x is resolved or y is no constant, an address where y is one."""
    argument = node.args[0] if node.args else None
    if isinstance(argument, ast.Constant) and isinstance(argument.value, (str, bytes)):
        text = argument.value if isinstance(argument.value, str) else argument.value.decode("latin-1")
        if "://" in text and len(text.split("://")[1]) > 1:
            return _about(base, local, "prefix"), []
        if text in ("-", "--"):
            return [], _about(base, local, "dash")
        if text in ("/", "\\", "..", "_", "__"):
            kind = {"/": "absolute", "\\": "absolute", "..": "weak-dotdot"}.get(text, "prefix")
            return [], _about(base, local, kind)
        return [], []
    return [*_about(base, local, "contain"), *_about(base, local, "prefix")], []


def _quantified(
    name: str, node: ast.GeneratorExp | ast.ListComp, local: Local
) -> tuple[list[Fact], list[Fact]]:
    saved = local.env
    local.env = dict(saved)
    quiet = local.sinks, local.calls
    local.sinks, local.calls = [], list(local.calls)
    try:
        for generator in node.generators:
            local.bind(generator.target, local.eval(generator.iter), node.lineno)
        positive, negative = tests(node.elt, local)
    finally:
        local.env = saved
        local.sinks, local.calls = quiet
    return (positive, negative)


def _validated(node: ast.Call, local: Local, *, predicate: bool = False) -> list[Fact]:
    """The facts that a call of a validator gives: by its name, or by what the callee turns out to do."""
    name = dotted(node.func)
    last = name.rsplit(".", 1)[-1]
    if v.NO_VALIDATOR.search(last):
        return []
    arguments = [*node.args, *(k.value for k in node.keywords)]
    if v.VALIDATOR_NAME.search(last) or name in v.DOMAIN_CHECKS:
        facts: list[Fact] = []
        for argument in arguments:
            facts += _about(argument, local, "validator")
        if not facts and isinstance(node.func, ast.Attribute):
            facts += _about(node.func.value, local, "validator") if predicate else []
        return facts
    at = local.call_at.get((node.lineno, node.col_offset))
    if at is None:
        return []
    return [
        (origin, f"v:{at}:{i}")
        for i, argument in enumerate(node.args)
        for origin, (part, _) in _origins(argument, local).items()
        if part != "part"
    ]
