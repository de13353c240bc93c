"""From a batch of contract rows to numbers: every text is read once and leaves as hashes (a `Piece`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from excise.engine.keys import Seen
from excise.model.ragged import Ragged
from excise.model.tables import U8, U64, Systems
from excise.sketch.blocks import Rows
from excise.sketch.cues import CueTable
from excise.sketch.gathering import Piece, packed
from excise.sketch.hashing import combine, hash_strings
from excise.sketch.kernel import sketch_text
from excise.sketch.network import hash_networks
from excise.sketch.signatures import ask, relay_signatures

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


def sketch_batch(
    batch: pa.RecordBatch,
    first_row: int,
    *,
    seed: int,
    cues: CueTable,
    bits: int = 0,
    known: Seen | None = None,
) -> Piece:
    """Reduce one batch of contract rows (at least `COLUMNS`, texts may be dictionaries) to packed numbers.

    `first_row` is the number of its first row in the source; `bits` as in `gathering.bits_for`. System prompts that are
    `known` (by the hash of their bytes) are left out of the piece.
    """
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
    return packed(
        Rows({**columns, "account": account, "system": raw}, lists),
        bits,
        *_distinct(c["account_id"], account),
        _systems(c["system_text"], raw, seed, cues, known or Seen()),
    )


_HASHED: Final = (
    "exchange_id", "account_id", "end_user_id", "session_id", "device_id", "model", "system_text", "reasoning_effort", *CLIENT,
)  # fmt: skip


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
    stop = ask(c["stop_reason"], lambda words: pc.is_in(words, value_set=pa.array(["refusal", "filter"])))
    return stop | pc.is_valid(c["refusal_category"]).to_numpy(zero_copy_only=False)


def _offers_tools(array: pa.Array) -> U8:
    """1 where a list of tools came along that is not empty: `[]` has two characters, one tool many more."""
    return ask(array, lambda texts: pc.greater(pc.binary_length(texts), 2))


def _blocks(array: pa.Array, seed: int) -> Ragged:
    sizes = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    offsets = np.zeros(len(array) + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    return Ragged(offsets, hash_strings(array.flatten(), seed=seed))


def _distinct(array: pa.Array, hashes: U64) -> tuple[U64, pa.Array]:
    """Return the distinct hashes and the texts that they stand for."""
    first = np.flatnonzero(Seen().add(hashes))
    texts = array.take(pa.array(first))
    return hashes[first], texts.dictionary_decode() if pa.types.is_dictionary(texts.type) else texts


def _systems(array: pa.Array, raw: U64, seed: int, cues: CueTable, known: Seen) -> Systems:
    """Sketch each distinct system prompt of the batch that is not known once."""
    distinct, prompts = _distinct(array, np.where(known.has(raw), np.uint64(0), raw))
    texts = sketch_text(prompts, seed=seed, cues=cues, wide=False, shingle_rate=SHINGLE_RATE)
    return Systems(
        distinct, texts.doc, texts.tokens, texts.cues,
        Ragged(texts.shingle_offsets, texts.shingles), Ragged(texts.mark_offsets, texts.marks),
    )  # fmt: skip
