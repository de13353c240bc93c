"""The marks of a format contract: names that a machine will look for in the answer, found while the text is read.

| kind | form | name |
|---|---|---|
| tag | `<name ...>`, `</name>` | up to 4 words joined by `_ - . :`; then at most 32 more tokens and separators |
| bracket | `[name]`, `[[name]]` | up to 4 words joined by one of blank `_ - . : /` |
| key | `"name":`, `\\"name\\":` | up to 4 words joined by one of blank `_ - . /` |
| heading | `## name` on a line of its own | up to 5 words, at most 16 separators between and after them |
| label | `Name:` at the start of a line, also after `* # > -`, also `**Name**:` | up to 3 words of letters only |

A character of a script written without blanks counts as half a word. A name of numbers only is no mark. All five
are read at once by small automata without backtracking: a token or a separator costs a bounded number of steps.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from excise.sketch.hashing import jit, mix64

NUMBER, HAS_DIGIT, ALONE = 1, 2, 4
"""Flags of a token: digits only, some digit, one character of a script without blanks."""

TAG, BRACKET, KEY, HEADING, LABEL = (np.int64(kind) for kind in range(5))
"""Plain numbers would be types of their own to numba, and compiled for."""
KINDS: Final = 5
LIMITS: Final = np.array([8, 8, 8, 10, 6], np.int64)
"""Longest name of each kind, in half words."""

# What each automaton is doing. Fields of the state, one row a kind.
IDLE, OPEN, WORD, JOINED, BODY = range(5)
PHASE, UNITS, WORDY, EXTRA = range(4)
FIELDS: Final = 4
MAX_BODY, MAX_HEADING, MAX_LEAD = 32, 16, 8

_LT, _GT, _SLASH, _QUOTE, _BACKSLASH = (ord(c) for c in '<>/"\\')
_LEFT, _RIGHT, _HASH, _STAR, _COLON = (ord(c) for c in "[]#*:")
OPENERS: Final = frozenset(b'<["\n')
"""Separators that start an automaton; between them, once all are idle, there is nothing to find."""

_BLANK, _UNDERSCORE, _DASH, _DOT, _LINE = (ord(c) for c in " _-.\n")


@jit
def start_name(state: Any, names: Any, kind: int) -> None:
    """Begin to look for a name of this kind."""
    state[kind, PHASE] = OPEN
    state[kind, UNITS] = 0
    state[kind, WORDY] = 0
    state[kind, EXTRA] = 0
    names[kind] = np.uint64(0)


@jit
def start_line(state: Any, names: Any) -> None:
    """Begin a line: what must end on its line is dropped, headings and labels may begin."""
    for kind in range(3):
        state[kind, PHASE] = IDLE
    state[KINDS, PHASE] = IDLE
    start_name(state, names, HEADING)
    start_name(state, names, LABEL)


@jit
def on_token(state: Any, names: Any, token: Any, flags: int, base: Any) -> None:
    """Feed one token to every automaton that is awake. Row KINDS of the state waits for the colon after a key."""
    state[KINDS, PHASE] = IDLE
    for kind in range(KINDS):
        phase = state[kind, PHASE]
        if phase == IDLE:
            continue
        if phase == BODY:
            state[kind, EXTRA] += 1
            if kind == LABEL or state[kind, EXTRA] > MAX_BODY:
                state[kind, PHASE] = IDLE
            continue
        if (kind == LABEL and flags & HAS_DIGIT) or (kind == HEADING and phase == OPEN):
            state[kind, PHASE] = IDLE
            continue
        names[kind] = names[kind] * base + token
        state[kind, UNITS] += 1 if flags & ALONE else 2
        if not flags & NUMBER:
            state[kind, WORDY] = 1
        state[kind, PHASE] = WORD if state[kind, UNITS] <= LIMITS[kind] else IDLE


@jit
def mark_of(name: Any, kind: int, salt: Any) -> Any:
    """Hash of (kind, name), the name given as its hash."""
    return mix64(name ^ (salt * np.uint64(2 * kind + 3)))


@jit
def on_tag(state: Any, names: Any, c: int) -> bool:
    """Feed a separator to the tag automaton; true when a tag is complete."""
    phase = state[TAG, PHASE]
    if c == _LT:
        start_name(state, names, TAG)
    elif phase == OPEN and c == _SLASH and state[TAG, EXTRA] == 0:
        state[TAG, EXTRA] = 1
    elif c == _GT and (phase == WORD or phase == BODY):
        state[TAG, PHASE] = IDLE
        return bool(state[TAG, WORDY] == 1)
    elif phase == WORD and (c == _UNDERSCORE or c == _DASH or c == _DOT or c == _COLON):
        state[TAG, PHASE] = JOINED
    elif phase == WORD and (c == _BLANK or c == _SLASH):
        state[TAG, PHASE] = BODY
        state[TAG, EXTRA] = 0
    elif phase == BODY and state[TAG, EXTRA] < MAX_BODY:
        state[TAG, EXTRA] += 1
    else:
        state[TAG, PHASE] = IDLE
    return False


@jit
def on_bracket(state: Any, names: Any, c: int) -> bool:
    """Feed a separator to the bracket automaton; true when a bracket is complete."""
    phase = state[BRACKET, PHASE]
    if c == _LEFT:
        start_name(state, names, BRACKET)
        return False
    joins = c == _BLANK or c == _UNDERSCORE or c == _DASH or c == _DOT or c == _COLON or c == _SLASH
    state[BRACKET, PHASE] = JOINED if phase == WORD and joins else IDLE
    return bool(phase == WORD and c == _RIGHT and state[BRACKET, WORDY] == 1)


@jit
def on_key(state: Any, names: Any, c: int) -> bool:
    """Feed a separator to the key automaton; true when a key and its colon are complete (its hash: `names[KINDS]`)."""
    if c == _BACKSLASH:
        return False
    phase, waiting = state[KEY, PHASE], state[KINDS, PHASE]
    if c == _QUOTE:
        complete = phase == WORD and state[KEY, WORDY] == 1
        state[KINDS, PHASE] = OPEN if complete else IDLE
        names[KINDS] = names[KEY]
        start_name(state, names, KEY)
        return False
    joins = c == _BLANK or c == _UNDERSCORE or c == _DASH or c == _DOT or c == _SLASH
    state[KEY, PHASE] = JOINED if phase == WORD and joins else IDLE
    if c != _BLANK:
        state[KINDS, PHASE] = IDLE
    return bool(waiting == OPEN and c == _COLON)


@jit
def on_heading(state: Any, c: int) -> None:
    """Feed a separator within a line to the heading automaton."""
    phase = state[HEADING, PHASE]
    if phase == OPEN and c == _HASH and state[HEADING, EXTRA] < 6:
        state[HEADING, EXTRA] += 1
    elif phase == OPEN and c == _BLANK and state[HEADING, EXTRA] > 0:
        state[HEADING, PHASE] = JOINED
        state[HEADING, EXTRA] = 0
    elif phase > OPEN and state[HEADING, EXTRA] < MAX_HEADING:
        state[HEADING, EXTRA] += 1
    else:
        state[HEADING, PHASE] = IDLE


@jit
def on_label(state: Any, c: int) -> bool:
    """Feed a separator within a line to the label automaton; true when a label and its colon are complete."""
    phase = state[LABEL, PHASE]
    if phase == OPEN and (c == _BLANK or c == _STAR or c == _HASH or c == _GT or c == _DASH):
        state[LABEL, EXTRA] += 1
        if state[LABEL, EXTRA] > MAX_LEAD:
            state[LABEL, PHASE] = IDLE
        return False
    if phase > OPEN and c == _COLON:
        state[LABEL, PHASE] = IDLE
        return bool(state[LABEL, WORDY] == 1)
    if phase == WORD and (c == _BLANK or c == _UNDERSCORE or c == _DASH):
        state[LABEL, PHASE] = JOINED
    elif (phase == WORD or phase == BODY) and c == _STAR:
        state[LABEL, PHASE] = BODY
    else:
        state[LABEL, PHASE] = IDLE
    return False


@jit
def ends_heading(state: Any) -> bool:
    """Whether the line that ends here is a heading."""
    return bool(state[HEADING, PHASE] > OPEN and state[HEADING, UNITS] > 0 and state[HEADING, WORDY] == 1)


@jit
def is_awake(state: Any) -> bool:
    """Whether any automaton is at work."""
    phases = state[TAG, PHASE] | state[BRACKET, PHASE] | state[KEY, PHASE]
    return bool((phases | state[HEADING, PHASE] | state[LABEL, PHASE] | state[KINDS, PHASE]) != IDLE)
