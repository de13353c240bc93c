"""What the tests of the repository look at: its files and its pages."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@cache
def tracked() -> tuple[Path, ...]:
    """The files of the repository, without what it ignores."""
    git = shutil.which("git")
    if git and (ROOT / ".git").exists():
        listed = subprocess.run(
            [git, "-c", "safe.directory=*", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True
        )
        names = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
        return tuple(path for path in names if path.is_file())
    folders = ("src", "tests", "docs", "bench", "tools", ".ci")
    inside = [p for folder in folders for p in (ROOT / folder).rglob("*")]
    return tuple(p for p in [*ROOT.glob("*"), *inside] if p.is_file() and "__pycache__" not in p.parts)


def page(name: str) -> str:
    return (ROOT / name).read_text("utf-8")
