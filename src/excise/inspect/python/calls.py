"""A call inside a function: a sink, a source, something that cleans, or a call to be linked with its callee later."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any, Final

from excise.inspect.python import vocabulary as v
from excise.inspect.python.names import absolute, dotted
from excise.inspect.python.sinks import STDLIB, note_query, note_sinks, packed, text_of, type_of
from excise.inspect.python.values import MOST_TEXT, NOTHING, Value, union, via

if TYPE_CHECKING:
    from excise.inspect.python.local import Local

ADDRESS: Final = re.compile(r"(^|[._])[A-Z_]*(URL|ENDPOINT|ADDRESS)[A-Z_]*\.format$")
"""A constant that is named as an address and filled in: what it is filled with is its path."""
MOST_CALLS: Final = 2_000
"""Calls of one function that are linked; a function with more is a table of generated code."""
PLAIN_METHODS: Final = frozenset(
    (
        "append add extend insert pop popitem remove discard clear update setdefault items keys values "
        "copy split rsplit splitlines strip lstrip rstrip lower upper title replace join format encode "
        "decode partition rpartition removeprefix removesuffix zfill sort reverse read readline "
        "readlines write close flush group groups groupdict as_posix with_suffix joinpath resolve "
        "absolute expanduser dict json model_dump get getlist tolist numpy cpu to mean sum reshape view "
        "size shape dim squeeze unsqueeze permute transpose contiguous group_by filter map apply astype "
        "isnull fillna head iterrows to_dict wait result put debug info warning error"
    ).split()
)


def call(self: Local, node: ast.Call) -> Value:
    """The value of a call; what it does is noted in the function's record."""
    known = self.call_at.get((node.lineno, node.col_offset))
    name = dotted(node.func)
    full = absolute(self.module, name)
    receiver = self.eval(node.func.value) if isinstance(node.func, ast.Attribute) else NOTHING
    if known is not None:
        return {("R", known): ("", (node.lineno,))}
    telling = isinstance(node.func, ast.Attribute) and node.func.attr in v.TELLING
    self.telling += telling
    arguments = _arguments(self, node)
    self.telling -= telling
    note_sinks(self, node, name, full, receiver, arguments)
    source = _source(self, node, name, full)
    if source is not None:
        return source
    everything = union(receiver, *(value for _, value in arguments))
    if full in v.CLEAN_CALLS or (isinstance(node.func, ast.Attribute) and node.func.attr in v.CLEAN_METHODS):
        return NOTHING
    if full in v.NAME_ONLY or full in v.SAFE_JOINS:
        return via(everything, node.lineno, "name")
    if full in v.QUOTES:
        return via(everything, node.lineno, "quoted")
    if full in v.JOINERS:
        return _joined(node, arguments, receiver)
    if name.endswith("urljoin") and len(arguments) > 1:
        fixed = all(part == "url" for part, _ in arguments[0][1].values())
        return union(arguments[0][1], via(arguments[1][1], node.lineno, "url" if fixed else "host"))
    if isinstance(node.func, ast.Attribute) and node.func.attr == "joinpath":
        return union(receiver, via(union(*(x for _, x in arguments)), node.lineno, "join"))
    if (
        isinstance(node.func, ast.Attribute)
        and node.func.attr == "get"
        and node.args
        and isinstance(node.args[0], ast.Constant)
    ):
        taken = self.take(receiver, str(node.args[0].value), attribute=False)
        return union(taken, *(x for _, x in arguments[1:]))
    if isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        address = not receiver and ADDRESS.search(name)
        given = union(*(x for _, x in arguments))
        if isinstance(node.func.value, ast.Constant):
            note_query(self, node, str(node.func.value.value), via(given, node.lineno, "fmt"))
        return union(receiver, via(given, node.lineno, "url" if address else "fmt"))
    _callbacks(self, node, arguments)
    ref = _reference(self, node, name, full)
    if ref and len(self.calls) < MOST_CALLS:
        return _record(self, node, ref, receiver, arguments)
    return via(everything, node.lineno) if everything else NOTHING


def _arguments(self: Local, node: ast.Call) -> list[tuple[Any, Value]]:
    out: list[tuple[Any, Value]] = []
    for i, argument in enumerate(node.args):
        if isinstance(argument, ast.Starred):
            out.append(("*", self.eval(argument.value)))
        else:
            out.append((i, self.eval(argument)))
    out.extend((k.arg or "**", self.eval(k.value)) for k in node.keywords)
    return out


def _joined(node: ast.Call, arguments: list[tuple[Any, Value]], receiver: Value) -> Value:
    if len(arguments) == 1:
        return (
            via(arguments[0][1], node.lineno, "whole")
            if all(not p for p, _ in arguments[0][1].values())
            else via(arguments[0][1], node.lineno)
        )
    first = arguments[0][1] if arguments else {}
    return union(receiver, first, via(union(*(x for _, x in arguments[1:])), node.lineno, "join"))


# Sources


def _source(self: Local, node: ast.Call, name: str, full: str) -> Value | None:
    kind = _source_kind(self, node, name, full)
    if kind is None:
        return None
    return {("S", kind, node.lineno, ast.unparse(node.func)[:MOST_TEXT]): ("", (node.lineno,))}


