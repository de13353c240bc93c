"""The capabilities of an agent as a picture: what comes in, what is read, and how it can leave."""

from __future__ import annotations

from html import escape
from typing import Final

from excise.inspect.finding import Finding, Step
from excise.inspect.posture.capabilities import IN, OUT, PRIVATE, SIDES

_WIDTH, _BOX, _ROW = 250, 210, 44
_STYLE: Final = {IN: "#b45309", PRIVATE: "#1d4ed8", OUT: "#b91c1c"}


def svg(finding: Finding) -> str:
    """A self-contained SVG of an `agent-capabilities` finding, made of its steps; empty for any other finding."""
    if finding.weakness != "agent-capabilities":
        return ""
    columns = [[s for s in finding.steps if s.fact.startswith(f"{side}:")] for side in SIDES]
    rows = max(map(len, columns))
    height = 60 + rows * _ROW + 70
    middle = _WIDTH * 1.5
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH * 3} {height}" role="img" font-family="sans-serif" font-size="12">',
        f"<title>{escape(finding.title)}</title>",
        f'<rect x="{middle - 60}" y="{height - 42}" width="120" height="30" rx="15" fill="#111827"/>',
        f'<text x="{middle}" y="{height - 22}" text-anchor="middle" fill="#fff">the agent</text>',
    ]
    for n, (side, steps) in enumerate(zip(SIDES, columns, strict=True)):
        parts += _column(n, side, steps, height)
    return "".join([*parts, "</svg>"])


def _column(n: int, side: str, steps: list[Step], height: int) -> list[str]:
    left, colour = n * _WIDTH + 20, _STYLE[side]
    centre, bottom = left + _BOX / 2, 34 + len(steps) * _ROW
    start, end = (f"{centre} {bottom}", f"{_WIDTH * 1.5} {height - 42}")
    if side == OUT:
        start, end = end, start
    parts = [
        f'<text x="{centre}" y="20" text-anchor="middle" font-weight="bold" fill="{colour}">{escape(side)}</text>',
        f'<path d="M{start} L{end}" stroke="{colour}" fill="none" stroke-width="2"/>',
    ]
    for row, step in enumerate(steps):
        top = 30 + row * _ROW
        name = step.fact.rpartition(" ")[2]
        parts += [
            f'<rect x="{left}" y="{top}" width="{_BOX}" height="36" rx="4" fill="#fff" stroke="{colour}"/>',
            f'<text x="{left + 8}" y="{top + 15}">{escape(_short(name, 30))}</text>',
            f'<text x="{left + 8}" y="{top + 29}" fill="#6b7280" font-size="10">{escape(_short(f"{step.path}:{step.line}", 38))}</text>',
        ]
    return parts


def _short(words: str, most: int) -> str:
    """The end of a text that is too long, control characters made visible."""
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in words)
    return shown if len(shown) <= most else "…" + shown[-most + 1 :]


def text(finding: Finding) -> str:
    """The same as lines for a terminal."""
    if finding.weakness != "agent-capabilities":
        return ""
    lines = []
    for side in SIDES:
        arrow = "agent -->" if side == OUT else "--> agent"
        lines += [
            f"{side:16} {arrow}  {_short(s.fact.rpartition(' ')[2], 40)}  ({_short(f'{s.path}:{s.line}', 60)})"
            for s in finding.steps
            if s.fact.startswith(f"{side}:")
        ]
    return "\n".join(lines)
