"""Which family documented students are ranked to: `python bench/audit_lineage.py ALPACA_EVAL [--out PAGE]`.

ALPACA_EVAL is a folder with `model_outputs.parquet` (columns model, iid, output) of AlpacaEval (CC BY-NC 4.0: for evaluation
only, nothing of it is kept). Who taught whom is what the makers of the models have documented.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

import excise
from excise.audit.lineage import likeness as alike
from excise.audit.lineage import voice as voices
from excise.audit.lineage.leaks import leaks
from excise.audit.lineage.panel import Member, Panel, checked
from excise.audit.lineage.rank import family_scores, rank, standardised

FAMILIES = {
    "claude": ("anthropic", ("claude", "claude-2", "claude-2.1", "claude-instant-1.2")),
    "davinci": ("openai", ("text_davinci_001", "text_davinci_003", "gpt35_turbo_instruct")),
    "gpt-3.5": ("openai", ("gpt-3.5-turbo-0301", "gpt-3.5-turbo-0613", "gpt-3.5-turbo-1106")),
    "gpt-4": ("openai", ("gpt4_0314", "gpt4_0613", "gpt4", "gpt4_1106_preview")),
    "cohere": ("cohere", ("cohere",)),
    "gemini": ("google", ("gemini-pro",)),
    "llama-2": ("meta", ("llama-2-7b-chat-hf", "llama-2-13b-chat-hf", "llama-2-70b-chat-hf")),
}
CALLED = {"claude": ("Claude", "Anthropic"), "openai": ("ChatGPT", "OpenAI", "GPT-4", "GPT-3")}
CONTROLS = {
    "humpback-llama-65b": "tuned on people's data and its own",
    "humpback-llama2-70b": "tuned on people's data and its own",
    "oasst-sft-pythia-12b": "tuned on people's data, the public set that two of the models below share",
}
DOCUMENTED = (
    ("claude2-alpaca-13b", "claude-2", {"claude"}),
    ("alpaca-7b", "text_davinci_003", {"davinci"}),
    ("baize-v2-13b", "gpt-3.5", {"gpt-3.5"}),
    ("wizardlm-13b", "gpt-3.5", {"gpt-3.5"}),
    ("ultralm-13b", "gpt-3.5", {"gpt-3.5"}),
    ("platolm-7b", "gpt-3.5", {"gpt-3.5"}),
    ("openchat-13b", "gpt-4", {"gpt-4"}),
    ("OpenHermes-2.5-Mistral-7B", "gpt-4", {"gpt-4"}),
    ("vicuna-13b", "ChatGPT conversations of gpt-3.5 and gpt-4 (hard)", {"gpt-3.5", "gpt-4"}),
    ("oasst-sft-llama-33b", "people, no teacher", {""}),
    ("guanaco-13b", "people, no teacher", {""}),
)
KIN = (
    ("guanaco-7b", "people, no teacher", {""}),
    ("guanaco-33b", "people, no teacher", {""}),
    ("guanaco-65b", "people, no teacher", {""}),
    ("oasst-rlhf-llama-33b", "people, no teacher", {""}),
    ("alpaca-7b-neft", "text_davinci_003", {"davinci"}),
    ("baize-v2-7b", "gpt-3.5", {"gpt-3.5"}),
    ("vicuna-7b", "ChatGPT conversations of both", {"gpt-3.5", "gpt-4"}),
    ("vicuna-33b-v1.3", "ChatGPT conversations of both", {"gpt-3.5", "gpt-4"}),
    ("openchat-v2-13b", "gpt-4", {"gpt-4"}),
)

VOICES = (
    # words, share of prompts, smoothing
    (128, 0.05, 0.5), (32, 0.05, 0.5), (512, 0.05, 0.5), (128, 0.01, 0.5), (128, 0.025, 0.5), (128, 0.1, 0.5),
    (128, 0.05, 0.1), (128, 0.05, 0.3), (128, 0.05, 0.7),
)  # fmt: skip
FEW = 20

HEAD = """# Lineage: documented students and their teachers

Printed by `{command}`, version {version}. Answers to the {prompts} instructions of AlpacaEval that all
models here answered (CC BY-NC 4.0: used to evaluate, nothing of it is in the repository). A lead is no evidence.

"""
CHOICES = """## What was chosen on what

How many words are compared was chosen on teachers alone, by the first table. Other forms of likeness (matched in length, of marker
phrases, with style masked) were tried after the documented students had been seen, and dropped; llama-2-chat was taken out of the
panel and put back. The first design held every family against one bar, the highest stranger of any family, and had no controls. On
the documented models it took both models that were tuned on people's data for students of davinci, the plainest family, and vicuna
for one of llama-2-chat. Seeing that, controls came in (negative controls, same public data among them, are part of any audit;
oasst-sft-pythia-12b is one of them, and without it oasst-sft-llama-33b is called davinci), and a family is held against its own
strangers. The bar was then raised from the highest stranger to a prediction bound at 5 %, since the highest of few strangers is
passed by chance.

