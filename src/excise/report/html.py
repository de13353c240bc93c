"""The report as one self-contained page: no script, no network, and a policy that lets the browser hold it to that."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import jinja2
from markupsafe import Markup, escape

from excise.report import view, wording

if TYPE_CHECKING:
    from excise.model.run import Run


def render(run: Run) -> str:
    """The page for `run`; the same text for the same run. Raises `ValueError` where `run.info` does not fit."""
    template = _environment().get_template("report.html.j2")
    return template.render(page=view.page(run), style=Markup(style()), policy=policy()) + "\n"  # noqa: S704  our own file


def policy() -> str:
    """The content security policy: nothing at all but the one style sheet, named by its hash."""
    digest = base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


@cache
def style() -> str:
    """The style sheet that `policy` names, for every page that Excise makes."""
    return files("excise.report").joinpath("templates/style.css").read_text(encoding="utf-8")


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("excise.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "foreign": foreign,
        "line": wording.one_line,
        "percent": wording.percent,
        "q": wording.q_value,
        "figure": wording.figure,
        "signed": wording.signed,
        "day": wording.day,
    }
    environment.globals |= {
        "count": wording.count,
        "span": wording.span,
        "times": wording.times,
        "portion": wording.portion,
        "VERDICT_WORDS": wording.VERDICT_WORDS,
        "VERDICT_MEANS": wording.VERDICT_MEANS,
        "LAYER_TITLES": wording.LAYER_TITLES,
        "LAYER_MEANS": wording.LAYER_MEANS,
        "INNOCENT_WORDS": wording.INNOCENT_WORDS,
        "REASONS": view.REASONS,
    }
    return environment


def foreign(text: str, limit: int = wording.TEXT_LIMIT) -> Markup:
    """Foreign text, escaped, with its hidden characters visible and its reading direction kept to itself."""
    return Markup("<bdi>{}</bdi>").format(escape(wording.visible(text or "", limit)))
