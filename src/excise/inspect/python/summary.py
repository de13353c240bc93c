"""One file's functions as plain records, made once and cached by content: the notes that `link` puts together.

A file's notes: `{"i": imports, "c": classes, "f": functions}`. A function's record, all keys short since there are many:

    q qualified name   l line   p parameters   k kind of entry ("" for none)   e parameters that are untrusted there
    u public   v parameters that it refuses by   o outer function   s how many sinks it has
    t what its calls refer to, one a line   b the rest, packed (`body`)
"""

from __future__ import annotations

import ast
from typing import Any

from excise.inspect.python import vocabulary as v
from excise.inspect.python.body import Body, pack
from excise.inspect.python.entry import entry_of
from excise.inspect.python.local import Local
from excise.inspect.python.names import Function, Module, absolute, dotted, module_of
from excise.inspect.python.sinks import packed
from excise.inspect.tree import Source


def summarise(source: Source) -> dict[str, Any] | None:
    """The notes of one Python file; None where there is nothing to link. Raises `Unparsable`."""
    tree = source.syntax
    module = module_of(tree, source.path)
    functions: list[dict[str, Any]] = []
    top = Local(module, source.lines, tree, "", None, None)
    _finish(top, tree.body, functions, None)
    classes: dict[str, Any] = {}
    _classes(tree.body, "", top, module, source.lines, functions, classes)
    return {"i": module.imports, "c": classes, "f": functions}


def _classes(
    body: list[ast.stmt], prefix: str, outer: Local, module: Module, lines: tuple[str, ...], functions: list[dict[str, Any]],
    classes: dict[str, Any],
) -> None:  # fmt: skip
    """Every class of a body and, of each, its methods."""
    for node in body:
        if isinstance(node, ast.ClassDef):
            _class(node, prefix, outer, module, lines, functions, classes)
        elif isinstance(node, (ast.If, ast.Try)):
            inner = [*node.body, *node.orelse, *(s for h in getattr(node, "handlers", []) for s in h.body)]
            _classes(inner, prefix, outer, module, lines, functions, classes)


def _class(
    node: ast.ClassDef, prefix: str, outer: Local, module: Module, lines: tuple[str, ...], functions: list[dict[str, Any]],
    classes: dict[str, Any],
) -> None:  # fmt: skip
    name = prefix + node.name
    about: dict[str, Any] = {
        "b": [absolute(module, dotted(b)) for b in node.bases], "m": {}, "s": {}, "t": {}, "g": False, "l": node.lineno,
    }  # fmt: skip
    classes[name] = about
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            kinds = [dotted(n) for n in ast.walk(item.annotation) if isinstance(n, (ast.Name, ast.Attribute))]
            about["t"].setdefault(
                item.target.id,
                next(
                    (
                        absolute(module, k)
                        for k in kinds
                        if k.rsplit(".", 1)[-1][:1].isupper()
                        and k not in ("Optional", "Any", "List", "Dict", "Union", "Callable")
                    ),
                    "",
                ),
            )
        if isinstance(item, Function):
            about["m"][item.name] = len(functions)
            local = Local(module, lines, item, f"{name}.{item.name}", node, outer if outer.qual else None)
            _function(local, item, functions, about)
        elif isinstance(item, ast.ClassDef):
            _class(item, name + ".", outer, module, lines, functions, classes)


def _function(
    local: Local, node: Function, functions: list[dict[str, Any]], about: dict[str, Any] | None
) -> None:
    """Analyse one function and those inside it."""
    arguments = node.args
    everything = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    if arguments.vararg:
        everything.append(arguments.vararg)
    if arguments.kwarg:
        everything.append(arguments.kwarg)
    local.params = [a.arg for a in everything]
    method = local.cls is not None and about is not None and not _static(node)
    for i, arg in enumerate(everything):
        clean = (method and i == 0) or _scalar(arg.annotation)
        local.env[arg.arg] = {} if clean else {("P", i, ()): ("", (node.lineno,))}
        if arg.annotation is not None:
            kind = _class_of(arg.annotation, local.module)
            if kind:
                local.types[arg.arg] = kind
    local.off = _off(node)
    _finish(local, node.body, functions, about, node)