Voice came in because likeness, which ranked the families at first, put openchat-13b nearest to llama-2 and OpenHermes to gpt-3.5. Its
form was chosen on teachers alone: runs of one to three words, how common a run has to be, smoothing, sums and means, one class a teacher,
Burrows's Delta, levels taken off as likeness does, training on the same prompts too. The best of them hardly differ, and one that reads
the runs that likeness reads was taken. The second table has its neighbours: 32 words tell one teacher more there, and rank one student
fewer. On teachers voice is no better than likeness. That it ranks students better was seen afterwards, under four settings near this one,
on these models and on those of the same makers; nothing was changed for it.

The rule that joins the two was made in the knowledge of what likeness says of the documented models. A looser one, a lead wherever any
family of the vendor passes its bar, would make oasst-sft-llama-33b a student of davinci, since it passes the bar of gpt-3.5.

So what follows on the documented models is not blind, and the tables after it show what the choices do. On the models of the same makers
nothing was chosen, though their voice and the raw likeness of several (guanaco-7b, guanaco-65b, oasst-rlhf-llama-33b, the humpbacks) had been looked at.

"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("alpaca_eval", type=Path)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    said = read(chosen.alpaca_eval)
    prompts = sorted(set.intersection(*(set(s) for s in said.values())))
    page = HEAD.format(
        command="python bench/audit_lineage.py ALPACA_EVAL", version=excise.__version__, prompts=len(prompts)
    )
    page += teachers_alone(said, prompts) + voice_alone(said, prompts) + CHOICES
    full, cells = measured(said, prompts, FAMILIES, CONTROLS)
    any_one = ranked(full, cells, DOCUMENTED[0][0])
    page += f"## The documented models\n\nTeachers without their own vendor and controls, each in turn as the suspect: {any_one.false_leads} of {any_one.strangers} would be given a lead, wrongly.\n\n"
    page += table(full, cells, DOCUMENTED)
    page += variants(said, prompts, full, cells) + voice_variants(said, prompts)
    page += identity(said, prompts)
    page += "## Others of the same makers\n\n" + table(full, cells, KIN)
    page += nobodys(full, cells)
    print(page)
    if chosen.out:
        chosen.out.write_text(page, "utf-8")


def read(folder: Path) -> dict[str, dict[int, str]]:
    wanted = (
        {m for _, many in FAMILIES.values() for m in many}
        | set(CONTROLS)
        | {m for m, *_ in (*DOCUMENTED, *KIN)}
    )
    said: defaultdict[str, dict[int, str]] = defaultdict(dict)
    for row in pq.read_table(folder / "model_outputs.parquet").to_pylist():
        if row["model"] in wanted:
            said[row["model"]][row["iid"]] = row["output"]
    assert wanted == set(said), wanted - set(said)
    return said


def panel_of(families, controls) -> Panel:
    teachers = tuple(Member(m, f, vendor, {}) for f, (vendor, many) in families.items() for m in many)
    return checked(Panel(teachers, tuple(Member(c, "", "", {}) for c in controls), {}, controls), "panel")


def measured(said, prompts, families, controls):
    """A panel, and by name the likeness (prompts, teachers) and the voice (prompts, families) of every model."""
    panel = panel_of(families, controls)
    names = [t.name for t in panel.teachers]
    names += [m for m in said if m not in names]
    texts = [[said[m][p] for p in prompts] for m in names]
    near, told = alike.likeness(texts, len(panel.teachers)), heard(panel, texts)
    return panel, {m: (near[:, i], told[:, i]) for i, m in enumerate(names)}


def heard(panel: Panel, texts):
    return voices.voice(texts, [panel.families.index(t.family) for t in panel.teachers])


def ranked(panel: Panel, cells, suspect: str):
    order = [m.name for m in (*panel.teachers, *panel.controls)] + [suspect]
    near, told = (np.stack([cells[m][kind] for m in order], axis=1) for kind in (0, 1))
    return rank(panel, near, told)


