"""What an analyser is: a value with pure functions. It reads one file at a time and concludes over all of them.

    read(source) -> notes       plain JSON values (dict, list, str, int, bool, None) or None for "nothing to note";
                                runs in a worker process and is cached by the file's content, so it may depend on
                                nothing but `source` (its path included)
    conclude(tree) -> findings  over the notes of every file, in the order of their paths

An analyser whose findings need only one file uses `per_file`, which keeps them as notes.
An exception of either function does not end the run: it becomes a gap of coverage (`analyser`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from excise.inspect.finding import Finding, Severity, Step
from excise.inspect.tree import Entry, Source
from excise.inspect.walk import MAX_BYTES

Notes = Any
"""Plain JSON values."""


@dataclass(frozen=True)
class Tree:
    """All that `conclude` sees: every name of the tree, and this analyser's notes by path (only files that gave any)."""

    entries: tuple[Entry, ...]
    notes: Mapping[str, Notes]


@dataclass(frozen=True)
class Analyser:
    """One way of looking. `weaknesses` lists the ids that its findings may have (see `weakness`).

    A file that `wants` accepts and that has more than `most_bytes` is a gap, or with `head` given by its first bytes.
    """

    id: str
    weaknesses: tuple[str, ...]
    wants: Callable[[str], bool]
    read: Callable[[Source], Notes]
    conclude: Callable[[Tree], Iterable[Finding]]
    most_bytes: int = MAX_BYTES
    head: bool = False


def per_file(
    id: str,  # noqa: A002  the field's name
    weaknesses: tuple[str, ...],
    wants: Callable[[str], bool],
    find: Callable[[Source], Iterable[Finding]],
    *,
    most_bytes: int = MAX_BYTES,
    head: bool = False,
) -> Analyser:
    """An analyser that looks at each file by itself."""

    def read(source: Source) -> Notes:
        return [asdict(f) for f in find(source)] or None

    def conclude(tree: Tree) -> Iterator[Finding]:
        for kept in tree.notes.values():
            yield from map(restored, kept)

    return Analyser(id, weaknesses, wants, read, conclude, most_bytes, head)


def restored(kept: Mapping[str, Any]) -> Finding:
    """A finding from the plain values that `dataclasses.asdict` made of it."""
    return Finding(
        **{
            **kept,
            "severity": Severity(kept["severity"]),
            "steps": tuple(Step(**s) for s in kept["steps"]),
        }
    )


def is_python(path: str) -> bool:
    """Whether the name is that of a Python source."""
    return path.endswith((".py", ".pyi", ".pyw"))
