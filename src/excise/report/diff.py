"""What changed from one run to the next: campaigns are recognised by their members, whatever they are called.

Pairs are matched greedily by Jaccard index, the highest first; a pair counts as the same campaign when the index is at
least `SAME`, or when most of the smaller one is inside the larger. Cost: linear in the members of both runs.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from excise.model.findings import ACCUSING
from excise.report import wording
from excise.report.canonical import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pyarrow as pa

    from excise.model.findings import Campaign
    from excise.model.run import Run

DIFF_SCHEMA = "excise.diff/1"
SAME = 0.2
"""Jaccard index from which two groups are one campaign."""
INSIDE = 0.5
"""Share of the smaller group from which it is one with the larger."""
PART = 0.2
"""Share of a group, and at least two accounts, that makes a part of a split or a merger."""

Kind = Literal["new", "gone", "grown", "shrunk", "changed", "same"]
KINDS: tuple[Kind, ...] = ("new", "gone", "grown", "shrunk", "changed", "same")


@dataclass(frozen=True, slots=True)
class Change:
    """One campaign then and now. `joined` and `left` count accounts; `overlap` is the Jaccard index."""

    kind: Kind
    old_id: str | None
    new_id: str | None
    old_verdict: str | None
    new_verdict: str | None
    old_confidence: float | None
    new_confidence: float | None
    old_accounts: int
    new_accounts: int
    joined: int
    left: int
    overlap: float


@dataclass(frozen=True, slots=True)
class Diff:
    """All changes, new ones first; who split into what, what merged from whom; accounts whose accusation changed."""

    changes: tuple[Change, ...]
    splits: tuple[tuple[str, tuple[str, ...]], ...]
    merges: tuple[tuple[str, tuple[str, ...]], ...]
    newly_accused: int
    no_longer_accused: int


def diff(old: Run, new: Run) -> Diff:
    """What changed from `old` to `new`."""
    before, after = _members(old), _members(new)
    shared = _shared(before, after)
    pairs = _matched(shared, before, after)
    olds, news = {c.campaign_id: c for c in old.campaigns}, {c.campaign_id: c for c in new.campaigns}
    changes = [_change(olds.get(a), news.get(b), before, after, shared[a, b]) for a, b in pairs.items()]
    changes += [_change(None, c, before, after, 0) for i, c in news.items() if i not in pairs.values()]
    changes += [_change(c, None, before, after, 0) for i, c in olds.items() if i not in pairs]
    accused_then, accused_now = _accused(old.accounts), _accused(new.accounts)
    return Diff(
        changes=tuple(sorted(changes, key=_order)),
        splits=_parts(shared, before),
        merges=_parts({(b, a): n for (a, b), n in shared.items()}, after),
        newly_accused=len(accused_now - accused_then),
        no_longer_accused=len(accused_then - accused_now),
    )


def _order(change: Change) -> tuple[int, float, str, str]:
    sure = change.new_confidence if change.new_confidence is not None else change.old_confidence
    return KINDS.index(change.kind), -(sure or 0.0), change.new_id or "", change.old_id or ""


def _members(run: Run) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {c.campaign_id: set() for c in run.campaigns}
    columns = (run.accounts["account_id"].to_pylist(), run.accounts["campaign_id"].to_pylist())
    for account, campaign in zip(*columns, strict=True):
        if campaign in found:
            found[campaign].add(account)
    return found


def _shared(before: Mapping[str, set[str]], after: Mapping[str, set[str]]) -> dict[tuple[str, str], int]:
    """How many members each pair of an old and a new campaign shares, where any."""
    at: dict[str, str] = {account: name for name, accounts in after.items() for account in accounts}
    return dict(Counter((name, at[a]) for name, accounts in before.items() for a in accounts if a in at))


def _matched(
    shared: Mapping[tuple[str, str], int], before: Mapping[str, set[str]], after: Mapping[str, set[str]]
) -> dict[str, str]:
    """Old id to new id, every id at most once."""
    ranked = sorted(shared, key=lambda pair: (-_jaccard(shared[pair], before[pair[0]], after[pair[1]]), pair))
    pairs: dict[str, str] = {}
    taken: set[str] = set()
    for a, b in ranked:
        common = shared[a, b]
        inside = common / min(len(before[a]), len(after[b]))
        if (
            a in pairs
            or b in taken
            or not (_jaccard(common, before[a], after[b]) >= SAME or inside >= INSIDE)
        ):
            continue
        pairs[a] = b
        taken.add(b)
    return pairs


def _jaccard(common: int, a: set[str], b: set[str]) -> float:
    return common / (len(a) + len(b) - common) if common else 0.0


def _change(
    old: Campaign | None,
    new: Campaign | None,
    before: Mapping[str, set[str]],
    after: Mapping[str, set[str]],
    common: int,
) -> Change:
    then = before[old.campaign_id] if old else set[str]()
    now = after[new.campaign_id] if new else set[str]()
    return Change(
        kind=_kind(old, new, len(then), len(now)),
        old_id=old.campaign_id if old else None,
        new_id=new.campaign_id if new else None,
        old_verdict=old.verdict if old else None,
        new_verdict=new.verdict if new else None,
        old_confidence=old.confidence if old else None,
        new_confidence=new.confidence if new else None,
        old_accounts=len(then),
        new_accounts=len(now),
        joined=len(now) - common,
        left=len(then) - common,
        overlap=_jaccard(common, then, now),
    )


def _kind(old: Campaign | None, new: Campaign | None, then: int, now: int) -> Kind:
    if old is None or new is None:
        return "new" if old is None else "gone"
    if now != then:
        return "grown" if now > then else "shrunk"
    return "same" if old.verdict == new.verdict else "changed"


def _parts(
    shared: Mapping[tuple[str, str], int], whole: Mapping[str, set[str]]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Groups of which two or more others each hold a notable part: splits, or with the sides swapped mergers."""
    parts: dict[str, list[str]] = defaultdict(list)
    for (a, b), common in shared.items():
        if common >= max(2, PART * len(whole[a])):
            parts[a].append(b)
    return tuple((a, tuple(sorted(held))) for a, held in sorted(parts.items()) if len(held) > 1)