def table(panel: Panel, cells, models) -> str:
    out = "| model | taught by | ranked first | lead | right | voice | stands out (bar) | resamples |\n|---|---|---|---|---|---|---|---|\n"
    first = right = vendor_right = 0
    for name, teacher, true in models:
        found = ranked(panel, cells, name)
        named, lead = found.standings[0].family, found.lead
        vendors = {FAMILIES[f][0] if f else "" for f in true}
        good = lead in true
        first, right = first + (named in true), right + good
        vendor_right += (FAMILIES[lead][0] if lead else "") in vendors
        told = ", ".join(f"{s.family} {s.voice:+.2f}" for s in found.standings[:3])
        near = sorted(found.standings, key=lambda s: -s.score)[:3]
        near = ", ".join(f"{s.family} {s.score:+.1f} ({s.bar:+.1f})" for s in near)
        shares = ", ".join(f"{f or 'none'} {share:.0%}" for f, share in found.shares)
        out += f"| {name} | {teacher} | {named} | {lead or 'none of these'} | {'yes' if good else 'no'} | {told} | {near} | {shares} |\n"
    taught = sum("" not in true for *_, true in models)
    return (
        out
        + f"\nRanked first to its teacher's family: {first} of the {taught} that have one. Lead to the right family, or rightly none: {right} of {len(models)}; to the right vendor, or rightly none: {vendor_right} of {len(models)}.\n\n"
    )


def nobodys(panel: Panel, cells) -> str:
    """Whose voice is nearest where nobody of the panel taught the model: what being ranked first is worth."""
    plain = [*CONTROLS, *(m for m, _, true in (*DOCUMENTED, *KIN) if true == {""})]
    nearest = Counter(panel.families[int(cells[m][1].mean(axis=0).argmax())] for m in plain)
    told = ", ".join(f"{family} {n}" for family, n in nearest.most_common())
    return f"## Ranked first without a teacher\n\nThe nearest voice of the {len(plain)} controls and models without a teacher: {told}. So being ranked first is no lead, and says less for these families than for the others.\n"


def variants(said, prompts, full: Panel, cells) -> str:
    names = [m for m, *_ in DOCUMENTED]
    kinds = {
        "as above": ranked_all(full, cells),
        "without oasst-sft-pythia-12b": ranked_all(
            panel_of(FAMILIES, {c: w for c, w in CONTROLS.items() if "humpback" in c}), cells
        ),
        "without controls": ranked_all(panel_of(FAMILIES, {}), cells),
        "without llama-2-chat": ranked_all(
            *measured(said, prompts, {f: v for f, v in FAMILIES.items() if f != "llama-2"}, CONTROLS)
        ),
    }
    out = (
        "## What the choices do\n\n| model | " + " | ".join(kinds) + " |\n|---|" + "---|" * len(kinds) + "\n"
    )
    for name in names:
        out += f"| {name} | " + " | ".join(kind[name] or "none" for kind in kinds.values()) + " |\n"
    return out + "\n"


def identity(said, prompts) -> str:
    out = "## What they call themselves\n\nAnswers in which the model says that it is, or was made by, one of these; the documented models, and the controls together.\n\n"
    out += (
        "| model | "
        + " | ".join(", ".join(names) for names in CALLED.values())
        + " |\n|---|"
        + "---|" * len(CALLED)
        + "\n"
    )
    for name, *_ in DOCUMENTED:
        found = {leak.family: leak.answers for leak in leaks(CALLED, [said[name][p] for p in prompts], [])}
        out += f"| {name} | " + " | ".join(str(found.get(f, 0)) for f in CALLED) + " |\n"
    plain = leaks(CALLED, [said[c][p] for c in CONTROLS for p in prompts], [])
    found = {leak.family: leak.answers for leak in plain}
    return out + "| controls | " + " | ".join(str(found.get(f, 0)) for f in CALLED) + " |\n\n"


def ranked_all(panel: Panel, cells) -> dict[str, str]:
    return {m: ranked(panel, cells, m).lead for m, *_ in DOCUMENTED}


def teachers_alone(said, prompts) -> str:
    """Siblings of a teacher among all, and strangers without its vendor, for several lengths of answer."""
    out = "## Teachers alone\n\nEach teacher as the suspect: told to its own family by its siblings, and how far it stands out from a panel without its vendor, where nothing should.\n\n"
    out += "| words compared | told to its family | lowest sibling stands out | highest stranger |\n|---|---|---|---|\n"
    kept = alike.WORDS
    families = FAMILIES
    for words in (32, kept, 512):
        alike.WORDS = words
        panel, cells = measured(
            {m: said[m] for _, many in families.values() for m in many}, prompts, families, {}
        )
        mean = np.stack([cells[t.name][0].mean(axis=0) for t in panel.teachers])
        vendors = np.array([t.vendor for t in panel.teachers])
        rows = standardised(mean, vendors[:, None] != vendors[None, :])
        np.fill_diagonal(rows, -np.inf)
        right, siblings, strangers, asked = 0, [], [], 0
        for i, t in enumerate(panel.teachers):
            strangers.append(max(family_scores(panel, rows[i], without=t.vendor).values()))
            if sum(u.family == t.family for u in panel.teachers) > 1:
                scores = family_scores(panel, rows[i], without="")
                asked, right = asked + 1, right + (max(scores, key=scores.get) == t.family)
                siblings.append(scores[t.family])
        out += f"| {words} | {right} of {asked} | {min(siblings):+.1f} | {max(strangers):+.1f} |\n"
    alike.WORDS = kept
    return out + "\n"


