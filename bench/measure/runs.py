"""Scans, each made once: a run folder is kept under a hash of the program, the settings, the world and what was changed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from unittest import mock

import excise
from excise import pipeline
from excise.report import folder
from excise.settings import Settings
from measure import labels as truth
from measure.scores import Score, score
from measure.worlds import World, changed, code_of

Change = Callable[[World, Path], None]


@dataclass(frozen=True, slots=True)
class Variant:
    """A scan with something changed. without: detectors left out. change: what is taken from the world, named by `name`."""

    name: str = "as it is"
    settings: Settings = field(default_factory=Settings)
    without: frozenset[str] = frozenset()
    change: Change | None = None


def program() -> str:
    """A hash of the package's files: another version scans anew."""
    return code_of(Path(excise.__file__).parent)


def scan(world: World, cache: Path, variant: Variant | None = None) -> Path:
    """Return the run folder of a world, scanning it unless that was done before."""
    variant = variant or Variant()
    key = (
        program(),
        variant.settings.digest(),
        sorted(variant.without),
        variant.name if variant.change else "",
        world.digest(),
    )
    out = cache / "runs" / hashlib.sha256(repr(key).encode()).hexdigest()[:20]
    if not (out / "run.json").is_file():
        shutil.rmtree(out, ignore_errors=True)
        out.parent.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        kept = tuple(d for d in pipeline.DETECTORS if d.id not in variant.without)
        with mock.patch.object(pipeline, "DETECTORS", kept):
            if variant.change is None:
                run = pipeline.scan(world.path, settings=variant.settings)
            else:
                with changed(world, cache / f"changed-{os.getpid()}") as copy:
                    variant.change(world, copy)
                    run = pipeline.scan(copy, settings=variant.settings)
        folder.write(run, out)
        print(
            f"scan {world.name}, {variant.name}: {time.monotonic() - began:.0f} s",
            file=sys.stderr,
            flush=True,
        )
    return out


def scored(world: World, cache: Path, variant: Variant | None = None) -> Score:
    """Return the score of a run, kept beside it."""
    return score_of(scan(world, cache, variant), world)


def score_of(run: Path, world: World) -> Score:
    """Return the score of a run folder; kept in it as `score.json`, under a hash of how it is counted."""
    how = hashlib.sha256(Path(sys.modules[Score.__module__].__file__ or "").read_bytes()).hexdigest()[:16]
    path = run / f"score-{how}.json"
    if path.is_file():
        return _thaw(json.loads(path.read_text("utf-8")))
    result = score(run, truth_of(world))
    path.write_text(json.dumps(asdict(result)), "utf-8")
    return result


_last: list[tuple[Path, truth.Labels]] = []


def truth_of(world: World) -> truth.Labels:
    """The labels of a world; those of the last one are kept, since a million rows take seconds."""
    if not _last or _last[0][0] != world.labels:
        _last[:] = [(world.labels, truth.read(world.labels))]
    return _last[0][1]


def _thaw(kept: dict[str, object]) -> Score:
    """What JSON made lists of is a tuple again."""

    def tuples(value: object) -> object:
        if isinstance(value, dict):
            return {k: tuples(v) for k, v in value.items()}
        return tuple(tuples(v) for v in value) if isinstance(value, list) else value

    values = {f.name: tuples(kept[f.name]) for f in fields(Score)}
    values["sure"] = list(values["sure"])  # type: ignore[call-overload]
    return Score(**values)  # type: ignore[arg-type]