def _accused(accounts: pa.Table) -> set[str]:
    columns = (accounts["account_id"].to_pylist(), accounts["verdict"].to_pylist())
    return {account for account, verdict in zip(*columns, strict=True) if verdict in ACCUSING}


def to_json(found: Diff) -> dict[str, Any]:
    """The difference for programs, with its schema."""
    value: dict[str, Any] = {
        "schema": DIFF_SCHEMA,
        "newly_accused": found.newly_accused,
        "no_longer_accused": found.no_longer_accused,
        "changes": plain(found.changes),
        "splits": [{"old_id": name, "new_ids": list(parts)} for name, parts in found.splits],
        "merges": [{"new_id": name, "old_ids": list(parts)} for name, parts in found.merges],
    }
    return value


def text(found: Diff) -> str:
    """The difference for people, one line a change."""
    return "\n".join(_lines(found))


def _lines(found: Diff) -> Iterator[str]:
    now, no_longer = found.newly_accused, found.no_longer_accused
    yield f"{wording.count(now, 'account')} newly accused, {no_longer:,} no longer."
    if not found.changes:
        yield "No campaign in either run."
    yield from (_line(change) for change in found.changes)
    for name, parts in found.splits:
        yield f"split    {_name(name)} into {_names(parts)}"
    for name, parts in found.merges:
        yield f"merged   {_names(parts)} into {_name(name)}"


def _line(c: Change) -> str:
    name = _name(c.new_id or c.old_id or "")
    if c.old_id and c.new_id and c.old_id != c.new_id:
        name += f" (was {_name(c.old_id)})"
    if c.kind == "new":
        return f"new      {name}: {wording.count(c.new_accounts, 'account')}, {_rated(c.new_verdict, c.new_confidence)}"
    if c.kind == "gone":
        return f"gone     {name}: had {wording.count(c.old_accounts, 'account')}, {_rated(c.old_verdict, c.old_confidence)}"
    size = f"{c.old_accounts:,} to {c.new_accounts:,} accounts (+{c.joined:,}, \u2212{c.left:,})"
    then, now = _rated(c.old_verdict, c.old_confidence), _rated(c.new_verdict, c.new_confidence)
    return f"{c.kind:<8} {name}: {size}, {now}" + (f", was {then}" if then != now else "")


def _rated(verdict: str | None, confidence: float | None) -> str:
    return f"{verdict} {wording.percent(confidence or 0.0)}"


def _name(name: str) -> str:
    return wording.one_line(name, 80)


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(_name(name) for name in names)
