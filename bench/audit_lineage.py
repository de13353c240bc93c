"""Which family documented students are ranked to: `python bench/audit_lineage.py ALPACA_EVAL [--out PAGE]`.

ALPACA_EVAL is a folder with `model_outputs.parquet` (columns model, iid, output) of AlpacaEval (CC BY-NC 4.0: for evaluation
only, nothing of it is kept). Who taught whom is what the makers of the models have documented.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

import excise
from excise.audit.lineage import likeness as alike
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
passed by chance. So the second table is not blind, and the third shows what the choices do. The fourth has models of the same
makers, on which nothing was chosen, though the raw likeness of several (guanaco-7b, guanaco-65b, oasst-rlhf-llama-33b, the
humpbacks) had been looked at.

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
    page += teachers_alone(said, prompts) + CHOICES
    full, cells = measured(said, prompts, FAMILIES, CONTROLS)
    any_one = ranked(full, cells, DOCUMENTED[0][0])
    page += f"## The documented models\n\nTeachers without their own vendor and controls, each in turn as the suspect: {any_one.false_leads} of {any_one.strangers} would be given a lead, wrongly.\n\n"
    page += table(full, cells, DOCUMENTED)
    page += variants(said, prompts, full, cells)
    page += identity(said, prompts)
    page += "## Others of the same makers\n\n" + table(full, cells, KIN)
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
    """A panel, and likeness (prompts, teachers) of every model to its teachers, by name."""
    panel = panel_of(families, controls)
    names = [t.name for t in panel.teachers]
    names += [m for m in said if m not in names]
    cells = alike.likeness([[said[m][p] for p in prompts] for m in names], len(panel.teachers))
    return panel, {m: cells[:, i] for i, m in enumerate(names)}


def ranked(panel: Panel, cells, suspect: str):
    order = [m.name for m in (*panel.teachers, *panel.controls)] + [suspect]
    return rank(panel, np.stack([cells[m] for m in order], axis=1))


def table(panel: Panel, cells, models) -> str:
    out = "| model | taught by | lead | right | nearest families: how far they stand out (bar) | resamples |\n|---|---|---|---|---|---|\n"
    right = vendor_right = 0
    for name, teacher, true in models:
        found = ranked(panel, cells, name)
        good = found.lead in true
        vendors = {FAMILIES[f][0] if f else "" for f in true}
        right, vendor_right = (
            right + good,
            vendor_right + ((FAMILIES[found.lead][0] if found.lead else "") in vendors),
        )
        near = ", ".join(f"{s.family} {s.score:+.1f} ({s.bar:+.1f})" for s in found.standings[:3])
        shares = ", ".join(f"{f or 'none'} {share:.0%}" for f, share in found.shares)
        out += f"| {name} | {teacher} | {found.lead or 'none of these'} | {'yes' if good else 'no'} | {near} | {shares} |\n"
    return (
        out
        + f"\nRight family, or rightly none: {right} of {len(models)}. Right vendor, or rightly none: {vendor_right} of {len(models)}.\n\n"
    )


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
        mean = np.stack([cells[t.name].mean(axis=0) for t in panel.teachers])
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


if __name__ == "__main__":
    main()
