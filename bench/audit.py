"""What `excise audit` finds and whom it accuses wrongly on the n-gram test-bed: `python bench/audit.py [--worlds 24] [--out PAGE]`.

Every world has a language, a teacher, a base and a key of its own, all of the seed that is printed; the test-bed was laid
out on others. About ten CPU minutes. For small transformers on real text: `bench/audit_transformer.py`.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from pathlib import Path

import numpy as np

import audit_levels
import excise
from audit_attacks import robustness
from audit_costs import free_choices, marks
from audit_page import write
from audit_settings import QUERIES, SEED, Setting, counts, rates
from excise.audit import ngram, prf
from excise.audit.marks.red_green import RED_GREEN
from excise.audit.ngram import ANSWER
from excise.audit.pilot import estimated
from excise.audit.power import z_needed
from excise.audit.statistic import contrast, decoys, fair_tail, log10_bound, published

TITLE = "Chains"
LOOKS = (100, 400, 1_600, QUERIES)
SHARES = (0.0, 0.05, 0.1, 0.25)
NULL, GUARDED = 10_000, 1_000
PILOTS, PILOT = (100, 400), 1e-4


def calibration():
    """Shares of 5,000 keys at each level, for innocent models, by answers and by weights; and what breaks it."""
    s = Setting(10_000)
    other = ngram.dialect(s.world.human, s.rng)
    innocents = {
        "organic fine-tune": s.student(0.0),
        "student of our unmarked teacher": s.student(1.0, s.world.teacher),
        "student of another teacher": s.student(1.0, other),
        "student of a teacher that others marked": s.student(
            1.0, ngram.marked(other, RED_GREEN, s.rng.bytes(16))
        ),
    }
    yield audit_levels.allowed()
    yield ""
    yield audit_levels.HEAD.format(null=NULL)
    yield "|---|---|---|---|---|"
    raw = {}
    for name, chain in innocents.items():
        said = counts(s.spoken(chain, 400))
        found = contrast(said, counts(s.spoken(s.world.base, 400)))
        yield audit_levels.row(name, "sampled", found, prf.BIT, NULL)
        yield audit_levels.row(name, "weights", s.read(chain), prf.BIT, NULL)
        raw[name] = repeated(said)
    yield ""
    yield f"Without de-duplication, each pair counted as often as it is said, p is at most {' / '.join(map(str, audit_levels.LEVELS))} for this share of {GUARDED:,} keys:"
    yield ""
    yield "| innocent model | without de-duplication |"
    yield "|---|---|"
    for name, p in raw.items():
        yield f"| {name} | {' / '.join(f'{(p <= level).mean():.3f}' for level in audit_levels.LEVELS)} |"


def repeated(said):
    """p-values of the test that takes every repetition for a coin of its own."""
    found = []
    for key in decoys(b"trial keys of the bench", GUARDED):
        green = prf.draws(key.tobytes(), said.tuples) >> np.uint64(63)
        found.append(fair_tail(int((green * said.said).sum()), int(said.total)))
    return np.array(found)


def power(worlds):
    """By share and queries: our contrast, the published test, and our contrast of open weights, which need no query."""
    ours, theirs, weights = defaultdict(list), defaultdict(list), defaultdict(list)
    for number in range(worlds):
        s = Setting(number)
        for share in SHARES:
            student = s.student(share)
            words = s.spoken(student)
            for queries in LOOKS:
                said = counts(words[:queries])
                ours[share, queries].append(log10_bound(s.z(said)))
                theirs[share, queries].append(math.log10(max(published(said, s.key, s.mark.kind).p, 1e-300)))
            weights[share].append(log10_bound(s.open_z(student)))
    yield f"| distilled share | queries | contrast: p ≤ 1e-3 / ≤ 1e-6 / median log10 p | published test, the same (over {worlds} worlds and keys) |"
    yield "|---|---|---|---|"
    for share in SHARES:
        for queries in LOOKS:
            yield f"| {share:g} | {queries:,} | {rates(ours[share, queries])} | {rates(theirs[share, queries])} |"
        yield f"| {share:g} | open weights | {rates(weights[share])} | |"


def pilots(worlds):
    """What a pilot under a key of its own foretells of a later test of another student of the same share."""
    yield "| distilled share | pilot's answers | test's queries | foretold power, mean (mean range) | power that came true |"
    yield "|---|---|---|---|---|"
    told, passed = defaultdict(list), defaultdict(list)
    for number in range(worlds):
        for share in SHARES[1:]:
            s = Setting(4_000 + number)
            key = s.key
            pilot = s.spoken(s.student(share), max(PILOTS))
            s.key = s.rng.bytes(16)
            s.marked = ngram.marked(s.world.teacher, s.mark, s.key)
            words = s.spoken(s.student(share))
            for answers in PILOTS:
                rows = [ngram.tuples_of(row[None]) for row in pilot[:answers]]
                for queries in (400, 1_600):
                    told[share, answers, queries].append(
                        estimated(rows, s.reference, key, s.mark.kind, (queries,), PILOT)
                    )
                    z = s.z(counts(words[:queries]))
                    passed[share, answers, queries].append(z >= z_needed(PILOT / 2))
    for (share, answers, queries), found in told.items():
        low, high = np.mean([f.low for f in found]), np.mean([f.high for f in found])
        yield f"| {share:g} | {answers} | {queries:,} | {np.mean([f.power for f in found]):.2f} ({low:.2f} to {high:.2f}) | {np.mean(passed[share, answers, queries]):.2f} |"


def sections(worlds):
    """The page's sections by title; nothing is computed before its lines are asked for."""
    return {
        "Innocent models": calibration(),
        "Power": power(worlds),
        "What a pilot foretells": pilots(max(4, worlds // 2)),
        "Marks": marks(max(4, worlds // 3)),
        "Keyed free choices": free_choices(max(4, worlds // 3)),
        "What removes a mark, and what forges it": robustness(max(4, worlds // 2)),
    }


def head(worlds):
    return f"Printed by `python bench/audit.py --worlds {worlds}`, version {excise.__version__}, seed {SEED}. First-order chains over a made-up language of {ngram.VOCABULARY:,} words; a suspect is tuned on {ngram.TUNING_ANSWERS:,} answers of {ANSWER} words. Effect sizes of a large model are others; what carries over is that p-values hold, and how designs compare."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=24)
    parser.add_argument("--only", metavar="TITLE", help="one section alone")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if given.only is None:
        print(head(given.worlds))
        if given.out:
            write(given.out, f"## {TITLE}", [head(given.worlds)])
    for title, rows in sections(given.worlds).items():
        if given.only in (None, title):
            print(f"\n### {title}\n", flush=True)
            lines = []
            for line in rows:
                print(line, flush=True)
                lines.append(line)
            if given.out:
                write(given.out, f"### {title}", lines)


if __name__ == "__main__":
    main()
