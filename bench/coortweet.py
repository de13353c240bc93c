"""The linking engine beside the published co-sharing rule: `python bench/coortweet.py DATA [--reference PYTHON] [--page PAGE]`.

DATA is a folder with `russian_coord_tweets.parquet` (posts: object, account, content, second) of the CooRTweet package and a
`reference.py` that states its rule. There are no labels: every pair that one of the two finds and the other does not is put
down to a cause, and the number left without one is printed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from excise.link.linker import join_ties, keep_significant
from excise.link.table import Holdings, Table, TableSettings, link_table, meet, unknown_accounts
from page import PAGES, command, table, write_section

I64 = npt.NDArray[np.int64]
WINDOWS = (60, 3600)
LEAST = 2
"""Meetings that a pair needs: the rule's own least participation."""
Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Posts:
    """One row a post, codes from 0; `at` in seconds."""

    names: list[str]
    account: I64
    thing: I64
    content: list[str]
    at: I64

    def held(self, window: int) -> Holdings:
        """The posts as one layer, without a cap: rarity alone discounts what everybody shares."""
        return Holdings(
            self.account.astype(np.int32), self.thing, self.at, window,
            most=len(self.names), least=LEAST, layer="content",
        )  # fmt: skip


def read(path: Path) -> Posts:
    rows = pq.read_table(path)
    account, thing, content = (
        rows[c].cast(pa.string()).to_pylist() for c in ("account_id", "object_id", "content_id")
    )
    names, things = sorted(set(account)), sorted(set(thing))
    code, number = {x: i for i, x in enumerate(names)}, {x: i for i, x in enumerate(things)}
    return Posts(
        names, np.array([code[x] for x in account]), np.array([number[x] for x in thing]), content,
        rows["timestamp_share"].to_numpy().astype(np.int64),
    )  # fmt: skip


def rule(
    posts: Posts, window: int, *, least: int = LEAST, quantile: float = 0.5
) -> tuple[Counter[Pair], set[Pair], Counter[int]]:
    """The published rule: weights of all pairs of posts' accounts, the coordinated pairs, and posts of each account in pairs."""
    posted = Counter(posts.account.tolist())
    by_thing: dict[int, list[tuple[int, int, str]]] = defaultdict(list)
    for thing, at, account, content in zip(
        posts.thing.tolist(), posts.at.tolist(), posts.account.tolist(), posts.content, strict=True
    ):
        if posted[account] >= least:
            by_thing[thing].append((at, account, content))
    found = []
    for rows in by_thing.values():
        rows.sort()
        for i, (at, a, c) in enumerate(rows):
            for later, b, d in rows[i + 1 :]:
                if later - at > window:
                    break
                if a != b and c != d:
                    found.append((a, c, b, d))
    inside = {content for a, c, b, d in found for content in (c, d)}
    taking_part = Counter(
        a
        for a, c in zip(posts.account.tolist(), posts.content, strict=True)
        if c in inside and posted[a] >= least
    )
    weight = Counter((min(a, b), max(a, b)) for a, _, b, _ in found)
    edges = {p: w for p, w in weight.items() if min(taking_part[p[0]], taking_part[p[1]]) >= least}
    cut = float(np.quantile(list(edges.values()), quantile)) if edges else 0.0
    return weight, {p for p, w in edges.items() if w > cut}, taking_part


def engine(posts: Posts, window: int) -> tuple[dict[Pair, float], set[Pair], set[int]]:
    """Pairs that meet and their nats, the pairs that are kept, and the accounts in clusters."""
    ties = meet("co-sharing", posts.held(window), len(posts.names))
    settings = TableSettings()
    edges = keep_significant(
        join_ties([ties], most=settings.link.tie_nats),
        [ties],
        unknown_accounts(len(posts.names)),
        settings.link,
    )
    clusters = link_table(Table(len(posts.names), {"co-sharing": posts.held(window)}), settings)
    nats = dict(zip(zip(ties.a.tolist(), ties.b.tolist(), strict=True), ties.weight.tolist(), strict=True))
    kept = set(zip(edges.a.tolist(), edges.b.tolist(), strict=True))
    return nats, kept, set(np.flatnonzero(clusters.label >= 0).tolist())


