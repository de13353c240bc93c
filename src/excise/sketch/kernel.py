"""The text kernel: what a text leaves behind once it has been read, as keyed hashes in flat arrays.

One pass over Arrow buffers without Python objects, in memory bounded whatever the length of a text. Every value is a
function of one text, the seed and the parameters: not of the batch, the thread or the row's neighbours. See
docs/text-sketch.md for the definitions; `tests/sketch/definition.py` says the same again, slowly and obviously.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from excise.sketch.cues import NO_CUES, CueTable, find_cues
from excise.sketch.hashing import arrow_bytes, jit, mix64
from excise.sketch.keys import (
    BASE_KEY,
    CUE_KEY,
    DOC_KEY,
    EDGE_KEY,
    MARK_KEY,
    NARROW_KEY,
    WIDE_KEY,
    sketch_keys,
)
from excise.sketch.marks import (
    BRACKET,
    FIELDS,
    HEADING,
    KEY,
    KINDS,
    LABEL,
    LEFT,
    LESS,
    LINE,
    QUOTE,
    TAG,
    ends_heading,
    mark_of,
    open_name,
    read_bracket,
    read_heading,
    read_key,
    read_label,
    read_tag,
    start_text,
)
from excise.sketch.sampling import drawing_room, keep, limit_of, sample_windows, settle
from excise.sketch.tokens import CARRY, scan_chunk, scan_table, scratch

U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]

NARROW, WIDE, EDGE = np.int64(4), np.int64(10), np.int64(12)
"""Tokens of a shingle, of a wide shingle, of `head` and `tail`."""

_ZERO, _ONE, _NONE = (
    np.uint64(0),
    np.uint64(1),
    np.int64(0),
)  # a plain 0 would be a type of its own to numba, and compiled for


@dataclass(frozen=True, slots=True)
class TextSketch:
    """Sketches of n texts.

    tokens: number of tokens. doc: hash of the whole token sequence. head, tail: hash of the first and last 12
    tokens, 0 where there are fewer. cues: bit g set when cue group g occurs. shingles, wide, marks: sampled
    4-token shingles, sampled 10-token shingles and marks of the format contract, those of row i at
    `[offsets[i]:offsets[i + 1]]`, distinct and ascending. A null or empty text has zeros and empty lists.
    """

    tokens: U32  # [n]
    doc: U64  # [n]
    head: U64  # [n]
    tail: U64  # [n]
    cues: U64  # [n]
    shingle_offsets: I64  # [n + 1]
    shingles: U64
    wide_offsets: I64  # [n + 1]
    wide: U64
    mark_offsets: I64  # [n + 1]
    marks: U64


@jit
def _find_marks(
    chunk: Any, m: int, k: int, keys: Any, scanner: Any, cap: int, sample: Any, start: int, count: int
) -> int:
    """Keep the marks of a chunk of m events, of which k are openers; the new count."""
    state, names = scanner
    base, salt = keys[BASE_KEY], keys[MARK_KEY]
    for n in range(-1, k):
        old = n < 0  # what the chunk before has begun, or the start of the text
        i, at, opener = _NONE, np.int64(CARRY), _NONE
        if not old:
            i, at = np.int64(chunk[3][n, 0]), np.int64(chunk[3][n, 1])
            opener = np.int64(chunk[2][i])
            i += 1
        if opener == LINE:
            open_name(state, names, HEADING)
            open_name(state, names, LABEL)
        elif not old:
            open_name(state, names, TAG if opener == LESS else (BRACKET if opener == LEFT else KEY))
        if (old or opener == LESS) and read_tag(chunk, m, i, at, scanner, base):
            count = keep(sample, start, count, cap, mark_of(names[TAG], TAG, salt))
        if (old or opener == LEFT) and read_bracket(chunk, m, i, at, scanner, base):
            count = keep(sample, start, count, cap, mark_of(names[BRACKET], BRACKET, salt))
        if (old or opener == QUOTE) and read_key(chunk, m, i, at, scanner, base):
            count = keep(sample, start, count, cap, mark_of(names[KINDS], KEY, salt))
        if (old or opener == LINE) and read_heading(chunk, m, i, at, scanner, base):
            count = keep(sample, start, count, cap, mark_of(names[HEADING], HEADING, salt))
        if (old or opener == LINE) and read_label(chunk, m, i, at, scanner, base):
            count = keep(sample, start, count, cap, mark_of(names[LABEL], LABEL, salt))
    return count


@jit
def _edge(tokens: Any, end: int, keys: Any) -> Any:
    """Hash of the EDGE tokens before `end`, never 0."""
    rolling = np.uint64(0)
    for i in range(end - EDGE, end):
        rolling = rolling * keys[BASE_KEY] + tokens[i]
    value = mix64(rolling ^ keys[EDGE_KEY])
    return value if value != _ZERO else _ONE


@jit
def sketch_rows(
    data: Any,
    offsets: Any,
    valid: Any,
    table: Any,
    keys: Any,
    cues: Any,
    rules: Any,
    room: Any,
    fixed: Any,
    lists: Any,
    first: int,
) -> int:
    """Fill `fixed` (tokens, doc, head, tail, cues) and `lists` from row `first` on; the row for which a list lacks room, or n."""
    (narrow_limit, narrow_cap), (wide_limit, wide_cap), mark_cap = rules
    chunk, scanner, narrow_room, wide_room = room
    out_tokens, out_doc, out_head, out_tail, out_cues = fixed
    shingle_offsets, shingles, wide_offsets, wide, mark_offsets, marks = lists
    tokens, state, names = chunk[0], scanner[0], scanner[1]
    base = keys[BASE_KEY]
    for row in range(first, len(out_doc)):
        s0, w0, m0 = shingle_offsets[row], wide_offsets[row], mark_offsets[row]
        if s0 + narrow_cap > len(shingles) or w0 + wide_cap > len(wide) or m0 + mark_cap > len(marks):
            return row
        ns, nw, nm, total, doc, found = _NONE, _NONE, _NONE, _NONE, np.uint64(0), np.uint64(0)
        low, low_wide = narrow_limit, wide_limit
        at, end = offsets[row], offsets[row + 1]
        if len(valid) > 0 and not valid[row]:
            at = end
        start_text(state, names)
        while at < end:
            at, n, m, k = scan_chunk(data, at, end, table, keys, chunk, mark_cap > 0)
            have = min(total, CARRY)
            for i in range(CARRY, CARRY + n):
                doc = doc * keys[DOC_KEY] + tokens[i]
            if narrow_cap > 0:
                ns, low = sample_windows(
                    tokens, have, n, NARROW, base, keys[NARROW_KEY], narrow_room, narrow_cap, low, ns
                )
            if wide_cap > 0:
                nw, low_wide = sample_windows(
                    tokens, have, n, WIDE, base, keys[WIDE_KEY], wide_room, wide_cap, low_wide, nw
                )
            if cues[4] > 0:
                found |= find_cues(tokens, have, n, base, keys[CUE_KEY], cues)
            if mark_cap > 0:
                nm = _find_marks(chunk, m, k, keys, scanner, mark_cap, marks, m0, nm)
            if total < EDGE <= total + n:
                out_head[row] = _edge(tokens, CARRY + EDGE - total, keys)
            total += n
            for i in range(CARRY):
                tokens[i] = tokens[i + n]
        ns, nw = settle(narrow_room, ns, narrow_cap, low), settle(wide_room, nw, wide_cap, low_wide)
        for i in range(ns):
            shingles[s0 + i] = narrow_room[0][i]
        for i in range(nw):
            wide[w0 + i] = wide_room[0][i]
        if total > 0:
            doc = mix64(doc ^ np.uint64(total))
            out_doc[row] = doc if doc != _ZERO else _ONE
        if total >= EDGE:
            out_tail[row] = _edge(tokens, CARRY, keys)
        if mark_cap > 0 and ends_heading(state):
            nm = keep(marks, m0, nm, mark_cap, mark_of(names[HEADING], HEADING, keys[MARK_KEY]))
        out_tokens[row], out_cues[row] = total, found
        shingle_offsets[row + 1], wide_offsets[row + 1], mark_offsets[row + 1] = s0 + ns, w0 + nw, m0 + nm
    return len(out_doc)


def _with_room(offsets: I64, values: U64, row: int, cap: int) -> U64:
    """Return a list with room for `cap` values more than rows before `row` hold, and for as many rows again."""
    used = int(offsets[row])
    if used + cap <= len(values):
        return values
    return np.append(values[:used], np.empty(used + cap, np.uint64))


def sketch_text(
    array: pa.Array,
    *,
    seed: int,
    cues: CueTable | None = None,
    shingle_rate: int = 8,
    wide_rate: int = 16,
    shingle_cap: int = 64,
    wide_cap: int = 64,
    mark_cap: int = 24,
    narrow: bool = True,
    wide: bool = True,
    marks: bool = True,
) -> TextSketch:
    """Sketch every text of a string, binary or dictionary array; linear in its bytes.

    One shingle in `shingle_rate` is kept, at most the `shingle_cap` smallest a row; so for wide ones, and at most the
    `mark_cap` smallest marks. `narrow`, `wide`, `marks` switch the lists off. `cues` must be of the same seed
    (ValueError). Raises TypeError for an array of another type. May be called from several threads.
    """
    if cues is not None and cues.seed != seed:
        raise ValueError("the cue table was made with another seed")
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if pa.types.is_null(array.type):
        array = array.cast(pa.string())
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    data, offsets, valid = arrow_bytes(array)
    n, size = len(array), int(offsets[-1] - offsets[0])
    u64 = [np.zeros(n, np.uint64) for _ in range(4)]
    counts = np.zeros(n, np.uint32)
    rules = (
        (limit_of(shingle_rate), shingle_cap if narrow else 0),
        (limit_of(wide_rate), wide_cap if wide else 0),
        mark_cap if marks else 0,
    )
    caps = rules[0][1], rules[1][1], rules[2]
    ends = [np.zeros(n + 1, np.int64) for _ in caps]
    usual = n + size // (5 * shingle_rate), n + size // (5 * wide_rate), 2 * n
    flat = [np.empty(64 + (u if cap else 0), np.uint64) for cap, u in zip(caps, usual, strict=True)]
    lookup = NO_CUES if cues is None else (cues.singles, cues.pairs, cues.slots, cues.groups, cues.longest)
    automata = np.zeros((KINDS + 1, FIELDS), np.int64), np.zeros(KINDS + 1, np.uint64)
    room = scratch(), automata, drawing_room(shingle_cap), drawing_room(wide_cap)
    fixed, table, keys, row = (counts, *u64), scan_table(), sketch_keys(seed), 0
    while row < n:
        flat = [_with_room(*of_list, row, cap) for *of_list, cap in zip(ends, flat, caps, strict=True)]
        lists = ends[0], flat[0], ends[1], flat[1], ends[2], flat[2]
        row = sketch_rows(data, offsets, valid, table, keys, lookup, rules, room, fixed, lists, row)
    s, w, m = (values[: offsets_[-1]].copy() for values, offsets_ in zip(flat, ends, strict=True))
    return TextSketch(counts, *u64, ends[0], s, ends[1], w, ends[2], m)


def token_hashes(text: str, *, seed: int) -> U64:
    """Hash the tokens of one text of fewer than 1,000 characters, in order: u64[tokens]."""
    data, offsets, _ = arrow_bytes(pa.array([text], pa.string()))
    chunk = scratch()
    _, n, _, _ = scan_chunk(data, offsets[0], offsets[1], scan_table(), sketch_keys(seed), chunk, False)
    return chunk[0][CARRY : CARRY + n].copy()
