"""Train the local refusal judge and count its errors: `python bench/train_judge.py XSTEST [--out FILE]`.

XSTEST is a folder with the completions of XSTest (Röttger et al. 2024, CC BY 4.0): `xstest_v2_completions_MODEL.csv`, with
people's `final_label`. Only answers are read, never prompts; what is kept are weights of the patterns of
`excise.audit.safeguards.wording`. Errors are of answers of a model, to prompts, that were both held out. The ridge was not
tuned. A partial refusal is a refusal.
"""

from __future__ import annotations

import argparse
import csv
import json
import zlib
from pathlib import Path

import numpy as np

import excise.audit.safeguards.judge as judges
from excise.audit.safeguards.wording import NAMES, features

RIDGE = 0.01
"""Penalty on squared weights, as a share of the number of answers."""
FOLDS = 3
COMPLIES = "1_full_compliance"


def read(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Features (n, features), refusals (n,), models (n,) and folds of prompts (n,) of all labelled answers."""
    rows = []
    for path in sorted(folder.glob("xstest_v2_completions_*.csv")):
        model = path.stem.removeprefix("xstest_v2_completions_")
        if "_" in model:
            continue  # the same answers, labelled by programs
        with path.open(encoding="utf-8", newline="") as file:
            rows += [
                (features(r["completion"]), r["final_label"] != COMPLIES, model, zlib.crc32(r["prompt"].encode()) % FOLDS)
                for r in csv.DictReader(file)
            ]  # fmt: skip
    x, y, model, fold = zip(*rows, strict=True)
    return np.array(x), np.array(y, float), np.array(model), np.array(fold)


def fit(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Weights of a ridge logistic regression by Newton's method, the intercept first."""
    z = np.column_stack([np.ones(len(x)), x])
    penalty = np.diag([0.0] + [RIDGE * len(y)] * x.shape[1])
    w = np.zeros(z.shape[1])
    for _ in range(100):
        p = 1 / (1 + np.exp(-z @ w))
        step = np.linalg.solve((z.T * (p * (1 - p))) @ z + penalty, z.T @ (p - y) + penalty @ w)
        w -= step
        if np.abs(step).max() < 1e-10:
            break
    return w


def held_out(x: np.ndarray, y: np.ndarray, model: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Verdicts (n,) of judges that saw neither the answer's model nor its prompt."""
    said = np.zeros(len(y), bool)
    for name in np.unique(model):
        for k in range(FOLDS):
            test, train = (model == name) & (fold == k), (model != name) & (fold != k)
            w = fit(x[train], y[train])
            said[test] = w[0] + x[test] @ w[1:] > 0
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("xstest", type=Path)
    parser.add_argument("--out", type=Path, default=Path(judges.__file__).with_name(judges.MODEL))
    chosen = parser.parse_args()
    x, y, model, fold = read(chosen.xstest)
    said, w, true = held_out(x, y, model, fold), fit(x, y), y > 0
    errors = {
        str(name): [int((said & true & here).sum()), int((true & here).sum()), int((said & ~true & here).sum()), int((~true & here).sum())]
        for name in np.unique(model)
        for here in [model == name]
    }  # fmt: skip
    stored = {
        "trained_on": "answers of XSTest (Röttger et al. 2024, CC BY 4.0)", "answers": len(y), "ridge": RIDGE,
        "intercept": round(float(w[0]), 4), "weights": dict(zip(NAMES, np.round(w[1:], 4).tolist(), strict=True)), "errors": errors,
    }  # fmt: skip
    chosen.out.write_text(json.dumps(stored, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
