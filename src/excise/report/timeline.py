"""Timelines as shapes: where each day, mark and label of a drawing goes. The templates only put them on the page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from excise.report import wording

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from excise.model.findings import Campaign, Mark
    from excise.report.info import Info

WIDTH = 920
"""Units of a drawing from left to right; every drawing is as wide as the text."""
LEFT = 64
RIGHT = 12
BINS = 420
"""Steps of a curve at most: more cannot be seen, and would only weigh."""
ROWS = 80
"""Campaigns that the overview draws at most."""
MARKS = 12
"""Marks that a drawing carries at most."""
LABEL = 150
"""Units between two labels on one line."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A label at a place of an axis."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Flag:
    """A mark: its place, its words, the line (0 or 1) they stand on, and on which side of it."""

    at: float
    text: str
    kind: str
    line: int
    end: bool


@dataclass(frozen=True, slots=True)
class Panel:
    """One row of a drawing: a band from `top`, `height` tall, with paths for what is in it and the top of its scale."""

    title: str
    top: int
    height: int
    paths: tuple[tuple[str, str], ...]
    peak: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """A timeline ready to be put on the page; `words` says in a sentence what it shows."""

    width: int
    height: int
    left: int
    base: int
    panels: tuple[Panel, ...]
    ticks: tuple[Tick, ...]
    flags: tuple[Flag, ...]
    words: str


@dataclass(frozen=True, slots=True)
class Row:
    """One campaign in the overview; `line` is its span, `curve` its harvest, scaled to its own highest day."""

    campaign_id: str
    verdict: str
    top: int
    line: tuple[float, float]
    curve: str


@dataclass(frozen=True, slots=True)
class Overview:
    """All campaigns over the period of the run."""

    width: int
    height: int
    left: int
    base: int
    rows: tuple[Row, ...]
    ticks: tuple[Tick, ...]
    flags: tuple[Flag, ...]
    more: int
    words: str


@dataclass(frozen=True, slots=True)
class Scale:
    """Days to units: `days` days from `first` between `left` and `right`."""

    first: date
    days: int
    left: float
    right: float

    def at(self, when: date) -> float:
        """Where the start of day `when` is; the edge for a day outside."""
        share = (when - self.first).days / self.days
        return round(self.left + (self.right - self.left) * min(max(share, 0.0), 1.0), 1)

    def holds(self, when: date) -> bool:
        """Whether day `when` is on the axis."""
        return 0 <= (when - self.first).days < self.days


