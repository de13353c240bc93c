"""Realistic runs for the tests of everything that shows a run: none, one or sixty campaigns, and hostile words."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from datetime import date, timedelta

import pyarrow as pa

from excise.model.findings import (
    Campaign,
    Evidence,
    Example,
    Graph,
    Innocent,
    Layer,
    Link,
    Mark,
    Segment,
    Timeline,
    Verdict,
    Wrapper,
)
from excise.model.run import Run
from excise.model.schema import ACCOUNTS_OUT, HARVEST_OUT

FIRST_DAY = date(2026, 2, 2)
DAYS = 84
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=//evil.example/x onerror=alert(1)>',
    "</style><style>*{display:none}",
    "{{ 7*7 }}{% raw %}",
    "acct\u202egnp.exe\u2066",
    "\x1b[31mred\x07\x00\u200b\U000e0041",
    "javascript:alert(1)",
    "--><svg/onload=alert(1)>",
    '=HYPERLINK("http://evil.example")',
)
CAPABILITIES = ("reasoning", "agentic", "coding", "grading", "safety", "data-generation", "other")
FINDINGS: tuple[tuple[str, Layer, str, float, float, float], ...] = (
    (
        "shared-payment",
        "account",
        "9 of {n} accounts were paid with 2 payment instruments.",
        0.64,
        0.004,
        2.9,
    ),
    ("burst-signup", "account", "{n} accounts were created within 71 hours.", 71.0, 2184.0, 1.4),
    (
        "network-overlap",
        "account",
        "{n} accounts use 3 networks that serve no other customer.",
        0.91,
        0.03,
        1.8,
    ),
    (
        "shared-wrapper",
        "content",
        "Nine requests in ten are the same text around one part that varies.",
        0.93,
        0.02,
        3.4,
    ),
    (
        "coverage",
        "content",
        "The varying parts cover 212 topics evenly, and hardly one is asked twice.",
        0.88,
        0.31,
        2.1,
    ),
    ("follow-up", "content", "Only 1 answer in 50 is ever followed up.", 0.02, 0.41, 0.8),
    (
        "round-the-clock",
        "time",
        "The accounts work around the clock, in shifts that hand over to each other.",
        0.96,
        0.37,
        1.1,
    ),
    (
        "displacement",
        "time",
        "When 4 accounts were suspended, their volume appeared on 5 others in 40 minutes.",
        0.89,
        0.05,
        2.6,
    ),
    (
        "release-follow",
        "time",
        "Volume moved to the new model within 6 hours of its release.",
        6.0,
        190.0,
        0.7,
    ),
    (
        "replayed-blocks",
        "deterministic",
        "Reasoning blocks issued to 3 accounts came in from 8 others.",
        41.0,
        0.0,
        4.2,
    ),
    ("human-rhythm", "time", "Two accounts pause at night as people do.", 0.15, 0.6, -0.6),
)
INNOCENT = (
    Innocent(
        "one customer with many projects",
        "ruled-out",
        "The accounts have 7 payment instruments and no common owner.",
    ),
    Innocent(
        "an evaluation suite",
        "ruled-out",
        "Known benchmarks repeat their questions; here hardly one is asked twice.",
    ),
    Innocent(
        "a university course",
        "ruled-out",
        "Nobody of the group is in an education programme, and nobody asks in term time only.",
    ),
    Innocent(
        "one program that many people use",
        "possible",
        "The wrapper is not that of a published program, but a private one cannot be excluded.",
    ),
)
SHARED = Innocent(
    "one program that many people use",
    "likely",
    "The shared text is the default prompt of one editor plug-in; what people ask differs.",
)
WRAPPER = Wrapper(
    segments=(
        Segment(
            "You are an expert problem solver. Think step by step and show all of your reasoning before the final answer.\n\nDomain: ",
            True,
        ),
        Segment("[topic]", False),
        Segment("\nDifficulty: ", True),
        Segment("[1-10]", False),
        Segment("\n\nProblem:\n", True),
        Segment("[a problem of 40 to 160 words]", False),
        Segment(
            '\n\nReturn JSON with the keys "reasoning" and "answer". Do not refuse. Do not add anything else.',
            True,
        ),
    ),
    share=0.93,
)
EXAMPLES = (
    Example(
        "wrapper", "You are an expert problem solver. Think step by step and show all of your reasoning …"
    ),
    Example(
        "request",
        "Domain: number theory\nDifficulty: 7\n\nProblem:\nLet [NUMBER] be the smallest integer such that …",
    ),
)


def iso(day: date, hour: int = 9) -> str:
    return f"{day.isoformat()}T{hour:02d}:12:00Z"


def account_ids(chance: random.Random, count: int) -> list[str]:
    return [f"acct_{chance.getrandbits(40):010x}" for _ in range(count)]


def timeline(chance: random.Random, start: int, days: int, members: int) -> Timeline:
    level = [40 * members * (0.4 + math.sin(math.pi * (d + 1) / (days + 1))) for d in range(days)]
    total = [int(x * chance.uniform(0.6, 1.1)) for x in level]
    active = [max(1, min(members, round(members * chance.uniform(0.4, 1.0)))) for _ in range(days)]
    harvest = [int(x * chance.uniform(0.8, 0.98)) for x in total]
    return Timeline(
        (FIRST_DAY + timedelta(days=start)).isoformat(), tuple(total), tuple(harvest), tuple(active)
    )


def graph(chance: random.Random, members: list[str]) -> Graph:
    drawn = members[:150]
    links = {}
    layers: tuple[Layer, ...] = ("account", "content", "time", "deterministic")
    for a in range(1, len(drawn)):
        for b in {chance.randrange(max(0, a - 9), a) for _ in range(3)}:
            found = tuple(
                layer for layer in layers if chance.random() < (0.75 if layer == "content" else 0.22)
            )
            links[b, a] = Link(b, a, round(chance.uniform(0.5, 6.0), 3), found or ("account",))
    return Graph(tuple(drawn), tuple(links[pair] for pair in sorted(links)), len(members))


def campaign(chance: random.Random, rank: int, of: int, members: list[str], verdict: Verdict) -> Campaign:
    start = chance.randrange(0, DAYS // 2)
    days = chance.randrange(12, DAYS - start)
    line = timeline(chance, start, days, len(members))
    accused = verdict in ("distillation", "relay")
    share = (1 - 0.55 * rank / max(of, 1)) if accused else 0.3
    findings = tuple(
        Evidence(name, layer, text.format(n=len(members)), value, base, round(odds * share, 3))
        for name, layer, text, value, base, odds in FINDINGS
        if chance.random() < 0.45 + share / 2
    )
    first = FIRST_DAY + timedelta(days=start)
    marks = (
        Mark(iso(FIRST_DAY + timedelta(days=30)), "model_release", "lumen-5"),
        Mark(
            iso(first + timedelta(days=days // 2)),
            "suspension",
            f"{chance.randrange(2, 9)} members suspended",
        ),
    )
    return Campaign(
        campaign_id=f"C-{chance.getrandbits(40):010x}",
        verdict=verdict,
        confidence=round(max(0.05, 0.985 * share), 4),
        q_value=round(min(0.6, 0.0015 * (rank + 1) ** 1.3), 5),
        accounts=len(members),
        exchanges=sum(line.exchanges),
        harvest_exchanges=sum(line.harvest) if accused else 0,
        first_seen=iso(first),
        last_seen=iso(first + timedelta(days=days - 1), 21),
        capabilities=tuple(sorted(chance.sample(CAPABILITIES, chance.randrange(1, 4)))) if accused else (),
        evidence=findings,
        innocent=INNOCENT
        if accused
        else (INNOCENT[0], SHARED)
        if verdict == "shared-client"
        else INNOCENT[3:],
        examples=EXAMPLES,
        timeline=line,
        marks=marks,
        wrapper=WRAPPER,
        graph=graph(chance, members),
    )


def verdict_at(rank: int, of: int) -> Verdict:
    if of < 3 or rank < of * 0.5:
        return "distillation"
    return ("relay", "shared-client", "undetermined")[min(2, int((rank / of - 0.5) * 6))]


def run(campaigns: int = 6, *, bystanders: int = 80, seed: int = 7, hostile: bool = False) -> Run:
    """A run with so many campaigns of 4 to 180 accounts, and so many accounts that belong to none."""
    chance = random.Random(seed)
    groups = [account_ids(chance, chance.choice((4, 7, 12, 23, 40, 180))) for _ in range(campaigns)]
    found = tuple(
        campaign(chance, rank, campaigns, members, verdict_at(rank, campaigns))
        for rank, members in enumerate(groups)
    )
    if hostile:
        found = tuple(poisoned(c) for c in found)
    rows = [
        member_row(chance, c, account)
        for c, members in zip(found, groups, strict=True)
        for account in members
    ]
    rows += [bystander_row(chance, account) for account in account_ids(chance, bystanders)]
    if hostile:
        rows += [bystander_row(chance, word) | {"score": 0.9, "reasons": list(HOSTILE)} for word in HOSTILE]
    accounts = pa.Table.from_pylist(rows, schema=ACCOUNTS_OUT)
    return Run(
        info=info(found, rows, hostile=hostile), campaigns=found, accounts=accounts, harvest=harvest(rows)
    )


def member_row(chance: random.Random, c: Campaign, account: str) -> dict[str, object]:
    accused = c.verdict in ("distillation", "relay")
    count = chance.randrange(40, 4000)
    return {
        "account_id": account,
        "exchanges": count,
        "score": round(chance.uniform(0.7, 0.99) * c.confidence, 6),
        "campaign_id": c.campaign_id,
        "verdict": c.verdict,
        "harvest_exchanges": int(count * 0.9) if accused else 0,
        "reasons": [e.statement for e in chance.sample(c.evidence, min(3, len(c.evidence)))],
    }


def bystander_row(chance: random.Random, account: str) -> dict[str, object]:
    score = round(chance.random() ** 4, 6)
    why = ["Sends the same wrapper as others, but nothing else links it to them."] if score > 0.2 else []
    return {
        "account_id": account,
        "exchanges": chance.randrange(1, 900),
        "score": score,
        "campaign_id": None,
        "verdict": None,
        "harvest_exchanges": 0,
        "reasons": why,
    }


def harvest(rows: list[dict[str, object]]) -> pa.Table:
    found = [
        {
            "exchange_id": f"{r['account_id']}-{i}",
            "account_id": r["account_id"],
            "campaign_id": r["campaign_id"],
            "score": 0.9,
        }
        for r in rows
        if r["harvest_exchanges"]
        for i in range(3)
    ]
    return pa.Table.from_pylist(found, schema=HARVEST_OUT)


def info(
    found: tuple[Campaign, ...], rows: list[dict[str, object]], *, hostile: bool = False
) -> dict[str, object]:
    accused = [r for r in rows if r["verdict"] in ("distillation", "relay")]
    verdicts = {
        v: sum(c.verdict == v for c in found)
        for v in ("distillation", "relay", "shared-client", "undetermined")
    }
    word = HOSTILE[1] if hostile else ""
    return {
        "schema": 1,
        "product": "excise",
        "version": "0.1.0",
        "settings": {"seed": 0, "detectors": {"coverage": {"min_rows": 30}}},
        "settings_hash": "5f1d0c6bb2a5b7e1",
        "inputs": [
            {
                "path": f"logs/2026-0{m}.parquet{word}",
                "kind": "exchanges",
                "format": "parquet",
                "rows": 412_004 + m,
                "sha256": f"{m:064x}",
            }
            for m in (2, 3, 4)
        ]
        + [
            {
                "path": "accounts.csv",
                "kind": "accounts",
                "format": "csv",
                "rows": len(rows),
                "sha256": "a" * 64,
            }
        ],
        "rejected": {
            "rows": 31,
            "reasons": {"bad-json": 30, "no-account": 1},
            "samples": [
                {
                    "path": "logs/2026-02.parquet",
                    "row": 17,
                    "reason": "bad-json",
                    "detail": f"unexpected end{word}",
                }
            ],
        },
        "unavailable": [
            {"evidence": "payment instruments", "why": f"the accounts table has no column payment_fp{word}"},
            {"evidence": "replayed reasoning blocks", "why": "no column replayed_blocks in the exchanges"},
        ],
        "counts": {
            "exchanges": 1_236_021,
            "accounts": len(rows),
            "campaigns": len(found),
            "accused_accounts": len(accused),
            "harvest_exchanges": sum(c.harvest_exchanges for c in found),
            "verdicts": verdicts,
        },
        "period": {"first": iso(FIRST_DAY, 0), "last": iso(FIRST_DAY + timedelta(days=DAYS - 1), 23)},
        "events": [
            {"at": iso(FIRST_DAY + timedelta(days=30)), "kind": "model_release", "label": f"lumen-5{word}"},
            {
                "at": iso(FIRST_DAY + timedelta(days=61)),
                "kind": "price_change",
                "label": "lumen-5 input tokens",
            },
        ],
        "timing": {
            "stages": [{"name": "ingest", "seconds": 4.1}, {"name": "link", "seconds": 9.25}],
            "peak_bytes": 812_000_000,
        },
    }


def poisoned(c: Campaign) -> Campaign:
    """The campaign with every string that comes from outside replaced by something that wants to break the page."""
    bad = " ".join(HOSTILE)
    return replace(
        c,
        campaign_id=f"{c.campaign_id}{HOSTILE[0]}",
        capabilities=(HOSTILE[0],),
        evidence=tuple(replace(e, detector=HOSTILE[3], statement=bad) for e in c.evidence),
        innocent=tuple(replace(i, name=HOSTILE[1], why=bad) for i in c.innocent),
        examples=(Example(HOSTILE[0], bad),),
        marks=tuple(replace(m, label=HOSTILE[7]) for m in c.marks),
        wrapper=Wrapper((Segment(bad, True), Segment(HOSTILE[0], False), Segment("", False)), 0.9),
        graph=replace(c.graph, accounts=(bad, *c.graph.accounts[1:])) if c.graph else None,
    )
