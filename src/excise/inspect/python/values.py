"""Values of the flow analysis: what something comes from, and how it got here (`local` says what the parts mean)."""

from __future__ import annotations

from typing import Any, Final

Origin = tuple[Any, ...]
Value = dict[Origin, tuple[str, tuple[int, ...]]]
SETTLED: Final = frozenset({"name", "quoted"})
"""Parts that stay what they are, whatever they are put into: a last name has no `..`, a quoted word no space."""
MOST_LINES: Final = 6
"""Lines kept of the way of a value: its first ones."""
MOST_ORIGINS: Final = 12
"""Origins kept of a value: a value of everything says nothing."""
MOST_TEXT: Final = 80
NOTHING: Value = {}


def union(*values: Value) -> Value:
    """Everything that is in one of the values."""
    out: Value = {}
    for value in values:
        for origin, how in value.items():
            if origin not in out or (out[origin][0] and not how[0]):
                out[origin] = how
    if len(out) > MOST_ORIGINS:
        return dict(list(out.items())[:MOST_ORIGINS])
    return out


def later(part: str, base: str) -> str:
    """What part is left of a value that was `base` where it came from and became `part` here."""
    return base if base in SETTLED else part or base


def via(value: Value, line: int, part: str | None = None) -> Value:
    """`value` one line on; with `part`, as that part of what it was."""
    out: Value = {}
    for origin, (was, lines) in value.items():
        now = was if part is None or was in SETTLED else (part if part != "part" or not was else was)
        out[origin] = (now, lines if line in lines or len(lines) >= MOST_LINES else (*lines, line))
    return out
