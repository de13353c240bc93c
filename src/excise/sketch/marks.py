"""The marks of a format contract: names that a machine will look for in the answer, found while the text is read.

| kind | form | name |
|---|---|---|
| tag | `<name ...>`, `</name>` | up to 4 words joined by `_ - . :`; then at most 32 more tokens and separators |
| bracket | `[name]`, `[[name]]` | up to 4 words joined by one of blank `_ - . : /` |
| key | `"name":`, `\\"name\\":` | up to 4 words joined by one of blank `_ - . /` |
| heading | `## name` on a line of its own | up to 5 words, at most 16 separators between and after them |
| label | `Name:` at the start of a line, also after `* # > -`, also `**Name**:` | up to 3 words of letters only |

A character of a script written without blanks counts as half a word. A name of numbers only is no mark. All five
are read by small automata without backtracking, each from the separator that may begin its name to where the name ends or
fails, a bounded number of steps. Where a chunk ends first, an automaton keeps its place and goes on in the next one.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from excise.sketch.hashing import jit, mix64

TOKEN: Final = -1
"""What stands for a token in the list of events; any other event is the code point of a separator."""

NUMBER, HAS_DIGIT, ALONE = 1, 2, 4
"""Flags of a token: digits only, some digit, one character of a script without blanks."""

TAG, BRACKET, KEY, HEADING, LABEL = (np.int64(kind) for kind in range(5))
"""Plain numbers would be types of their own to numba, and compiled for."""
KINDS: Final = 5
_MOST_HALVES, _MOST_OF_HEADING, _MOST_OF_LABEL = 8, 10, 6
"""Longest name of a tag, bracket or key, of a heading and of a label, in half words."""

# What each automaton is doing. Fields of the state, one row a kind; row KINDS waits for the colon after a key.
IDLE, OPEN, WORD, JOINED, BODY = range(5)
PHASE, UNITS, WORDY, EXTRA = range(4)
FIELDS: Final = 4
_MOST_BODY, _MOST_AFTER, _MOST_LEAD, _MOST_HASHES = 32, 16, 8, 6

LESS, _MORE, _SLASH, QUOTE, _BACKSLASH = (ord(c) for c in '<>/"\\')
LEFT, _RIGHT, _HASH, _STAR, _COLON = (ord(c) for c in "[]#*:")
_BLANK, _UNDERSCORE, _DASH, _DOT, LINE = (ord(c) for c in " _-.\n")
OPENERS: Final = frozenset((LESS, LEFT, QUOTE, LINE))
"""Separators that may begin a name."""


@jit
def open_name(state: Any, names: Any, kind: int) -> None:
    """Begin to look for a name of this kind."""
    state[kind, PHASE] = OPEN
    state[kind, UNITS] = 0
    state[kind, WORDY] = 0
    state[kind, EXTRA] = 0
    names[kind] = np.uint64(0)


@jit
def start_text(state: Any, names: Any) -> None:
    """Begin a text, and with it a line: headings and labels may begin."""
    for kind in range(KINDS + 1):
        state[kind, PHASE] = IDLE
    open_name(state, names, HEADING)
    open_name(state, names, LABEL)


@jit
def _place(state: Any, names: Any, kind: int) -> tuple[int, Any, int, int, int]:
    """Where an automaton is: phase, name, half words, whether one is not of digits, and a count of its own."""
    return state[kind, PHASE], names[kind], state[kind, UNITS], state[kind, WORDY], state[kind, EXTRA]


@jit
def _stay(state: Any, names: Any, kind: int, place: Any) -> None:
    """Keep the place of an automaton."""
    phase, name, units, wordy, extra = place
    state[kind, PHASE], state[kind, UNITS], state[kind, WORDY], state[kind, EXTRA] = (
        phase,
        units,
        wordy,
        extra,
    )
    names[kind] = name


@jit
def _word(name: Any, units: int, wordy: int, token: Any, flags: int, base: Any) -> tuple[Any, int, int]:
    """Add a token to a name."""
    return name * base + token, units + (1 if flags & ALONE else 2), wordy | (0 if flags & NUMBER else 1)


@jit
def mark_of(name: Any, kind: int, salt: Any) -> Any:
    """Hash of (kind, name), the name given as its hash."""
    return mix64(name ^ (salt * np.uint64(2 * kind + 3)))


@jit
def read_tag(chunk: Any, m: int, i: int, at: int, scanner: Any, base: Any) -> bool:
    """Go on from event i of m, and token `at`, until the tag is complete (true) or none."""
    tokens, flags, events, _ = chunk
    state, names = scanner
    phase, name, units, wordy, extra = _place(state, names, TAG)
    complete = False
    while i < m and phase != IDLE:
        c = np.int64(events[i])
        i += 1
        if c == TOKEN:
            if phase == BODY:
                extra += 1
                phase = BODY if extra <= _MOST_BODY else IDLE
            else:
                name, units, wordy = _word(name, units, wordy, tokens[at], np.int64(flags[at]), base)
                phase = WORD if units <= _MOST_HALVES else IDLE
            at += 1
        elif c == LESS or c == LINE:
            phase = IDLE
        elif phase == OPEN and c == _SLASH and extra == 0:
            extra = 1
        elif c == _MORE and (phase == WORD or phase == BODY):
            complete, phase = wordy == 1, IDLE
        elif phase == WORD and (c == _UNDERSCORE or c == _DASH or c == _DOT or c == _COLON):
            phase = JOINED
        elif phase == WORD and (c == _BLANK or c == _SLASH):
            phase, extra = BODY, 0
        elif phase == BODY and extra < _MOST_BODY:
            extra += 1
        else:
            phase = IDLE
    _stay(state, names, TAG, (phase, name, units, wordy, extra))
    return bool(complete)


@jit
def read_bracket(chunk: Any, m: int, i: int, at: int, scanner: Any, base: Any) -> bool:
    """As `read_tag`, a bracket."""
    tokens, flags, events, _ = chunk
    state, names = scanner
    phase, name, units, wordy, extra = _place(state, names, BRACKET)
    complete = False
    while i < m and phase != IDLE:
        c = np.int64(events[i])
        i += 1
        if c == TOKEN:
            name, units, wordy = _word(name, units, wordy, tokens[at], np.int64(flags[at]), base)
            phase = WORD if units <= _MOST_HALVES else IDLE
            at += 1
            continue
        complete = phase == WORD and c == _RIGHT and wordy == 1
        joins = c == _BLANK or c == _UNDERSCORE or c == _DASH or c == _DOT or c == _COLON or c == _SLASH
        phase = JOINED if phase == WORD and joins else IDLE
    _stay(state, names, BRACKET, (phase, name, units, wordy, extra))
    return bool(complete)


@jit
def read_key(chunk: Any, m: int, i: int, at: int, scanner: Any, base: Any) -> bool:
    """As `read_tag`, a key and its colon; the name is then that of row KINDS. The quote that ends a key may begin another."""
    state, names = scanner
    tokens, flags, events, _ = chunk
    if state[KINDS, PHASE] == OPEN and _read_colon(events, m, i, state):
        state[KEY, PHASE] = IDLE  # by the colon
        return True
    phase, name, units, wordy, extra = _place(state, names, KEY)
    ended = False
    while i < m and phase != IDLE:
        c = np.int64(events[i])
        i += 1
        if c == TOKEN:
            name, units, wordy = _word(name, units, wordy, tokens[at], np.int64(flags[at]), base)
            phase = WORD if units <= _MOST_HALVES else IDLE
            at += 1
        elif c != _BACKSLASH:
            ended = phase == WORD and c == QUOTE and wordy == 1
            joins = c == _BLANK or c == _UNDERSCORE or c == _DASH or c == _DOT or c == _SLASH
            phase = JOINED if phase == WORD and joins else IDLE
    _stay(state, names, KEY, (phase, name, units, wordy, extra))
    if not ended:
        return False
    names[KINDS], state[KINDS, PHASE] = name, OPEN
    return bool(_read_colon(events, m, i, state))


@jit
def _read_colon(events: Any, m: int, i: int, state: Any) -> bool:
    """Wait for the colon after a key."""
    while i < m:
        c = np.int64(events[i])
        i += 1
        if c != _BLANK and c != _BACKSLASH:
            state[KINDS, PHASE] = IDLE
            return bool(c == _COLON)
    return False


@jit
def read_heading(chunk: Any, m: int, i: int, at: int, scanner: Any, base: Any) -> bool:
    """As `read_tag`, a heading, which its line or its text ends (`ends_heading`)."""
    tokens, flags, events, _ = chunk
    state, names = scanner
    phase, name, units, wordy, extra = _place(state, names, HEADING)
    complete = False
    while i < m and phase != IDLE:
        c = np.int64(events[i])
        i += 1
        if c == LINE:
            complete, phase = phase > OPEN and units > 0 and wordy == 1, IDLE
        elif c == TOKEN and phase > OPEN:
            name, units, wordy = _word(name, units, wordy, tokens[at], np.int64(flags[at]), base)
            phase = WORD if units <= _MOST_OF_HEADING else IDLE
            at += 1
        elif phase == OPEN and c == _HASH and extra < _MOST_HASHES:
            extra += 1
        elif phase == OPEN and c == _BLANK and extra > 0:
            phase, extra = JOINED, 0
        elif phase > OPEN and extra < _MOST_AFTER:
            extra += 1
        else:
            phase = IDLE
    _stay(state, names, HEADING, (phase, name, units, wordy, extra))
    return bool(complete)


@jit
def ends_heading(state: Any) -> bool:
    """Whether the text that ends here ends with a heading."""
    return bool(state[HEADING, PHASE] > OPEN and state[HEADING, UNITS] > 0 and state[HEADING, WORDY] == 1)


@jit
def read_label(chunk: Any, m: int, i: int, at: int, scanner: Any, base: Any) -> bool:
    """As `read_tag`, a label and its colon."""
    tokens, flags, events, _ = chunk
    state, names = scanner
    phase, name, units, wordy, extra = _place(state, names, LABEL)
    complete = False
    while i < m and phase != IDLE:
        c = np.int64(events[i])
        i += 1
        if c == TOKEN:
            name, units, wordy = _word(name, units, wordy, tokens[at], np.int64(flags[at]), base)
            whole = phase != BODY and not flags[at] & HAS_DIGIT and units <= _MOST_OF_LABEL
            phase = WORD if whole else IDLE
            at += 1
        elif phase == OPEN and (c == _BLANK or c == _STAR or c == _HASH or c == _MORE or c == _DASH):
            extra += 1
            phase = OPEN if extra <= _MOST_LEAD else IDLE
        elif phase > OPEN and c == _COLON:
            complete, phase = wordy == 1, IDLE
        elif phase == WORD and (c == _BLANK or c == _UNDERSCORE or c == _DASH):
            phase = JOINED
        elif (phase == WORD or phase == BODY) and c == _STAR:
            phase = BODY
        else:
            phase = IDLE
    _stay(state, names, LABEL, (phase, name, units, wordy, extra))
    return bool(complete)
