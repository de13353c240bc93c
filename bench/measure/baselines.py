"""What one would try first, and the published baseline, on the same worlds: each names accounts, groups and a score.

The definitions are those of the comparison runs that come with the labelled worlds. Shares that are called bad (1 %) are near the
true base rate: a gift to the baselines.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fraudar import dense_blocks
from graph import connected
from measure.worlds import World

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
SHARE = 0.01
BLOCKS = 8
COLUMNS = (
    "account_id",
    "started_at",
    "model",
    "client_ip",
    "user_agent",
    "stop_reason",
    "n_messages",
    "device_id",
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One value an account: a score, and the number of the group that it is accused in, or -1."""

    score: F64
    group: I64


@dataclass
class Frame:
    """What the baselines read of a world. Codes are dense; -1 stands for unknown."""

    names: list[str]
    account: I64
    exchanges: pa.Table
    accounts: pa.Table | None

    @classmethod
    def read(cls, world: World) -> Frame:
        parts = []
        for path in sorted((world.path / "exchanges").glob("*.parquet")):
            table = pq.read_table(path, columns=[*COLUMNS, "system_text", "user_text"])
            head, body = _head(table["system_text"], table["user_text"]), table["user_text"]
            kept = table.select(COLUMNS).append_column("prefix", head)
            parts.append(
                kept.append_column("body", pc.if_else(pc.greater(pc.utf8_length(body), 0), body, None))
            )
        whole = pa.concat_tables(parts)
        account = whole["account_id"].combine_chunks().dictionary_encode()
        path = world.path / "accounts.parquet"
        return cls(
            account.dictionary.to_pylist(), account.indices.to_numpy().astype(np.int64), whole,
            pq.read_table(path) if path.exists() else None,
        )  # fmt: skip

    def codes(self, column: str) -> I64:
        """A column of the exchanges as codes."""
        return _codes(self.exchanges[column])

    def holders(self, key: I64) -> tuple[I64, I64, I64]:
        """Distinct (key, account) rows of known keys, and how many accounts hold each row's key."""
        known = key >= 0
        rows = np.unique(np.stack([key[known], self.account[known]], axis=1), axis=0)
        count = np.bincount(rows[:, 0])
        return rows[:, 0], rows[:, 1], count[rows[:, 0]]

    def of_account(self, column: str) -> I64:
        """A column of the accounts table as codes, in the order of `names`; -1 where unknown."""
        out = np.full(len(self.names), -1)
        if self.accounts is not None and column in self.accounts.column_names:
            place = {n: i for i, n in enumerate(self.names)}
            for name, code in zip(
                self.accounts["account_id"].to_pylist(), _codes(self.accounts[column]).tolist(), strict=True
            ):
                if name in place:
                    out[place[name]] = code
        return out

    @cached_property
    def volume(self) -> F64:
        return np.bincount(self.account, minlength=len(self.names)).astype(float)

    def most_crowded(self, key: I64) -> tuple[F64, I64]:
        """For each account, the most accounts that hold one of its keys, and that key."""
        keys, account, count = self.holders(key)
        order = np.lexsort((keys, count))
        crowd, best = np.zeros(len(self.names)), np.full(len(self.names), -1)
        crowd[account[order]], best[account[order]] = count[order], keys[order]
        return crowd, best

    @cached_property
    def nets(self) -> I64:
        """The /24 of each exchange."""
        return _codes(pc.replace_substring_regex(self.exchanges["client_ip"], r"\.\d+$", ""))


def _head(system: pa.ChunkedArray, user: pa.ChunkedArray) -> pa.ChunkedArray:
    """The first eight words, lower case, without digits and signs."""
    text = pc.binary_join_element_wise(pc.fill_null(system, ""), pc.fill_null(user, ""), " ")
    text = pc.utf8_lower(pc.utf8_slice_codeunits(text, 0, 400))
    text = pc.utf8_trim_whitespace(pc.replace_substring_regex(text, r"[^\p{L}]+", " "))
    return pc.struct_field(pc.extract_regex(text, r"^(?P<head>(?:\S+ ){0,7}\S*)"), "head")


def _codes(column: pa.ChunkedArray) -> I64:
    coded = pc.cast(column, pa.string()).combine_chunks().dictionary_encode()
    return pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)


def _percentile(values: F64) -> F64:
    """Average rank, 0 to 1."""
    _, where, count = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(count)
    return ((ends - (count - 1) / 2)[where] - 1) / max(1, len(values) - 1)


def _top(score: F64, group: I64) -> Verdict:
    """The highest `SHARE` of the accounts are accused, in their groups."""
    cut = np.quantile(score, 1 - SHARE, method="higher")
    return Verdict(score, np.where(score >= cut, group, -1))


def volume(f: Frame) -> Verdict:
    return _top(_percentile(f.volume), np.zeros(len(f.names), np.int64))


def shared_prefix(f: Frame) -> Verdict:
    """Accounts whose first eight words most others send too."""
    long = pc.greater(pc.utf8_length(f.exchanges["prefix"]), 20).to_numpy(zero_copy_only=False)
    crowd, best = f.most_crowded(np.where(long, f.codes("prefix"), -1))
    return _top(_percentile(crowd), best)


def shared_payment(f: Frame) -> Verdict:
    """Four accounts and more on one payment instrument."""
    code = f.of_account("payment_fp")
    count = np.where(code >= 0, np.bincount(code[code >= 0], minlength=max(1, code.max() + 1))[code], 1)
    return Verdict(_percentile(count.astype(float)), np.where(count >= 4, code, -1))


