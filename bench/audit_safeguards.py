"""Whether a judged loss is corrected to the true one: `python bench/audit_safeguards.py XSTEST [--pyrit FILE] [--out PAGE]`.

XSTEST is a folder with XSTest's completions and people's labels (`bench/train_judge.py` reads the same); FILE is PyRIT's
labelled refusals as Parquet. The judge that judges a model here was trained without that model and without the prompt.
"""

from __future__ import annotations

import argparse
import csv
import zlib
from itertools import permutations
from pathlib import Path

import numpy as np

import excise
import train_judge
from excise.audit.safeguards.judge import local_judge
from excise.stats.misjudged import Counted, ErrorRates, correct, count_errors
from excise.stats.paired import Pairs

HEAD = """# Safeguards: the judge's errors, and what the correction makes of them

Printed by `{command}`, version {version}. Data: answers of five models to XSTest's 450 prompts, each labelled
by people (Röttger et al. 2024, CC BY 4.0; a partial refusal counts as one).

"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("xstest", type=Path)
    parser.add_argument("--pyrit", type=Path)
    parser.add_argument("--worlds", type=int, default=500)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    command = "python bench/audit_safeguards.py XSTEST" + (" --pyrit FILE" if chosen.pyrit else "")
    command += f" --worlds {chosen.worlds} --samples {chosen.samples}"
    people, judge, unsafe = answers(chosen.xstest)
    page = HEAD.format(command=command, version=excise.__version__)
    page += judges(people, judge, chosen.pyrit) + transported(people, judge, unsafe)
    page += labelled(people, judge, unsafe, chosen.samples) + simulated(chosen.worlds)
    print(page)
    if chosen.out:
        chosen.out.write_text(page, "utf-8")


def answers(folder: Path):
    """By model: what people say and what a judge says that saw neither model nor prompt (450,); and the unsafe prompts."""
    x, y, model, fold = train_judge.read(folder)
    said = train_judge.held_out(x, y, model, fold)
    one = next(p for p in sorted(folder.glob("xstest_v2_completions_*.csv")) if p.stem.count("_") == 3)
    with one.open(encoding="utf-8", newline="") as file:
        unsafe = np.array([r["type"].startswith("contrast") for r in csv.DictReader(file)])
    names = [str(m) for m in dict.fromkeys(model)]
    return {m: y[model == m] > 0 for m in names}, {m: said[model == m] for m in names}, unsafe


def counted(judge, people) -> Counted:
    return count_errors(judge.tolist(), people.tolist())


def pairs_of(first, second) -> Pairs:
    cells = [int((first & second).sum()), int((first & ~second).sum()), int((~first & second).sum()), int((~first & ~second).sum())]  # fmt: skip
    return Pairs(*cells)


def judges(people, judge, pyrit: Path | None) -> str:
    out = "## The local judge\n\n| answers of | judged right | refusals called so | compliance called refusal |\n|---|---|---|---|\n"
    for m in people:
        out += _judge_row(m, counted(judge[m], people[m]))
    every = [np.concatenate([d[m] for m in people]) for d in (judge, people)]
    out += _judge_row("all five", counted(*every))
    if pyrit:
        import pyarrow.parquet as pq

        rows = pq.read_table(pyrit).to_pylist()
        local = local_judge()
        said = [bool(local.refuses(r["objective"], r["assistant_response"])) for r in rows]
        out += _judge_row("PyRIT's 105 labelled answers (never trained on; some short)", count_errors(said, [r["human_score"] == "1" for r in rows]))  # fmt: skip
    return (
        out
        + "\nHeld out by model and by prompt. An independent label set shows what to expect elsewhere: label some answers of every audit.\n\n"
    )


def _judge_row(name: str, c: Counted) -> str:
    right = (c.hits + c.negatives - c.alarms) / (c.positives + c.negatives)
    return f"| {name} | {right:.3f} | {c.hits / c.positives:.3f} ({c.hits} of {c.positives}) | {c.alarms / c.negatives:.3f} ({c.alarms} of {c.negatives}) |\n"


def transported(people, judge, unsafe) -> str:
    """Every ordered pair of models, corrected by errors on the three others."""
    out = "## Corrected by errors on other models\n\nEvery pair as teacher and suspect, on the 200 unsafe prompts. Errors are those on the three models that are neither.\n\n"
    out += "| teacher | suspect | true fall | judged | corrected | 95% interval | holds |\n|---|---|---|---|---|---|---|\n"
    held = total = 0
    for t, s in permutations(people, 2):
        others = ErrorRates(tuple(counted(judge[m], people[m]) for m in people if m not in (t, s)))
        true = pairs_of(people[t][unsafe], people[s][unsafe]).difference
        seen = pairs_of(judge[t][unsafe], judge[s][unsafe])
        found = correct(seen, others, others)
        assert found
        low, high = found.difference.interval
        holds = low <= true <= high
        held, total = held + holds, total + 1
        if true >= 0:
            out += f"| {t} | {s} | {true:+.3f} | {seen.difference:+.3f} | {found.difference.estimate:+.3f} | {low:+.3f} to {high:+.3f} | {'yes' if holds else 'no'} |\n"
    return (
        out
        + f"\n{held} of {total} ordered pairs hold the true fall (the table shows those with a fall; they share answers, so they are not {total} independent trials). A model that refuses in other words, as mistralinstruct does, is judged otherwise, and no errors of others foretell that. So the command corrects by labels of the audit alone.\n\n"
    )


def labelled(people, judge, unsafe, samples: int) -> str:
    """The recommended way: people label 100 random answers of each side of this very audit."""
    out = f"## Corrected by 100 labels a side of the audit's own answers\n\nPer pair {samples} random choices of which unsafe and safe answers are labelled; share of intervals that hold the true fall, mean width. Pairs where a side then has fewer than 10 labels of a kind use both sides' labels together, as the command does.\n\n"
    out += (
        "| teacher | suspect | true fall | mean corrected | holds | mean width |\n|---|---|---|---|---|---|\n"
    )
    every = []
    for t, s in permutations(people, 2):
        true = pairs_of(people[t][unsafe], people[s][unsafe]).difference
        if true < 0:
            continue
        seen = pairs_of(judge[t][unsafe], judge[s][unsafe])
        rng = np.random.default_rng(zlib.crc32(f"{t} {s}".encode()))
        hold, width, estimate = 0, 0.0, 0.0
        for k in range(samples):
            own = []
            for m in (t, s):
                pick = rng.choice(len(unsafe), 100, replace=False)
                own.append(counted(judge[m][pick], people[m][pick]))
            both = Counted(
                *(sum(getattr(c, f) for c in own) for f in ("hits", "positives", "alarms", "negatives"))
            )
            rates = [ErrorRates((c if min(c.positives, c.negatives) >= 10 else both,)) for c in own]
            found = correct(seen, *rates, seed=k, draws=4000)
            assert found
            low, high = found.difference.interval
            hold, width, estimate = (
                hold + (low <= true <= high),
                width + high - low,
                estimate + found.difference.estimate,
            )
        every.append(hold / samples)
        out += f"| {t} | {s} | {true:+.3f} | {estimate / samples:+.3f} | {hold / samples:.2f} | {width / samples:.3f} |\n"
    return (
        out
        + f"\nMean over pairs: {np.mean(every):.3f}. The rates are fixed here and only the choice of labels varies, so this is not a coverage of repeated audits; that is below.\n\n"
    )


def simulated(worlds: int) -> str:
    """Known truth, judge and labels all drawn anew."""
    out = f"## Simulation\n\n200 prompts, a known truth, a judge with other errors on each side, 100 labelled answers of each kind a side; {worlds} worlds a row. Share of 95% intervals that hold the truth.\n\n"
    out += "| teacher refuses | suspect refuses | TPR, FPR at teacher | at suspect | judged fall, mean | true fall | fall holds | complies given refused holds | mean width |\n|---|---|---|---|---|---|---|---|---|\n"
    for cells in (
        (0.36, 0.64, 0.0, 0.0),
        (0.36, 0.60, 0.01, 0.03),
        (0.50, 0.20, 0.05, 0.25),
        (0.80, 0.05, 0.05, 0.10),
    ):
        for t1, f1, t2, f2 in ((0.90, 0.05, 0.90, 0.05), (0.98, 0.38, 0.98, 0.38), (0.95, 0.30, 0.70, 0.10)):
            out += _world_row(np.array(cells), (t1, f1), (t2, f2), worlds)
    return out


def _world_row(law, first, second, worlds: int) -> str:
    rng = np.random.default_rng(zlib.crc32(repr((law.tolist(), first, second)).encode()))
    fall, lost = law[1] - law[2], law[1] / (law[0] + law[1])
    held, held_lost, width, judged = 0, 0, 0.0, 0.0
    for k in range(worlds):
        cell = rng.choice(4, size=200, p=law)
        seen = pairs_of(*(np.where(np.isin(cell, inside), rng.random(200) < tpr, rng.random(200) < fpr) for inside, (tpr, fpr) in (((0, 1), first), ((0, 2), second))))  # fmt: skip
        rates = [ErrorRates((Counted(int(rng.binomial(100, tpr)), 100, int(rng.binomial(100, fpr)), 100),)) for tpr, fpr in (first, second)]  # fmt: skip
        found = correct(seen, *rates, seed=k, draws=4000)
        assert found
        (low, high), (low2, high2) = found.difference.interval, found.lost_given_first.interval
        held, held_lost = held + (low <= fall <= high), held_lost + (low2 <= lost <= high2)
        width, judged = width + high - low, judged + seen.difference
    return f"| {law[0] + law[1]:.2f} | {law[0] + law[2]:.2f} | {first[0]:.2f}, {first[1]:.2f} | {second[0]:.2f}, {second[1]:.2f} | {judged / worlds:+.3f} | {fall:+.2f} | {held / worlds:.3f} | {held_lost / worlds:.3f} | {width / worlds:.3f} |\n"


if __name__ == "__main__":
    main()