def _static(node: Function) -> bool:
    return any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in node.decorator_list)


_SCALARS = frozenset(
    {
        "int",
        "float",
        "bool",
        "Optional[int]",
        "Optional[float]",
        "Optional[bool]",
        "int | None",
        "float | None",
        "bool | None",
        "UUID",
        "uuid.UUID",
    }
)


def _scalar(annotation: ast.expr | None) -> bool:
    """A type that holds no text of an attacker's choice, where it is enforced."""
    if annotation is None:
        return False
    return isinstance(annotation, (ast.Name, ast.Subscript, ast.BinOp, ast.Attribute)) and (
        ast.unparse(annotation) in _SCALARS or dotted(annotation) in ("Literal[]", "typing.Literal[]")
    )


def _class_of(annotation: ast.expr, module: Module) -> str:
    name = dotted(annotation)
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        name = annotation.value if annotation.value.replace(".", "").isidentifier() else ""
    last = name.rsplit(".", 1)[-1]
    plain = last in (
        "Any",
        "Path",
        "Callable",
        "Iterable",
        "Sequence",
        "Dict",
        "List",
        "Type",
        "Union",
        "Optional",
        "Mapping",
    )
    return absolute(module, name) if last[:1].isupper() and "[" not in name and not plain else ""


def _off(node: Function) -> frozenset[str]:
    """The parameters that are switches and off by default."""
    arguments = node.args
    pairs = list(
        zip(reversed([*arguments.posonlyargs, *arguments.args]), reversed(arguments.defaults), strict=False)
    )
    pairs += [
        (a, d) for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if d is not None
    ]
    return frozenset(a.arg for a, d in pairs if isinstance(d, ast.Constant) and not d.value)


def _finish(
    local: Local,
    body: list[ast.stmt],
    functions: list[dict[str, Any]],
    about: dict[str, Any] | None,
    node: Function | None = None,
) -> None:
    at = len(functions)
    record: dict[str, Any] = {}
    functions.append(record)
    local.run(body)
    for inner, env in local.nested:
        deeper = Local(
            local.module,
            local.lines,
            inner,
            f"{local.qual}.{inner.name}" if local.qual else inner.name,
            local.cls,
            local if node else None,
        )
        start = len(functions)
        _function(deeper, inner, functions, None)
        if node:
            functions[start]["o"] = at
            _ = env
    if node is not None:
        _classes(body, local.qual + ".", local, local.module, local.lines, functions, {})
    if about is not None:
        for name, value in local.stores.items():
            about["s"].setdefault(name, []).append([at, packed(local, value)])
        for name, kind in local.attr_types.items():
            about["t"][name] = kind
        about["g"] = about["g"] or bool(node and _gated(local, node))
    kind, untrusted = entry_of(local, node) if node is not None else ("", [])
    record |= {
        "q": local.qual,
        "l": node.lineno if node else 1,
        "p": local.params,
        "k": kind,
        "e": untrusted,
        "u": _public(local.qual),
        "v": sorted(local.checked),
        "s": len(local.sinks),
        "t": "\n".join(call[0] for call in local.calls),
        "b": pack(Body(local.sinks, local.calls, packed(local, local.returns), _seen_inside(local, node))),
    }


def _seen_inside(local: Local, node: Function | None) -> dict[str, Any]:
    """The variables that inner functions may use."""
    if not local.nested or node is None:
        return {}
    return {n: packed(local, value) for n, value in local.env.items() if value}


def _gated(local: Local, node: Function) -> bool:
    """Whether making an object asks for an opt-in: a refusal by a gate in a constructor or a validator of the class."""
    if node.name not in ("__init__", "__post_init__", "model_post_init", "__new__") and not any(
        "validator" in ast.unparse(d) for d in node.decorator_list
    ):
        return False
    return any(subject == ("gate",) and kind == "gate" for subject, kind in local.guards.facts) or any(
        isinstance(n, ast.If)
        and v.GATE_NAME.search(ast.unparse(n.test))
        and any(isinstance(s, ast.Raise) for s in n.body)
        for n in ast.walk(node)
    )


def _public(qual: str) -> bool:
    return not any(part.startswith("_") and not part.startswith("__") for part in qual.split("."))
