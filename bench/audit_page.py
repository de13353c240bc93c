"""The page of the audit's figures has a part a program; each writes its own and leaves the other."""

from __future__ import annotations

import re
from pathlib import Path


def write(path: Path, title: str, lines: list[str]) -> None:
    """Put `lines` under `## title`, in place of that part up to the next of its rank or at the end."""
    part = f"## {title}\n\n" + "\n".join(lines).strip() + "\n"
    old = path.read_text("utf-8") if path.exists() else "# What an audit finds, and whom it accuses wrongly\n"
    found = re.search(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", old, re.MULTILINE | re.DOTALL)
    if found is None:
        new = f"{old.rstrip()}\n\n{part}"
    else:
        rest = old[found.end() :]
        new = old[: found.start()] + part + (f"\n{rest}" if rest else "")
    path.write_text(new, "utf-8")
