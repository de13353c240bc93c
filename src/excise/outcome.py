"""What a run says: findings become campaigns, the two tables and `run.json`. Nothing is decided here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from excise.detect import DETECTORS
from excise.detect.detector import Detector
from excise.engine.embedded import together
from excise.engine.progress import Clock, peak_bytes
from excise.ingest.ledger import Rejected
from excise.ingest.traffic import Input
from excise.judge.campaigns import LIVES, describe, illustrated, iso_time, life_of, subject_of
from excise.judge.decide import Finding
from excise.judge.wrapper import common_wrapper
from excise.model import schema
from excise.model.clusters import Clusters
from excise.model.findings import ACCUSING, Campaign, Mark, Wrapper
from excise.model.run import RUN_SCHEMA
from excise.model.tables import I64, Traffic
from excise.settings import Settings
from excise.sketch.available import NEEDS
from excise.stats.tails import q_values

_SHOWN = 200
"""Groups without an accusation that are listed, at most: they explain why nobody was accused, the rest is in the counts."""
_COMPARED = 6
"""Texts that are aligned to show a wrapper."""


class Source(Protocol):
    """What is read again for people: ids and texts of some rows, and what the inputs and the events were."""

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Every file that was read."""

    @property
    def events(self) -> Any:
        """The events table, or None."""

    def take(self, rows: I64, columns: Sequence[str]) -> pa.Table:
        """Return these rows (sorted, distinct), in that order."""


def present(
    findings: Sequence[Finding],
    detectors: Sequence[Detector],
    traffic: Traffic,
    clusters: Clusters,
    opened: Source,
    settings: Settings,
    threads: int = 1,
) -> tuple[list[Campaign], tuple[pa.Table, pa.Table]]:
    """Turn what is worth telling into campaigns, strongest first, and the tables of accounts and of the harvest.

    The texts that are read again for wrappers take longest, and nothing else waits for them.
    """
    told = worth_telling(findings)
    accused = [f for f in told if f.judgement.verdict in ACCUSING]

    def tell() -> tuple[dict[int, Campaign], tuple[pa.Table, pa.Table]]:
        by_cluster = _campaigns(told, accused, detectors, traffic, clusters, opened)
        accounts = account_table(traffic, findings, by_cluster)
        return by_cluster, (accounts, harvest_table(traffic, findings, by_cluster, opened))

    shown = accused if settings.keep_text else []
    (by_cluster, tables), wrappers = together(
        tell, lambda: find_wrappers(shown, traffic, clusters, opened), threads=threads
    )
    order = sorted(
        (illustrated(c, wrappers.get(k)) for k, c in by_cluster.items()),
        key=lambda c: (c.verdict not in ACCUSING, -c.confidence, -c.harvest_exchanges, c.campaign_id),
    )
    return order, tables


def _campaigns(
    told: Sequence[Finding],
    accused: Sequence[Finding],
    detectors: Sequence[Detector],
    traffic: Traffic,
    clusters: Clusters,
    opened: Source,
) -> dict[int, Campaign]:
    """Return the campaigns by cluster, without wrappers."""
    lives = traffic.ask(LIVES, lambda: [life_of(traffic, subject_of(f)) for f in told])
    q = dict(
        zip(
            (f.cluster for f in accused), q_values([1 - f.judgement.confidence for f in accused]), strict=True
        )
    )
    layers = {d.id: d.layer for d in detectors}
    releases = [
        Mark(at, "model_release", label) for at, kind, label in _dated(opened) if kind == "model_release"
    ]
    return {
        f.cluster: describe(f, q.get(f.cluster, 1.0), traffic, clusters, life, layers, releases)
        for f, life in zip(told, lives, strict=True)
    }


def worth_telling(findings: Sequence[Finding]) -> list[Finding]:
    """Every accusation, and the largest groups of five accounts and more without one."""
    accused = [f for f in findings if f.judgement.verdict in ACCUSING]
    other = [f for f in findings if f.judgement.verdict not in ACCUSING and len(f.members) >= 5 and f.shown]
    return (
        accused
        + sorted(other, key=lambda f: (-f.judgement.harvest.log_odds, -len(f.members), f.cluster))[:_SHOWN]
    )


def find_wrappers(
    findings: Sequence[Finding], traffic: Traffic, clusters: Clusters, opened: Source
) -> dict[int, Wrapper]:
    """Read a few exchanges of each cluster's most frequent wrapper again, and align them."""
    e = traffic.exchanges
    chosen: dict[int, tuple[np.ndarray, float, bool]] = {}
    for finding in findings:
        rows = finding.harvest[clusters.matched[finding.harvest] > 0]
        if not len(rows):
            continue
        value, count = np.unique(clusters.wrapper[rows], return_counts=True)
        same = rows[clusters.wrapper[rows] == value[np.argmax(count)]]
        same = same[np.argsort(e.id[same], kind="stable")]
        _, first = np.unique(e.account[same], return_index=True)
        in_system = bool((e.system[same] >= 0).mean() > 0.5)
        chosen[finding.cluster] = same[np.sort(first)][:_COMPARED], float(count.max() / len(rows)), in_system
    wanted = (
        np.unique(np.concatenate([e.row[rows] for rows, _, _ in chosen.values()]))
        if chosen
        else np.zeros(0, np.int64)
    )
    texts = opened.take(wanted, ["system_text", "user_text"]).to_pylist() if len(wanted) else []
    out = {}
    for k, (rows, share, in_system) in chosen.items():
        mine = [texts[i] for i in np.searchsorted(wanted, e.row[rows])]
        wrapper = common_wrapper(
            [t["system_text" if in_system else "user_text"] or "" for t in mine], round(share, 4)
        )
        if wrapper is not None:
            out[k] = wrapper
    return out


