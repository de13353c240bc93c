"""Where the tables of a source lie: a file, a folder, a glob, or a folder that holds all of them."""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from excise.errors import UnreadableFile, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

_TABLE_SUFFIX: Final = re.compile(r"\.(parquet|pq|ndjson|jsonl|json|csv|log)(\.gz|\.zst)?$", re.IGNORECASE)
HINT: Final = (
    "give a file, a folder, a glob in quotes, or postgresql://…; `docs/formats.md` shows the layouts"
)


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of each table, in reading order. `database` is a URL, and then there are no exchange files."""

    exchanges: tuple[Path, ...] = ()
    accounts: tuple[Path, ...] = ()
    events: tuple[Path, ...] = ()
    asn: tuple[Path, ...] = ()
    database: str | None = None


def find_layout(
    source: str, accounts: str | None = None, events: str | None = None, asn: str | None = None
) -> Layout:
    """Find the tables; a named one takes the place of one that was found.

    Raises `UnreadableFile` where nothing is there, `UsageError` where two files claim to be the same table.
    """
    found = _find(source)
    return replace(
        found,
        accounts=files_at(accounts) if accounts else found.accounts,
        events=files_at(events) if events else found.events,
        asn=files_at(asn) if asn else found.asn,
    )


def files_at(where: str) -> tuple[Path, ...]:
    """The files that a path or glob names, sorted. Folders are searched through, hidden files and `_*` left out."""
    path = Path(where)
    if path.is_dir():
        files = _table_files(path)
    elif path.exists():
        return (_regular(path),)
    elif glob.has_magic(where):
        matches = [Path(match) for match in glob.glob(where, recursive=True)]  # noqa: PTH207  absolute globs too
        files = sorted(
            {file for match in matches for file in (_table_files(match) if match.is_dir() else [match])}
        )
    else:
        raise UnreadableFile("no such file or folder", subject=where, hint=HINT)
    if not files:
        raise UnreadableFile("holds no Parquet, NDJSON, JSON or CSV file", subject=where, hint=HINT)
    return tuple(_regular(file) for file in files)


def shown(url: str) -> str:
    """A database URL without user and password, fit for a run folder."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"


def is_database(source: str) -> bool:
    """Whether the source is a PostgreSQL URL."""
    return source.startswith(("postgresql://", "postgres://"))


def _find(source: str) -> Layout:
    if is_database(source):
        return Layout(database=source)
    folder = Path(source)
    if not folder.is_dir():
        return Layout(exchanges=files_at(source))
    side = Layout(
        accounts=_table(folder, "accounts"), events=_table(folder, "events"), asn=_table(folder, "asn_table")
    )
    if (folder / "exchanges").is_dir():
        return replace(side, exchanges=files_at(str(folder / "exchanges")))
    single = _table(folder, "exchanges")
    rest = single or tuple(
        file for file in files_at(source) if file not in {*side.accounts, *side.events, *side.asn}
    )
    if not rest:
        raise UnreadableFile("holds no exchanges", subject=source, hint=HINT)
    return replace(side, exchanges=rest)


def _table(folder: Path, stem: str) -> tuple[Path, ...]:
    files = (file for file in folder.iterdir() if _TABLE_SUFFIX.search(file.name) and file.is_file())
    found = tuple(sorted(file for file in files if _TABLE_SUFFIX.sub("", file.name) == stem))
    if len(found) > 1:
        names = ", ".join(file.name for file in found)
        raise UsageError(
            f"there are several {stem} tables: {names}", hint="remove one, or name one by its option"
        )
    return found


def _table_files(folder: Path) -> list[Path]:
    return sorted(
        file for file in folder.rglob("*") if _wanted(file.relative_to(folder).parts) and file.is_file()
    )


def _wanted(parts: Iterable[str]) -> bool:
    *folders, name = parts
    hidden = any(part.startswith((".", "_")) for part in (*folders, name))
    return not hidden and _TABLE_SUFFIX.search(name) is not None


def _regular(path: Path) -> Path:
    if not path.is_file():
        raise UnreadableFile("is no regular file", subject=str(path), hint=HINT)
    return path
