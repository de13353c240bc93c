"""Where the outside world calls in: which functions are entry points, and which of their parameters it fills."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from excise.inspect.python import vocabulary as v
from excise.inspect.python.names import Function, absolute, dotted

if TYPE_CHECKING:
    from excise.inspect.python.local import Local


def entry_of(local: Local, node: Function) -> tuple[str, list[int]]:
    """The kind of entry (`http`, `tool`, `message`, `model`, or empty) and the parameters that are untrusted there."""
    skip = 1 if local.cls is not None and local.params[:1] in (["self"], ["cls"]) else 0
    everything = [i for i in range(skip, len(local.params)) if not _injected(node, i)]
    kind = _decorated(local, node) or _method(local, node)
    if kind:
        return kind, everything
    named = [i for i in everything if v.MODEL_NAMES.match(local.params[i])]
    return ("model", named) if named else ("", [])


def _decorated(local: Local, node: Function) -> str:
    for decorator in node.decorator_list:
        target = decorator.func if isinstance(decorator, ast.Call) else decorator
        name = absolute(local.module, dotted(target))
        for pattern, kind in v.DECORATORS:
            if pattern.search(name):
                owner, _, last = name.rpartition(".")
                if (
                    kind == "http"
                    and last in ("get", "post", "put", "delete", "patch", "head", "options", "action", "view")
                    and not v.HTTP_OWNER.search(owner)
                ):
                    continue
                if kind == "message" and not owner:
                    continue
                return kind
    return ""


def _method(local: Local, node: Function) -> str:
    params = local.params
    if local.cls is None:
        return "http" if params[:1] in (["request"], ["req"]) and _is_request(node, 0) else ""
    bases = list(_bases(local.cls, local.module.classes))
    if v.PROMPT_CLASS.search(local.cls.name) and node.name in v.PROMPT_METHODS:
        return "message"
    if any(v.TOOL_BASES.search(b) for b in bases) and node.name in v.TOOL_METHODS:
        return "tool"
    if any(v.HANDLER_BASES.search(b) for b in bases) and node.name in v.HANDLER_METHODS:
        return "http"
    if params[1:3] == ["request", "context"]:
        return "http"
    if any(v.PARSER_BASES.search(b) for b in bases) and node.name in (
        "parse",
        "parse_result",
        "extract_tool_calls",
    ):
        return "model"
    if params[1:2] in (["request"], ["req"]) and _is_request(node, 1):
        return "http"
    return ""


def _bases(cls: ast.ClassDef, known: Mapping[str, ast.ClassDef]) -> Iterator[str]:
    """The bases of a class, and those of its bases in the same module."""
    seen: set[str] = set()
    pending = [dotted(b) for b in cls.bases]
    while pending:
        name = pending.pop()
        yield name
        if name in known and name not in seen:
            seen.add(name)
            pending += [dotted(b) for b in known[name].bases]


def _is_request(node: Function, at: int) -> bool:
    """A parameter called `request` that is annotated as one, or not at all in a coroutine of two or fewer parameters."""
    arguments = [*node.args.posonlyargs, *node.args.args]
    annotation = arguments[at].annotation if at < len(arguments) else None
    if annotation is not None:
        return ast.unparse(annotation).rsplit(".", 1)[-1] in (
            "Request",
            "HttpRequest",
            "WebSocket",
            "HTTPConnection",
        )
    return isinstance(node, ast.AsyncFunctionDef) and len(arguments) <= at + 1


def _injected(node: Function, at: int) -> bool:
    """Filled by the framework (`Depends(...)`, a context), not by the caller."""
    arguments = [*node.args.posonlyargs, *node.args.args]
    start = len(arguments) - len(node.args.defaults)
    default: ast.expr | None = None
    annotation: ast.expr | None = None
    if at < len(arguments):
        annotation = arguments[at].annotation
        default = node.args.defaults[at - start] if at >= start else None
    elif at - len(arguments) < len(node.args.kwonlyargs):
        annotation = node.args.kwonlyargs[at - len(arguments)].annotation
        default = node.args.kw_defaults[at - len(arguments)]
    text = (ast.unparse(default) if isinstance(default, ast.Call) else "") + (
        ast.unparse(annotation) if annotation is not None else ""
    )
    return any(
        word in text
        for word in (
            "Depends",
            "Context",
            "RunContext",
            "BackgroundTasks",
            "Security(",
            "ToolRuntime",
            "RunManager",
        )
    )
