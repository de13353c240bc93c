"""A case's report into its folder, its seal broken where that is wished, and both held against a replay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from excise.audit import case as cases
from excise.audit import keys as stored
from excise.audit import report, texts
from excise.audit.case import Case, Opened
from excise.audit.scoring import KeyOf
from excise.errors import InputError
from excise.report import staging


def sealed_keys(case: Case, keyfile: Path) -> KeyOf:
    """The keys of the key file, each held against the plan's commitment. Raises `InputError` where one is another."""
    held = stored.load(keyfile)
    for hypothesis in case.plan.hypotheses:
        if held.commitment(hypothesis.key) != hypothesis.commitment:
            raise InputError(
                f"holds another key than the plan committed to as {hypothesis.key}",
                subject=str(keyfile),
                hint="name the key file that the plan was made with",
            )
    return held.key


def written(case: Case, keyfile: Path, open_seal: bool, advance: Callable[[], None]) -> dict[str, Any]:
    """Score the case, and write `report.json` and `report.html`; with `open_seal` also the keys, which are burned first."""
    key_of = sealed_keys(case, keyfile)
    judged = report.judge(case, key_of, advance)
    if open_seal:
        _open(case, keyfile)
    told = report.document(judged, opened=(case.folder / cases.OPENED).exists())
    data = report.encoded(told)
    staging.replace_file(case.folder / cases.REPORT_JSON, data)
    staging.replace_file(case.folder / cases.REPORT_HTML, report.render(msgspec.json.decode(data)).encode())
    return told


def _open(case: Case, keyfile: Path) -> None:
    """Burn the keys, then show them: in this order, so that no key is ever shown and still served."""
    held = stored.load(keyfile)
    names = tuple(dict.fromkeys(h.key for h in case.plan.hypotheses))
    stored.save(keyfile, held.with_burned(names))
    rows = [Opened(name, held.key(name).hex(), held.salt(name).hex()) for name in names]
    staging.replace_file(
        case.folder / cases.OPENED, msgspec.json.format(msgspec.json.encode(rows), indent=2) + b"\n"
    )


def replayed(case: Case, keyfile: Path | None, advance: Callable[[], None]) -> dict[str, Any]:
    """Score the case again. Raises `InputError` where the report in its folder says anything else."""
    key_of = cases.opened_keys(case) if keyfile is None else sealed_keys(case, keyfile)
    judged = report.judge(case, key_of, advance)
    told = report.document(judged, opened=(case.folder / cases.OPENED).exists())
    path = case.folder / cases.REPORT_JSON
    said = _read(path)
    again = msgspec.json.decode(report.encoded(told))
    wrong = sorted(key for key in {*said, *again} - {"version"} if said.get(key) != again.get(key))
    if wrong:
        raise InputError(
            f"does not hold: a replay gives other values for {', '.join(wrong)[:200]}",
            subject=str(path),
            hint="fetch the case again whole; or a transcript grew since: make the report again",
        )
    return told


def _read(path: Path) -> dict[str, Any]:
    data = texts.read_bytes(path, "a case with a report: `excise audit report` makes it")
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise InputError(f"is no report: {error}", subject=str(path), hint="make the report again") from error


def lines(told: dict[str, Any]) -> Iterator[str]:
    """What a terminal says of a report."""
    if told["exploratory"]:
        yield "EXPLORATORY: not committed to before the first query"
        yield from (f"  {why}" for why in told["exploratory"])
    for found in told["findings"]:
        word = "supported" if found["claimed"] else "not supported"
        yield (
            f"{found['suspect']} {found['key']}: {word}, p <= {report.ten_to(found['log10_holm'])} over everything tried, "
            f"z {found['looks'][-1]['z']:.2f}, rank {found['rank']:,} of {found['decoys'] + 1:,}"
        )
    yield from (f"note: {said}" for said in told["reservations"])
