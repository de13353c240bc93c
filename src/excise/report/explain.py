"""Why an account or a campaign is accused, or why not, in plain sentences that could be put before the customer.

An explanation of an account names no other account and quotes no prompt: `examples`, `wrapper` and `graph` stay out.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from excise.errors import UsageError
from excise.model.findings import ACCUSING
from excise.report import wording
from excise.report.canonical import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from excise.model.findings import Campaign, Evidence
    from excise.model.run import Run

EXPLANATION_SCHEMA = "excise.explanation/1"
NEAREST = 3
CANDIDATES = 20_000
"""Ids that an unknown one is compared with at most: those that start alike first."""
WORD = re.compile(r"[\w-](?:[\w.@:/-]*[\w-])?")
SHORTEST_ID = 5
"""Characters of an id that is recognised in a sentence: shorter ones would be taken for figures and words."""
APPEAL = (
    "The rating is an estimate made from logs by a program, and it can be wrong. Whoever is concerned may ask for a review "
    "by a person and bring what the logs cannot show: who uses the accounts, what the answers are used for, or an agreement "
    "that permits it. Once permitted, the account is declared in the accounts table and is not accused of it again."
)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What to say about `subject`. Every text is made for people; `confidence` is None where nothing is claimed."""

    subject: str
    kind: Literal["account", "campaign"]
    accused: bool
    verdict: str | None
    campaign_id: str | None
    confidence: float | None
    summary: str
    reasons: tuple[str, ...]
    evidence: tuple[str, ...]
    innocent: tuple[str, ...]
    certainty: str
    appeal: str


def explain(run: Run, subject: str) -> Explanation:
    """The explanation of an account or campaign id; a campaign's comes first. Raises `UsageError` for an unknown id."""
    campaigns = {c.campaign_id: c for c in run.campaigns}
    if subject in campaigns:
        return _campaign(campaigns[subject])
    rows = run.accounts.filter(pc.equal(run.accounts["account_id"], subject)).to_pylist()
    if not rows:
        raise UsageError(
            "no account and no campaign of this run",
            subject=wording.one_line(subject, 120),
            hint=_nearest(run, subject),
        )
    row = rows[0]
    return _nameless(_account(row, campaigns.get(row["campaign_id"] or "")), run, subject)


def to_json(found: Explanation) -> dict[str, Any]:
    """The explanation for programs, with its schema."""
    value: dict[str, Any] = {"schema": EXPLANATION_SCHEMA, **plain(found)}
    return value


def text(found: Explanation) -> str:
    """The explanation for people, ending without a newline."""
    return "\n".join(_lines(found))


def _lines(found: Explanation) -> Iterator[str]:
    yield f"{found.kind.capitalize()} {wording.one_line(found.subject, 200)}"
    yield ""
    yield found.summary
    for title, items in (
        ("What was noticed", found.reasons),
        ("What the group shares, against what is usual", found.evidence),
        ("Innocent explanations that were tried", found.innocent),
    ):
        if items:
            yield ""
            yield title
            yield from (f"  - {item}" for item in items)
    for paragraph in (found.certainty, found.appeal):
        if paragraph:
            yield ""
            yield paragraph


def _campaign(c: Campaign) -> Explanation:
    accused = c.verdict in ACCUSING
    harvest = (
        f"{c.harvest_exchanges:,} of them are judged a harvest"
        if c.harvest_exchanges
        else "none of them is judged a harvest"
    )
    what = (
        f" of {wording.one_line(', '.join(c.capabilities), 120)}"
        if c.harvest_exchanges and c.capabilities
        else ""
    )
    seen = f"{wording.count(c.accounts, 'account')} sent {wording.count(c.exchanges, 'exchange')} from {wording.span(c.first_seen, c.last_seen)}; {harvest}{what}."
    return Explanation(
        subject=c.campaign_id,
        kind="campaign",
        accused=accused,
        verdict=c.verdict,
        campaign_id=c.campaign_id,
        confidence=c.confidence,
        summary=f"Verdict: {wording.VERDICT_WORDS[c.verdict]}. {wording.VERDICT_MEANS[c.verdict]} {seen}",
        reasons=(),
        evidence=_evidence(c.evidence),
        innocent=_innocent(c),
        certainty=_certainty(c),
        appeal=APPEAL if accused else "",
    )


