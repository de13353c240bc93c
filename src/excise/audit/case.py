"""The folder of one case, from the sealed plan to the report; everything a replay needs lies in it.

plan.json             sealed; its SHA-256 is the commitment
prompts.ndjson        what is asked
tokenizer.json        where it is not `words`
reference.ndjson      answers of a model that never saw a key, where there is one
controls/NAME.ndjson  answers of other models that cannot have learnt from us
suspects/NAME.ndjson  transcripts, each line bound to all before it
opened.json           the keys, once the seal is broken
report.json, report.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from excise.audit import plan as planning
from excise.audit import texts, transcript
from excise.audit.keys import KeyName, commitment
from excise.audit.plan import ByWeights, File, Plan
from excise.audit.scoring import Heard, KeyOf, Shown, heard
from excise.audit.statistic import Contrast
from excise.audit.tokens import Tokenizer, Words, tokenizer_of
from excise.audit.transcript import ControlReading, Reading, Transcript
from excise.errors import InputError, UsageError
from excise.report import staging

if TYPE_CHECKING:
    from excise.audit.texts import Said

PLAN: Final = "plan.json"
PROMPTS: Final = "prompts.ndjson"
REFERENCE: Final = "reference.ndjson"
TOKENIZER: Final = "tokenizer.json"
OPENED: Final = "opened.json"
REPORT_JSON: Final = "report.json"
REPORT_HTML: Final = "report.html"
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Case:
    """A case that was read: its plan, what its commitment is, and the prompts; all held against the plan's hashes."""

    folder: Path
    plan: Plan
    commitment: str
    prompts: tuple[str, ...]

    def transcript_path(self, suspect: str) -> Path:
        """Where the suspect's transcript lies. Raises `UsageError` for a suspect that is not in the plan."""
        if suspect not in planning.suspects(self.plan.hypotheses):
            raise UsageError("is no suspect of the plan", subject=suspect, hint="plan first, then ask")
        return self.folder / "suspects" / f"{suspect}.ndjson"

    def by_weights(self, suspect: str) -> ByWeights | None:
        """How the plan has this suspect's weights read, None where it is to be asked."""
        return next((one for one in self.plan.weights if one.suspect == suspect), None)

    def texts_to_read(self) -> tuple[str, ...]:
        """What an open suspect and its base read: each prompt, and after it the reference's answer where there is one."""
        answers: dict[str, str] = {}
        for said in self.reference():
            answers.setdefault(said.prompt, said.answer)
        return tuple(f"{p}\n{answers[p]}" if p in answers else p for p in self.prompts)

    def transcripts(self) -> dict[str, Transcript]:
        """The transcripts of all suspects that were asked."""
        names = planning.suspects(self.plan.hypotheses)
        return {n: transcript.read(p) for n in names if (p := self.transcript_path(n)).exists()}

    def reference(self) -> tuple[Said, ...]:
        """The reference's answers, none where the plan has no reference."""
        return self._sealed(self.plan.reference) if self.plan.reference else ()

    def controls(self) -> dict[str, tuple[Said, ...]]:
        """The controls' answers by name."""
        return {Path(file.name).stem: self._sealed(file) for file in self.plan.controls}

    def tokenizer(self) -> Tokenizer:
        """The tokenizer that the plan names. Raises `InputError` where the case holds another."""
        path = self.folder / TOKENIZER
        plain = self.plan.tokenizer == Words.name
        found = tokenizer_of(None if plain else texts.read_bytes(path, "a file of the case"))
        if found.name != self.plan.tokenizer:
            raise InputError(
                "is not what the plan sealed", subject=str(path), hint="fetch the case again whole"
            )
        return found

    def _sealed(self, file: File) -> tuple[Said, ...]:
        path = self.folder / file.name
        if texts.digest(texts.read_bytes(path, "a file of the case")) != file.sha256:
            raise InputError(
                "is not what the plan sealed", subject=str(path), hint="fetch the case again whole"
            )
        return texts.answers(path)


def checked_name(said: str, option: str) -> str:
    """A name that is safe as a file's. Raises `UsageError`."""
    if not NAME.fullmatch(said):
        raise UsageError(
            "is no name: letters, digits, dot, dash and underscore, 64 at most",
            subject=said[:80],
            hint=f"{option} NAME",
        )
    return said


