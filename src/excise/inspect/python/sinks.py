"""The dangerous uses of a function: calls of the vocabulary, and what decides whether a use of one matters."""

from __future__ import annotations

import ast
import re
import sys
from typing import TYPE_CHECKING, Any, Final

from excise.inspect.python import vocabulary as v
from excise.inspect.python.names import absolute, dotted
from excise.inspect.python.values import Value, union

if TYPE_CHECKING:
    from excise.inspect.python.local import Local

STDLIB: Final = sys.stdlib_module_names
ARGUMENT: Final = "given as an argument of a process"
"""What happens to a value that is one word of an argument list: it may be read as an option."""

BUILT: Final = "put into the text of a query"
"""What happens to a value that a query's text is made of, wherever it is run."""
_QUERY: Final = re.compile(
    r"\bSELECT\b.+\bFROM\b|\bINSERT\s+INTO\b|\bUPDATE\b.+\bSET\b|\bDELETE\s+FROM\b|\b(CREATE|DROP|ALTER)\s+TABLE\b"
    r"|\bWHERE\s|\bORDER\s+BY\b|\bGROUP\s+BY\b|\bMATCH\s*\(.+\bRETURN\b|\bjson_extract\s*\(|\bCAST\s*\(.+\bAS\b",
    re.DOTALL,
)


def note_query(self: Local, node: ast.expr, words: str, value: Value) -> None:
    """Note a value that is put among `words` that are a query's, unless they are told to people."""
    if value and not self.telling and _QUERY.search(words):
        self.sinks.append(
            ["query-injection", node.lineno, BUILT, text_of(self, node), packed(self, value), "", ""]
        )


def note_sinks(
    self: Local, node: ast.Call, name: str, full: str, receiver: Value, arguments: list[tuple[Any, Value]]
) -> None:
    """Note each dangerous use that a call is, with the value that reaches it."""
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
        return allow is not None and not (isinstance(allow, ast.Constant) and not allow.value)
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
    kind = type_of(self, node.func.value) if isinstance(node.func, ast.Attribute) else ""
    if weakness == "archive-extraction":
        return not given & {"filter", "members"} and not kind.startswith("zipfile.")
    if weakness == "template-injection":
        return "Sandbox" not in kind
    return True


def type_of(self: Local, node: ast.expr) -> str:
    """The dotted class of an expression as far as this function shows it; `self.x` where only the class knows."""
    if isinstance(node, ast.Call):
        return absolute(self.module, dotted(node.func))
    name = dotted(node)
    return self.types.get(name, name if name.startswith("self.") else "")


def _sink(self: Local, node: ast.Call, weakness: str, what: str, value: Value, name: str) -> None:
    if value:
        self.sinks.append(_row(self, weakness, node, what, value, name))


def _row(self: Local, weakness: str, node: ast.Call, what: str, value: Value, name: str) -> list[Any]:
    owner = type_of(self, node.func.value) if isinstance(node.func, ast.Attribute) else ""
    return [weakness, node.lineno, what, text_of(self, node), packed(self, value), name, owner]


def text_of(self: Local, node: ast.expr) -> str:
    """The line of an expression."""
    line = self.lines[node.lineno - 1].strip() if node.lineno <= len(self.lines) else ""
    return line[:160]


def packed(self: Local, value: Value) -> list[Any]:
    """A value as plain lists, with the guards of each origin at this point."""
    return [
        [list(origin), part, list(lines), self.guards.of(origin)] for origin, (part, lines) in value.items()
    ]


# Calls to link
