"""The audit on small transformers trained here on real text: `python bench/audit_transformer.py [--steps 1500] [--out PAGE]`.

Needs the extras `audit` and `audit-torch`. Text: docstrings of the Python library and of the packages installed beside it,
so figures differ between machines. A base learns from one half of the modules, our teacher from the other; students are the
base tuned on the base's kind of text of which a share was served by the teacher under a key. Everything goes through text:
answers are decoded, and scored with our tokenizer. With a GPU the same runs larger (`--scale 4`).
"""

from __future__ import annotations

import argparse
import ast
import math
import sys
import sysconfig
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import excise
from excise.audit.marks.adapters.logits import changed_logits
from excise.audit.marks.red_green import RED_GREEN
from excise.audit.prf import ABSENT
from excise.audit.statistic import contrast, log10_bound, open_contrast, published, z_of
from excise.audit.tokens import FromFile, counted, windows

VOCABULARY, LENGTH, PROMPT, ANSWER = 1024, 64, 8, 48
CORPUS_BYTES = 6_000_000
SEED = 77


def docstrings() -> list[str]:
    """Docstrings of modules, classes and functions, one string a file, in the order of paths."""
    found, size = [], 0
    paths = sysconfig.get_paths()
    for root in (paths["stdlib"], paths["purelib"]):
        for path in sorted(Path(root).rglob("*.py")):
            if size > CORPUS_BYTES:
                return found
            try:
                tree = ast.parse(path.read_text("utf-8"))
            except (SyntaxError, ValueError, OSError, RecursionError):
                continue
            kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
            text = "\n".join(
                d for node in ast.walk(tree) if isinstance(node, kinds) and (d := ast.get_docstring(node))
            )
            if len(text) > 400:
                found.append(text)
                size += len(text)
    return found


def tokenizer_of(texts):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=VOCABULARY, initial_alphabet=alphabet, show_progress=False)
    )
    return made


