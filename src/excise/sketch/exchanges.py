"""From a batch of contract rows to numbers: every text is read once and leaves as hashes.

A `Piece` is what one batch gives; `assemble` puts the pieces of a whole scan into canonical order, so that batches,
files, threads and row order leave no trace in the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from excise.model.ragged import Ragged, gather
from excise.model.tables import I32, I64, U8, U64, Exchanges, Systems
from excise.sketch.cues import CueTable
from excise.sketch.hashing import hash_strings
from excise.sketch.kernel import sketch_text
from excise.sketch.lexicon import Lexicon
from excise.sketch.network import hash_networks
from excise.sketch.signatures import relay_signatures

COLUMNS: Final = (
    "exchange_id", "started_at", "account_id", "end_user_id", "session_id", "client_ip", "user_agent", "sdk_name",
    "sdk_version", "os", "runtime", "ja4", "header_order", "device_id", "model", "temperature", "top_p", "max_tokens", "n",
    "reasoning_effort", "system_text", "user_text", "tools_json", "n_messages", "output_text", "stop_reason", "refusal_category",
    "replayed_blocks", "emitted_blocks",
)  # fmt: skip
CLIENT: Final = ("user_agent", "sdk_name", "sdk_version", "os", "runtime", "ja4", "header_order")
SAMPLING: Final = ("temperature", "top_p", "max_tokens", "n", "reasoning_effort")

SHINGLE_RATE: Final = 4
"""One of so many 4-word shingles is kept; a wrapper of 40 words then leaves about 9 (swept in `bench/sweep.py`)."""

Columns = Mapping[str, pa.Array]


@dataclass(frozen=True, slots=True)
class Piece:
    """The numbers of one batch: columns as in `Exchanges`, accounts still as hashes, systems as hashes of their bytes."""

    columns: dict[str, np.ndarray]
    lists: dict[str, Ragged]
    account: U64
    system: U64
    names: dict[int, str]
    systems: Systems


def sketch_batch(batch: pa.RecordBatch, first_row: int, *, seed: int, cues: CueTable) -> Piece:
    """Reduce one batch of contract rows (at least `COLUMNS`); `first_row` is the number of its first row in the source."""
    c: Columns = {name: batch.column(name) for name in batch.schema.names}
    n = len(batch)
    hashed = {name: hash_strings(c[name], seed=seed) for name in _HASHED}
    user = sketch_text(c["user_text"], seed=seed, cues=cues, shingle_rate=SHINGLE_RATE)
    answer = sketch_text(c["output_text"], seed=seed, narrow=False, marks=False)
    raw = hashed["system_text"]
    columns = {
        "row": np.arange(first_row, first_row + n, dtype=np.int64),
        "id": hashed["exchange_id"],
        "at": _integers(c["started_at"], np.int64),
        "session": hashed["session_id"],
        "end_user": hashed["end_user_id"],
        "net": hash_networks(c["client_ip"], seed=seed),
        "client": combine([hashed[name] for name in CLIENT]),
        "device": hashed["device_id"],
        "sampling": combine([_numbers(c[name], hashed.get(name)) for name in SAMPLING]),
        "model": hashed["model"],
        "tokens": user.tokens,
        "doc": user.doc,
        "cues": user.cues,
        "messages": _integers(c["n_messages"], np.int32),
        "refused": _refused(c),
        "relay": relay_signatures(c["device_id"]),
        "tools": _offers_tools(c["tools_json"]),
    }
    lists = {
        "shingles": Ragged(user.shingle_offsets, user.shingles),
        "marks": Ragged(user.mark_offsets, user.marks),
        "wide_in": Ragged(user.wide_offsets, user.wide),
        "wide_out": Ragged(answer.wide_offsets, answer.wide),
        "emitted": _blocks(c["emitted_blocks"], seed),
        "replayed": _blocks(c["replayed_blocks"], seed),
    }
    account = hashed["account_id"]
    return Piece(
        columns,
        lists,
        account,
        raw,
        _names(c["account_id"], account),
        _systems(c["system_text"], raw, seed, cues),
    )


_HASHED: Final = (
    "exchange_id", "account_id", "end_user_id", "session_id", "device_id", "model", "system_text", "reasoning_effort", *CLIENT,
)  # fmt: skip


def combine(parts: Sequence[U64]) -> U64:
    """Mix columns of hashes into one; 0 (absent) only where all are absent."""
    out = np.zeros(len(parts[0]), np.uint64)
    some = np.zeros(len(out), bool)
    for part in parts:
        out = (out ^ part) * np.uint64(0x9E3779B97F4A7C15)
        out ^= out >> np.uint64(29)
        some |= part != 0
    return np.where(some, out | np.uint64(1), np.uint64(0))


def _integers(array: pa.Array, dtype: type) -> np.ndarray:
    """Nulls become 0; counts beyond int32 are capped, since they are sizes and not keys."""
    if pa.types.is_timestamp(array.type):
        array = array.cast(pa.int64())
    values = pc.fill_null(array, 0).to_numpy(zero_copy_only=False)
    return values if dtype is np.int64 else np.minimum(values, np.iinfo(np.int32).max).astype(dtype)


def _numbers(array: pa.Array, hashed: U64 | None) -> U64:
    if hashed is not None:
        return hashed
    values = pc.fill_null(array.cast(pa.float64()), float("nan")).to_numpy(zero_copy_only=False)
    return np.where(np.isnan(values), np.uint64(0), (values + 1.0).view(np.uint64))


def _refused(c: Columns) -> U8:
    """1 where the answer was refused or filtered."""
    stop = pc.is_in(c["stop_reason"], value_set=pa.array(["refusal", "filter"]))
    refused = pc.or_(stop, pc.is_valid(c["refusal_category"]))
    return refused.to_numpy(zero_copy_only=False).astype(np.uint8)


def _offers_tools(array: pa.Array) -> U8:
    """1 where a list of tools came along that is not empty: `[]` has two characters, one tool many more."""
    return (
        pc.fill_null(pc.greater(pc.binary_length(array), 2), False)
        .to_numpy(zero_copy_only=False)
        .astype(np.uint8)
    )


def _blocks(array: pa.Array, seed: int) -> Ragged:
    sizes = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    offsets = np.zeros(len(array) + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    return Ragged(offsets, hash_strings(array.flatten(), seed=seed))


def _names(array: pa.Array, hashes: U64) -> dict[int, str]:
    _, first = np.unique(hashes, return_index=True)
    return dict(zip(hashes[first].tolist(), array.take(pa.array(first)).to_pylist(), strict=True))


def _systems(array: pa.Array, raw: U64, seed: int, cues: CueTable) -> Systems:
    """Sketch each distinct system prompt of the batch once."""
    distinct, first = np.unique(raw, return_index=True)
    keep = distinct != 0
    texts = sketch_text(
        array.take(pa.array(first[keep])), seed=seed, cues=cues, wide=False, shingle_rate=SHINGLE_RATE
    )
    return Systems(
        distinct[keep], texts.doc, texts.tokens, texts.cues,
        Ragged(texts.shingle_offsets, texts.shingles), Ragged(texts.mark_offsets, texts.marks),
    )  # fmt: skip


def merge_systems(parts: Sequence[Systems]) -> Systems:
    """Return the distinct system prompts of all batches, ascending by the hash of their bytes."""
    raw = np.concatenate([p.raw for p in parts])
    distinct, first = np.unique(raw, return_index=True)
    ends = np.cumsum([len(p.raw) for p in parts])
    part = np.searchsorted(ends, first, side="right")
    places = part, first - np.append(0, ends)[part]
    return Systems(
        distinct,
        np.concatenate([p.doc for p in parts])[first],
        np.concatenate([p.tokens for p in parts])[first],
        np.concatenate([p.cues for p in parts])[first],
        gather([p.shingles for p in parts], *places),
        gather([p.marks for p in parts], *places),
    )


@dataclass(frozen=True, slots=True)
class Assembled:
    """The whole scan: exchanges in canonical order, names of the accounts by code, and how many ids were duplicates."""

    exchanges: Exchanges
    systems: Systems
    account_hash: U64
    names: np.ndarray
    duplicates: I64


def assemble(pieces: Sequence[Piece], lexicon: Lexicon) -> Assembled:
    """Sort by account, time and exchange, and drop all but the first exchange of an id; the pieces are used up.

    An account of which only repeats were seen was not seen. O(n log n) in the rows.
    """
    systems = merge_systems([p.systems for p in pieces])
    account = np.concatenate([p.account for p in pieces])
    names: dict[int, str] = {}
    for piece in pieces:
        names.update(piece.names)
    columns = {name: _drain(pieces, name) for name in list(pieces[0].columns)}
    columns["system"] = _positions(systems.raw, np.concatenate([p.system for p in pieces]))
    prompt_cues = np.append(systems.cues, np.uint64(0))[columns["system"]]
    columns["families"] = lexicon.families_of(columns.pop("cues") | prompt_cues)
    rest = combine(
        [columns[name].astype(np.uint64) for name in ("id", "doc", "session", "model", "client", "messages")]
    )
    keys = (rest, columns["at"], account)
    order = _by_content(np.lexsort(keys), keys, columns, pieces)
    kept, repeats = _first_of_each(columns["id"], order)
    duplicates = columns["row"][repeats]
    hashes, code = np.unique(account[kept], return_inverse=True)
    for name in columns:
        columns[name] = columns[name][kept]
    part, position = _places(pieces, kept)
    lists = {
        name: gather([p.lists.pop(name) for p in pieces], part, position) for name in list(pieces[0].lists)
    }
    columns["account"] = code.astype(np.int32)
    return Assembled(
        _exchanges({**columns, **lists}),
        systems,
        hashes,
        np.array([names[h] for h in hashes.tolist()], object),
        duplicates,
    )


def _exchanges(columns: dict[str, Any]) -> Exchanges:
    return Exchanges(**columns)


def _drain(pieces: Sequence[Piece], name: str) -> np.ndarray:
    """Concatenate a column and let go of its parts, so that both are not held for long."""
    return np.concatenate([p.columns.pop(name) for p in pieces])


def _places(pieces: Sequence[Piece], rows: I64) -> tuple[I64, I64]:
    """Return, for each row of the whole, its piece and its position there."""
    ends = np.cumsum([len(p.account) for p in pieces])
    part = np.searchsorted(ends, rows, side="right")
    return part, rows - np.append(0, ends)[part]


def _positions(sorted_hashes: U64, wanted: U64) -> I32:
    where = np.searchsorted(sorted_hashes, wanted)
    where = np.minimum(where, max(0, len(sorted_hashes) - 1))
    if not len(sorted_hashes):
        return np.full(len(wanted), -1, np.int32)
    return np.where(sorted_hashes[where] == wanted, where, -1).astype(np.int32)


def _by_content(
    order: I64, keys: tuple[np.ndarray, ...], columns: Mapping[str, np.ndarray], pieces: Sequence[Piece]
) -> I64:
    """Put rows that are equal in all `keys` into the order of all that they hold: theirs in the source must not matter.

    Such rows repeat an id; only they are sorted.
    """
    same = np.zeros(len(order), np.bool_)
    same[1:] = np.all([key[order[1:]] == key[order[:-1]] for key in keys], axis=0)
    same[:-1] |= same[1:]
    rows = order[same]
    part, position = _places(pieces, rows)
    lists = [_digest(gather([p.lists[name] for p in pieces], part, position)) for name in pieces[0].lists]
    scalars = [columns[name][rows].astype(np.uint64) for name in columns if name != "row"]
    order[same] = rows[np.lexsort((combine([*scalars, *lists]), *(key[rows] for key in keys)))]
    return order


def _digest(lists: Ragged) -> U64:
    """One number for each list, by its values and not their order."""
    ends = np.append(np.zeros(1, np.uint64), np.cumsum(combine([lists.values]), dtype=np.uint64))
    return ends[lists.offsets[1:]] - ends[lists.offsets[:-1]] + lists.sizes().astype(np.uint64)


def _first_of_each(ids: U64, order: I64) -> tuple[I64, I64]:
    """Split `order` into the first row of each id (in that order) and the repeats."""
    by_id = order[np.argsort(ids[order], kind="stable")]
    repeat = np.zeros(len(ids), bool)
    repeat[by_id[1:]] = ids[by_id[1:]] == ids[by_id[:-1]]
    return order[~repeat[order]], order[repeat[order]]
