"""An inspection as one self-contained page: no script, no network, and a policy that holds the browser to that."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files

import jinja2
from markupsafe import Markup

from excise.inspect.finding import Finding, Report, Severity
from excise.inspect.posture.graph import svg
from excise.inspect.weakness import BY_ID
from excise.report.wording import count, one_line


def render(report: Report) -> str:
    """The page for `report`. Every word of the tree is escaped, with control characters made visible."""
    template = _environment().get_template("inspect.html.j2")
    style = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    groups = [
        (s.word, [f for f in report.findings if f.severity == s]) for s in sorted(Severity, reverse=True)
    ]
    return (
        template.render(report=report, groups=groups, about=BY_ID, style=Markup(style), policy=policy)  # noqa: S704  our own file
        + "\n"
    )


@cache
def _style() -> str:
    return files("excise.inspect.outputs").joinpath("templates/style.css").read_text(encoding="utf-8")


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("excise.inspect.outputs"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["line"] = one_line
    environment.globals["count"] = count
    environment.globals["graph"] = _graph
    return environment


def _graph(finding: Finding) -> Markup:
    return Markup(svg(finding))  # noqa: S704  every word in it is escaped there
