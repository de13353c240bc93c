"""Make a world and write it: traffic for a scan, and, beside it, the labels."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from excise.errors import OutputError
from excise.model import schema
from excise.simulate import benign, campaigns
from excise.simulate.cast import Cast
from excise.simulate.render import MODELS, Columns, render, role_name, secret
from excise.simulate.spec import BASE, CAPABILITY, DAY, WorldSpec, WorldSummary

Progress = Callable[[str], None]


def write_world(spec: WorldSpec, out: Path, progress: Progress = lambda _name: None) -> WorldSummary:
    """Write `out` (exchanges, accounts, events, networks) and `out`-labels beside it, both or neither.

    The same spec gives the same bytes. Raises OutputError for a folder that exists or a disk that is full.
    """
    if os.path.lexists(out):
        raise OutputError("exists already", subject=str(out), hint="choose another folder, or remove it")
    out = out.resolve()
    labels = out.with_name(out.name + "-labels")
    if os.path.lexists(labels):
        raise OutputError("exists already", subject=str(labels), hint="choose another folder, or remove it")
    progress("moving in")
    rng = np.random.default_rng(spec.seed)
    cast = Cast(rng, spec.days, spec.days * 0.55 * DAY)
    commons = benign.Commons(cast)
    truth = campaigns.move_in(cast, commons, spec)
    honest = spec.account_count() - len(cast.accounts.get("population", ()))
    benign.move_in(cast, commons, honest, max(spec.exchanges - cast.requests, spec.exchanges // 2))
    _accidents(cast)
    progress("writing texts")
    exchanges, columns, names = render(cast, spec.seed)
    with _staged(out, labels) as (world_dir, labels_dir):
        return _write(cast, spec, exchanges, columns, names, truth, world_dir, labels_dir)


def _accidents(cast: Cast) -> None:
    """Honest accounts are suspended and limited too: neither proves anything."""
    honest = np.flatnonzero([c is None for c in cast.accounts["campaign"]])
    for kind, note, share in (("suspension", "payment", 250), ("rate_limit", "per-minute tokens", 120)):
        for account in cast.rng.choice(honest, max(2, len(honest) // share), replace=False).tolist():
            cast.events.append((float(cast.rng.uniform(0, cast.days) * DAY), kind, int(account), note))


@contextmanager
def _staged(out: Path, labels: Path) -> Iterator[tuple[Path, Path]]:
    """Both folders under hidden names, renamed at the end."""
    hidden = [path.with_name(f".{path.name}.excise-{os.getpid()}") for path in (out, labels)]
    try:
        for path in hidden:
            path.mkdir(parents=True)
        yield hidden[0], hidden[1]
        hidden[1].rename(labels)
        try:
            hidden[0].rename(out)
        except BaseException:
            labels.rename(hidden[1])
            raise
    except OSError as error:
        raise OutputError(
            error.strerror or str(error),
            subject=str(out),
            hint="choose a folder on a disk with room that you may write to",
        ) from error
    finally:
        for path in hidden:
            shutil.rmtree(path, ignore_errors=True)


def _write(
    cast: Cast, spec: WorldSpec, exchanges: pa.Table, c: Columns, names: list[str], truth: list[dict[str, Any]], world: Path, labels: Path
) -> WorldSummary:  # fmt: skip
    (world / "exchanges").mkdir()
    pq.write_table(
        exchanges, world / "exchanges" / "part-0000.parquet", compression="zstd", row_group_size=65_536
    )
    seen = np.unique(c.account)
    pq.write_table(_accounts(cast, seen, names, spec.seed), world / "accounts.parquet", compression="zstd")
    pq.write_table(_events(cast, set(seen.tolist()), names), world / "events.parquet", compression="zstd")
    asns = sorted({cast.accounts["asn"][i] for i in seen.tolist()})
    (world / "asn_table.csv").write_text(
        "asn,kind,country\n" + "".join(f"{a},{_network_kind(a)},ZZ\n" for a in asns), encoding="utf-8"
    )
    return _labels(cast, spec, exchanges, c, names, truth, seen, labels)


def _network_kind(asn: int) -> str:
    if asn < 4_200_000_100:
        return "vpn"
    return "hosting" if asn < 4_200_001_000 else "eyeball"


def _when(at: float) -> str:
    return f"{np.datetime64(int((BASE + at) * 1e6), 'us')}Z"


def _accounts(cast: Cast, seen: Any, names: list[str], seed: int) -> pa.Table:
    a, rng = cast.accounts, np.random.default_rng([seed, 99])
    rows = seen.tolist()

    def known(share: float) -> list[bool]:
        return [bool(x) for x in rng.random(len(rows)) < share]

    def hashed(name: str, share: float) -> list[str | None]:
        return [
            secret(name, seed, a[name][i]) if ok and a[name][i] else None
            for i, ok in zip(rows, known(share), strict=True)
        ]

    values: dict[str, Any] = {
        "account_id": [names[i] for i in rows],
        "created_at": [BASE * 1_000_000 + int(a["created"][i] * 1e6) for i in rows],
        "org_id": hashed("org", 1.0), "owner_id": hashed("owner", 0.9),
        "email_domain": [f"{secret('mail', *a['mail'][i])}.example" if ok else None for i, ok in zip(rows, known(0.85), strict=True)],
        "payment_fp": hashed("card", 0.75),
        "signup_ip": [a["ip"][i] if ok else None for i, ok in zip(rows, known(0.8), strict=True)],
        "signup_asn": [a["asn"][i] for i in rows], "plan": ["pay-as-you-go"] * len(rows),
        "programme": [a["programme"][i] for i in rows], "verified": [bool(a["verified"][i]) for i in rows],
        "declared": [a["declared"][i] for i in rows],
    }  # fmt: skip
    arrays = [
        pa.array(values[f.name], pa.int64()).cast(f.type)
        if f.name == "created_at"
        else pa.array(values[f.name], f.type)
        for f in schema.ACCOUNTS
    ]
    return pa.table(arrays, schema=schema.ACCOUNTS).sort_by("account_id")


def _events(cast: Cast, seen: set[int], names: list[str]) -> pa.Table:
    end = cast.days * DAY
    rows = [
        (cast.release, "model_release", MODELS[2], "general availability"),
        (end * 0.3, "outage", MODELS[0], "40 minutes"),
        (end * 0.7, "price_change", MODELS[1], "-20 %"),
    ]
    rows += [
        (at, kind, names[account], note)
        for at, kind, account, note in cast.events
        if account in seen and 0 <= at < end
    ]
    rows.sort()
    at = pa.array([BASE * 1_000_000 + int(r[0] * 1e6) for r in rows], pa.int64()).cast(schema.TIMESTAMP)
    return pa.table(
        [at, *(pa.array([r[i] for r in rows], pa.string()) for i in (1, 2, 3))], schema=schema.EVENTS
    )


def _labels(
    cast: Cast, spec: WorldSpec, exchanges: pa.Table, c: Columns, names: list[str], truth: list[dict[str, Any]], seen: Any, folder: Path
) -> WorldSummary:  # fmt: skip
    a = cast.accounts
    campaign = [f"C{v:03d}" if v is not None else None for v in a["campaign"]]
    of_row = [campaign[i] for i in c.account.tolist()]
    wanted = [CAPABILITY[truth[v]["kind"]] if v is not None else None for v in a["campaign"]]
    capability = [
        wanted[i] if r == 2 else None for i, r in zip(c.account.tolist(), c.role.tolist(), strict=True)
    ]
    pq.write_table(
        pa.table({
            "exchange_id": exchanges["exchange_id"], "account_id": exchanges["account_id"], "campaign_id": pa.array(of_row, pa.string()),
            "role": [role_name(r) for r in c.role.tolist()], "capability": pa.array(capability, pa.string()),
        }), folder / "exchange_labels.parquet", compression="zstd",
    )  # fmt: skip
    rows = seen.tolist()
    pq.write_table(
        pa.table({
            "account_id": [names[i] for i in rows], "campaign_id": pa.array([campaign[i] for i in rows], pa.string()),
            "population": [a["population"][i] for i in rows], "level": pa.array([a["level"][i] for i in rows], pa.int64()),
            "group_id": pa.array([a["group"][i] for i in rows], pa.int64()),
        }).sort_by("account_id"), folder / "account_labels.parquet", compression="zstd",
    )  # fmt: skip
    owner = np.array([-1 if v is None else v for v in a["campaign"]])
    told = [_told(t, i, owner, c) for i, t in enumerate(truth)]
    (folder / "campaigns.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    bad = int((owner[seen] >= 0).sum())
    summary = WorldSummary(len(c), len(rows), bad, len(told), int((c.role == 2).sum()))
    facts = {
        name: getattr(summary, name)
        for name in ("exchanges", "accounts", "bad_accounts", "campaigns", "harvest_exchanges")
    }
    (folder / "world.json").write_text(
        json.dumps({"seed": spec.seed, "days": spec.days, "levels": list(spec.levels)} | facts, indent=1)
        + "\n",
        encoding="utf-8",
    )
    return summary


def _told(truth: Mapping[str, Any], number: int, owner: Any, c: Columns) -> dict[str, Any]:
    mine = owner[c.account] == number
    harvest = mine & (c.role == 2)
    return {
        **{k: truth[k] for k in ("campaign_id", "kind", "level", "expected_verdict", "knobs")}, "start": _when(truth["start"]), "end": _when(truth["end"]),
        "accounts": len(np.unique(c.account[mine])), "harvest_accounts": len(np.unique(c.account[harvest])),
        "exchanges": int(mine.sum()), "harvest_exchanges": int(harvest.sum()),
    }  # fmt: skip
