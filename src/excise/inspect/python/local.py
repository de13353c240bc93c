"""The flow inside one function: from its parameters and the sources in it to sinks, calls and its result, in one pass.

A value is a map from *origins* to how they got here. An origin is a tuple of plain values:

    ("P", i, path)            parameter i, of which `path` (attributes and constant keys) was taken
    ("S", kind, line, text)   a source in this function: http, tool, model, message, network, file, environment, archive
    ("R", c)                  the result of call c of this function's record: known when the calls are linked
    ("A", name)               the attribute `name` of `self`
    ("E", name)               a variable of the enclosing function

and how it got here is `(part, lines)`: what part of the value is left (`""` the whole, `host`, `name`, `join` below a
base, `fmt` inside a formatted text, `url` as the path of a fixed address, `quoted`, `part`), and the lines it came over.

Branches are joined by union, so a value that is tainted on one path is tainted. Guards (`guards`) are joined by
intersection, except where the branch is a switch that is on by default. Loops are passed once.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from typing import Any, Final

from excise.inspect.python import vocabulary as v
from excise.inspect.python.guards import Guards, join, tests
from excise.inspect.python.names import Function, Module, absolute, dotted

Origin = tuple[Any, ...]
Value = dict[Origin, tuple[str, tuple[int, ...]]]
MOST_LINES: Final = 6
"""Lines kept of the way of a value: its first ones."""
MOST_ORIGINS: Final = 12
"""Origins kept of a value: a value of everything says nothing."""
MOST_TEXT: Final = 80
NOTHING: Value = {}


def union(*values: Value) -> Value:
    """Everything that is in one of the values."""
    out: Value = {}
    for value in values:
        for origin, how in value.items():
            if origin not in out or (out[origin][0] and not how[0]):
                out[origin] = how
    if len(out) > MOST_ORIGINS:
        return dict(list(out.items())[:MOST_ORIGINS])
    return out


def via(value: Value, line: int, part: str | None = None) -> Value:
    """`value` one line on; with `part`, as that part of what it was."""
    out: Value = {}
    for origin, (was, lines) in value.items():
        now = was if part is None else (part if part != "part" or not was else was)
        out[origin] = (now, lines if line in lines or len(lines) >= MOST_LINES else (*lines, line))
    return out


class Local:
    """One function's record in the making."""

    def __init__(
        self, module: Module, lines: tuple[str, ...], node: Function | ast.Module, qual: str, cls: ast.ClassDef | None,
        outer: Local | None,
    ) -> None:  # fmt: skip
        self.module, self.lines, self.node, self.qual, self.cls, self.outer = module, lines, node, qual, cls, outer
        self.env: dict[str, Value] = {}
        self.types: dict[str, str] = {}
        self.guards = Guards()
        self.sinks: list[list[Any]] = []
        self.calls: list[list[Any]] = []
        self.returns: Value = {}
        self.stores: dict[str, Value] = {}
        self.attr_types: dict[str, str] = {}
        self.checked: set[int] = set()
        self.inner: set[str] = set()
        self.nested: list[tuple[Function, dict[str, Value]]] = []
        self.uses_ast = False
        self.off: frozenset[str] = frozenset()
        self.dispatchers: dict[str, tuple[Value, int]] = {}
        self.call_at: dict[tuple[int, int], int] = {}
        self.params: list[str] = []

    # Statements

    def run(self, body: Iterable[ast.stmt]) -> bool:
        """Pass over statements in order; whether the end is not reached (raise, return, continue, break)."""
        for node in body:
            handler = _STATEMENTS.get(type(node))
            if handler is not None:
                if handler(self, node):
                    return True
            else:
                for child in ast.iter_child_nodes(node):
                    if isinstance(child, ast.expr):
                        self.eval(child)
        return False

    def _assign(self, node: ast.Assign) -> bool:
        value = self.eval(node.value)
        self._note_type(node.targets, node.value)
        for target in node.targets:
            self._bind(target, value, node.lineno)
        self.guards.derive(node.targets, node.value, self)
        return False

    def _ann_assign(self, node: ast.AnnAssign) -> bool:
        if node.value is not None:
            self._note_type([node.target], node.value)
            self._bind(node.target, self.eval(node.value), node.lineno)
            self.guards.derive([node.target], node.value, self)
        return False

    def _aug_assign(self, node: ast.AugAssign) -> bool:
        value = self.eval(node.value)
        if isinstance(node.target, ast.Name):
            part = "join" if isinstance(node.op, ast.Div) else "fmt" if self._literal(node.value) else None
            old = self.env.get(node.target.id, NOTHING)
            self.env[node.target.id] = union(old, via(value, node.lineno, part))
        else:
            self._bind(node.target, union(value, self.eval(node.target)), node.lineno)
        return False

    def _literal(self, node: ast.expr) -> bool:
        return isinstance(node, ast.JoinedStr)

    def _bind(self, target: ast.expr, value: Value, line: int) -> None:
        if isinstance(target, ast.Name):
            self.env[target.id] = via(value, line)
            self.guards.forget(target.id)
        elif isinstance(target, (ast.Tuple, ast.List)):
            for item in target.elts:
                self._bind(item, via(value, line, "part"), line)
        elif isinstance(target, ast.Starred):
            self._bind(target.value, value, line)
        elif isinstance(target, ast.Attribute):
            if isinstance(target.value, ast.Name) and target.value.id in ("self", "cls"):
                self.stores[target.attr] = union(self.stores.get(target.attr, NOTHING), via(value, line))
                self.env["self." + target.attr] = via(value, line)
            elif isinstance(target.value, ast.Name) and value:
                name = target.value.id
                self.env[f"{name}.{target.attr}"] = via(value, line)
        elif isinstance(target, ast.Subscript):
            self.eval(target.slice)
            if value and isinstance(target.value, ast.Name):
                name = target.value.id
                self.env[name] = union(self.env.get(name, NOTHING), via(value, line, "part"))

    def _note_type(self, targets: list[ast.expr], value: ast.expr) -> None:
        """Remember the class of `x = Class(...)` and `self.x = Class(...)`."""
        if isinstance(value, ast.Await):
            value = value.value
        if isinstance(value, ast.List) and isinstance(targets[0], ast.Name):
            self.types[targets[0].id] = "list"
        if not isinstance(value, ast.Call):
            return
        name = dotted(value.func)
        if name == "getattr" and len(value.args) > 1 and isinstance(targets[0], ast.Name):
            chosen = self.eval(value.args[1])
            if chosen:
                self.dispatchers[targets[0].id] = (chosen, value.lineno)
        last = name.rsplit(".", 1)[-1]
        if not name or "(" in name or not (last[:1].isupper() or name.startswith("zipfile.")):
            return
        kind = absolute(self.module, name)
        for target in targets:
            if isinstance(target, ast.Name):
                self.types[target.id] = kind
            elif isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
                if target.value.id == "self":
                    self.attr_types[target.attr] = kind
                    self.types["self." + target.attr] = kind

    def _if(self, node: ast.If) -> bool:
        self.eval(node.test)
        before = (dict(self.env), self.guards.copy())
        positive, negative = tests(node.test, self)
        self.guards.add(positive, node.lineno)
        ended = self.run(node.body)
        after_body = (self.env, self.guards)
        self.env, self.guards = dict(before[0]), before[1].copy()
        self.guards.add(negative, node.lineno)
        if ended:
            self._note_checks(negative)
        other = self.run(node.orelse)
        if ended and other:
            return True
        if other:
            self.env, self.guards = after_body
            self._note_checks(positive)
            return False
        if not ended:
            self._join(after_body, node)
        return False

    def _join(self, side: tuple[dict[str, Value], Guards], node: ast.If) -> None:
        env, guards = side
        merged = dict(self.env)
        for name, value in env.items():
            if value is not merged.get(name):
                merged[name] = union(value, merged.get(name, NOTHING))
        self.env = merged
        keep = not node.orelse and self._default_on(node.test)
        self.guards = join(guards, self.guards, keep=keep)

    def _default_on(self, test: ast.expr) -> bool:
        """Whether a check under `if test:` is one that is made unless somebody switches it off.

        A switch is a test without comparison of values. One that is a parameter whose default is false is off.
        """
        names = {n.id for n in ast.walk(test) if isinstance(n, ast.Name)}
        if names & self.off:
            return False
        compared = any(isinstance(n, ast.Compare) and not isinstance(n.ops[0], (ast.Is, ast.IsNot)) for n in ast.walk(test))
        return not compared

    def _note_checks(self, facts: Iterable[tuple[Origin, str]]) -> None:
        """This function refuses by its parameter: it is a validator of it."""
        for origin, kind in facts:
            if origin[0] == "P" and kind not in ("prefix", "regex"):
                self.checked.add(origin[1])

    def _for(self, node: ast.For | ast.AsyncFor) -> bool:
        value = self.eval(node.iter)
        if isinstance(node.iter, ast.Call) and isinstance(node.iter.func, ast.Name) and node.iter.func.id == "enumerate":
            value = via(value, node.lineno)
        self._bind(node.target, value, node.lineno)
        before = dict(self.env)
        self.run(node.body)
        self.env = {k: union(self.env.get(k, NOTHING), before.get(k, NOTHING)) for k in {**before, **self.env}}
        self.run(node.orelse)
        return False

    def _while(self, node: ast.While) -> bool:
        self.eval(node.test)
        positive, _ = tests(node.test, self)
        self.guards.add(positive, node.lineno)
        before = dict(self.env)
        self.run(node.body)
        self.env = {k: union(self.env.get(k, NOTHING), before.get(k, NOTHING)) for k in {**before, **self.env}}
        self.run(node.orelse)
        return False

    def _with(self, node: ast.With | ast.AsyncWith) -> bool:
        for item in node.items:
            value = self.eval(item.context_expr)
            if item.optional_vars is not None:
                self._note_type([item.optional_vars], item.context_expr)
                self._bind(item.optional_vars, value, node.lineno)
        return self.run(node.body)

    def _try(self, node: ast.Try) -> bool:
        before = (dict(self.env), self.guards.copy())
        ended = self.run(node.body)
        if not ended:
            ended = self.run(node.orelse)
        sides = [] if ended else [(self.env, self.guards)]
        for handler in node.handlers:
            self.env, self.guards = {**before[0], **self.env}, before[1].copy()
            if not self.run(handler.body):
                sides.append((self.env, self.guards))
        if sides:
            env, guards = sides[0]
            for other, more in sides[1:]:
                env = {k: union(env.get(k, NOTHING), other.get(k, NOTHING)) for k in {**env, **other}}
                guards = join(guards, more, keep=True)
            self.env, self.guards = env, guards
        else:
            self.env, self.guards = before
        final = self.run(node.finalbody)
        return not sides or final

    def _return(self, node: ast.Return) -> bool:
        if node.value is not None:
            self.returns = union(self.returns, via(self.eval(node.value), node.lineno))
            positive, negative = tests(node.value, self)
            if isinstance(node.value, (ast.Compare, ast.BoolOp, ast.UnaryOp, ast.Call)):
                self._note_checks([*positive, *negative])
        return True

    def _raise(self, node: ast.Raise) -> bool:
        if node.exc is not None:
            self.eval(node.exc)
        return True

    def _stop(self, _node: ast.stmt) -> bool:
        return True

    def _expr(self, node: ast.Expr) -> bool:
        value = node.value
        self.eval(value)
        inner = value.value if isinstance(value, ast.Await) else value
        if isinstance(inner, ast.Call):
            if absolute(self.module, dotted(inner.func)) in v.ABORTS:
                return True
            self.guards.statement(inner, self)
        return False

    def _assert(self, node: ast.Assert) -> bool:
        self.eval(node.test)
        positive, _ = tests(node.test, self)
        self.guards.add(positive, node.lineno)
        self._note_checks(positive)
        return False

    def _function(self, node: Function) -> bool:
        self.inner.add(node.name)
        self.nested.append((node, self.env))
        return False

    def _match(self, node: ast.Match) -> bool:
        value = self.eval(node.subject)
        before = (dict(self.env), self.guards.copy())
        out: dict[str, Value] = dict(self.env)
        for case in node.cases:
            self.env, self.guards = dict(before[0]), before[1].copy()
            for name in ast.walk(case.pattern):
                if isinstance(name, (ast.MatchAs, ast.MatchStar)) and name.name:
                    self.env[name.name] = via(value, node.lineno, "part")
            if isinstance(case.pattern, ast.MatchValue):
                self.guards.add([(o, "allow") for o in value], node.lineno)
            self.run(case.body)
            out = {k: union(out.get(k, NOTHING), self.env.get(k, NOTHING)) for k in {**out, **self.env}}
        self.env, self.guards = out, before[1]
        return False

    # Expressions

    def eval(self, node: ast.expr) -> Value:
        """The value of an expression; calls and sinks in it are noted."""
        handler = _EXPRESSIONS.get(type(node))
        if handler is not None:
            return handler(self, node)
        out: Value = {}
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                got = self.eval(child)
                if got:
                    out = union(out, got) if out else got
        return out

    def _constant(self, _node: ast.Constant) -> Value:
        return NOTHING

    def _name(self, node: ast.Name) -> Value:
        found = self.env.get(node.id)
        if found is not None:
            return found
        if self.outer is not None and self.outer.knows(node.id) and node.id not in self.module.imports:
            return {("E", node.id): ("", ())}
        return NOTHING

    def knows(self, name: str) -> bool:
        """Whether this function, or one around it, has a variable of that name."""
        if name in self.params or name in self.env:
            return True
        return self.outer is not None and self.outer.knows(name)

    def _attribute(self, node: ast.Attribute) -> Value:
        base = node.value
        attr = node.attr
        if isinstance(base, ast.Name):
            if base.id in ("self", "cls") and self.cls is not None:
                known = self.env.get("self." + attr)
                if known is not None:
                    return known
                if attr == "request":
                    return {("S", "http", node.lineno, "self.request"): ("", (node.lineno,))}
                return {("A", attr): ("", ())}
            known = self.env.get(f"{base.id}.{attr}")
            if known is not None:
                return known
            if base.id in v.REQUEST_NAMES and attr in v.REQUEST_ATTRIBUTES:
                return self._request(node, base)
        return self._take(self.eval(base), attr, node.lineno)

    def _request(self, node: ast.expr, base: ast.Name) -> Value:
        """A part of what is called `request`: HTTP input."""
        text = ast.unparse(node)[:MOST_TEXT]
        return {("S", "http", node.lineno, text): ("", (node.lineno,))}

    def _take(self, value: Value, key: str, line: int) -> Value:
        """An attribute or a constant key of a value."""
        if not value:
            return NOTHING
        part = "host" if key in v.HOST_PARTS else "name" if key in v.NAME_ATTRIBUTES else "part"
        out: Value = {}
        for origin, (was, lines) in value.items():
            if origin[0] == "P" and len(origin[2]) < 2 and not was and len(lines) <= 1:
                out[("P", origin[1], (*origin[2], key))] = ("", lines)
            elif origin[0] == "S" and origin[1] in ("http", "tool") and not was and key not in v.NAME_ATTRIBUTES:
                out[("S", origin[1], origin[2], f"{origin[3]}.{key}"[:MOST_TEXT])] = ("", lines)
            else:
                out[origin] = (part if part != "part" or not was else was, lines)
        return out

    def _subscript(self, node: ast.Subscript) -> Value:
        value = self.eval(node.value)
        if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
            return self._take(value, node.slice.value, node.lineno)
        index = self.eval(node.slice)
        if dotted(node.value) in ("os.environ",):
            return {("S", "environment", node.lineno, ast.unparse(node)[:MOST_TEXT]): ("", (node.lineno,))}
        if isinstance(node.slice, ast.Slice):
            return value
        if index and not isinstance(node.slice, ast.Constant):
            name = dotted(node.value)
            if name.rsplit(".", 1)[-1].isupper():
                return NOTHING  # a literal table: what comes out of it was written by the authors
        return {o: ("part" if not w else w, n) for o, (w, n) in value.items()}

    def _joined(self, node: ast.JoinedStr) -> Value:
        out: Value = {}
        seen = ""
        for piece in node.values:
            if isinstance(piece, ast.Constant):
                seen += str(piece.value)
            elif isinstance(piece, ast.FormattedValue):
                part = "fmt" if not seen else _place(seen)
                out = union(out, via(self.eval(piece.value), node.lineno, part))
                seen += "\0"
        return out

    def _binary(self, node: ast.BinOp) -> Value:
        left, right = self.eval(node.left), self.eval(node.right)
        if isinstance(node.op, ast.Div):
            return union(left, via(right, node.lineno, "join")) if right else left
        if isinstance(node.op, ast.Add) and right:
            before = node.left.value if isinstance(node.left, ast.Constant) and isinstance(node.left.value, str) else ""
            return union(left, via(right, node.lineno, _place(before) if before else "fmt"))
        if isinstance(node.op, ast.Mod) and right and isinstance(node.left, ast.Constant):
            return via(right, node.lineno, _place(str(node.left.value).split("%")[0]))
        return union(left, right)

    def _compare(self, node: ast.Compare) -> Value:
        self.eval(node.left)
        for item in node.comparators:
            self.eval(item)
        return NOTHING

    def _not(self, node: ast.UnaryOp) -> Value:
        self.eval(node.operand)
        return NOTHING

    def _ternary(self, node: ast.IfExp) -> Value:
        self.eval(node.test)
        positive, negative = tests(node.test, self)
        saved = self.guards.copy()
        self.guards.add(positive, node.lineno)
        body = self.eval(node.body)
        passed = {o for o, kind in positive if kind in ("allow", "contain", "regex", "typed")}
        self.guards = saved.copy()
        self.guards.add(negative, node.lineno)
        other = self.eval(node.orelse)
        self.guards = saved
        return union({o: h for o, h in body.items() if o not in passed}, other)

    def _lambda(self, node: ast.Lambda) -> Value:
        saved = self.env
        self.env = dict(saved)
        for arg in node.args.args:
            self.env[arg.arg] = NOTHING
        value = self.eval(node.body)
        self.env = saved
        return value

    def _comprehension(self, node: Any) -> Value:
        saved = self.env
        self.env = dict(saved)
        guards = self.guards.copy()
        for generator in node.generators:
            self._bind(generator.target, self.eval(generator.iter), node.lineno)
            for test in generator.ifs:
                self.eval(test)
                self.guards.add(tests(test, self)[0], node.lineno)
        if isinstance(node, ast.DictComp):
            value = union(self.eval(node.key), self.eval(node.value))
        else:
            value = self.eval(node.elt)
        self.env, self.guards = saved, guards
        return value

    def _walrus(self, node: ast.NamedExpr) -> Value:
        value = self.eval(node.value)
        self._bind(node.target, value, node.lineno)
        self._note_type([node.target], node.value)
        return value

    def _call(self, node: ast.Call) -> Value:
        from excise.inspect.python.calls import call

        return call(self, node)


