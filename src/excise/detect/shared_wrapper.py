"""Unrelated accounts put ever new payloads into the same private wrapper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numba
import numpy as np

from excise.detect.detector import Detector, Parameter, Settings
from excise.detect.pairs import rarest
from excise.detect.phrase_ties import tie_phrases, with_phrases
from excise.model.clusters import Clusters, Neighbours, Ties
from excise.model.findings import Evidence
from excise.model.tables import F64, I32, U64, Accounts, Bool, Habits, Traffic
from excise.stats.tails import log_odds_of


def tie(traffic: Traffic, p: Settings) -> Ties:
    """Tie accounts by the wrappers that they share: each worth ln(accounts / accounts that use it), or by more phrases than chance gives them."""
    repeated = _wrapper_pairs(traffic.habits, len(traffic.accounts), p["least_nats"])
    said = tie_phrases(
        traffic.phrases,
        traffic.accounts,
        chance=p["chance"],
        least=p["phrase_nats"],
        most_alike=p["most_alike"],
    )
    a, b, weight = rarest(*(np.concatenate(c) for c in zip(repeated, said, strict=True)))
    return Ties(DETECTOR.id, DETECTOR.layer, a, b, weight, alone=True, public=True)


_TABLE_PAIRS: Final = 1 << 24
"""Pairs of one pass, about: a hash table of at most 1 GiB, mostly much less. More pairs take more passes."""


def _wrapper_pairs(habits: Habits, population: int, least: float) -> tuple[I32, I32, F64]:
    """Return the pairs of at least `least` nats, by a, then b; each pass takes the pairs of some first accounts."""
    rarity = np.log(population / habits.spread)
    passes = 1 + int((habits.spread.astype(np.float64) - 1).sum() / 2 / _TABLE_PAIRS)
    parts = []
    for number in range(passes):
        pair, weight = _accumulate(habits.token, habits.account, habits.weight, rarity, least, number, passes)
        parts.append((pair, weight))
    pair, weight = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(pair)
    pair, weight = pair[order], weight[order]
    low = np.uint64(0xFFFFFFFF)
    return (pair >> np.uint64(32)).astype(np.int32), (pair & low).astype(np.int32), weight


@numba.njit(cache=True, nogil=True)
def _accumulate(
    token: U64, account: I32, weight: F64, rarity: F64, least: float, number: int, passes: int
) -> tuple[U64, F64]:
    """Add, over the tokens that both repeat, the smaller share of a wrapper times its rarity; a growing hash table of pairs.

    Only pairs whose first account leaves the remainder `number` when divided by `passes`, and those of `least` nats and more.
    """
    size, used = 1 << 16, 0
    key, value = np.zeros(size, np.uint64), np.zeros(size)
    start = 0
    for i in range(1, len(token) + 1):
        if i < len(token) and token[i] == token[start]:
            continue
        for x in range(start, i):
            if account[x] % passes != number:
                continue
            for y in range(x + 1, i):
                if used * 2 >= size:
                    key, value = _double(key, value)
                    size *= 2
                pair = (np.uint64(account[x]) << np.uint64(32)) | np.uint64(account[y])
                slot = _slot(key, pair)
                if key[slot] == 0:
                    key[slot] = pair
                    used += 1
                value[slot] += min(weight[x], weight[y]) * rarity[x]
        start = i
    n = 0
    for slot in range(size):
        if key[slot] != 0 and value[slot] >= least:
            key[n], value[n] = key[slot], value[slot]
            n += 1
    return key[:n].copy(), value[:n].copy()


@numba.njit(cache=True, nogil=True)
def _slot(key: U64, pair: np.uint64) -> int:
    mask = np.uint64(len(key) - 1)
    slot = (pair * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(24) & mask
    while key[slot] != 0 and key[slot] != pair:
        slot = (slot + np.uint64(1)) & mask
    return slot


@numba.njit(cache=True, nogil=True)
def _double(key: U64, value: F64) -> tuple[U64, F64]:
    larger, values = np.zeros(2 * len(key), np.uint64), np.zeros(2 * len(key))
    for i in range(len(key)):
        if key[i] != 0:
            slot = _slot(larger, key[i])
            larger[slot], values[slot] = key[i], value[i]
    return larger, values


def wrappers_shared(ties: Ties, clusters: Clusters, population: int, *, closest: float) -> F64:
    """Return, for each account, how many wrappers it shares with the members closest to it (0: none, or no cluster).

    The mean of its strongest ties, to the `closest` share of the members (three at least), in units of what one wrapper of a
    cluster of n accounts is worth, ln(population / n): a published template gives about 1, a private set of them more.
    """
    label = clusters.label
    inside = (label[ties.a] == label[ties.b]) & (label[ties.a] >= 0)
    account = np.concatenate([ties.a[inside], ties.b[inside]])
    weight = np.concatenate([ties.weight[inside]] * 2)
    order = np.lexsort((-weight, account))
    account, weight = account[order], weight[order]
    size = np.append(clusters.sizes(), 0)[label]
    nearest = np.minimum(np.maximum(np.ceil(closest * size), 3), np.maximum(size - 1, 1)).astype(np.int64)
    rank = np.arange(len(account)) - np.searchsorted(account, account)
    near = rank < nearest[account]
    total = np.bincount(account[near], weights=weight[near], minlength=len(label))
    return np.where(label >= 0, total / nearest / np.log(population / np.maximum(size, 2)), 0.0)


def private_wrappers(habits: Habits, clusters: Clusters, p: Settings) -> F64:
    """Return, for each account, how many wrappers it repeats that its cluster has to itself (0 and above).

    A token counts where at least `least_members` members repeat it and they are `share_inside` of all who ever use it: what
    a published text gives its users is used by strangers as well, variants of a campaign's own are not.
    """
    label = clusters.label[habits.account].astype(np.int64)
    member = np.flatnonzero(label >= 0)
    order = member[np.lexsort((label[member], habits.token[member]))]
    token, group = habits.token[order], label[order]
    new = np.ones(len(order), np.bool_)
    new[1:] = (token[1:] != token[:-1]) | (group[1:] != group[:-1])
    repeaters = np.diff(np.append(np.flatnonzero(new), len(order)))[np.cumsum(new) - 1]
    own = order[(repeaters >= p["least_members"]) & (repeaters >= p["share_inside"] * habits.spread[order])]
    return np.bincount(habits.account[own], weights=habits.weight[own], minlength=len(clusters.label))


def habits_of(traffic: Traffic, clusters: Clusters, p: Settings) -> Habits:
    """Return the habits, and beside them the phrases that are a cluster's though nobody repeats them."""
    return with_phrases(
        traffic.habits,
        traffic.phrases,
        clusters,
        members=int(p["phrase_members"]),
        share=p["phrase_share"],
    )


