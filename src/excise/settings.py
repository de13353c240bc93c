"""Settings of a scan: defaults live beside the code that they tune, a TOML file overrides them, an unknown key is refused."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from excise.detect import DETECTORS
from excise.detect.habits import HabitSettings
from excise.errors import UsageError
from excise.judge.decide import JudgeSettings
from excise.judge.fuse import FuseSettings
from excise.judge.members import MemberSettings
from excise.link.linker import LinkSettings


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that changes what a scan finds.

    `seed` keys every hash: keep it secret per deployment, since thresholds are public (any int; the same seed gives the same
    result). `detect`: parameters by detector. `keep_text`: whether redacted examples may stand in the output.
    """

    seed: int = 0
    keep_text: bool = True
    habits: HabitSettings = field(default_factory=HabitSettings)
    link: LinkSettings = field(default_factory=LinkSettings)
    judge: JudgeSettings = field(default_factory=JudgeSettings)
    detect: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return all settings, defaults included, without the seed's value."""
        parameters = {d.id: d.settings(self.detect.get(d.id, {})) for d in DETECTORS}
        return {
            "seed": hashlib.sha256(str(self.seed).encode()).hexdigest()[:16],
            "keep_text": self.keep_text,
            "habits": dataclasses.asdict(self.habits),
            "link": dataclasses.asdict(self.link),
            "judge": dataclasses.asdict(self.judge),
            "detect": parameters,
        }

    def digest(self) -> str:
        """Return the SHA-256 of the settings."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()


def load_settings(path: Path | None) -> Settings:
    """Read a TOML file of `seed`, `keep_text`, `[habits]`, `[link]`, `[judge.fuse]`, `[judge.member]` and `[detect.<id>]`.

    Raises UsageError for a file that cannot be read and for an unknown key (with the nearest known one).
    """
    if path is None:
        return Settings()
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(
            str(error), subject=str(path), hint="settings are a TOML file, see docs/settings.md"
        ) from error
    where = str(path)
    _known(given, ("seed", "keep_text", "habits", "link", "judge", "detect"), where, "")
    judge = _table(given, "judge", where)
    _known(judge, ("fuse", "member"), where, "judge.")
    return Settings(
        seed=_typed(given.get("seed", 0), int, where, "seed"),
        keep_text=_typed(given.get("keep_text", True), bool, where, "keep_text"),
        habits=_fill(HabitSettings, _table(given, "habits", where), where, "habits."),
        link=_fill(LinkSettings, _table(given, "link", where), where, "link."),
        judge=JudgeSettings(
            _fill(FuseSettings, _table(judge, "fuse", where), where, "judge.fuse."),
            _fill(MemberSettings, _table(judge, "member", where), where, "judge.member."),
        ),
        detect=_detectors(_table(given, "detect", where), where),
    )


def _detectors(given: Mapping[str, Any], where: str) -> dict[str, dict[str, float]]:
    known = {d.id: d for d in DETECTORS}
    _known(given, tuple(known), where, "detect.")
    out: dict[str, dict[str, float]] = {}
    for name in given:
        table = _table(given, name, where)
        _known(table, tuple(known[name].parameters), where, f"detect.{name}.")
        defaults = known[name].settings({})
        out[name] = {k: _number(v, defaults[k], where, f"detect.{name}.{k}") for k, v in table.items()}
    return out


def _fill(kind: type[Any], given: Mapping[str, Any], where: str, prefix: str) -> Any:
    names = {f.name: f for f in dataclasses.fields(kind)}
    _known(given, tuple(names), where, prefix)
    default = kind()
    return dataclasses.replace(
        default, **{k: _number(v, getattr(default, k), where, prefix + k) for k, v in given.items()}
    )


def _table(given: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    value = given.get(name, {})
    if not isinstance(value, Mapping):
        raise UsageError(
            f"`{name}` must be a table", subject=where, hint=f"write [{name}] and its keys below it"
        )
    return value


def _number(value: Any, default: float, where: str, name: str) -> Any:
    """A number of the default's type, finite, and not negative where the default is not; a count is at least 1."""
    number = _typed(value, type(default), where, name)
    least = -math.inf if default < 0 else 1 if isinstance(default, int) else 0
    if not math.isfinite(number) or number < least:
        raise UsageError(
            f"`{name}` must be a number of at least {least}",
            subject=where,
            hint=f"it is {value!r}, by default {default!r}",
        )
    return number


def _typed(value: Any, kind: type[Any], where: str, name: str) -> Any:
    fits = isinstance(value, kind) or (kind is float and isinstance(value, int))
    if not fits or (isinstance(value, bool) and kind is not bool):
        raise UsageError(f"`{name}` must be of type {kind.__name__}", subject=where, hint=f"it is {value!r}")
    return kind(value)


def _known(given: Mapping[str, Any], known: tuple[str, ...], where: str, prefix: str) -> None:
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean `{prefix}{near[0]}`?" if near else f"known are {', '.join(known)}"
            raise UsageError(f"unknown setting `{prefix}{key}`", subject=where, hint=hint)