def binned(values: Sequence[int], bins: int = BINS) -> list[float]:
    """`values` as at most `bins` means of equally many neighbours (the last may have fewer)."""
    size = max(1, -(-len(values) // bins))
    groups = [values[i : i + size] for i in range(0, len(values), size)]
    return [sum(group) / len(group) for group in groups]


def steps(values: Sequence[float], left: float, right: float, base: float, height: float, peak: float) -> str:
    """A closed stepped area above `base` as an SVG path: one step a value, `peak` reaching up to `height`."""
    width = (right - left) / max(len(values), 1)
    parts = [f"M{left:.1f} {base:g}"]
    for i, value in enumerate(values):
        top = base - height * min(value / peak, 1.0) if peak else base
        parts.append(f"V{top:.1f}H{left + width * (i + 1):.1f}")
    return "".join(parts) + f"V{base:g}Z"


def axis(scale: Scale, most: int = 8) -> tuple[Tick, ...]:
    """Days, weeks or months, whichever gives at most `most` labels."""
    last = scale.first + timedelta(days=scale.days - 1)
    for size in (1, 2, 7, 14):
        if scale.days / size <= most:
            days = [scale.first + timedelta(days=i) for i in range(0, scale.days, size)]
            return tuple(Tick(scale.at(d), wording.day(d, year=False)) for d in days)
    months = [(y, m) for y in range(scale.first.year, last.year + 1) for m in range(1, 13)]
    starts = [date(y, m, 1) for y, m in months if scale.holds(date(y, m, 1))]
    stride = -(-len(starts) // most) or 1
    return tuple(
        Tick(scale.at(d), f"{d:%b %Y}" if d.month == 1 or stride > 2 else f"{d:%b}") for d in starts[::stride]
    )


def flags(marks: Iterable[Mark], scale: Scale) -> tuple[Flag, ...]:
    """Marks with a place for their words: two lines, so that neighbours do not overlap; words without room are left out."""
    dated = [(found, m) for m in marks if (found := wording.to_day(m.at)) and scale.holds(found)]
    free = [-1e9, -1e9]
    placed: list[Flag] = []
    for when, mark in sorted(dated, key=lambda pair: (pair[0], pair[1].kind, pair[1].label))[:MARKS]:
        at = scale.at(when)
        line = next((i for i in (0, 1) if at >= free[i]), -1)
        end = at > scale.right - LABEL
        if line >= 0:
            free[line] = at + LABEL
        placed.append(Flag(at, _flag_words(mark) if line >= 0 else "", mark.kind, max(line, 0), end))
    return tuple(placed)


def _flag_words(mark: Mark) -> str:
    label = wording.one_line(mark.label, 24)
    return {"model_release": f"{label} released", "price_change": f"price: {label}"}.get(mark.kind, label)


def of_campaign(campaign: Campaign) -> Drawing | None:
    """Exchanges a day with the harvest among them, and active accounts a day; None without a timeline."""
    line = campaign.timeline
    if line is None or not line.exchanges:
        return None
    scale = Scale(date.fromisoformat(line.first_day), len(line.exchanges), LEFT, WIDTH - RIGHT)
    peak, most = max(line.exchanges), max(line.active_accounts)
    return Drawing(
        width=WIDTH,
        height=232,
        left=LEFT,
        base=212,
        panels=(
            Panel(
                "exchanges a day",
                34,
                110,
                _exchange_paths(line.exchanges, line.harvest, scale, 144),
                f"{peak:,}",
            ),
            Panel(
                "active accounts",
                168,
                44,
                (("active", _curve(line.active_accounts, scale, 212, 44)),),
                f"{most:,}",
            ),
        ),
        ticks=axis(scale),
        flags=flags(campaign.marks, scale),
        words=_words(campaign, peak, most),
    )


def _curve(values: Sequence[int], scale: Scale, base: int, height: int) -> str:
    means = binned(values)
    return steps(means, scale.left, scale.right, base, height, max(means, default=0))


def _exchange_paths(
    exchanges: Sequence[int], harvest: Sequence[int], scale: Scale, base: int
) -> tuple[tuple[str, str], ...]:
    every, taken = binned(exchanges), binned(harvest)
    top = max(every)
    return (
        ("every", steps(every, scale.left, scale.right, base, 110, top)),
        ("harvest", steps(taken, scale.left, scale.right, base, 110, top)),
    )


def _words(campaign: Campaign, peak: int, most: int) -> str:
    share = wording.portion(campaign.harvest_exchanges, campaign.exchanges)
    return (
        f"Exchanges and active accounts a day from {wording.span(campaign.first_seen, campaign.last_seen)}: "
        f"at most {wording.count(peak, 'exchange')} and {wording.count(most, 'account')} a day; "
        f"{share} of the exchanges are judged a harvest."
    )


def overview(campaigns: Sequence[Campaign], info: Info, marks: Iterable[Mark]) -> Overview | None:
    """One row a campaign over the period of the run; None where no day is known."""
    drawn = campaigns[:ROWS]
    days = [d for c in drawn for d in (wording.to_day(c.first_seen), wording.to_day(c.last_seen)) if d]
    days += [d for d in (wording.to_day(info.period.first), wording.to_day(info.period.last)) if d]
    if not drawn or not days:
        return None
    left = 150
    scale = Scale(min(days), (max(days) - min(days)).days + 1, left, WIDTH - RIGHT)
    base = 36 + 18 * len(drawn)
    return Overview(
        width=WIDTH,
        height=base + 24,
        left=left,
        base=base,
        rows=tuple(_row(c, scale, 36 + 18 * i) for i, c in enumerate(drawn)),
        ticks=axis(scale),
        flags=flags(marks, scale),
        more=len(campaigns) - len(drawn),
        words=f"When each of {wording.count(len(drawn), 'campaign')} was active, {wording.span(min(days).isoformat(), max(days).isoformat())}.",
    )


def _row(campaign: Campaign, scale: Scale, top: int) -> Row:
    first = wording.to_day(campaign.first_seen) or scale.first
    last = wording.to_day(campaign.last_seen) or first
    a, b = scale.at(first), scale.at(last + timedelta(days=1))
    curve = ""
    line = campaign.timeline
    if line is not None and line.exchanges:
        start = date.fromisoformat(line.first_day)
        end = start + timedelta(days=len(line.exchanges))
        values = binned(line.harvest if any(line.harvest) else line.exchanges, 120)
        curve = steps(values, scale.at(start), scale.at(end), top + 15, 12, max(values))
    return Row(campaign.campaign_id, campaign.verdict, top, (a, max(b, a + 2)), curve)
