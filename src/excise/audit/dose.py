"""What a campaign of a scan received under which key: the tie between an audit and the traffic.

The run says which accounts and exchanges were a campaign's harvest, the ledger which key each was served under. A line
of the ledger with an exchange's id counts only if that exchange was harvest; without ids all of an account's count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from excise.audit import ledger as ledgers
from excise.audit.ledger import Served
from excise.audit.plan import Dose
from excise.errors import UsageError
from excise.model.findings import ACCUSING
from excise.report import folder

if TYPE_CHECKING:
    import pyarrow as pa

    from excise.audit.keys import KeyName
    from excise.model.run import Run


def doses(run: Path, campaigns: Sequence[str], ledger: Path, names: Sequence[KeyName]) -> tuple[Dose, ...]:
    """What each campaign received under each of `names`; without `campaigns`, the accused ones of the run.

    Raises `UsageError` for a campaign that is not in the run, or where none received any of these keys; `InputError`.
    """
    found = folder.read(run)
    chosen = _chosen(found, campaigns)
    rows = list(ledgers.read(ledger))
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
