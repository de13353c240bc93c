"""The page of the audit's figures has a part a program, and each part its sections; each is written in its place."""

from __future__ import annotations

import re
from pathlib import Path


def write(path: Path, heading: str, lines: list[str]) -> None:
    """Put `lines` under `heading` (`## …` or `### …`), in place of what is there up to the next heading of its rank or above."""
    rank = len(heading) - len(heading.lstrip("#"))
    part = f"{heading}\n\n" + "\n".join(lines).strip() + "\n"
    old = path.read_text("utf-8") if path.exists() else "# What an audit finds, and whom it accuses wrongly\n"
    found = re.search(rf"^{re.escape(heading)}\n.*?(?=^#{{1,{rank}}} |\Z)", old, re.MULTILINE | re.DOTALL)
    if found is None:
        new = f"{old.rstrip()}\n\n{part}"
    else:
        rest = old[found.end() :]
        new = old[: found.start()] + part + (f"\n{rest}" if rest else "")
    path.write_text(new, "utf-8")
