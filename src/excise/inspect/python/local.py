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
from collections.abc import Iterable
from typing import Any, Final

from excise.inspect.python import vocabulary as v
from excise.inspect.python.expressions import EXPRESSIONS
from excise.inspect.python.guards import Fact, Guards, join, tests
from excise.inspect.python.names import Function, Module, absolute, dotted
from excise.inspect.python.values import MOST_TEXT, NOTHING, Origin, Value, union, via
from excise.inspect.tree import Unparsable

MOST_LOOKS = 500_000
"""Expressions of one function that are looked at: a test is looked at again for what it checks, and tests nest."""


class Local:
    """One function's record in the making."""

    def __init__(
        self, module: Module, lines: tuple[str, ...], node: Function | ast.Module, qual: str, cls: ast.ClassDef | None,
        outer: Local | None,
    ) -> None:  # fmt: skip
        self.module, self.lines, self.node, self.qual, self.cls, self.outer = (
            module,
            lines,
            node,
            qual,
            cls,
            outer,
        )
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
        self.looked = 0
        self.telling = 0

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

    def on_assign(self, node: ast.Assign) -> bool:
        value = self.eval(node.value)
        self._note_type(node.targets, node.value)
        for target in node.targets:
            self.bind(target, value, node.lineno)
        self.guards.derive(node.targets, node.value, self)
        return False

    def on_ann_assign(self, node: ast.AnnAssign) -> bool:
        if node.value is not None:
            self._note_type([node.target], node.value)
            self.bind(node.target, self.eval(node.value), node.lineno)
            self.guards.derive([node.target], node.value, self)
        return False

    def on_aug_assign(self, node: ast.AugAssign) -> bool:
        value = self.eval(node.value)
        if isinstance(node.target, ast.Name):
            part = "join" if isinstance(node.op, ast.Div) else "fmt" if self._literal(node.value) else None
            old = self.env.get(node.target.id, NOTHING)
            self.env[node.target.id] = union(old, via(value, node.lineno, part))
        else:
            self.bind(node.target, union(value, self.eval(node.target)), node.lineno)
        return False

    def _literal(self, node: ast.expr) -> bool:
        return isinstance(node, ast.JoinedStr)

    def bind(self, target: ast.expr, value: Value, line: int) -> None:
        if isinstance(target, ast.Name):
            self.env[target.id] = via(value, line)
            self.guards.forget(target.id)
        elif isinstance(target, (ast.Tuple, ast.List)):
            for item in target.elts:
                self.bind(item, via(value, line, "part"), line)
        elif isinstance(target, ast.Starred):
            self.bind(target.value, value, line)
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
            elif isinstance(target, ast.Attribute) and dotted(target.value) == "self":
                self.attr_types[target.attr] = kind
                self.types["self." + target.attr] = kind

    def on_if(self, node: ast.If) -> bool:
        self.eval(node.test)
        before, calls = (dict(self.env), self.guards.copy()), len(self.calls)
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
            self._join(after_body, node, positive, calls)
        return False

    def _join(
        self, side: tuple[dict[str, Value], Guards], node: ast.If, tested: Iterable[Fact], calls: int
    ) -> None:
        """Go on after both branches: what was checked in the body is, by default, checked; what was only `tested` is not.

        What is known of a value that was made in a branch (a source there, the result of a call from number `calls` on)
        holds wherever that value does.
        """
        env, guards = side
        merged = dict(self.env)
        for name, value in env.items():
            if value is not merged.get(name):
                merged[name] = union(value, merged.get(name, NOTHING))
        self.env = merged
        keep = not node.orelse and self.default_on(node.test)
        if keep:
            guards = guards.without([fact for fact in tested if fact not in self.guards.facts])
        made = {
            (origin, kind): line
            for (origin, kind), line in (*guards.facts.items(), *self.guards.facts.items())
            if (origin[0] == "S" and origin[2] > node.lineno) or (origin[0] == "R" and origin[1] >= calls)
        }
        self.guards = join(guards, self.guards, keep=keep)
        self.guards.facts |= made

    def default_on(self, test: ast.expr) -> bool:
        """Whether a check under `if test:` is one that is made unless somebody switches it off.

        A switch is a test without comparison of values. One that is a parameter whose default is false is off.
        """
        names = {n.id for n in ast.walk(test) if isinstance(n, ast.Name)}
        if names & self.off:
            return False
        compared = any(
            isinstance(n, ast.Compare) and not isinstance(n.ops[0], (ast.Is, ast.IsNot))
            for n in ast.walk(test)
        )
        return not compared

    def _note_checks(self, facts: Iterable[tuple[Origin, str]]) -> None:
        """Note that the function refuses by its parameter: it is a validator of it."""
        for origin, kind in facts:
            if origin[0] == "P" and kind not in ("prefix", "regex"):
                self.checked.add(origin[1])

    def on_for(self, node: ast.For | ast.AsyncFor) -> bool:
        value = self.eval(node.iter)
        if (
            isinstance(node.iter, ast.Call)
            and isinstance(node.iter.func, ast.Name)
            and node.iter.func.id == "enumerate"
        ):
            value = via(value, node.lineno)
        self.bind(node.target, value, node.lineno)
        before = dict(self.env)
        self.run(node.body)
        self.env = {
            k: union(self.env.get(k, NOTHING), before.get(k, NOTHING)) for k in {**before, **self.env}
        }
        self.run(node.orelse)
        return False

    def on_while(self, node: ast.While) -> bool:
        self.eval(node.test)
        positive, _ = tests(node.test, self)
        self.guards.add(positive, node.lineno)
        before = dict(self.env)
        self.run(node.body)
        self.env = {
            k: union(self.env.get(k, NOTHING), before.get(k, NOTHING)) for k in {**before, **self.env}
        }
        self.run(node.orelse)
        return False

    def on_with(self, node: ast.With | ast.AsyncWith) -> bool:
        for item in node.items:
            value = self.eval(item.context_expr)
            if item.optional_vars is not None:
                self._note_type([item.optional_vars], item.context_expr)
                self.bind(item.optional_vars, value, node.lineno)
        return self.run(node.body)

    def on_try(self, node: ast.Try) -> bool:
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

    def on_return(self, node: ast.Return) -> bool:
        if node.value is not None:
            self.returns = union(self.returns, via(self.eval(node.value), node.lineno))
            positive, negative = tests(node.value, self)
            if isinstance(node.value, (ast.Compare, ast.BoolOp, ast.UnaryOp, ast.Call)):
                self._note_checks([*positive, *negative])
        return True

    def on_raise(self, node: ast.Raise) -> bool:
        if node.exc is not None:
            self.telling += 1
            self.eval(node.exc)
            self.telling -= 1
        return True

    def on_stop(self, _node: ast.stmt) -> bool:
        return True

    def on_expr(self, node: ast.Expr) -> bool:
        value = node.value
        self.eval(value)
        inner = value.value if isinstance(value, ast.Await) else value
        if isinstance(inner, ast.Call):
            if absolute(self.module, dotted(inner.func)) in v.ABORTS:
                return True
            self.guards.statement(inner, self)
        return False

    def on_assert(self, node: ast.Assert) -> bool:
        self.eval(node.test)
        positive, _ = tests(node.test, self)
        self.guards.add(positive, node.lineno)
        self._note_checks(positive)
        return False

    def on_function(self, node: Function) -> bool:
        self.inner.add(node.name)
        self.nested.append((node, self.env))
        return False

    def on_match(self, node: ast.Match) -> bool:
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

    # Values

    def eval(self, node: ast.expr) -> Value:
        """The value of an expression; calls and sinks in it are noted. Raises `Unparsable` past the budget."""
        self.looked += 1
        if self.looked > MOST_LOOKS:
            raise Unparsable(f"line {node.lineno}: too entangled to follow")
        handler = EXPRESSIONS.get(type(node))
        if handler is not None:
            return handler(self, node)
        out: Value = {}
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                got = self.eval(child)
                if got:
                    out = union(out, got) if out else got
        return out

    def knows(self, name: str) -> bool:
        """Whether this function, or one around it, has a variable of that name."""
        if name in self.params or name in self.env:
            return True
        return self.outer is not None and self.outer.knows(name)

    def take(self, value: Value, key: str, *, attribute: bool) -> Value:
        """An `attribute` or a constant key of a value: `path.name` is a last part, `form["name"]` is anything."""
        if not value:
            return NOTHING
        part = "part"
        if attribute:
            part = "host" if key in v.HOST_PARTS else "name" if key in v.NAME_ATTRIBUTES else "part"
        out: Value = {}
        for origin, (was, lines) in value.items():
            if origin[0] == "P" and len(origin[2]) < 2 and not was and len(lines) <= 1 and part != "host":
                out[("P", origin[1], (*origin[2], key))] = ("", lines)
            elif (
                origin[0] == "S"
                and origin[1] in ("http", "tool")
                and not was
                and part not in ("name", "host")
            ):
                out[("S", origin[1], origin[2], f"{origin[3]}.{key}"[:MOST_TEXT])] = ("", lines)
            else:
                out[origin] = (part if part != "part" or not was else was, lines)
        return out


_STATEMENTS: Final[dict[type, Any]] = {
    ast.Assign: Local.on_assign,
    ast.AnnAssign: Local.on_ann_assign,
    ast.AugAssign: Local.on_aug_assign,
    ast.If: Local.on_if,
    ast.For: Local.on_for,
    ast.AsyncFor: Local.on_for,
    ast.While: Local.on_while,
    ast.With: Local.on_with,
    ast.AsyncWith: Local.on_with,
    ast.Try: Local.on_try,
    ast.TryStar: Local.on_try,
    ast.Return: Local.on_return,
    ast.Raise: Local.on_raise,
    ast.Continue: Local.on_stop,
    ast.Break: Local.on_stop,
    ast.Expr: Local.on_expr,
    ast.Assert: Local.on_assert,
    ast.FunctionDef: Local.on_function,
    ast.AsyncFunctionDef: Local.on_function,
    ast.ClassDef: lambda _self, _node: False,
    ast.Match: Local.on_match,
    ast.Import: lambda _self, _node: False,
    ast.ImportFrom: lambda _self, _node: False,
}