def _source_kind(self: Local, node: ast.Call, name: str, full: str) -> str | None:
    if full in ("os.environ.get", "os.getenv"):
        return "environment"
    if v.REMOTE_CALLS.match(full):
        return "network"
    if not isinstance(node.func, ast.Attribute):
        return None
    attr = node.func.attr
    owner = name.rpartition(".")[0]
    if attr in ("get_argument", "get_body_argument", "get_query_argument", "get_json_body", "get_arguments"):
        return "http"
    if (
        attr in v.MODEL_METHODS
        and v.MODEL_RECEIVERS.search(owner.removesuffix("()").lower())
        and not owner.startswith("re.")
    ):
        return "model"
    if attr in v.MESSAGE_METHODS and re.search(
        r"sock|ws|websocket|conn|queue|redis|channel|stream", owner.lower()
    ):
        return "message"
    if (
        attr in ("get", "request")
        and owner.split(".")[-1] in ("session", "http_client", "_session")
        and node.args
    ):
        return "network"
    return None


def _reference(self: Local, node: ast.Call, name: str, full: str) -> str:
    """How to find the callee later; empty for a call that leaves the project."""
    func = node.func
    if isinstance(func, ast.Name):
        if func.id in self.inner or (self.outer is not None and func.id in self.outer.inner):
            owner = self if func.id in self.inner else self.outer
            return f"l:{owner.qual}.{func.id}" if owner and owner.qual else f"d:{func.id}"
        if func.id in self.module.functions or func.id in self.module.classes:
            return f"h:{func.id}"
        if func.id in self.module.imports:
            return "" if full.split(".", maxsplit=1)[0] in STDLIB else f"d:{full}"
        return ""
    if not isinstance(func, ast.Attribute):
        return ""
    base, attr = func.value, func.attr
    if isinstance(base, ast.Name) and base.id in ("self", "cls") and self.cls is not None:
        return f"s:{attr}"
    if isinstance(base, ast.Call) and dotted(base.func) == "super":
        return f"u:{attr}"
    kind = type_of(self, base)
    if kind and kind != "list" and not kind.startswith("self."):
        return "" if kind.split(".")[0] in STDLIB else f"t:{kind}:{attr}"
    if kind.startswith("self.") and kind.count(".") == 1:
        return f"a:{kind[5:]}:{attr}"
    head = name.split(".", maxsplit=1)[0]
    if isinstance(base, ast.Name) and head in self.module.classes:
        return f"t:{head}:{attr}"
    if head in self.module.imports and "(" not in name and not full.startswith(v.BAGS):
        return "" if full.split(".", maxsplit=1)[0] in STDLIB else f"d:{full}"
    return "" if attr in PLAIN_METHODS or attr.startswith("__") else f"n:{attr}"


def _callbacks(self: Local, node: ast.Call, arguments: list[tuple[Any, Value]]) -> None:
    """A function that is handed over together with values is called with them: `map(f, xs)`, `to_thread(f, x)`."""
    if len(node.args) + len(node.keywords) < 2 or len(self.calls) >= MOST_CALLS:
        return
    for argument in (*node.args, *(k.value for k in node.keywords)):
        if isinstance(argument, ast.Call) or not isinstance(argument, (ast.Name, ast.Attribute)):
            continue
        if isinstance(argument, ast.Attribute) and not (
            isinstance(argument.value, ast.Name) and argument.value.id == "self"
        ):
            continue
        known = (
            isinstance(argument, ast.Attribute)
            or argument.id in self.inner
            or argument.id in self.module.functions
        )
        if not known:
            continue
        fake = ast.Call(func=argument, args=[], keywords=[])
        name = dotted(argument)
        ref = _reference(self, fake, name, absolute(self.module, name))
        rows = _handed(node, argument, arguments)
        if ref and rows:
            given = [[key, packed(self, value)] for key, value in rows]
            self.calls.append([ref, node.lineno, text_of(self, node), given, [], []])


def _handed(
    node: ast.Call, function: ast.expr, arguments: list[tuple[Any, Value]]
) -> list[tuple[Any, Value]]:
    """What a function that is handed over is called with: what follows it, in that order, else anything that is there."""
    at = node.args.index(function) if function in node.args else len(node.args)
    after = [(key - at - 1, value) for key, value in arguments if isinstance(key, int) and key > at and value]
    values = union(*(value for _, value in arguments))
    return after or ([("*", values)] if values else [])


def _record(
    self: Local, node: ast.Call, ref: str, receiver: Value, arguments: list[tuple[Any, Value]]
) -> Value:
    at = len(self.calls)
    self.call_at[(node.lineno, node.col_offset)] = at
    rows = [[key, packed(self, value)] for key, value in arguments if value]
    gates = [[kind, line] for (subject, kind), line in self.guards.facts.items() if subject == ("gate",)]
    self.calls.append([ref, node.lineno, text_of(self, node), rows, packed(self, receiver), gates])
    return {("R", at): ("", (node.lineno,))}
