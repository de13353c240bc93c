"""What a campaign of a scan received under which key: the tie between an audit and the traffic.

A gateway that marks writes a line for each exchange that it served under a key:
`{"account_id": "…", "key": "red-green:k7@2", "tokens": 512, "exchange_id": "…"}`. `tokens` and `exchange_id` may be
missing; with the id, only exchanges that the scan judged a harvest count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from excise.audit.plan import Dose
from excise.audit.texts import read_bytes
from excise.errors import InputError, UsageError
from excise.model.findings import ACCUSING
from excise.report import folder

if TYPE_CHECKING:
    import pyarrow as pa

    from excise.audit.keys import KeyName
    from excise.model.run import Run


class Served(msgspec.Struct, frozen=True):
    """One exchange that was served under a key."""

    account_id: str
    key: str
    tokens: int = 0
    exchange_id: str = ""


def doses(run: Path, campaigns: Sequence[str], ledger: Path, names: Sequence[KeyName]) -> tuple[Dose, ...]:
    """What each campaign received under each of `names`; without `campaigns`, the accused ones of the run.

    Raises `UsageError` for a campaign that is not in the run, or where none received any of these keys; `InputError`.
    """
    found = folder.read(run)
    chosen = _chosen(found, campaigns)
    rows = list(_served(ledger))
    wanted = {str(name) for name in names}
    told = tuple(dose for campaign in chosen for dose in _of_campaign(found, campaign, rows, wanted))
    if not told:
        raise UsageError(
            "no account of the campaign was served any of these keys",
            subject=", ".join(sorted(wanted))[:200],
            hint="there is no dose to look for: see which keys the ledger names",
        )
    return told


def _chosen(run: Run, campaigns: Sequence[str]) -> tuple[str, ...]:
    known = {c.campaign_id for c in run.campaigns}
    for campaign in campaigns:
        if campaign not in known:
            raise UsageError(
                "is no campaign of the run", subject=campaign[:80], hint="see its campaigns.json"
            )
    return tuple(campaigns) or tuple(c.campaign_id for c in run.campaigns if c.verdict in ACCUSING)


def _served(ledger: Path) -> Iterator[Served]:
    for number, line in enumerate(read_bytes(ledger, "a ledger of served keys").split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            yield msgspec.json.decode(line, type=Served)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise InputError(
                f"line {number}: {error}",
                subject=str(ledger),
                hint='{"account_id": "…", "key": "gumbel:all@1", "tokens": 5}',
            ) from error


def _of_campaign(run: Run, campaign: str, rows: Sequence[Served], wanted: set[str]) -> Iterator[Dose]:
    members = _ids(run.accounts, "account_id", campaign)
    harvest = _ids(run.harvest, "exchange_id", campaign)
    accounts: dict[str, set[str]] = defaultdict(set)
    exchanges: dict[str, int] = defaultdict(int)
    tokens: dict[str, int] = defaultdict(int)
    for row in rows:
        if (
            row.account_id not in members
            or row.key not in wanted
            or (row.exchange_id and row.exchange_id not in harvest)
        ):
            continue
        accounts[row.key].add(row.account_id)
        exchanges[row.key] += 1
        tokens[row.key] += max(0, row.tokens)
    for key in sorted(accounts):
        yield Dose(campaign, key, len(accounts[key]), exchanges[key], tokens[key])


def _ids(table: pa.Table, column: str, campaign: str) -> set[str]:
    ids, of = table[column].to_pylist(), table["campaign_id"].to_pylist()
    return {i for i, c in zip(ids, of, strict=True) if c == campaign}