def causes(posts: Posts, window: int) -> tuple[list[list[object]], Counter[str]]:
    """Compare both; return the rows for the page and the cause of each pair that only one of them has."""
    weight, coordinated, taking_part = rule(posts, window)
    nats, kept, clustered = engine(posts, window)
    cause: Counter[str] = Counter()
    for pair in coordinated - kept:
        if pair not in nats:
            cause[
                "only the rule: the pairs of posts are the same second of the same post, which the engine counts once"
            ] += 1
        elif nats[pair] < TableSettings().link.edge_nats:
            cause["only the rule: they met in crowds, less rare than the engine asks for"] += 1
        else:
            cause["unexplained"] += 1
    for pair in kept - coordinated:
        if min(taking_part[pair[0]], taking_part[pair[1]]) < LEAST:
            cause[
                "only the engine: one of the two has a single post that met, so the rule leaves it out"
            ] += 1
        elif weight[pair] < LEAST or pair not in weight:
            cause["unexplained"] += 1
        else:
            cause["only the engine: not above the rule's quantile of pairs' weights"] += 1
    named = {a for pair in coordinated for a in pair}
    apart = named - clustered
    tied = {a for pair in kept for a in pair}
    row: list[object] = [
        f"{window:,} s", len(named), len(named & clustered), len(apart & tied), len(apart - tied), len(clustered - named),
        len(coordinated), len(coordinated & kept), len(kept - coordinated),
    ]  # fmt: skip
    return [row], cause


def agrees(posts: Posts, window: int, reference: Path, python: str) -> str:
    """Whether the rule as written here names the accounts that the data's own reference names."""
    done = subprocess.run(
        [python, reference, str(window)], capture_output=True, text=True, check=False, timeout=600
    )
    if done.returncode:
        return "not run: " + (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    theirs = {line.split(",")[0] for line in done.stdout.split()[1:]}
    mine = {posts.names[a] for pair in rule(posts, window)[1] for a in pair}
    return "the same accounts" if theirs == mine else f"{len(theirs ^ mine)} accounts differ"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument(
        "--reference", default=sys.executable, help="a Python that has polars, for the data's reference.py"
    )
    parser.add_argument("--page", type=Path, default=PAGES / "real-data.md")
    chosen = parser.parse_args()
    posts = read(chosen.data / "russian_coord_tweets.parquet")
    rows, told = [], []
    for window in WINDOWS:
        row, cause = causes(posts, window)
        rows += row
        agreement = agrees(posts, window, chosen.data / "reference.py", chosen.reference)
        told.append(
            f"At {window:,} s the rule as written in the script and the data's `reference.py` name: {agreement}. Pairs by cause:\n"
        )
        told += [f"- {n:,}: {why}" for why, n in sorted(cause.items())] + [
            f"- {cause['unexplained']}: without a cause",
            "",
        ]
        print(*row, agreement, dict(cause), sep=" | ", flush=True)
    head = ["window", "accounts by the rule", "in a cluster", "tied, but to another cluster", "not tied", "in a cluster, not by the rule", "pairs by the rule", "also tied", "tied, not by the rule"]  # fmt: skip
    text = f"""Printed by `{command()}`. {len(posts.at):,} posts of {len(posts.names):,} accounts; no labels, so this is a comparison of methods, not of truth. Two accounts meet when they post one object within the window; the rule counts meetings, the engine adds up how rare each was among those who posted the object at that time, and then looks for clusters.

{table(head, rows)}

{chr(10).join(told)}"""
    write_section(chosen.page, "Co-sharing: the published rule", text)


if __name__ == "__main__":
    main()