def _account(row: dict[str, Any], c: Campaign | None) -> Explanation:
    accused = row["verdict"] in ACCUSING
    return Explanation(
        subject=row["account_id"],
        kind="account",
        accused=accused,
        verdict=row["verdict"],
        campaign_id=row["campaign_id"],
        confidence=c.confidence if c else None,
        summary=_account_summary(row, c, accused),
        reasons=tuple(wording.one_line(reason) for reason in row["reasons"] or ()),
        evidence=_evidence(c.evidence) if c else (),
        innocent=_innocent(c) if c else (),
        certainty=_certainty(c) if c else "",
        appeal=APPEAL if accused else "",
    )


def _account_summary(row: dict[str, Any], c: Campaign | None, accused: bool) -> str:
    sent = wording.count(row["exchanges"] or 0, "exchange")
    if accused:
        harvest = row["harvest_exchanges"] or 0
        group = f"a group of {wording.count(c.accounts, 'account')}" if c else "a group"
        means = f" {wording.VERDICT_MEANS[c.verdict]}" if c else ""
        return (
            f"The account is accused: it belongs to {group} with the verdict {row['verdict']}.{means} "
            f"Of its {sent}, {harvest:,} ({wording.portion(harvest, row['exchanges'] or 0)}) are judged part of the harvest."
        )
    if c:
        return f"The account is not accused. It sent {sent} and belongs to a group with the verdict {wording.VERDICT_WORDS[c.verdict]}. {wording.VERDICT_MEANS[c.verdict]}"
    noticed = (
        "What was noticed about it did not join it to others that act with it"
        if row["reasons"]
        else "Nothing was noticed about it"
    )
    return f"The account is not accused. It sent {sent}. {noticed}, and a score alone ({row['score'] or 0:.2f} of 1) accuses nobody."


def _nameless(found: Explanation, run: Run, subject: str) -> Explanation:
    """`found` without the id of any other account of the run: no customer is told of another."""
    said = (*found.reasons, *found.evidence, *found.innocent)
    words = {
        word
        for sentence in said
        for word in WORD.findall(sentence)
        if len(word) >= SHORTEST_ID and word != subject
    }
    if not words:
        return found
    asked = pa.array(sorted(words), pa.string())
    others = asked.filter(pc.is_in(asked, value_set=run.accounts["account_id"].combine_chunks())).to_pylist()
    if not others:
        return found
    pattern = re.compile(
        r"(?<![\w-])(?:" + "|".join(re.escape(name) for name in reversed(others)) + r")(?![\w-])"
    )
    return replace(
        found,
        reasons=tuple(pattern.sub("another account", s) for s in found.reasons),
        evidence=tuple(pattern.sub("another account", s) for s in found.evidence),
        innocent=tuple(pattern.sub("another account", s) for s in found.innocent),
    )


def _evidence(evidence: Sequence[Evidence]) -> tuple[str, ...]:
    ranked = sorted(evidence, key=lambda e: -e.log_odds)
    return tuple(
        f"{wording.one_line(e.statement)} Measured {wording.figure(e.value)}, usual {wording.figure(e.baseline)}; "
        f"{'speaks for the accounts' if e.log_odds < 0 else 'weight'} ({wording.signed(e.log_odds)} log-odds)."
        for e in ranked
    )


def _innocent(c: Campaign) -> tuple[str, ...]:
    return tuple(
        f"{wording.one_line(i.name, 200)}: {wording.INNOCENT_WORDS[i.verdict]}. {wording.one_line(i.why)}"
        for i in c.innocent
    )


def _certainty(c: Campaign) -> str:
    if c.verdict not in ACCUSING:
        return "No claim is made about these accounts, so nothing follows from it for any of them."
    return (
        f"The confidence is {wording.percent(c.confidence)}: of a hundred groups rated like this, about that many are what they "
        f"are called and the others are not. Among all groups at least this strong, a share of {wording.q_value(c.q_value)} is "
        "expected to be wrong."
    )


def _nearest(run: Run, subject: str) -> str:
    ids = [c.campaign_id for c in run.campaigns]
    accounts = run.accounts["account_id"]
    alike = accounts.filter(pc.starts_with(accounts, subject[:4]))
    ids += (alike if len(alike) else accounts).slice(0, CANDIDATES).to_pylist()
    found = difflib.get_close_matches(subject[:200], ids, n=NEAREST, cutoff=0.5)
    if not found:
        return "accounts.parquet and campaigns.json in the run folder list the ids"
    return "did you mean " + " or ".join(wording.one_line(name, 120) for name in found) + "?"