def _place(before: str) -> str:
    """What part of a text a value becomes that is put after `before`."""
    if re.search(r"://[^/\0]+/", before) or re.search(r"^/?[\w.-]+/", before) and "://" not in before:
        return "url" if "://" in before else "join"
    if "://" in before:
        return "host"
    return "join" if before.endswith("/") and before != "/" else "fmt"


_STATEMENTS: Final[dict[type, Any]] = {
    ast.Assign: Local._assign,
    ast.AnnAssign: Local._ann_assign,
    ast.AugAssign: Local._aug_assign,
    ast.If: Local._if,
    ast.For: Local._for,
    ast.AsyncFor: Local._for,
    ast.While: Local._while,
    ast.With: Local._with,
    ast.AsyncWith: Local._with,
    ast.Try: Local._try,
    ast.TryStar: Local._try,
    ast.Return: Local._return,
    ast.Raise: Local._raise,
    ast.Continue: Local._stop,
    ast.Break: Local._stop,
    ast.Expr: Local._expr,
    ast.Assert: Local._assert,
    ast.FunctionDef: Local._function,
    ast.AsyncFunctionDef: Local._function,
    ast.ClassDef: lambda _self, _node: False,
    ast.Match: Local._match,
    ast.Import: lambda _self, _node: False,
    ast.ImportFrom: lambda _self, _node: False,
}
_EXPRESSIONS: Final[dict[type, Any]] = {
    ast.Constant: Local._constant,
    ast.Name: Local._name,
    ast.Attribute: Local._attribute,
    ast.Subscript: Local._subscript,
    ast.JoinedStr: Local._joined,
    ast.BinOp: Local._binary,
    ast.Compare: Local._compare,
    ast.IfExp: Local._ternary,
    ast.Lambda: Local._lambda,
    ast.ListComp: Local._comprehension,
    ast.SetComp: Local._comprehension,
    ast.GeneratorExp: Local._comprehension,
    ast.DictComp: Local._comprehension,
    ast.NamedExpr: Local._walrus,
    ast.Call: Local._call,
}