def account_table(
    traffic: Traffic, findings: Sequence[Finding], campaigns: Mapping[int, Campaign]
) -> pa.Table:
    """Return `accounts.parquet`: every account that was seen."""
    n = len(traffic.accounts)
    score, harvest = np.zeros(n), np.zeros(n, np.int64)
    said: list[tuple[str | None, str | None, list[str]]] = [(None, None, [])]
    of_account = np.zeros(n, np.int64)
    for finding in findings:
        members = finding.members
        score[members] = np.round(finding.judgement.confidence * finding.belonging, 6)
        told = campaigns.get(finding.cluster)
        if told is None:
            continue
        np.add.at(harvest, traffic.exchanges.account[finding.harvest], 1)
        why = [f"{e.detector}: {e.statement}" for e in told.evidence if e.log_odds > 0]
        of_account[subject_of(finding)] = len(said)
        said.append((told.campaign_id, told.verdict, why))
    campaign, verdict, reasons = (
        pa.array(column, schema.ACCOUNTS_OUT.field(name).type).take(pa.array(of_account))
        for name, column in zip(("campaign_id", "verdict", "reasons"), zip(*said, strict=True), strict=True)
    )
    columns = [traffic.accounts.name, traffic.accounts.volume(), score, campaign, verdict, harvest, reasons]
    arrays = [
        pa.array(c, f.type) if isinstance(c, np.ndarray) else c
        for c, f in zip(columns, schema.ACCOUNTS_OUT, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema.ACCOUNTS_OUT).sort_by("account_id")


def harvest_table(
    traffic: Traffic, findings: Sequence[Finding], campaigns: Mapping[int, Campaign], opened: Source
) -> pa.Table:
    """Return `harvest.parquet`: the exchanges that are judged part of a harvest, with their ids read again."""
    e = traffic.exchanges
    kept = [f for f in findings if len(f.harvest) and f.cluster in campaigns]
    if not kept:
        return schema.HARVEST_OUT.empty_table()
    rows = np.concatenate([f.harvest for f in kept])
    campaign = np.repeat([campaigns[f.cluster].campaign_id for f in kept], [len(f.harvest) for f in kept])
    confidence = np.repeat([f.judgement.confidence for f in kept], [len(f.harvest) for f in kept])
    order = np.argsort(e.row[rows], kind="stable")
    rows = rows[order]
    ids = opened.take(e.row[rows], ["exchange_id"])["exchange_id"].combine_chunks()
    arrays = [
        ids,
        pa.array(traffic.accounts.name[e.account[rows]], pa.string()),
        pa.array(campaign[order], pa.string()),
        pa.array(confidence[order]),
    ]
    return pa.Table.from_arrays(arrays, schema=schema.HARVEST_OUT).sort_by("exchange_id")


def about(
    opened: Source, traffic: Traffic, detectors: Sequence[Detector], campaigns: Sequence[Campaign], tables: tuple[pa.Table, pa.Table],
    rejected: Rejected, settings: Settings, clock: Clock,
) -> dict[str, Any]:  # fmt: skip
    """Return `run.json`, but for the version of the product."""
    verdicts = {v: sum(c.verdict == v for c in campaigns) for v in sorted({c.verdict for c in campaigns})}
    first, last = traffic.period()
    return {
        "schema": RUN_SCHEMA,
        "product": "excise",
        "settings": settings.as_dict(),
        "settings_hash": settings.digest(),
        "inputs": [
            {"path": i.path, "kind": i.kind, "format": i.format, "rows": i.rows, "sha256": i.sha256}
            for i in opened.inputs
        ],
        "rejected": rejected.as_json(),
        "unavailable": [
            {"evidence": name, "why": why} for name, why in NEEDS.items() if name not in traffic.available
        ],
        "skipped_detectors": [d.id for d in DETECTORS if d not in detectors],
        "counts": {
            "exchanges": int(traffic.accounts.volume().sum()),
            "accounts": len(traffic.accounts),
            "campaigns": len(campaigns),
            "accused_accounts": sum(c.accounts for c in campaigns if c.verdict in ACCUSING),
            "harvest_exchanges": tables[1].num_rows,
            "verdicts": verdicts,
        },
        "period": {"first": iso_time(first), "last": iso_time(last)},
        "events": [
            {"at": when, "kind": kind, "label": label}
            for when, kind, label in _dated(opened)
            if kind != "suspension"
        ],
        "timing": {
            "stages": clock.stages,
            "peak_bytes": peak_bytes(),
        },
    }


def _dated(opened: Source) -> list[tuple[str, str, str]]:
    """Events that may be named: of models and prices, never of an account."""
    if opened.events is None:
        return []
    public = ("model_release", "outage", "price_change")
    rows = [r for r in opened.events.to_pylist() if r["kind"] in public and r["at"] is not None]
    return sorted((r["at"].strftime("%Y-%m-%dT%H:%M:%SZ"), r["kind"], str(r["subject"] or "")) for r in rows)
