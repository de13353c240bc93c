"""How figures, dates and foreign words are put for people: in the page, in the terminal and in explanations."""

from __future__ import annotations

import unicodedata
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from excise.model.findings import InnocentVerdict, Layer, Verdict

TEXT_LIMIT = 2_000
"""Characters of a foreign text that are shown."""
INFINITY = float("inf")
SHORT = 200
"""Up to so many, a cut is only an ellipsis: there is no room to count what is missing."""

VERDICT_WORDS: dict[Verdict, str] = {
    "distillation": "distillation",
    "relay": "relay",
    "shared-client": "shared client",
    "undetermined": "undetermined",
}
VERDICT_MEANS: dict[Verdict, str] = {
    "distillation": "Accounts that appear to work together to harvest the model's answers.",
    "relay": "Accounts that appear to be a reseller's or a pool's, with many customers behind them. "
    "What is harvested in their traffic is marked row by row; the rest is left alone.",
    "shared-client": "Many customers of one innocent program: what they have in common is the program. "
    "Nobody is accused.",
    "undetermined": "Something is common to these accounts, but not enough to say what. No claim is made.",
}
LAYER_TITLES: dict[Layer, str] = {
    "account": "Accounts",
    "content": "Content",
    "time": "Time",
    "deterministic": "Identifiers",
}
LAYER_MEANS: dict[Layer, str] = {
    "account": "how the accounts were opened and paid, and where they connect from",
    "content": "what they ask, and what becomes of the answers",
    "time": "when they act, and how they react",
    "deterministic": "marks that match exactly",
}
INNOCENT_WORDS: dict[InnocentVerdict, str] = {
    "ruled-out": "ruled out",
    "possible": "possible",
    "likely": "likely",
}


def visible(text: str, limit: int = TEXT_LIMIT) -> str:
    r"""Foreign `text` with whatever steers a screen made visible; past `limit` characters it is cut, and shows it.

    Line feeds and tabs stay. Control characters become their pictures (U+2400), the others that cannot be seen
    (bidirectional marks, zero width, tags, private use) their code points.

    >>> visible("a\x1b[31mb\u202e")
    'a␛[31mb[U+202E]'
    """
    shown = text[:limit]
    if not (shown.isascii() and shown.isprintable()):
        shown = "".join(_shown(c) for c in shown)
    if len(text) <= limit:
        return shown
    return f"{shown} … ({len(text) - limit:,} more characters)" if limit > SHORT else f"{shown}…"


def _shown(char: str) -> str:
    if char in "\n\t" or " " <= char <= "~":
        return char
    code = ord(char)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    hidden = unicodedata.category(char) in {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}
    selector = 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF
    return f"[U+{code:04X}]" if hidden or selector or code in (0x115F, 0x1160, 0x3164, 0xFFA0) else char


def one_line(text: str, limit: int = TEXT_LIMIT) -> str:
    r"""`visible`, on one line.

    >>> one_line("a\nb")
    'a b'
    """
    return " ".join(visible(text, limit).split())


def count(number: int, one: str, many: str = "") -> str:
    """A number with its noun.

    >>> count(1, "account"), count(12000, "account")
    ('1 account', '12,000 accounts')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def percent(share: float) -> str:
    """A share (0 to 1) as a percentage that never claims certainty.

    >>> percent(0.94), percent(0.9999), percent(0.001), percent(0.0)
    ('94%', '>99%', '<1%', '0%')
    """
    if share <= 0:
        return "0%"
    if share > 0.99:
        return ">99%"
    return f"{share:.0%}" if share >= 0.01 else "<1%"


def portion(part: int, whole: int) -> str:
    """What part of a whole, where all of it may be said.

    >>> portion(3, 4), portion(4, 4), portion(0, 0)
    ('75%', '100%', '0%')
    """
    return "100%" if part == whole and whole else percent(part / whole if whole else 0.0)


def q_value(q: float) -> str:
    """The q-value, three decimals.

    >>> q_value(0.0002), q_value(0.0123)
    ('<0.001', '0.012')
    """
    return "<0.001" if q < 0.001 else f"{q:.3f}"


def figure(value: float) -> str:
    """A measured value, three significant digits, without an exponent where it can be helped.

    >>> figure(0.0312), figure(2184.0), figure(0.9), figure(41.0), figure(0.00001)
    ('0.0312', '2,184', '0.9', '41', '1e-05')
    """
    if abs(value) >= 1e15 or 0 < abs(value) < 1e-4:
        return f"{value:.2g}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{float(f'{value:.3g}'):g}"


def signed(log_odds: float) -> str:
    r"""Log-odds with their sign.

    >>> signed(2.345), signed(-0.6) == "\u22120.6"
    ('+2.3', True)
    """
    return f"{log_odds:+.1f}".replace("-", "\u2212")


def times(value: float, baseline: float) -> str:
    """How many times the baseline, where that says something.

    >>> times(1.0, 1.0), times(3.0, 0.0), times(6.0, 190.0)
    ('', '', '1/32')
    """
    if value <= 0 or baseline <= 0:
        return ""
    ratio = value / baseline
    if not 0 < ratio < INFINITY:
        return ""
    if ratio >= 1.5:
        return f"{figure(float(f'{ratio:.2g}'))}\u00d7"
    return f"1/{figure(float(f'{1 / ratio:.2g}'))}" if ratio <= 0.67 else ""


def to_day(moment: str | None) -> date | None:
    """The UTC day of an ISO time or date; None where it is not one."""
    try:
        return date.fromisoformat((moment or "")[:10])
    except ValueError:
        return None


def day(moment: str | date | None, *, year: bool = True) -> str:
    """A day for people.

    >>> day("2026-03-04T10:00:00Z"), day("nonsense")
    ('4 March 2026', 'nonsense')
    """
    found = moment if isinstance(moment, date) else to_day(moment)
    if found is None:
        return one_line(str(moment or "unknown"), 40)
    return f"{found.day} {found:%B} {found.year}" if year else f"{found.day} {found:%b}"


def span(first: str | None, last: str | None) -> str:
    """From when to when.

    >>> span("2026-03-04", "2026-04-01")
    '4 March to 1 April 2026'
    """
    a, b = to_day(first), to_day(last)
    if a is None or b is None:
        return day(first) if first == last else f"{day(first)} to {day(last)}"
    if a == b:
        return day(a)
    start = f"{a.day} {a:%B}" if a.year == b.year else day(a)
    return f"{start} to {day(b)}"
