"""The operator's accounts and events tables, aligned with the accounts that were seen."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from excise.model import schema
from excise.model.tables import I64, U64, Accounts, Events
from excise.sketch.hashing import combine, hash_strings
from excise.sketch.network import hash_networks


def align_accounts(
    names: np.ndarray, hashes: U64, starts: I64, table: pa.Table | None, *, seed: int
) -> Accounts:
    """Return one row for each seen account (ascending hash); of several lines for one account the first by content counts."""
    if table is None:
        table = schema.ACCOUNTS.empty_table()
    line = _lines(hashes, hash_strings(_flat(table["account_id"]), seed=seed), table, seed=seed)
    text = {name: _pick(hash_strings(_flat(table[name]), seed=seed), line) for name in _TEXT}
    created = pc.fill_null(_flat(table["created_at"]).cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    verified = pc.fill_null(_flat(table["verified"]), False).to_numpy(zero_copy_only=False)
    declared = pc.index_in(_flat(table["declared"]), value_set=pa.array(schema.DECLARED)).fill_null(-1)
    return Accounts(
        name=names,
        hash=hashes,
        starts=starts,
        created=_pick(created, line),
        org=text["org_id"],
        owner=text["owner_id"],
        mail=text["email_domain"],
        payment=text["payment_fp"],
        signup_ip=text["signup_ip"],
        signup_net=_pick(hash_networks(_flat(table["signup_ip"]), seed=seed), line),
        programme=text["programme"],
        verified=_pick(verified.astype(np.uint8), line),
        declared=_pick((declared.to_numpy(zero_copy_only=False) + 1).astype(np.uint8), line),
    )


_TEXT = ("org_id", "owner_id", "email_domain", "payment_fp", "signup_ip", "programme")
_CONTENT = (*_TEXT, "verified", "declared")


def _flat(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _lines(hashes: U64, listed: U64, table: pa.Table, *, seed: int) -> I64:
    """For each seen account its line in the table, or -1. Of repeated lines the earliest creation, then by all that they say."""
    created = pc.fill_null(_flat(table["created_at"]).cast(pa.int64()), np.iinfo(np.int64).max)
    words = [hash_strings(_flat(table[name]).cast(pa.string()), seed=seed) for name in _CONTENT]
    order = np.lexsort((combine(words), created.to_numpy(zero_copy_only=False), listed))
    distinct, first = np.unique(listed[order], return_index=True)
    line = np.full(len(hashes), -1, np.int64)
    if len(distinct):
        where = np.minimum(np.searchsorted(distinct, hashes), len(distinct) - 1)
        found = distinct[where] == hashes
        line[found] = order[first[where[found]]]
    return line


def _pick(values: np.ndarray, line: I64) -> np.ndarray:
    """Take by line; 0 where there is none."""
    return np.append(values, np.zeros(1, values.dtype))[line]


def code_events(table: pa.Table | None, accounts: Accounts, *, seed: int) -> Events:
    """Return the known kinds of events in time order; a subject is an account that was seen, or a model."""
    if table is None:
        table = schema.EVENTS.empty_table()
    kind = (
        pc.index_in(_flat(table["kind"]), value_set=pa.array(schema.EVENT_KINDS))
        .fill_null(-1)
        .to_numpy(zero_copy_only=False)
    )
    at = _flat(table["at"]).cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    subject = hash_strings(_flat(table["subject"]), seed=seed)
    keep = np.flatnonzero((kind >= 0) & (at > 0))
    keep = keep[np.lexsort((subject[keep], kind[keep], at[keep]))]
    where = np.minimum(np.searchsorted(accounts.hash, subject[keep]), max(0, len(accounts) - 1))
    known = accounts.hash[where] == subject[keep] if len(accounts) else np.zeros(len(keep), bool)
    return Events(
        at=at[keep],
        kind=kind[keep].astype(np.uint8),
        account=np.where(known, where, -1).astype(np.int32),
        model=np.where(known, np.uint64(0), subject[keep]),
    )
