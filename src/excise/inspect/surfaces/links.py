"""Names that lead somewhere else: links out of the tree, and names that one file system takes for the same."""

from __future__ import annotations

import posixpath
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

from excise.inspect.analyser import Analyser, Tree
from excise.inspect.finding import Finding, Severity, Step
from excise.inspect.surfaces.verdict import CONTROLS
from excise.inspect.tree import Entry, Source
from excise.inspect.weakness import BY_ID

_SECRET: Final = (
    "/etc/",
    "/proc/",
    "/dev/",
    "/root",
    "/home",
    "/var/run",
    "/run/",
    ".ssh",
    ".aws",
    ".netrc",
    ".git-credentials",
)
_INSTALLED: Final = ("/usr/", "/opt/", "/nix/store/", "/lib", "/bin/")


def outside(path: str, target: str) -> bool:
    """Whether a link at `path` to `target` leads out of the tree, by its words alone."""
    if target.startswith("/"):
        return True
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), target)).split("/")[0] == ".."


def conclude(tree: Tree) -> Iterator[Finding]:
    """Links that lead out, and colliding names."""
    for entry in tree.entries:
        if entry.kind == "link" and outside(entry.path, entry.target):
            yield _escaping(entry)
        elif entry.kind == "special":
            what = "a pipe, socket or device in place of a file"
            yield _finding(
                entry.path, Severity.LOW, what, "whoever reads it waits for, or talks to, a program"
            )
    yield from _colliding(tree.entries)


def _escaping(entry: Entry) -> Finding:
    secret = any(word in entry.target for word in _SECRET)
    severity = (
        Severity.HIGH if secret else Severity.LOW if entry.target.startswith(_INSTALLED) else Severity.MEDIUM
    )
    return _finding(
        entry.path,
        severity,
        f"a link leads out of the tree, to {entry.target[:100]!r}",
        "whoever reads or writes this name reads or writes there",
    )


def _colliding(entries: Iterable[Entry]) -> Iterator[Finding]:
    by_name: dict[str, list[str]] = defaultdict(list)
    for entry in entries:
        by_name[unicodedata.normalize("NFC", entry.path).casefold()].append(entry.path)
    for paths in by_name.values():
        if len(paths) > 1:
            git = any(".git" in p.casefold().split("/") for p in paths)
            yield _finding(
                paths[-1], Severity.HIGH if git else Severity.LOW,
                f"some file systems take {paths[-1][-80:]!r} and {paths[0][-80:]!r} for one file", "one replaces the other on checkout",
            )  # fmt: skip


def _finding(path: str, severity: Severity, what: str, fact: str) -> Finding:
    weakness = BY_ID["escaping-link"]
    return Finding(
        weakness.id,
        severity,
        "high",
        path,
        0,
        what,
        (Step(path, 0, f"{what}: {fact}"),),
        CONTROLS,
        weakness.gets,
        weakness.fix,
    )


def _nothing(_path: str) -> bool:
    return False


def _none(_source: Source) -> None:
    return None


LINKS = Analyser("links", ("escaping-link",), _nothing, _none, conclude)