def strangers(clusters: Clusters, habits: Habits, p: Settings) -> Bool:
    """Return the accounts that only use a published text of their cluster: hardly any of the wrappers that it has to itself.

    Told where the upper quartile of the members has `insider_wrappers` and more; who is held by other ties than texts stays.
    """
    private = private_wrappers(habits, clusters, p)
    edges = clusters.edges
    held = np.zeros(len(private), np.bool_)
    for ends in (edges.a, edges.b):
        held[ends[(edges.kinds != 0) & ~edges.only(DETECTOR.id)]] = True
    out = np.zeros(len(private), np.bool_)
    most = np.zeros(len(clusters))
    np.maximum.at(most, clusters.label[clusters.members], private[clusters.members])
    for k in np.flatnonzero(most >= p["insider_wrappers"]).tolist():  # in others no quartile is as high
        members = clusters.of(k)
        upper = float(np.quantile(private[members], 0.75))
        if upper >= p["insider_wrappers"]:
            out[members] = (private[members] < p["insider"] * upper) & ~held[members]
    return out


def neighbours(ties: Ties, clusters: Clusters, accounts: Accounts, *, most: float) -> Neighbours:
    """Return the clusters between which there are ties of no one owner's, each counted up to `most` nats. O(t log t) in the ties."""
    label, size = clusters.label.astype(np.int64), clusters.sizes()
    a, b = label[ties.a], label[ties.b]
    between = np.flatnonzero((a >= 0) & (b >= 0) & (a != b))
    between = between[~accounts.one_owner(ties.a[between], ties.b[between])]
    a, b = a[between], b[between]
    pair, place = np.unique(np.minimum(a, b) << 32 | np.maximum(a, b), return_inverse=True)
    a, b = pair >> 32, pair & 0xFFFFFFFF
    total = np.bincount(place, weights=np.minimum(ties.weight[between], most), minlength=len(pair))
    return Neighbours(a, b, total / (size[a] * size[b]))


