"""A call inside a function: a sink, a source, something that cleans, or a call to be linked with its callee later."""

from __future__ import annotations

import ast
import re
import sys
from typing import TYPE_CHECKING, Any, Final

from excise.inspect.python import vocabulary as v
from excise.inspect.python.names import absolute, dotted
from excise.inspect.python.values import MOST_TEXT, NOTHING, Value, union, via

if TYPE_CHECKING:
    from excise.inspect.python.local import Local

STDLIB: Final = sys.stdlib_module_names
ARGUMENT: Final = "given as an argument of a process"
"""What happens to a value that is one word of an argument list: it may be read as an option."""
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
    arguments = _arguments(self, node)
    _note_sinks(self, node, name, full, receiver, arguments)
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
        return union(self.take(receiver, str(node.args[0].value)), *(x for _, x in arguments[1:]))
    if isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        address = not receiver and ADDRESS.search(name)
        given = union(*(x for _, x in arguments))
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


# Sinks


def _note_sinks(
    self: Local, node: ast.Call, name: str, full: str, receiver: Value, arguments: list[tuple[Any, Value]]
) -> None:
    found = v.SINKS.get(full)
    if found is not None:
        weakness, at, keyword, what = found
        if _applies(self, node, full):
            _sink(self, node, weakness, what, _pick(arguments, at, keyword), full)
        elif full in v.SHELL_ONLY and not _ends_options(node):
            _sink(
                self,
                node,
                weakness,
                ARGUMENT,
                _pick(arguments, -2 if len(node.args) > 1 else at, keyword),
                full,
            )
    elif isinstance(node.func, ast.Attribute):
        method = v.METHOD_SINKS.get(node.func.attr)
        if method is not None and full.split(".", maxsplit=1)[0] not in STDLIB:
            weakness, at, keyword, what, owner = method
            if (not owner or re.search(owner, name.rpartition(".")[0].lower())) and _method_applies(
                self, node, weakness, receiver
            ):
                value = receiver if at == -1 else _pick(arguments, at, keyword)
                _sink(self, node, weakness, what, value, name)
    if re.search(r"(^|\.)repo\w*\.git\.\w+$|(^|\.)git_repo\.git\.\w+$", name):
        _sink(self, node, "command-execution", ARGUMENT, _pick(arguments, -2, ""), name)
    if isinstance(node.func, ast.Name) and node.func.id in self.dispatchers:
        value, line = self.dispatchers[node.func.id]
        _sink(self, node, "dynamic-dispatch", f"called after getattr (line {line})", value, "getattr")
    if isinstance(node.func, ast.Call) and dotted(node.func.func) == "getattr" and len(node.func.args) > 1:
        _sink(
            self,
            node,
            "dynamic-dispatch",
            "the name of what is called",
            self.eval(node.func.args[1]),
            "getattr",
        )
    if isinstance(node.func, ast.Name) and node.func.id == "setattr" and len(arguments) > 1:
        _sink(self, node, "dynamic-dispatch", "the name of what is set", arguments[1][1], "setattr")
    for keyword_ in node.keywords:
        if (
            keyword_.arg == "trust_remote_code"
            and isinstance(keyword_.value, ast.Constant)
            and keyword_.value.value is True
        ):
            self.sinks.append(
                _row(self, "remote-code-trust", node, "trusts code that comes with the model", {}, name)
            )


def _pick(arguments: list[tuple[Any, Value]], at: int, keyword: str) -> Value:
    if at == -2:
        return union(*(value for _, value in arguments))
    if at == -3:
        return arguments[-1][1] if arguments else {}
    for key, value in arguments:
        if key in (at, keyword) or key == "*":
            return value
    return {}


def _applies(self: Local, node: ast.Call, full: str) -> bool:
    given = {k.arg: k.value for k in node.keywords}
    if full.startswith("yaml.load"):
        loader = given.get("Loader", node.args[1] if len(node.args) > 1 else None)
        if loader is None:
            return True
        return bool(v.UNSAFE_YAML.search(absolute(self.module, dotted(loader)))) and not v.SAFE_YAML.search(
            dotted(loader)
        )
    if full == "torch.load":
        only = given.get("weights_only")
        return only is None or (isinstance(only, ast.Constant) and not only.value)
    if full == "numpy.load":
        allow = given.get("allow_pickle")
        return isinstance(allow, ast.Constant) and allow.value is True
    if full.endswith("parse_expr"):
        return not {"local_dict", "global_dict"} & given.keys()
    if full in v.SHELL_ONLY:
        return _command_matters(self, node, given)
    if full.startswith("lxml."):
        return "parser" not in given and len(node.args) < 2
    if full == "eval" and len(node.args) > 1:
        return True
    if full.endswith("load_model"):
        safe = given.get("safe_mode")
        return not (isinstance(safe, ast.Constant) and safe.value is True)
    return True