def voice_alone(said, prompts) -> str:
    """How many teachers their siblings' voice tells to their family, on all prompts and on few, for several settings."""
    out = f"Voice: each teacher as the suspect, told by its siblings' answers to other prompts. With {FEW}: the share of them that is told on {FEW} prompts, over draws.\n\n"
    out += f"| words compared | prompts that met a turn | smoothing | told to its family | with {FEW} prompts |\n|---|---|---|---|---|\n"
    for setting in VOICES:
        with_settings(setting)
        right, asked, few = told_by_siblings(said, prompts)
        out += f"| {setting[0]} | {setting[1]:.1%} | {setting[2]} | {right} of {asked} | {few:.0%} |\n"
    with_settings(VOICES[0])
    right, asked, few = told_by_siblings(said, prompts, levels=levels(said, prompts)[0])
    return (
        out
        + f"| {VOICES[0][0]}, levels taken off | {VOICES[0][1]:.1%} | {VOICES[0][2]} | {right} of {asked} | {few:.0%} |\n\n"
    )


def told_by_siblings(said, prompts, levels=0.0):
    panel = panel_of(FAMILIES, {})
    texts = {t.name: [said[t.name][p] for p in prompts] for t in panel.teachers}
    rng, right, few = np.random.default_rng(1), [], []
    for t in panel.teachers:
        rest = [u for u in panel.teachers if u != t]
        if t.family in {u.family for u in rest}:
            of = [panel.families.index(u.family) for u in rest]
            told = voices.voice([*(texts[u.name] for u in rest), texts[t.name]], of)[:, -1] - levels
            own = panel.families.index(t.family)
            right.append(told.mean(axis=0).argmax() == own)
            draws = rng.integers(len(prompts), size=(200, FEW))
            few.append((told[draws].mean(axis=1).argmax(axis=1) == own).mean())
    return sum(right), len(right), float(np.mean(few))


def levels(said, prompts):
    """What a family's voice has in common with everybody (families): an additive model over strangers, as likeness has."""
    panel = panel_of(FAMILIES, CONTROLS)
    names = [t.name for t in panel.teachers]
    names += [m for m in said if m not in names]
    every = heard(panel, [[said[m][p] for p in prompts] for m in names]).mean(axis=0)
    mean = every[: len(panel.teachers)]
    vendors = [panel.vendor_of(f) for f in panel.families]
    rows, columns = np.nonzero([[t.vendor != v for v in vendors] for t in panel.teachers])
    design = np.zeros((len(rows), sum(mean.shape)))
    design[np.arange(len(rows)), rows] = design[np.arange(len(rows)), len(mean) + columns] = 1
    return (
        np.linalg.lstsq(design, mean[rows, columns], rcond=None)[0][len(mean) :],
        panel,
        dict(zip(names, every, strict=True)),
    )


def voice_variants(said, prompts) -> str:
    """Documented students ranked first to their teacher's family under each setting of the voice."""
    out = "Documented students ranked first to their teacher's family, by the settings of the voice; nothing was chosen by this.\n\n"
    out += "| words compared | prompts that met a turn | smoothing | ranked first | of the same makers |\n|---|---|---|---|---|\n"
    for setting in (*VOICES, None):
        with_settings(setting or VOICES[0])
        level, panel, cells = levels(said, prompts)
        counts = []
        for models in (DOCUMENTED, KIN):
            taught = [(m, true) for m, _, true in models if "" not in true]
            told = {m: cells[m] - (0 if setting else level) for m, _ in taught}
            counts.append(
                f"{sum(panel.families[int(told[m].argmax())] in true for m, true in taught)} of {len(taught)}"
            )
        words, share, smoothing = setting or VOICES[0]
        out += f"| {words}{'' if setting else ', levels taken off'} | {share:.1%} | {smoothing} | {counts[0]} | {counts[1]} |\n"
    with_settings(VOICES[0])
    return out + "\n"


def with_settings(setting) -> None:
    alike.WORDS, voices.SPREAD, voices.SMOOTHING = setting


if __name__ == "__main__":
    main()
