"""The value of each kind of expression; a call has a file of its own (`calls`)."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any, Final

from excise.inspect.python import vocabulary as v
from excise.inspect.python.calls import call
from excise.inspect.python.guards import tests
from excise.inspect.python.names import dotted
from excise.inspect.python.sinks import note_query
from excise.inspect.python.values import MOST_TEXT, NOTHING, Value, union, via

if TYPE_CHECKING:
    from excise.inspect.python.local import Local


def _constant(self: Local, _node: ast.Constant) -> Value:
    return NOTHING


def _name(self: Local, node: ast.Name) -> Value:
    found = self.env.get(node.id)
    if found is not None:
        return found
    if self.outer is not None and self.outer.knows(node.id) and node.id not in self.module.imports:
        return {("E", node.id): ("", ())}
    return NOTHING


def _attribute(self: Local, node: ast.Attribute) -> Value:
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
            return {("S", "http", node.lineno, ast.unparse(node)[:MOST_TEXT]): ("", (node.lineno,))}
    return self.take(self.eval(base), attr, attribute=True)


def _subscript(self: Local, node: ast.Subscript) -> Value:
    value = self.eval(node.value)
    if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
        return self.take(value, node.slice.value, attribute=False)
    index = self.eval(node.slice)
    if dotted(node.value) == "os.environ":
        return {("S", "environment", node.lineno, ast.unparse(node)[:MOST_TEXT]): ("", (node.lineno,))}
    if isinstance(node.slice, ast.Slice):
        return value
    if index and not isinstance(node.slice, ast.Constant):
        name = dotted(node.value)
        if name.rsplit(".", 1)[-1].isupper():
            return NOTHING  # a literal table: what comes out of it was written by the authors
    return {o: (w or "part", n) for o, (w, n) in value.items()}


def _joined(self: Local, node: ast.JoinedStr) -> Value:
    out: Value = {}
    seen = ""
    for piece in node.values:
        if isinstance(piece, ast.Constant):
            seen += str(piece.value)
        elif isinstance(piece, ast.FormattedValue):
            part = "fmt" if not seen else _place(seen)
            out = union(out, via(self.eval(piece.value), node.lineno, part))
            seen += "\0"
    note_query(self, node, seen, out)
    return out


def _binary(self: Local, node: ast.BinOp) -> Value:
    left, right = self.eval(node.left), self.eval(node.right)
    if isinstance(node.op, ast.Div):
        return union(left, via(right, node.lineno, "join")) if right else left
    if isinstance(node.op, ast.Add) and right:
        before = (
            node.left.value
            if isinstance(node.left, ast.Constant) and isinstance(node.left.value, str)
            else ""
        )
        put = via(right, node.lineno, _place(before) if before else "fmt")
        note_query(self, node, before, put)
        return union(left, put)
    if isinstance(node.op, ast.Mod) and right and isinstance(node.left, ast.Constant):
        put = via(right, node.lineno, _place(str(node.left.value).split("%")[0]))
        note_query(self, node, str(node.left.value), put)
        return put
    return union(left, right)


def _compare(self: Local, node: ast.Compare) -> Value:
    self.eval(node.left)
    for item in node.comparators:
        self.eval(item)
    return NOTHING


def _not(self: Local, node: ast.UnaryOp) -> Value:
    self.eval(node.operand)
    return NOTHING


def _ternary(self: Local, node: ast.IfExp) -> Value:
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


def _lambda(self: Local, node: ast.Lambda) -> Value:
    saved = self.env
    self.env = dict(saved)
    for arg in node.args.args:
        self.env[arg.arg] = NOTHING
    value = self.eval(node.body)
    self.env = saved
    return value


def _comprehension(self: Local, node: Any) -> Value:
    saved = self.env
    self.env = dict(saved)
    guards = self.guards.copy()
    for generator in node.generators:
        self.bind(generator.target, self.eval(generator.iter), node.lineno)
        for test in generator.ifs:
            self.eval(test)
            self.guards.add(tests(test, self)[0], node.lineno)
    if isinstance(node, ast.DictComp):
        value = union(self.eval(node.key), self.eval(node.value))
    else:
        value = self.eval(node.elt)
    self.env, self.guards = saved, guards
    return value


def _walrus(self: Local, node: ast.NamedExpr) -> Value:
    value = self.eval(node.value)
    self.bind(node.target, value, node.lineno)
    self._note_type([node.target], node.value)
    return value


def _place(before: str) -> str:
    """What part of a text a value becomes that is put after `before`."""
    if re.search(r"://[^/\0]+/", before) or (re.search(r"^/?[\w.-]+/", before) and "://" not in before):
        return "url" if "://" in before else "join"
    if "://" in before:
        return "host"
    return "join" if before.endswith("/") and before != "/" else "fmt"


EXPRESSIONS: Final[dict[type, Any]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.Attribute: _attribute,
    ast.Subscript: _subscript,
    ast.JoinedStr: _joined,
    ast.BinOp: _binary,
    ast.Compare: _compare,
    ast.IfExp: _ternary,
    ast.Lambda: _lambda,
    ast.ListComp: _comprehension,
    ast.SetComp: _comprehension,
    ast.GeneratorExp: _comprehension,
    ast.DictComp: _comprehension,
    ast.NamedExpr: _walrus,
    ast.Call: call,
}
