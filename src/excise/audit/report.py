"""What a case found, as one JSON document, and as a page for people that shows nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import jinja2
import msgspec
from markupsafe import Markup

from excise import __version__
from excise.audit import case as cases
from excise.audit import scoring, standing
from excise.errors import InputError
from excise.report import canonical, wording
from excise.report import html as page_of

if TYPE_CHECKING:
    from excise.audit.case import Case
    from excise.audit.scoring import Finding, KeyOf

SCHEMA: Final = 1
NOT_CLAIMED: Final = (
    "Who trained the suspect, and with what intent.",
    (
        "By which way our text reached it: a harvest through the API, a reseller, a shared data set, or pages where others had "
        "published our answers."
    ),
    "That nobody copied the mark: a model that learns marked text of others, or is made to imitate it, carries the mark too.",
    "Anything about text that we served before the key was in use, or without it.",
)
LIMITS: Final = (
    (
        "Strong paraphrase by another model, and rewriting by who has learnt the key's frequent choices, remove a mark. "
        "Much further training on other text weakens it."
    ),
    (
        "The p-value holds for any suspect that is independent of the key. It does not hold for one that was trained by somebody "
        "who knew the key: the keeping of the key is part of the case."
    ),
)


@dataclass(frozen=True, slots=True)
class Judged:
    """A case with its findings, ready to be told."""

    case: Case
    findings: tuple[Finding, ...]
    courses: tuple[standing.Course, ...]
    exploratory: tuple[str, ...]
    reservations: tuple[str, ...]


def judge(case: Case, key_of: KeyOf, advance: Callable[[], None] = lambda: None) -> Judged:
    """Score the whole case. Raises `InputError` where a planned suspect has no transcript or a file is not as sealed."""
    tokenizer = case.tokenizer()
    found = case.transcripts()
    plan = case.plan
    heard = {
        name: cases.shown_of(case, name, one.reading) if one.reading else cases.heard_of(case, one, tokenizer)
        for name, one in found.items()
    }
    if not any(one.texts for one in heard.values()):
        raise InputError(
            "no suspect has answered anything", subject=str(case.folder), hint="`excise audit run` asks them"
        )
    findings = scoring.score(
        plan, bytes.fromhex(case.commitment), key_of, heard,
        scoring.of_texts(case.reference(), tokenizer, plan),
        {name: scoring.of_texts(said, tokenizer, plan) for name, said in case.controls().items()},
        advance,
    )  # fmt: skip
    courses = tuple(standing.course(name, one) for name, one in found.items())
    return Judged(
        case,
        findings,
        courses,
        standing.exploratory(case, found, findings),
        standing.reservations(case, courses, findings),
    )


def document(judged: Judged, *, opened: bool) -> dict[str, Any]:
    """All of `report.json`."""
    case, plan = judged.case, judged.case.plan
    return {
        "schema": SCHEMA,
        "version": __version__,
        "exploratory": list(judged.exploratory),
        "reservations": list(judged.reservations),
        "commitment": case.commitment,
        "sealed_at": plan.created_at,
        "authorisation": plan.authorisation,
        "seal_open": opened,
        "alpha": plan.alpha,
        "statistic": {
            "name": "reference-differenced contrast",
            "context": plan.context,
            "tokenizer": plan.tokenizer,
            "reference": plan.reference.rows if plan.reference else 0,
            "prompts_marked": plan.prompts_marked,
        },
        "looks": list(plan.looks),
        "prompts": len(case.prompts),
        "hypotheses": len(plan.hypotheses),
        "findings": [_finding(f) for f in judged.findings],
        "attribution": [_attribution(name, judged.findings) for name in _names(judged.findings)],
        "suspects": [asdict(one) for one in judged.courses],
        "power": [asdict_struct(p) for p in plan.power],
        "pilot": msgspec.to_builtins(plan.pilot),
        "dose": [asdict_struct(d) for d in plan.dose],
        "not_claimed": list(NOT_CLAIMED),
        "limits": list(LIMITS),
        "replay": f"excise audit score CASE{'' if opened else ' --keys KEYFILE'}",
    }


def asdict_struct(value: Any) -> dict[str, Any]:
    """A msgspec struct as a dictionary."""
    return {name: getattr(value, name) for name in value.__struct_fields__}


def _finding(found: Finding) -> dict[str, Any]:
    return asdict(found) | {"rank_p": found.rank_p}


def _names(findings: Sequence[Finding]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f.suspect for f in findings))


def _attribution(name: str, findings: Sequence[Finding]) -> dict[str, Any]:
    """The key that a suspect stands out by, and how far the next one is behind; no key where none is claimed."""
    ordered = sorted((f for f in findings if f.suspect == name), key=lambda f: f.log10_p)
    first, second = ordered[0], ordered[1] if len(ordered) > 1 else None
    return {
        "suspect": name,
        "key": first.key if first.claimed else "",
        "runner_up": second.key if second else "",
        "margin_decades": second.log10_p - first.log10_p if second else None,
        "runner_up_claimed": second.claimed if second else False,
    }


def render(told: dict[str, Any]) -> str:
    """The page for a document of `document`."""
    return (
        _environment()
        .get_template("audit.html.j2")
        .render(d=told, style=Markup(page_of.style()), policy=page_of.policy())  # noqa: S704  our own file
        + "\n"
    )


def encoded(told: dict[str, Any]) -> bytes:
    """`report.json`."""
    return canonical.document(told)


def ten_to(log10: float) -> str:
    """A probability by its logarithm, for people.

    >>> ten_to(-0.3), ten_to(-2.52), ten_to(-8.34)
    ('0.50', '0.0030', '10^-8.3')
    """
    if log10 > -1:
        return f"{10.0**log10:.2f}"
    if log10 > -4:
        return f"{10.0**log10:.2g}".ljust(6, "0") if log10 > -3 else f"{10.0**log10:.5f}"
    return f"10^{log10:.1f}"


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("excise.audit"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "foreign": page_of.foreign,
        "line": wording.one_line,
        "ten": ten_to,
        "figure": wording.figure,
    }
    environment.globals |= {"count": wording.count}
    return environment
