"""What a module calls things: imports, functions, classes with their bases, and the dotted name of an expression."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Module:
    """The names of one module. `imports` maps a local name to the dotted name that it stands for."""

    imports: dict[str, str] = field(default_factory=dict)
    functions: set[str] = field(default_factory=set)
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    sandboxes: set[str] = field(default_factory=set)


def dotted(node: ast.expr) -> str:
    """`a.b.c` of a chain of names and attributes; calls in between are written `()`; empty for anything else."""
    parts: list[str] = []
    while True:
        if isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        elif isinstance(node, ast.Call):
            parts.append("()")
            node = node.func
        elif isinstance(node, ast.Name):
            parts.append(node.id)
            return ".".join(reversed(parts)).replace(".()", "()")
        elif isinstance(node, ast.Subscript):
            parts.append("[]")
            node = node.value
        else:
            return ""


def package_of(path: str) -> str:
    """The dotted module name that a path gives: `a/b/__init__.py` is `a.b`."""
    name = path.rsplit(".", 1)[0].replace("/", ".")
    return name.removesuffix(".__init__")


def imports_of(tree: ast.AST, path: str) -> dict[str, str]:
    """Every import of the file, wherever it stands, by its local name; relative ones made absolute."""
    found: dict[str, str] = {}
    here = package_of(path)
    above = here.split(".") if path.endswith("__init__.py") else here.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname:
                    found[alias.asname] = alias.name
                else:
                    top = alias.name.split(".")[0]
                    found[top] = top
        elif isinstance(node, ast.ImportFrom):
            start = node.module or ""
            if node.level:
                base = above[: len(above) - node.level + 1]
                start = ".".join([*base, start] if start else base)
            for alias in node.names:
                found[alias.asname or alias.name] = f"{start}.{alias.name}" if start else alias.name
    return found


def module_of(tree: ast.Module, path: str) -> Module:
    """The names of a module's top level and of its imports."""
    module = Module(imports_of(tree, path))
    for node in _top(tree.body):
        if isinstance(node, Function):
            module.functions.add(node.name)
        elif isinstance(node, ast.ClassDef):
            module.classes[node.name] = node
    return module


def _top(body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements of the top level, those under `if` and `try` included."""
    out: list[ast.stmt] = []
    for node in body:
        if isinstance(node, ast.If):
            out += _top(node.body) + _top(node.orelse)
        elif isinstance(node, ast.Try):
            out += _top(node.body) + _top(node.orelse) + [s for h in node.handlers for s in _top(h.body)]
        else:
            out.append(node)
    return out


def absolute(module: Module, name: str) -> str:
    """The dotted name in terms of the modules that were imported: `np.load` is `numpy.load`."""
    head, dot, rest = name.partition(".")
    return module.imports.get(head, head) + dot + rest
