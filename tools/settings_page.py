# ruff: noqa: INP001  a script, not a package
"""Write `docs/settings.md` from the code that the settings tune: `python tools/settings_page.py > docs/settings.md`."""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from excise.detect import DETECTORS
from excise.detect.detector import Detector
from excise.settings import Settings

START = """# Settings

A scan takes them from a TOML file, `excise scan LOGS --out RUN --settings settings.toml`. What is not in the file keeps its default; a key that is not known is refused, with the nearest known one. Every run holds all settings in force and their hash in `run.json`.

`make docs` writes this page from the code.

```toml
seed = 1234567890123456789  # make your own, see SECURITY.md
keep_text = false

[judge.fuse]
accuse = 0.95

[detect.payment]
most_accounts = 50
```

| key | default | meaning |
|---|---|---|
| `seed` | `0` | keys every hash; a long random number that stays secret |
| `keep_text` | `true` | whether redacted text may stand in the output; `--no-text` is the same as `false` |
"""
DETECT = """
## Detectors

Each asks one question and knows its innocent explanation. Without the evidence that it needs it is skipped, and the run says so. Weights are natural log-odds (nats).
"""


def main() -> None:
    """Print the page."""
    s = Settings()
    tables = (
        ("habits", s.habits),
        ("link", s.link),
        ("judge.fuse", s.judge.fuse),
        ("judge.member", s.judge.member),
    )
    parts = [
        START,
        *(_section(name, values) for name, values in tables),
        DETECT,
        *(_detector(d) for d in DETECTORS),
    ]
    sys.stdout.write("".join(parts))


def _section(name: str, values: Any) -> str:
    """A table of the file, in the words of the code's own docstring."""
    words = " ".join((inspect.getdoc(type(values)) or "").split())
    rows = ((f.name, getattr(values, f.name)) for f in dataclasses.fields(values))
    return f"\n## `[{name}]`\n\n{words}\n\n" + _table(("key", "default"), rows)


def _detector(d: Detector) -> str:
    needs = ", ".join(sorted(d.needs)) or "nothing beyond the required columns"
    text = f"\n### `[detect.{d.id}]`\n\n{d.question} Layer: {d.layer}. Needs: {needs}.\n\nInnocent: {d.innocent}\n\n"
    rows = ((name, p.default, p.unit, p.source) for name, p in sorted(d.parameters.items()))
    return text + _table(("key", "default", "unit", "why"), rows)


def _table(head: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> str:
    return "".join(f"{line}\n" for line in _lines(head, rows))


def _lines(head: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for name, default, *more in rows:
        yield f"| `{name}` | `{default:g}` |" + "".join(f" {cell} |" for cell in more)


if __name__ == "__main__":
    main()
