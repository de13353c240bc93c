"""Python files that run without being asked for: at interpreter start, or when tests are collected."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from excise.inspect.finding import Severity
from excise.inspect.surfaces.commands import judge
from excise.inspect.surfaces.packaging import dotted, python_marks
from excise.inspect.surfaces.surface import Surface, command_mark, named
from excise.inspect.surfaces.verdict import Mark, Verdict
from excise.inspect.tree import Source


def pth_marks(source: Source) -> Iterator[Mark]:
    """Lines of a path file that begin with `import`: each runs at every start of an interpreter that sees the file."""
    for number, line in enumerate(source.lines, 1):
        if line.startswith(("import ", "import\t")):
            hidden = any(word in line for word in ("exec(", "eval(", "system(", "Popen", "b64"))
            least = Severity.HIGH if hidden else Severity.LOW
            yield command_mark(
                number, line, "a path file, at every start of Python,", Verdict.BEFORE_TRUST, least
            )


def customize_marks(source: Source) -> Iterator[Mark]:
    """Modules that Python imports at start when they lie on its path."""
    where = f"{source.name}, at every start of Python,"
    found = list(python_marks(source, where, Verdict.BEFORE_TRUST, Severity.MEDIUM))
    yield from found
    if not found and source.text.strip():
        yield Mark(
            1, Verdict.BEFORE_TRUST, Severity.LOW, f"{where} is there", source.line(1), confidence="medium"
        )


def conftest_marks(source: Source) -> Iterator[Mark]:
    """What runs when tests are collected: calls at the top of the module that do more than prepare tests."""
    top = [
        n
        for n in source.syntax.body
        if not isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    ]
    fixed = [n for n in source.syntax.body if isinstance(n, ast.FunctionDef) and n.name.startswith("pytest_")]
    module = ast.Module(body=[*top, *fixed], type_ignores=[])
    for node in ast.walk(module):
        if not isinstance(node, ast.Call):
            continue
        words = ast.get_source_segment(source.text, node) or ""
        judged = judge(words)
        name = dotted(node.func)
        if not judged.ordinary or (name in {"exec", "eval"} and "b64decode" in words):
            yield command_mark(
                node.lineno, words, "conftest.py, when tests are collected,", Verdict.ON_TRUST, Severity.HIGH
            )
        elif name in {"os.system", "os.popen"}:
            yield command_mark(node.lineno, words, "conftest.py, when tests are collected,", Verdict.ON_TRUST)


def _is_pth(path: str) -> bool:
    return path.endswith(".pth")


def debugger_marks(source: Source) -> Iterator[Mark]:
    """Start-up files of debuggers and interactive interpreters in the folder."""
    for number, line in enumerate(source.lines, 1):
        words = line.strip()
        if words and not words.startswith(("#", "//", "--")):
            judged = judge(words)
            runs = (
                words.startswith(("!", "shell ", "python", "script", "import os", "system(", "\\!"))
                or not judged.ordinary
            )
            if runs:
                yield command_mark(
                    number, words, f"{source.name}, read at start,", Verdict.ON_TRUST, Severity.MEDIUM
                )


CUSTOMIZE = Surface("python-startup", named("sitecustomize.py", "usercustomize.py"), customize_marks)
PTH = Surface("path-files", _is_pth, pth_marks)
CONFTEST = Surface("test-collection", named("conftest.py"), conftest_marks)
DEBUGGERS = Surface(
    "debugger-startup",
    named(".gdbinit", ".lldbinit", ".pdbrc", ".pdbrc.py", ".psqlrc", ".irbrc", ".Rprofile"),
    debugger_marks,
)
