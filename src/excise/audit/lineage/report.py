"""Leads as one JSON document and for a terminal. No figure in it is a probability that anything was distilled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from excise import __version__
from excise.audit.lineage import leaks
from excise.audit.lineage.likeness import likeness
from excise.audit.lineage.panel import Panel, common_prompts
from excise.audit.lineage.rank import RESAMPLES, Ranked, likest, rank
from excise.audit.lineage.voice import voice
from excise.audit.said import Answers

SCHEMA: Final = 1
NONE: Final = "none of these"
NOT_CLAIMED: Final = (
    "That the suspect was distilled from anyone. Innocent models are alike too: by a common base, common public data, or plain style.",
    "Which of a family's models it was, and by which way their words came to the suspect.",
    "That a suspect without a lead learnt from no teacher of the panel: a mixture of teachers, further training or paraphrase hide it.",
    "Anything about teachers that are not in the panel; the nearest of those that are is not the nearest of all.",
)


def document(panel: Panel, suspect: Answers) -> dict[str, Any]:
    """All of `lineage.json`. Raises `InputError` where too few prompts are common to all."""
    prompts = common_prompts(panel, suspect)
    members = (*panel.teachers, *panel.controls)
    texts = [[m.said[p][0] for p in prompts] for m in members] + [[suspect[p][0] for p in prompts]]
    of = [panel.families.index(t.family) for t in panel.teachers]
    found = rank(panel, likeness(texts, len(of)), voice(texts, of))
    by_family = {
        family: [
            a for t, said in zip(panel.teachers, texts, strict=False) if t.family == family for a in said
        ]
        for family in panel.families
    }
    controls = texts[len(panel.teachers) : len(members)]
    return {
        "schema": SCHEMA,
        "version": __version__,
        "grade": "lead",
        "lead": found.lead or NONE,
        "voice": found.standings[0].family,
        "prompts": len(prompts),
        "resamples": RESAMPLES,
        "shares": [{"lead": name or NONE, "share": share} for name, share in found.shares],
        "false_leads": {"strangers": found.strangers, "leads": found.false_leads},
        "families": _families(found),
        "panel": [{"name": t.name, "family": t.family, "vendor": t.vendor} for t in panel.teachers],
        "controls": [{"name": c.name, "why": panel.why.get(c.name, "")} for c in panel.controls],
        "leaks": [asdict(leak) for leak in leaks.leaks(panel.called, texts[-1], controls)],
        "refusal_style": [asdict(style) for style in leaks.styles(by_family, texts[-1])],
        "reading": reading(panel, found),
        "not_claimed": list(NOT_CLAIMED),
    }


def _families(found: Ranked) -> list[dict[str, Any]]:
    return [
        {
            "family": s.family,
            "vendor": s.vendor,
            "voice": s.voice,
            "nearest": s.nearest,
            "score": s.score,
            "bar": s.bar if s.bar < float("inf") else None,
            "beyond": s.beyond,
            "strangers": [{"name": name, "score": score} for name, score in s.strangers],
        }
        for s in found.standings
    ]


def _verdict(found: Ranked) -> str:
    first, near = found.standings[0], likest(found.standings)
    if found.lead:
        return f"A lead: the answers stand nearer to {near.family} ({near.vendor}) than those of all {len(near.strangers)} models that it did not teach, and farther out than one more of them would; their voice is nearest to {first.family}."
    if near.beyond:
        return f"None of these: the answers pass the bar of {near.family} ({near.vendor}), but their voice is nearest to {first.family} ({first.vendor}), so the two disagree."
    stranger, score = near.strangers[0]
    return f"None of these: {near.family} is nearest, but does not pass its bar (score {near.score:.1f}; the bar: {near.bar:.1f}; the nearest model that it did not teach, {stranger}: {score:.1f}). The voice is nearest to {first.family}, which alone is no lead."


def reading(panel: Panel, found: Ranked) -> list[str]:
    """What the ranking says, in sentences."""
    first, said = found.standings[0], [_verdict(found)]
    if kin := [s.family for s in found.standings[1:] if found.lead and s.beyond and s.vendor == first.vendor]:
        said.append(
            f"Of the same vendor, {', '.join(kin)} passes its bar{' too' if first.beyond else ''}: read the lead as one to {first.vendor}."
        )
    said.append(
        f"Of the {found.strangers} models of the panel that nobody else in it taught, each in turn taken for the suspect, {found.false_leads} would be given a lead."
    )
    rivals = [name or NONE for name, share in found.shares if share >= 0.05 and name != found.lead]
    if rivals:
        said.append(f"These prompts do not settle it: resamples of them also end with {', '.join(rivals)}.")
    if not panel.controls:
        said.append(
            "The panel has no controls: plain models without a teacher are easily taken for a student of the plainest one."
        )
    return said


def _figure(bar: float | None) -> str:
    return f"{bar:+6.1f}" if bar is not None else "  none: too few strangers"


def lines(told: dict[str, Any]) -> Sequence[str]:
    """A document for a terminal."""
    out = [f"lead (no evidence): {told['lead']}", *told["reading"]]
    for row in told["families"]:
        stranger = row["strangers"][0]
        out.append(
            f"{row['family']:<16} {row['vendor']:<12} voice {row['voice']:+6.2f}   stands out {row['score']:+6.1f}   bar {_figure(row['bar'])}   highest stranger {stranger['score']:+6.1f} ({stranger['name']})"
        )
    out += [
        f"names itself {leak['family']}: {leak['answers']} of {leak['of']} answers; controls {leak['controls']} of {leak['of_controls']}"
        for leak in told["leaks"]
    ]
    out += [
        f"refuses like {style['family']}: {style['alike']:.0%} of refusals begin alike; like any other family {style['alike_others']:.0%}"
        for style in told["refusal_style"][:1]
    ]
    return out