def prompt_lines(prompts: tuple[str, ...]) -> bytes:
    """The case's file of prompts."""
    return b"".join(msgspec.json.encode({"prompt": prompt}) + b"\n" for prompt in prompts)


def answer_lines(said: tuple[Said, ...]) -> bytes:
    """A file of answers as the case keeps it."""
    return b"".join(msgspec.json.encode(row) + b"\n" for row in said)


def write(out: Path, plan: Plan, files: Mapping[str, bytes]) -> str:
    """The new case in folder `out`, whole or not at all; its commitment. Raises `OutputError`."""
    data = planning.encoded(plan)
    with staging.staged_folder(out) as folder:
        for part in ("suspects", "controls"):
            (folder / part).mkdir()
        for name, content in {**files, PLAN: data}.items():
            staging.write_file(folder / name, content)
    return planning.commitment(data)


def read(folder: Path) -> Case:
    """The case in `folder`. Raises `InputError` where a file is missing or is not what the plan sealed."""
    data = texts.read_bytes(folder / PLAN, "the folder that `excise audit plan` made")
    plan = planning.decoded(data, str(folder / PLAN))
    path = folder / PROMPTS
    if texts.digest(texts.read_bytes(path, "a file of the case")) != plan.prompts.sha256:
        raise InputError("is not what the plan sealed", subject=str(path), hint="fetch the case again whole")
    for name in (*planning.suspects(plan.hypotheses), *(Path(f.name).stem for f in plan.controls)):
        checked_name(name, "suspect")
    return Case(folder, plan, planning.commitment(data), texts.prompts(path))


def heard_of(case: Case, found: Transcript, tokenizer: Tokenizer) -> Heard:
    """The tuples of a transcript: of each prompt the first answer, if it is the plan's prompt."""
    said: dict[int, str] = {}
    for answer in found.answers:
        if answer.query < len(case.prompts) and answer.prompt == case.prompts[answer.query]:
            said.setdefault(answer.query, answer.answer)
    return heard(said, case.prompts, min(found.asked, len(case.prompts)), tokenizer, case.plan)


def shown_of(case: Case, suspect: str, reading: Reading) -> Shown:
    """What a suspect's probabilities said, and the controls' beside it. Raises `InputError` for a record that is none."""
    path = case.transcript_path(suspect)
    controls = {one.name: _contrast(path, one) for one in reading.controls}
    return Shown(_contrast(path, reading), reading.texts, controls)


def _contrast(path: Path, reading: Reading | ControlReading) -> Contrast:
    tuples = np.frombuffer(reading.tuples[: len(reading.tuples) // 24 * 24], "<u8").reshape(-1, 3)
    weights = np.frombuffer(reading.weights[: len(reading.weights) // 8 * 8], "<f8")
    if len(tuples) != len(weights) or not np.isfinite(weights).all():
        raise InputError("holds a reading that is none", subject=str(path), hint="fetch the case again whole")
    return Contrast(tuples.astype(np.uint64), weights.astype(float))


class Opened(msgspec.Struct, frozen=True):
    """A key whose seal is broken, with the salt that its commitment was made with; hex."""

    name: KeyName
    key: str
    salt: str


def opened_keys(case: Case) -> KeyOf:
    """The keys of `opened.json`, each held against its commitment. Raises `InputError`."""
    path = case.folder / OPENED
    data = texts.read_bytes(path, "a case whose seal is open, or give --keys FILE")
    try:
        rows = msgspec.json.decode(data, type=tuple[Opened, ...])
        keys = {row.name: bytes.fromhex(row.key) for row in rows}
        made = {row.name: commitment(bytes.fromhex(row.salt), keys[row.name]) for row in rows}
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise InputError(
            f"holds no keys: {error}", subject=str(path), hint="fetch the case again whole"
        ) from error
    for hypothesis in case.plan.hypotheses:
        if made.get(hypothesis.key) != hypothesis.commitment:
            raise InputError(
                f"key {hypothesis.key} is not the one that the plan committed to",
                subject=str(path),
                hint="the case is void, or this is another plan's file",
            )
    return keys.__getitem__
