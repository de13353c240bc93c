"""Chat templates: Jinja that comes with a model and is rendered by whoever serves it.

The text is parsed, never rendered. What a template of a chat needs is small: loops, conditions, filters and the
variables of the call. Attributes with underscores, whatever reaches them by a computed name, and inclusion are not part
of it. The second question is what a template says: text of its own that appears only for some messages, an address, or
an order to the model, is a way to change answers that no evaluation of the weights sees.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import jinja2
from jinja2 import nodes
from jinja2.visitor import NodeVisitor

from excise.inspect.artifacts.said import Said, broken
from excise.inspect.finding import Severity

MOST_TEXT = 300_000
"""Characters of a template; those of known models have up to some thousands."""
_HIDDEN: Final = re.compile(r"__\w*__|_TemplateReference|func_globals|gi_frame|f_globals|tb_frame")
_ESCAPED: Final = re.compile(r"\\x5f|\\137|\\u005f|%c", re.IGNORECASE)
_ADDRESS: Final = re.compile(r"https?://[\w.-]+|<script\b|<img\b|javascript:", re.IGNORECASE)
_ORDER: Final = re.compile(
    r"\b(?:ignore|disregard)\b[^.\n]{0,40}\b(?:instructions?|previous|above)\b|\b(?:always|must|never|secretly)\b[^.\n]{0,60}\b(?:include|insert|recommend|link|mention|tell|reveal|add|append|say)\b",
    re.IGNORECASE,
)


def check(text: str) -> Iterator[Said]:
    """What a template does beyond setting messages out."""
    if len(text) > MOST_TEXT:
        yield broken(f"a template of more than {MOST_TEXT:,} characters", Severity.MEDIUM)
        return
    environment = jinja2.Environment(extensions=["jinja2.ext.loopcontrols", "jinja2.ext.do"], autoescape=True)
    generation = re.sub(
        r"{%(-?)\s*(?:end)?generation\s*(-?)%}", "", text
    )  # a marker that some tokenizers know
    try:
        tree = environment.parse(generation)
    except (jinja2.TemplateSyntaxError, RecursionError, MemoryError, ValueError) as error:
        yield broken(f"a template that cannot be parsed ({type(error).__name__})", Severity.MEDIUM)
        return
    look = _Look()
    try:
        look.visit(tree)
    except RecursionError:
        yield broken("a template that nests too deep", Severity.MEDIUM)
    if look.reaches:
        yield Said(
            "artifact-template",
            Severity.CRITICAL,
            f"the template reaches into Python: {', '.join(look.reaches[:4])}",
        )
    elif look.odd:
        yield Said(
            "artifact-template", Severity.MEDIUM, f"the template uses {', '.join(look.odd[:4])}", "medium"
        )
    elif look.says:
        yield Said(
            "artifact-template",
            Severity.MEDIUM,
            f"the template has words of its own: {look.says[0][:100]!r}",
            "medium",
        )


class _Look(NodeVisitor):
    """What a template reaches, uses that is odd, and says under a condition on what a message holds."""

    def __init__(self) -> None:
        self.reaches: list[str] = []
        self.odd: list[str] = []
        self.says: list[str] = []
        self.inside_condition = 0

    def visit_Getattr(self, node: nodes.Getattr) -> None:  # noqa: N802  jinja2's own convention
        if node.attr.startswith("_"):
            self.reaches.append(f".{node.attr[:40]}")
        self.generic_visit(node)

    def visit_Const(self, node: nodes.Const) -> None:  # noqa: N802
        if isinstance(node.value, str):
            if _HIDDEN.search(node.value):
                self.reaches.append(repr(node.value[:40]))
            elif node.value in {"_", "__"} or _ESCAPED.search(node.value):
                self.odd.append(f"the text {node.value[:20]!r}")
            self._spoken(node.value)

    def visit_Filter(self, node: nodes.Filter) -> None:  # noqa: N802
        if node.name == "attr" and not (node.args and isinstance(node.args[0], nodes.Const)):
            self.reaches.append("an attribute by a computed name")
        self.generic_visit(node)

    def visit_Include(self, node: nodes.Include) -> None:  # noqa: N802
        self.odd.append("inclusion of other files")
        self.generic_visit(node)

    visit_Import = visit_FromImport = visit_Extends = visit_Include  # noqa: N815

    def visit_If(self, node: nodes.If) -> None:  # noqa: N802
        compared = [node.test, *node.test.find_all(nodes.Compare)]
        about = any(map(_asks_for_words, compared))
        self.inside_condition += about
        self.generic_visit(node)
        self.inside_condition -= about

    def visit_TemplateData(self, node: nodes.TemplateData) -> None:  # noqa: N802
        self._spoken(node.data)

    def _spoken(self, words: str) -> None:
        if _ADDRESS.search(words) or (self.inside_condition and _ORDER.search(words)):
            self.says.append(" ".join(words.split()))


def _asks_for_words(test: nodes.Node) -> bool:
    """Whether a condition asks if a fixed text is in something."""
    return (
        isinstance(test, nodes.Compare)
        and isinstance(test.expr, nodes.Const)
        and any(op.op == "in" for op in test.ops)
    )