class Bench:
    """Corpus, tokenizer and models of one run."""

    def __init__(self, scale: int, steps: int) -> None:
        import torch

        torch.manual_seed(SEED)
        self.torch, self.rng = torch, np.random.default_rng(SEED)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.scale, self.steps = scale, steps
        texts = docstrings()
        self.tokenizer = tokenizer_of(texts[::7])
        self.scorer = FromFile(self.tokenizer.to_str().encode())
        ids = [np.array(e.ids, np.int64) for e in self.tokenizer.encode_batch(texts)]
        self.bytes = sum(len(t.encode()) for t in texts)
        self.human, self.ours = (np.concatenate(ids[half::2]) for half in (0, 1))

    def model(self):
        from transformers import GPT2Config, GPT2LMHeadModel

        width = 64 * self.scale
        config = GPT2Config(
            vocab_size=VOCABULARY, n_positions=LENGTH, n_embd=width, n_layer=2 * self.scale, n_head=4,
            resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=None, pad_token_id=0,
        )  # fmt: skip
        return GPT2LMHeadModel(config).to(self.device)

    def train(self, model, rows, steps: int, rate: float):
        """On 64 of `rows` (n, tokens) a step, by AdamW; the last loss, nats a token."""
        torch = self.torch
        optimiser = torch.optim.AdamW(model.parameters(), lr=rate)
        model.train()
        for _ in range(steps):
            batch = torch.tensor(rows[self.rng.integers(len(rows), size=64)], device=self.device)
            loss = model(input_ids=batch, labels=batch).loss
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
        model.eval()
        return loss.item()

    def pieces(self, stream, count):
        starts = self.rng.integers(len(stream) - LENGTH, size=count)
        return np.stack([stream[s : s + PROMPT + ANSWER] for s in starts])

    def answers(self, model, prompts, key=None, temperature=1.0):
        """Sampled continuations of `prompts` (n, PROMPT), (n, PROMPT + ANSWER); marked where there is a key."""
        torch, out = self.torch, []
        with torch.no_grad():
            for part in np.array_split(prompts, max(1, len(prompts) // 500)):
                ids = torch.tensor(part, device=self.device)
                past = None
                for _ in range(ANSWER):
                    told = model(
                        input_ids=ids if past is None else ids[:, -1:], past_key_values=past, use_cache=True
                    )
                    past, logits = told.past_key_values, told.logits[:, -1] / temperature
                    if key is not None:
                        logits = changed_logits(logits, ids.tolist(), RED_GREEN.id, key, 1)
                    ids = torch.cat([ids, torch.multinomial(torch.softmax(logits, -1), 1)], 1)
                out.append(ids.cpu().numpy())
        return np.concatenate(out)

    def counts(self, rows):
        """Tuples of answers, by way of their text."""
        texts = self.tokenizer.decode_batch(rows[:, PROMPT:].tolist(), skip_special_tokens=False)
        return counted(windows(self.scorer(text), 1) for text in texts)

    def next_probabilities(self, model, rows):
        """Mean next-token probabilities by last token, (vocabulary, vocabulary), and how often each was last."""
        torch = self.torch
        total = torch.zeros(VOCABULARY, VOCABULARY)
        seen = torch.zeros(VOCABULARY)
        with torch.no_grad():
            for part in np.array_split(rows, max(1, len(rows) // 250)):
                ids = torch.tensor(part, device=self.device)
                p = torch.softmax(model(input_ids=ids).logits, -1).cpu().reshape(-1, VOCABULARY)
                total.index_add_(0, ids.cpu().reshape(-1), p)
                seen += torch.bincount(ids.cpu().reshape(-1), minlength=VOCABULARY)
        return (total / seen.clamp(min=1)[:, None]).numpy(), seen.numpy()


@dataclass(frozen=True)
class Suspect:
    name: str
    share: float
    marked: bool
    temperature: float = 1.0
    purified: bool = False


SUSPECTS = (
    Suspect("organic", 0.0, marked=True),
    Suspect("student of our unmarked teacher", 1.0, marked=False),
    Suspect("a tenth is ours", 0.1, marked=True),
    Suspect("a quarter is ours", 0.25, marked=True),
    Suspect("a quarter is ours, temperature 0.7", 0.25, marked=True, temperature=0.7),
    Suspect("all is ours", 1.0, marked=True),
    Suspect("all is ours, then as much organic tuning again", 1.0, marked=True, purified=True),
)


def student(bench: Bench, base, suspect: Suspect, served, plain):
    """The base tuned for three epochs on 4,000 pieces, of which a share was served."""
    torch = bench.torch
    made = bench.model()
    made.load_state_dict(base.state_dict())
    taken = round(suspect.share * len(served))
    rows = np.concatenate(
        [(served if suspect.marked else plain)[:taken], bench.pieces(bench.human, len(served) - taken)]
    )
    bench.train(made, rows, 3 * len(rows) // 64, 1e-3)
    if suspect.purified:
        bench.train(made, bench.pieces(bench.human, len(served)), 3 * len(served) // 64, 1e-3)
    torch.manual_seed(SEED)
    return made


def tuples_of_all(vocabulary=VOCABULARY):
    out = np.empty((vocabulary * vocabulary, 3), np.uint64)
    absent = np.uint64(ABSENT)
    every = np.arange(vocabulary, dtype=np.uint64)
    out[:, 0] = absent << np.uint64(32) | absent
    out[:, 1] = absent << np.uint64(32) | np.repeat(every, vocabulary)
    out[:, 2] = np.tile(every, vocabulary)
    return out


def rows(bench: Bench, queries: int, pieces: int):
    start = time.monotonic()
    base, teacher = bench.model(), bench.model()
    losses = [
        bench.train(m, bench.pieces(s, 60_000), bench.steps, 3e-3)
        for m, s in ((base, bench.human), (teacher, bench.ours))
    ]
    size = sum(p.numel() for p in base.parameters())
    yield f"Two models of {size:,} parameters, {bench.bytes / 1e6:.0f} MB of docstrings, BPE of {VOCABULARY:,} tokens, on {bench.device}; loss after training {losses[0]:.2f} and {losses[1]:.2f} nats a token. {queries:,} queries of {ANSWER} tokens; students are tuned on {pieces:,} pieces. {bench.steps:,} steps of 64 pieces. One key."
    yield ""
    key = bench.rng.bytes(16)
    prompts = bench.pieces(bench.ours, pieces)[:, :PROMPT]
    served, plain = bench.answers(teacher, prompts, key), bench.answers(teacher, prompts)
    asked = bench.pieces(bench.human, queries)[:, :PROMPT]
    reference = bench.counts(bench.answers(base, asked))
    held = bench.pieces(bench.human, 1_000)
    base_p, seen = bench.next_probabilities(base, held)
    every = tuples_of_all()
    yield "| suspect | z, log10 p | published test, log10 p | open weights: z, log10 p |"
    yield "|---|---|---|---|"
    for suspect in SUSPECTS:
        made = student(bench, base, suspect, served, plain)
        said = bench.counts(bench.answers(made, asked, temperature=suspect.temperature))
        z = z_of(contrast(said, reference), key, RED_GREEN.kind)
        beside = math.log10(max(published(said, key, RED_GREEN.kind).p, 1e-300))
        p, _ = bench.next_probabilities(made, held)
        opened = z_of(
            open_contrast(every, p.ravel(), base_p.ravel(), np.repeat(seen, VOCABULARY)), key, RED_GREEN.kind
        )
        yield f"| {suspect.name} | {z:.1f}, {log10_bound(z):.1f} | {beside:.1f} | {opened:.1f}, {log10_bound(opened):.1f} |"
    yield ""
    yield f"{(time.monotonic() - start) / 60:.0f} minutes."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1_500, help="of 64 pieces, for the base and the teacher")
    parser.add_argument("--scale", type=int, default=1, help="width and depth; 4 and more for a GPU")
    parser.add_argument("--queries", type=int, default=3_000)
    parser.add_argument("--pieces", type=int, default=4_000)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    try:
        import tokenizers  # noqa: F401
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as error:
        sys.exit(f"skipped, {error.name} is not there: pip install '.[audit,audit-torch]'")
    lines = [
        "# The audit on small transformers",
        "",
        f"Printed by `python bench/audit_transformer.py`, version {excise.__version__}, seed {SEED}, `--scale {given.scale} --steps {given.steps} --queries {given.queries} --pieces {given.pieces}`.",
        "",
    ]
    print("\n".join(lines), flush=True)
    for line in rows(Bench(given.scale, given.steps), given.queries, given.pieces):
        print(line, flush=True)
        lines.append(line)
    if given.out:
        given.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