def _command_matters(self: Local, node: ast.Call, given: dict[str | None, ast.expr]) -> bool:
    """A shell, a whole command, a program of their choice, or an interpreter with code: not a mere argument of a list."""
    shell = given.get("shell")
    if isinstance(shell, ast.Constant) and shell.value:
        return True
    first = node.args[0] if node.args else given.get("args")
    if isinstance(first, (ast.List, ast.Tuple)) and first.elts:
        if self.eval(first.elts[0]):
            return True
        return any(
            isinstance(e, ast.Constant) and e.value in ("-c", "-e", "/c", "-Command") for e in first.elts
        )
    if isinstance(first, ast.Starred) or (isinstance(first, ast.Constant) and len(node.args) > 1):
        return False
    return not (isinstance(first, ast.Name) and self.types.get(first.id) == "list")


def _ends_options(node: ast.Call) -> bool:
    """Whether `--` stands in the argument list."""
    return any(isinstance(n, ast.Constant) and n.value == "--" for n in ast.walk(node))


def _method_applies(self: Local, node: ast.Call, weakness: str, receiver: Value) -> bool:
    given = {k.arg for k in node.keywords}
    kind = _type_of(self, node.func.value) if isinstance(node.func, ast.Attribute) else ""
    if weakness == "archive-extraction":
        return not given & {"filter", "members"} and not kind.startswith("zipfile.")
    if weakness == "template-injection":
        return "Sandbox" not in kind
    return True


def _type_of(self: Local, node: ast.expr) -> str:
    """The dotted class of an expression as far as this function shows it; `self.x` where only the class knows."""
    if isinstance(node, ast.Call):
        return absolute(self.module, dotted(node.func))
    name = dotted(node)
    return self.types.get(name, name if name.startswith("self.") else "")


def _sink(self: Local, node: ast.Call, weakness: str, what: str, value: Value, name: str) -> None:
    if value:
        self.sinks.append(_row(self, weakness, node, what, value, name))


def _row(self: Local, weakness: str, node: ast.Call, what: str, value: Value, name: str) -> list[Any]:
    owner = _type_of(self, node.func.value) if isinstance(node.func, ast.Attribute) else ""
    return [weakness, node.lineno, what, _text(self, node), packed(self, value), name, owner]


def _text(self: Local, node: ast.Call) -> str:
    line = self.lines[node.lineno - 1].strip() if node.lineno <= len(self.lines) else ""
    return line[:160]


def packed(self: Local, value: Value) -> list[Any]:
    """A value as plain lists, with the guards of each origin at this point."""
    return [
        [list(origin), part, list(lines), self.guards.of(origin)] for origin, (part, lines) in value.items()
    ]


# Calls to link


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
    kind = _type_of(self, base)
    if kind and kind != "list" and not kind.startswith("self."):
        return "" if kind.split(".")[0] in STDLIB else f"t:{kind}:{attr}"
    if kind.startswith("self.") and kind.count(".") == 1:
        return f"a:{kind[5:]}:{attr}"
    head = name.split(".", maxsplit=1)[0]
    if isinstance(base, ast.Name) and head in self.module.classes:
        return f"t:{head}:{attr}"
    if head in self.module.imports and "(" not in name:
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
        values = union(*(value for _, value in arguments))
        if ref and values:
            self.calls.append([ref, node.lineno, _text(self, node), [["*", packed(self, values)]], [], []])


def _record(
    self: Local, node: ast.Call, ref: str, receiver: Value, arguments: list[tuple[Any, Value]]
) -> Value:
    at = len(self.calls)
    self.call_at[(node.lineno, node.col_offset)] = at
    rows = [[key, packed(self, value)] for key, value in arguments if value]
    gates = [[kind, line] for (subject, kind), line in self.guards.facts.items() if subject == ("gate",)]
    self.calls.append([ref, node.lineno, _text(self, node), rows, packed(self, receiver), gates])
    return {("R", at): ("", (node.lineno,))}
