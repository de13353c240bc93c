"""A unified diff, applied strictly: to text in memory, to files that were listed, where every line of context is found.

It makes no file, removes none, renames none and knows no path but those that it is given, so that nothing it says can
leave the tree. Lines that do not stand where a hunk says are looked for, and must be found exactly once.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

MOST_FILES: Final = 5
MOST_CHANGED: Final = 400
"""Lines that a diff adds or takes away."""
_HUNK: Final = re.compile(r"@@ -(\d{1,7})(?:,(\d{1,7}))? \+(\d{1,7})(?:,(\d{1,7}))? @@")
_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")
_REFUSED: Final = re.compile(
    r"(GIT binary patch|Binary files|rename (from|to)|copy (from|to)|new file|deleted file|new mode|old mode)\b"
)


class Unfit(Exception):
    """A diff that is not applied; the message is in words of ours."""


@dataclass(frozen=True, slots=True)
class Hunk:
    """The lines before and after, and the line (from 1) where they begin before."""

    start: int
    before: tuple[str, ...]
    after: tuple[str, ...]


def parse(diff: str) -> dict[str, list[Hunk]]:
    """The hunks by path. Raises `Unfit` for anything but changes of the text of existing files."""
    files: dict[str, list[Hunk]] = {}
    lines = diff.replace("\r\n", "\n").split("\n")
    at, path = 0, ""
    while at < len(lines):
        line = lines[at]
        if _REFUSED.match(line):
            raise Unfit("it does more than change lines of a file")
        if line.startswith("--- ") and at + 1 < len(lines) and lines[at + 1].startswith("+++ "):
            path = _path(line[4:], lines[at + 1][4:])
            files.setdefault(path, [])
            at += 2
        elif line.startswith("@@"):
            if not path:
                raise Unfit("a hunk has no file")
            hunk, at = _hunk(lines, at)
            files[path].append(hunk)
        else:
            at += 1
    changed = sum(len(set(h.before) ^ set(h.after)) for hunks in files.values() for h in hunks)
    if not any(files.values()) or len(files) > MOST_FILES or changed > MOST_CHANGED:
        raise Unfit("it changes nothing" if not any(files.values()) else "it changes too much")
    return files


def _path(old: str, new: str) -> str:
    names = [name.split("\t")[0].strip() for name in (old, new)]
    plain = [n[2:] if n.startswith(("a/", "b/")) else n for n in names]
    if plain[0] != plain[1] or "/dev/null" in names:
        raise Unfit("it makes, removes or renames a file")
    return plain[0]


def _hunk(lines: list[str], at: int) -> tuple[Hunk, int]:
    head = _HUNK.match(lines[at])
    if head is None:
        raise Unfit("a hunk has no place")
    before: list[str] = []
    after: list[str] = []
    at += 1
    while at < len(lines) and not lines[at].startswith(("@@", "--- ", "diff --git ")):
        mark, text = lines[at][:1], lines[at][1:]
        if mark == "\\" or (not mark and not _more(lines, at)):
            at += 1
            continue
        if mark not in ("", " ", "-", "+"):
            break
        if mark != "+":
            before.append(text)
        if mark != "-":
            after.append(text)
        at += 1
    if not before or before == after:
        raise Unfit("a hunk has no line to hold on to" if not before else "a hunk changes nothing")
    return Hunk(int(head.group(1)), tuple(before), tuple(after)), at


def _more(lines: list[str], at: int) -> bool:
    """Whether a line without a mark is an empty line of the file: more of the hunk follows."""
    return at + 1 < len(lines) and lines[at + 1][:1] in (" ", "-", "+") and bool(lines[at + 1])


def applied(diff: str, text_of: Callable[[str], str | None]) -> dict[str, str]:
    """The new text of each file that `diff` changes. `text_of` knows the files, None for what is none. Raises `Unfit`."""
    out: dict[str, str] = {}
    for path, hunks in parse(diff).items():
        text = text_of(path)
        if text is None:
            raise Unfit("it names a file that was not inspected")
        lines = text.split("\n")
        shift = 0
        for hunk in hunks:
            at = _found(lines, hunk, hunk.start - 1 + shift)
            lines[at : at + len(hunk.before)] = hunk.after
            shift += len(hunk.after) - len(hunk.before)
        out[path] = "\n".join(lines)
    return out


def _found(lines: list[str], hunk: Hunk, at: int) -> int:
    size = len(hunk.before)
    if at >= 0 and tuple(lines[at : at + size]) == hunk.before:
        return at
    places = [i for i in range(len(lines) - size + 1) if tuple(lines[i : i + size]) == hunk.before]
    if len(places) != 1:
        raise Unfit(
            "its lines are not in the file" if not places else "its lines are in the file more than once"
        )
    return places[0]


def written(before: dict[str, str], after: dict[str, str]) -> str:
    """The diff between two texts of the same files, as we write it."""
    return "".join(_one(path, before[path], text) for path, text in sorted(after.items()))


def _one(path: str, before: str, after: str) -> str:
    lines = difflib.unified_diff(_LINE.findall(before), _LINE.findall(after), f"a/{path}", f"b/{path}")
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )
