"""Prompts and answers from files that anybody may have made: NDJSON, or one prompt a line."""

from __future__ import annotations

import hashlib
import stat
from typing import TYPE_CHECKING, Final

import msgspec

from excise.errors import InputError, UnreadableFile

if TYPE_CHECKING:
    from pathlib import Path

FILE_LIMIT: Final = 1 << 30
"""Bytes of a file that are read at most."""
MOST_BAD: Final = 0.01
"""Share of lines that may be unusable; above it the file is refused."""
_WORDS = ("answer", "output", "response", "completion", "text")


class Said(msgspec.Struct, frozen=True):
    """A prompt with an answer; `at` is ISO 8601 or empty, `model` what the suspect calls itself."""

    prompt: str
    answer: str
    at: str = ""
    model: str = ""


def read_bytes(path: Path, what: str) -> bytes:
    """A plain file's bytes. Raises `UnreadableFile`."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > FILE_LIMIT:
            raise UnreadableFile("not a plain file of at most 1 GiB", subject=str(path), hint=f"name {what}")
        return path.read_bytes()
    except OSError as error:
        raise UnreadableFile(
            (error.strerror or str(error)).lower(), subject=str(path), hint=f"name {what}"
        ) from error


def digest(data: bytes) -> str:
    """SHA-256 as hex."""
    return hashlib.sha256(data).hexdigest()


def prompts(path: Path) -> tuple[str, ...]:
    """The prompts of a file: a line each, or the field `prompt` of each line where the first is a JSON object."""
    data = read_bytes(path, "a file of prompts")
    try:
        lines = [line for line in data.decode("utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise InputError("is not UTF-8", subject=str(path), hint="save the prompts as UTF-8") from error
    if lines and lines[0].lstrip().startswith("{"):
        return tuple(said.prompt for said in _rows(path, lines, need_answer=False))
    if not lines:
        raise InputError(
            "holds no prompt", subject=str(path), hint="one prompt a line, or NDJSON with `prompt`"
        )
    return tuple(lines)


def answers(path: Path) -> tuple[Said, ...]:
    """Prompts with answers, from NDJSON with `prompt` and `answer` (or `output`, `response`, `completion`, `text`)."""
    data = read_bytes(path, "NDJSON with `prompt` and `answer`")
    lines = [line for line in data.decode("utf-8", "replace").split("\n") if line.strip()]
    return tuple(_rows(path, lines, need_answer=True))


def _rows(path: Path, lines: list[str], *, need_answer: bool) -> list[Said]:
    rows, bad, first = [], 0, ""
    for number, line in enumerate(lines, 1):
        try:
            rows.append(_row(line, need_answer))
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            bad += 1
            first = first or f"line {number}: {error}"
    if not rows or bad > MOST_BAD * len(lines):
        raise InputError(
            f"{bad} of {len(lines)} lines cannot be used ({first or 'there is none'})",
            subject=str(path),
            hint='one object a line: {"prompt": "…", "answer": "…"}',
        )
    return rows


def _row(line: str, need_answer: bool) -> Said:
    value = msgspec.json.decode(line)
    if not isinstance(value, dict) or not isinstance(value.get("prompt"), str):
        raise ValueError("no text `prompt`")  # noqa: TRY004  one kind of bad line
    answer = next((value[w] for w in _WORDS if isinstance(value.get(w), str)), None)
    if answer is None and need_answer:
        raise ValueError("no text `answer`")
    at, model = value.get("at"), value.get("model")
    return Said(
        value["prompt"],
        answer or "",
        at if isinstance(at, str) else "",
        model if isinstance(model, str) else "",
    )
