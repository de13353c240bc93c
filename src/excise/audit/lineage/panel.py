"""The panel: teachers that may have taught the suspect, and controls that none of them taught."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from excise.audit.said import Answers, answers
from excise.audit.texts import read_bytes
from excise.errors import InputError

FEWEST_FAMILIES: Final = 3
FEWEST_VENDORS: Final = 3
FEWEST_PROMPTS: Final = 30


class Teacher(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model whose answers can be harvested. Families of one `vendor` may resemble each other and are no strangers."""

    name: str
    family: str
    answers: str
    vendor: str = ""


class Control(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model that no teacher of the panel taught, as far as is known: tuned on people's data, say. `why` is printed."""

    name: str
    answers: str
    why: str


class Family(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What models of a family call themselves and their maker, for leaks of identity."""

    name: str
    called: list[str]


class PanelFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`panel.toml`. Paths of answers are relative to it."""

    teacher: list[Teacher]
    control: list[Control] = []
    family: list[Family] = []


@dataclass(frozen=True, slots=True)
class Member:
    """A model of the panel with its answers; a control has neither family nor vendor."""

    name: str
    family: str
    vendor: str
    said: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Panel:
    """Teachers and controls in the order of the file, and what each family is `called`."""

    teachers: tuple[Member, ...]
    controls: tuple[Member, ...]
    called: Mapping[str, tuple[str, ...]]
    why: Mapping[str, str]

    @property
    def families(self) -> tuple[str, ...]:
        """Families in the order of the file."""
        return tuple(dict.fromkeys(t.family for t in self.teachers))

    def vendor_of(self, family: str) -> str:
        """The vendor of a family."""
        return next(t.vendor for t in self.teachers if t.family == family)


def read(path: Path) -> Panel:
    """The panel of a TOML file. Raises `UnreadableFile` and `InputError`."""
    try:
        raw: dict[str, Any] = tomllib.loads(read_bytes(path, "a panel.toml").decode("utf-8"))
        found = msgspec.convert(raw, PanelFile)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError, RecursionError) as error:
        raise InputError(
            f"is no panel: {error}", subject=str(path), hint="docs/audit-lineage.md shows one"
        ) from error
    teachers = tuple(
        Member(t.name, t.family, t.vendor or t.family, _said(path, t.answers)) for t in found.teacher
    )
    controls = tuple(Member(c.name, "", "", _said(path, c.answers)) for c in found.control)
    called = {f.name: tuple(f.called) for f in found.family}
    return checked(Panel(teachers, controls, called, {c.name: c.why for c in found.control}), str(path))


def checked(panel: Panel, where: str) -> Panel:
    """The panel, if strangers can be told from it. Raises `InputError`."""
    vendors = {t.family: {u.vendor for u in panel.teachers if u.family == t.family} for t in panel.teachers}
    names = [m.name for m in (*panel.teachers, *panel.controls)]
    trouble = (
        f"has {len(vendors)} families" if len(vendors) < FEWEST_FAMILIES
        else "has too few vendors" if len({v for many in vendors.values() for v in many}) < FEWEST_VENDORS
        else "has a family of two vendors" if any(len(many) > 1 for many in vendors.values())
        else "names a model twice" if len(set(names)) < len(names)
        else ""
    )  # fmt: skip
    if trouble:
        raise InputError(
            f"the panel {trouble}",
            subject=where,
            hint=f"at least {FEWEST_FAMILIES} families of {FEWEST_VENDORS} vendors, each model once",
        )
    return panel


def _said(panel: Path, name: str) -> Answers:
    return answers(panel.parent / name)


def common_prompts(panel: Panel, suspect: Answers) -> tuple[str, ...]:
    """Prompts that every model answered. Raises `InputError` where they are fewer than `FEWEST_PROMPTS`."""
    members = (*panel.teachers, *panel.controls)
    shared = tuple(p for p in suspect if all(p in m.said for m in members))
    if len(shared) < FEWEST_PROMPTS:
        raise InputError(
            f"{len(shared)} prompts are answered by all models",
            subject="the panel and the suspect",
            hint=f"ask all of them the same prompts, at least {FEWEST_PROMPTS}",
        )
    return shared