def components(f: Frame, *, most: int = 12) -> Verdict:
    """Connected components over rare shared things of two kinds, or several: payment, device, /24, whole text."""
    kinds = [f.codes("device_id"), f.nets, f.codes("body")]
    layers = [f.holders(k)[:2] for k in kinds]
    payment = f.of_account("payment_fp")
    layers.append((payment[payment >= 0], np.flatnonzero(payment >= 0)))
    a, b, weight, kind = [], [], [], []
    for layer, (keys, holders) in enumerate(layers):
        order = np.argsort(keys, kind="stable")
        for group in np.split(holders[order], np.flatnonzero(np.diff(keys[order])) + 1):
            if 2 <= len(group) <= most:
                x, y = np.triu_indices(len(group), 1)
                low, high = np.minimum(group[x], group[y]), np.maximum(group[x], group[y])
                a.append(low), b.append(high)
                weight.append(np.full(len(x), 1 / np.log(len(group))))
                kind.append(np.full(len(x), 1 << layer))
    if not a:
        return Verdict(np.zeros(len(f.names)), np.full(len(f.names), -1))
    pair, where = np.unique(np.concatenate(a) << 32 | np.concatenate(b), return_inverse=True)
    total = np.bincount(where, weights=np.concatenate(weight))
    several = sum(
        (np.bincount(where, weights=np.concatenate(kind) == 1 << k) > 0).astype(int) for k in range(4)
    )
    kept = pair[(several >= 2) | (total > 3)]
    label = connected(len(f.names), kept >> 32, kept & 0xFFFFFFFF)
    size = np.bincount(label, minlength=len(label))[label]
    return Verdict(_percentile(size.astype(float)), np.where(size >= 4, label, -1))


def fusion(f: Frame) -> Verdict:
    """The mean rank of ten published indicators: volume, round the clock, refusals, single shots, the largest model, clients, networks, prefix, crowded network, payment."""
    n = len(f.names)

    def share(flags: pa.ChunkedArray) -> F64:
        hit = pc.fill_null(flags, False).to_numpy(zero_copy_only=False)
        return np.bincount(f.account, weights=hit, minlength=n) / f.volume

    def distinct(code: I64) -> F64:
        return np.bincount(np.unique(np.stack([f.account, code], axis=1), axis=0)[:, 0], minlength=n).astype(
            float
        )

    e = f.exchanges
    indicators = [
        f.volume, distinct(pc.hour(e["started_at"]).to_numpy().astype(np.int64)),
        share(pc.equal(e["stop_reason"], "refusal")), share(pc.equal(e["n_messages"], 1)),
        share(pc.match_substring(e["model"], "large")), distinct(f.codes("user_agent")), distinct(f.nets),
        f.most_crowded(f.codes("prefix"))[0], f.most_crowded(f.nets)[0], shared_payment(f).score,
    ]  # fmt: skip
    return _top(np.mean([_percentile(x) for x in indicators], axis=0), np.zeros(n, np.int64))


def fraudar(f: Frame) -> Verdict:
    """Dense blocks of accounts and the first words that they send."""
    long = pc.greater(pc.utf8_length(f.exchanges["prefix"]), 12).to_numpy(zero_copy_only=False)
    key, account, count = f.holders(np.where(long, f.codes("prefix"), -1))
    shared = count >= 2
    group, score = np.full(len(f.names), -1), np.zeros(len(f.names))
    for k, (rows, _, density) in enumerate(dense_blocks(account[shared], key[shared], most=BLOCKS)):
        new = rows[group[rows] < 0]
        group[new], score[new] = k, density
    return Verdict(score / max(1e-9, score.max()), group)


BASELINES: dict[str, Callable[[Frame], Verdict]] = {
    "volume": volume,
    "shared prefix": shared_prefix,
    "shared payment": shared_payment,
    "components": components,
    "fusion of indicators": fusion,
    "FRAUDAR": fraudar,
}


def write(frame: Frame, verdict: Verdict, out: Path) -> None:
    """Write a baseline's verdicts as a run folder."""
    out.mkdir(parents=True, exist_ok=True)
    accused = verdict.group >= 0
    campaign = [f"g{g}" if g >= 0 else None for g in verdict.group.tolist()]
    said = ["distillation" if x else None for x in accused.tolist()]
    pq.write_table(
        pa.table({"account_id": frame.names, "score": verdict.score, "campaign_id": pa.array(campaign, pa.string()), "verdict": pa.array(said, pa.string())}),
        out / "accounts.parquet",
    )  # fmt: skip
    groups = [
        {
            "campaign_id": f"g{g}",
            "verdict": "distillation",
            "confidence": float(verdict.score[verdict.group == g].mean()),
        }
        for g in np.unique(verdict.group[accused]).tolist()
    ]
    (out / "campaigns.json").write_text(json.dumps(groups), "utf-8")


def run_all(world: World, cache: Path) -> dict[str, Path]:
    """Return the run folder of each baseline on a world, made once."""
    root = cache / "baselines" / world.digest()[:20]
    todo = [name for name in BASELINES if not (root / name / "campaigns.json").is_file()]
    if todo:
        frame = Frame.read(world)
        for name in todo:
            write(frame, BASELINES[name](frame), root / name)
    return {name: root / name for name in BASELINES}
