"""The audit on small transformers trained here on real text: `python bench/audit_transformer.py [--out PAGE]`.

Needs the extras `audit` and `audit-torch`. Text: docstrings of the Python library and of the packages installed beside it,
so figures differ between machines. A base, our teacher and another teacher learn from a third of the modules each; suspects
are the base tuned on the base's kind of text of which a share was served by a teacher. Sampled answers go through text and
are scored with our tokenizer. `--device cuda --scale 4` runs it larger on a GPU. What is made is kept in `--work`, so a run
that was stopped goes on.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import audit_levels
import excise
from audit_models import ANSWER, PROMPT, SEED, VOCABULARY, Bench
from audit_page import write
from excise.audit.marks import MARKS, rerank
from excise.audit.marks.red_green import RED_GREEN
from excise.audit.reading import read
from excise.audit.statistic import contrast, log10_bound, published, z_of

TITLE = "Small transformers"
NULL = 10_000
READ = 1_000
"""Texts that open weights are read over."""
KEYS = 2
CANDIDATES = 4
"""Answers of which re-ranking serves one."""


@dataclass(frozen=True)
class Suspect:
    """`taught` is what its distilled text is from: `served` by our teacher under the key, or one of the innocent sources."""

    name: str
    share: float
    taught: str = "served"
    temperature: float = 1.0
    purified: bool = False

    @property
    def innocent(self) -> bool:
        return self.taught != "served" or self.share == 0


SUSPECTS = (
    Suspect("organic fine-tune", 0.0),
    Suspect("student of our unmarked teacher", 1.0, "plain"),
    Suspect("student of another teacher", 1.0, "theirs"),
    Suspect("student of a teacher that others marked", 1.0, "theirs marked"),
    Suspect("a twentieth is ours", 0.05),
    Suspect("a tenth is ours", 0.1),
    Suspect("a quarter is ours", 0.25),
    Suspect("all is ours", 1.0),
    Suspect("all is ours, then as much organic tuning again", 1.0, purified=True),
    Suspect("a quarter is ours, temperature 0.7", 0.25, temperature=0.7),
)
UNTRIED = " The larger version for a GPU (`--device cuda --scale 4`) has not been run: no GPU was at hand."
REPEATED = ("a tenth is ours", "a quarter is ours")
"""These are asked under `KEYS` keys."""


class Setting:
    """The models and texts that all suspects share."""

    def __init__(self, bench: Bench) -> None:
        given = bench.given
        self.bench = bench
        (self.base, self.loss), (self.teacher, _), (self.other, _) = (
            bench.trained(name, lambda rng, s=stream: bench.pieces(s, 60_000, rng), given.steps, 3e-3)
            for name, stream in (("base", bench.human), ("teacher", bench.ours), ("other", bench.theirs))
        )
        rng = bench.seeded("prompts")
        self.keys = [rng.bytes(16) for _ in range(KEYS)]
        self.foreign = rng.bytes(16)
        self.prompts = bench.pieces(bench.ours, given.pieces, rng)[:, :PROMPT]
        self.asked = bench.pieces(bench.human, given.queries, rng)[:, :PROMPT]
        self.reference = bench.counts(bench.answers("reference", self.base, self.asked))
        self.held = bench.tokenizer.decode_batch(bench.pieces(bench.human, READ, rng).tolist())
        self.read_base = bench.opened(self.base)

    def taught(self, source, number):
        """Answers of a teacher to the harvest's prompts."""
        model, key = {
            "served": (self.teacher, self.keys[number]),
            "plain": (self.teacher, None),
            "theirs": (self.other, None),
            "theirs marked": (self.other, self.foreign),
        }[source]
        return self.bench.answers(f"taught {source} {number}", model, self.prompts, key=key)

    def student(self, suspect, number):
        """The base tuned for three epochs on as many pieces as were served, of which a share is a teacher's."""
        bench, served = self.bench, self.taught(suspect.taught, number)
        taken = round(suspect.share * len(served))
        steps = 3 * len(served) // 64

        def rows(rng):
            return np.concatenate([served[:taken], bench.pieces(bench.human, len(served) - taken, rng)])

        name = f"student {suspect.taught} {suspect.share} {number}"
        made, _ = bench.trained(name, rows, steps, 1e-3, start=self.base)
        if suspect.purified:
            made, _ = bench.trained(
                f"{name} purified",
                lambda rng: bench.pieces(bench.human, len(served), rng),
                steps,
                1e-3,
                start=made,
            )
        return made

    def found(self, suspect, number=0):
        """What a suspect said, its contrast, and the contrast of its weights."""
        made = self.student(suspect, number)
        name = f"said {suspect.name} {number}"
        said = self.bench.counts(self.bench.answers(name, made, self.asked, temperature=suspect.temperature))
        weights = self.bench.kept(
            f"read {suspect.taught} {suspect.share} {suspect.purified} {number}",
            lambda _: read(self.held, self.bench.opened(made), self.read_base, self.bench.scorer, 1).contrast,
        )
        return said, contrast(said, self.reference), weights


def innocents(setting):
    yield audit_levels.allowed()
    yield ""
    yield audit_levels.HEAD.format(null=NULL)
    yield "|---|---|---|---|---|"
    for suspect in (s for s in SUSPECTS if s.innocent):
        for form in (1, 2):
            yield setting.bench.kept(
                f"row {suspect.name} {form} {NULL}", lambda _, s=suspect, f=form: _row(setting, s, f)
            )


