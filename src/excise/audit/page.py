"""Pages of the audit beside its main report, under the same policy: no script, no network, one style sheet."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import msgspec
from markupsafe import Markup

from excise.report import canonical, staging, wording
from excise.report import html as page_of


def render(template: str, told: dict[str, Any]) -> str:
    """The page of a document; the same text for the same document."""
    found = _environment().get_template(template)
    return found.render(d=told, style=Markup(page_of.style()), policy=page_of.policy()) + "\n"  # noqa: S704  our own file


def write(out: Path, name: str, template: str, told: dict[str, Any], *, replace: bool = False) -> None:
    """Put `NAME.json` and `report.html` into a new folder, whole or not at all. Raises `OutputError`."""
    data = canonical.document(told)
    with staging.staged_folder(out, replace=replace) as folder:
        staging.write_file(folder / f"{name}.json", data)
        staging.write_file(folder / "report.html", render(template, msgspec.json.decode(data)).encode())


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("excise.audit"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"foreign": page_of.foreign, "line": wording.one_line, "figure": wording.figure}
    environment.globals |= {"count": wording.count}
    return environment
