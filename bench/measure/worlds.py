"""Worlds to measure on: simulated ones, kept between calls, folders that are given, and copies from which something is taken away."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache as once
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from excise import simulate
from excise.simulate.spec import WorldSpec
from excise.simulate.world import write_world
from measure.labels import folder_of

LEVELS = tuple(range(9))


@dataclass(frozen=True, slots=True)
class World:
    """name: as the pages call it. made: how it was made. labels: where its labels are."""

    name: str
    path: Path
    made: str
    labels: Path = field(default=Path())

    def digest(self) -> str:
        """A hash of the names, sizes and times of its files: a changed world is scanned anew."""
        files = sorted(p for p in self.path.rglob("*") if p.is_file() and "labels" not in p.parts)
        facts = [(p.relative_to(self.path).as_posix(), p.stat().st_size, p.stat().st_mtime_ns) for p in files]
        return hashlib.sha256(repr(facts).encode()).hexdigest()


def given(path: Path) -> World:
    """A folder of labelled traffic. Raises SystemExit where there are no labels."""
    path = path.absolute()  # a link keeps the name that it was given
    if not folder_of(path).is_dir():
        raise SystemExit(f"{path.name}: no labels in it or beside it")
    return World(path.name, path, f"`{path.name}`", path)


@once
def code_of(folder: Path) -> str:
    """A hash of the sources in a folder: what they made before they changed is made anew."""
    total = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.suffix in {".py", ".toml", ".json"}):
        total.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return total.hexdigest()


def simulated(spec: WorldSpec, cache: Path) -> World:
    """A world of the product's simulator, made once: the same options and seed give the same bytes."""
    made_by = code_of(Path(simulate.__file__).parent)
    path = cache / "worlds" / hashlib.sha256((repr(spec) + made_by).encode()).hexdigest()[:16]
    if not path.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(path.with_name(path.name + "-labels"), ignore_errors=True)
        write_world(spec, path)
    levels = f"{spec.levels[0]}-{spec.levels[-1]}" if spec.levels else "none"
    command = f"excise simulate --level {levels} --exchanges {spec.exchanges} --seed {spec.seed}"
    if spec.correlation != WorldSpec.__dataclass_fields__["correlation"].default:
        command += f" --correlation {spec.correlation:g}"
    return World(f"simulated {spec.seed}", path, f"`{command}`", path)


@contextmanager
def changed(world: World, out: Path) -> Iterator[Path]:
    """An empty folder for a copy of a world, gone afterwards."""
    shutil.rmtree(out, ignore_errors=True)
    (out / "exchanges").mkdir(parents=True)
    try:
        yield out
    finally:
        shutil.rmtree(out, ignore_errors=True)


def take_away(
    world: World,
    out: Path,
    *,
    columns: Sequence[str] = (),
    tables: Sequence[str] = (),
    account_columns: Sequence[str] = (),
) -> None:
    """Write a copy of a world without some columns of the exchanges and of the accounts, and without some side tables."""
    for path in sorted((world.path / "exchanges").glob("*.parquet")):
        kept = [c for c in pq.read_schema(path).names if c not in columns]
        pq.write_table(pq.read_table(path, columns=kept), out / "exchanges" / path.name)
    for path in sorted(p for p in world.path.iterdir() if p.is_file() and p.stem not in tables):
        if path.name == "accounts.parquet" and account_columns:
            pq.write_table(pq.read_table(path).drop_columns(list(account_columns)), out / path.name)
        else:
            shutil.copyfile(path, out / path.name)


def until(world: World, out: Path, days: float) -> None:
    """Write what was known of a world `days` after its first exchange: no later exchange, event or account."""
    parts = [pq.read_table(p) for p in sorted((world.path / "exchanges").glob("*.parquet"))]
    whole = pa.concat_tables(parts, promote_options="permissive")
    end = pc.min(whole["started_at"]).as_py() + timedelta(days=days)
    kept = whole.filter(pc.less(whole["started_at"], pa.scalar(end, whole["started_at"].type)))
    pq.write_table(kept, out / "exchanges" / "part-0000.parquet")
    for path in sorted(p for p in world.path.iterdir() if p.is_file()):
        if path.name == "events.parquet":
            events = pq.read_table(path)
            pq.write_table(
                events.filter(pc.less(events["at"], pa.scalar(end, events["at"].type))), out / path.name
            )
        elif path.name == "accounts.parquet":
            accounts = pq.read_table(path)
            pq.write_table(
                accounts.filter(pc.is_in(accounts["account_id"], pc.unique(kept["account_id"]))),
                out / path.name,
            )
        else:
            shutil.copyfile(path, out / path.name)


def length_in_days(world: World) -> float:
    """Days from a world's first exchange to its last."""
    ends = []
    for path in (world.path / "exchanges").glob("*.parquet"):
        at = pq.read_table(path, columns=["started_at"])["started_at"]
        ends += [pc.min(at).as_py(), pc.max(at).as_py()]
    return float((max(ends) - min(ends)) / timedelta(days=1))