def _row(setting, suspect, form):
    found = setting.found(suspect)[form]
    return audit_levels.row(suspect.name, ("", "sampled", "weights")[form], found, RED_GREEN.kind, NULL)


def power(setting):
    yield "| suspect | key | z, log10 p | published test, log10 p | open weights: z, log10 p |"
    yield "|---|---|---|---|---|"
    for suspect in SUSPECTS:
        for number in range(KEYS if suspect.name in REPEATED else 1):
            key, kind = setting.keys[number], RED_GREEN.kind
            said, sampled, weights = setting.found(suspect, number)
            z, opened = z_of(sampled, key, kind), z_of(weights, key, kind)
            beside = math.log10(max(published(said, key, kind).p, 1e-300))
            yield f"| {suspect.name} | {number + 1} | {z:.1f}, {log10_bound(z):.1f} | {beside:.1f} | {opened:.1f}, {log10_bound(opened):.1f} |"


def marks(setting):
    bench, key = setting.bench, setting.keys[0]
    asked = setting.prompts[:500]
    plain = bench.answers("cost of nothing", setting.teacher, asked)
    yield "| mark | nats a token under the unmarked teacher | beside no mark | answers drawn for one served | distinct answers of ten to one prompt |"
    yield "|---|---|---|---|---|"
    least = bench.nats(setting.teacher, plain)
    one = np.repeat(asked[:20], 10, axis=0)
    for name, drawn, rows, same in (
        ("none", 1, plain, bench.answers("ten of nothing", setting.teacher, one)),
        *(
            (m.id, 1, bench.answers(f"cost of {m.id}", setting.teacher, asked, key=key, mark=m.id),
             bench.answers(f"ten of {m.id}", setting.teacher, one, key=key, mark=m.id))
            for m in MARKS
        ),
        ("rerank", CANDIDATES, reranked(setting, "cost", asked, key), reranked(setting, "ten", one, key)),
    ):  # fmt: skip
        nats = bench.nats(setting.teacher, rows)
        distinct = np.mean([len({r.tobytes() for r in same[i : i + 10]}) for i in range(0, len(same), 10)])
        yield f"| {name} | {nats:.3f} | {nats - least:+.3f} | {drawn} | {distinct:.1f} |"


def reranked(setting, name, asked, key):
    """Of several answers to each prompt the one that the key chooses."""
    bench = setting.bench
    drawn = [bench.answers(f"{name} candidate {i}", setting.teacher, asked) for i in range(CANDIDATES)]
    texts = [bench.said(rows) for rows in drawn]
    chosen = [rerank.chosen(of, key, bench.scorer) for of in zip(*texts, strict=True)]
    return np.stack([drawn[c][i] for i, c in enumerate(chosen)])


def page(given):
    bench = Bench(given)
    setting = Setting(bench)
    size = sum(p.numel() for p in setting.base.parameters())
    yield f"Printed by `python bench/audit_transformer.py --scale {given.scale} --steps {given.steps} --queries {given.queries} --pieces {given.pieces}`, version {excise.__version__}, seed {SEED}. Three models of {size:,} parameters (GPT-2's kind) trained on {bench.bytes / 1e6:.0f} MB of docstrings, BPE of {VOCABULARY:,} tokens, on {given.device}; the base ends at {setting.loss:.2f} nats a token. {given.queries:,} queries of {ANSWER} tokens; suspects are tuned on {given.pieces:,} pieces; open weights are read over {READ:,} texts.{UNTRIED if given.device == 'cpu' else ''}"
    for title, rows in (
        ("Innocent transformers", innocents),
        ("Power on transformers", power),
        ("What marks cost on transformers", marks),
    ):
        yield ""
        yield f"### {title}"
        yield ""
        yield from rows(setting)


def device_of(said: str) -> str:
    """A device that is there; ends with a message where it is not."""
    import torch

    if said == "cuda" and not torch.cuda.is_available():
        sys.exit("--device cuda: this PyTorch sees no GPU; leave it out, or install one that does")
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=700, help="of 64 pieces, for the base and the teachers")
    parser.add_argument("--scale", type=int, default=1, help="width and depth; 4 and more for a GPU")
    parser.add_argument("--queries", type=int, default=2_500)
    parser.add_argument("--pieces", type=int, default=2_500)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument(
        "--work", type=Path, default=Path("demo/audit"), help="where models and answers are kept"
    )
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    try:
        import tokenizers  # noqa: F401
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as error:
        sys.exit(f"skipped, {error.name} is not there: pip install '.[audit,audit-torch]'")
    given.device = device_of(given.device)
    clock, used = time.monotonic(), time.process_time()
    lines = []
    for line in page(given):
        print(line, flush=True)
        lines.append(line)
    lines += [
        "",
        f"{(time.process_time() - used) / 60:.1f} CPU minutes in {(time.monotonic() - clock) / 60:.1f} minutes, less what was kept of an earlier run.",
    ]
    print("\n".join(lines[-2:]))
    if given.out:
        write(given.out, f"## {TITLE}", lines)


if __name__ == "__main__":
    main()