def fill(
    clusters: Clusters, habits: Habits, accounts: Accounts, ties: Sequence[Ties], p: Settings, *, most: float
) -> Clusters:
    """Return the clusters with `wrappers`, `private` and `neighbours`; `most`: nats that a tie counts."""
    mine = next((t for t in ties if t.detector == DETECTOR.id), None)
    if mine is None:
        return clusters
    return replace(
        clusters,
        wrappers=wrappers_shared(mine, clusters, len(clusters.label), closest=p["closest"]),
        private=private_wrappers(habits, clusters, p),
        neighbours=neighbours(mine, clusters, accounts, most=most),
    )


def typical_wrappers(clusters: Clusters) -> F64:
    """Return, for each cluster, how many wrappers a typical member shares with its closest fellows, and how many its group has to itself: the mean."""
    return clusters.medians((clusters.wrappers + clusters.private) / 2.0)


def measure(traffic: Traffic, clusters: Clusters, p: Settings) -> Sequence[Evidence | None]:
    """Compare how many private wrappers a typical member has with this deployment's other groups of three and more.

    The mean of how many it shares with its closest fellows and how many its group has to itself: a published text gives the
    first, a product's prompt one of the second. Groups whose texts are a public set of items are left out of the comparison: each item is a wrapper of its own there.
    """
    wrappers = typical_wrappers(clusters)
    compared = (wrappers > 0) & (clusters.sizes() >= p["peer_size"]) & (clusters.items < p["public_items"])
    null = np.sort(wrappers[compared & clusters.plain])
    if not len(null):
        return [None] * len(clusters)
    above = len(null) - np.searchsorted(null, wrappers, side="left")
    usual = float(np.median(null))
    return [_compare(float(w), int(n), len(null), usual, p) for w, n in zip(wrappers, above, strict=True)]


def _compare(wrappers: float, above: int, of: int, usual: float, p: Settings) -> Evidence | None:
    """Rank of a group among its peers, (1 + those at least as high) / (1 + all), as in `stats.tails.rank_p`."""
    log_odds = min(log_odds_of((1 + above) / (1 + of)), p["most_log_odds"])
    return _evidence(wrappers, usual, log_odds) if log_odds > 0 and wrappers > 0 else None


def _evidence(wrappers: float, baseline: float, log_odds: float) -> Evidence:
    statement = (
        f"A typical member puts different payloads into {wrappers:.1f} wrappers that others of the group use and strangers do not; "
        f"in this traffic's groups of that kind the median is {baseline:.1f}."
    )
    return Evidence(DETECTOR.id, DETECTOR.layer, statement, wrappers, baseline, log_odds)


DETECTOR: Final = Detector(
    id="shared-wrapper",
    layer="content",
    question="Do unrelated accounts put different payloads into the same rare wrapper, or several of them?",
    innocent="They use one program, prompt collection or published template.",
    source="references.md T1, T3; references.md, measurements (repetition and degree cap)",
    needs=frozenset({"content"}),
    parameters={
        "most_log_odds": Parameter(
            4.0, "nats", "no one signal decides: its model of the innocent may be wrong once in 50"
        ),
        "closest": Parameter(
            0.25, "share of members", "a campaign may be part of its group: the closest quarter tells"
        ),
        "peer_size": Parameter(3, "accounts", "pairs share much by chance: there are many"),
        "public_items": Parameter(
            0.1, "share of exchanges", "from there on a group runs a public set of items"
        ),
        "share_inside": Parameter(
            0.3,
            "share of users",
            "a token that mostly strangers use is no campaign's; swept in bench/sweep.py",
        ),
        "insider": Parameter(
            0.3,
            "share of the upper quartile",
            "fewer private wrappers of the group: a user of its published parts",
        ),
        "insider_wrappers": Parameter(
            1.0, "wrappers", "a group with fewer to itself cannot tell its insiders"
        ),
        "least_members": Parameter(3, "accounts", "what two members repeat may be chance"),
        "least_nats": Parameter(3.0, "nats", "below, pairs only fill memory; swept in bench/sweep.py"),
        "phrase_nats": Parameter(
            8.0, "nats", "phrases that nobody repeats tie a pair by themselves or not at all"
        ),
        "chance": Parameter(
            0.02,
            "texts",
            "strangers of one subject share more than their rate says: two texts never tie a pair",
        ),
        "most_alike": Parameter(
            5.0, "phrases a text", "more in common is two dozen words: a payload that both were given"
        ),
        "phrase_members": Parameter(3, "accounts", "what two members say once may be one subject"),
        "phrase_share": Parameter(
            0.5, "share of speakers", "a phrase said once is a cluster's if it is mostly its"
        ),
    },
    ties=tie,
    measure=measure,
    compared=True,
)
