"""Small transformers on docstrings for `bench/audit_transformer.py`: corpus, tokenizer, training and sampling.

Everything that takes long is kept in a folder under a name that its settings are part of, so that a run that was stopped
goes on; each step has its own seed, so that the figures are the same either way.
"""

from __future__ import annotations

import re
import sysconfig
import zlib
from pathlib import Path

import numpy as np

from excise.audit import prf
from excise.audit.marks.adapters.logits import changed_logits
from excise.audit.marks.red_green import DELTA
from excise.audit.suspects.opened import Opened
from excise.audit.tokens import FromFile, counted, windows

VOCABULARY, LENGTH, PROMPT, ANSWER = 1024, 64, 8, 48
CORPUS_BYTES = 6_000_000
QUOTED = re.compile(r'"""(.+?)"""', re.DOTALL)
BATCH, ASKED_AT_ONCE = 64, 500
SEED = 77


def docstrings() -> list[str]:
    """What stands between triple quotes, one string a file, in the order of paths."""
    found, size = [], 0
    paths = sysconfig.get_paths()
    for root in (paths["stdlib"], paths["purelib"]):
        for path in sorted(Path(root).rglob("*.py")):
            if size > CORPUS_BYTES:
                return found
            try:
                text = "\n".join(QUOTED.findall(path.read_text("utf-8")))
            except (ValueError, OSError):
                continue
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
    """Corpus, tokenizer and models of one run. `human`, `ours` and `theirs` are the tokens of a third of the files each."""

    def __init__(self, given) -> None:
        import torch
        from transformers import PreTrainedTokenizerFast

        self.torch, self.device, self.given = torch, given.device, given
        torch.set_num_threads(1)  # models this small only wait for each other on more
        texts = docstrings()
        self.tokenizer = tokenizer_of(texts[::7])
        self.fast = PreTrainedTokenizerFast(tokenizer_object=self.tokenizer)
        self.scorer = FromFile(self.tokenizer.to_str().encode())
        ids = [np.array(e.ids, np.int64) for e in self.tokenizer.encode_batch(texts)]
        self.bytes = sum(len(t.encode()) for t in texts)
        self.human, self.ours, self.theirs = (np.concatenate(ids[part::3]) for part in range(3))
        self.texts = zlib.crc32("".join(texts).encode())

    def seeded(self, name):
        """Chance of its own for a step."""
        seed = zlib.crc32(name.encode())
        self.torch.manual_seed(SEED * 1_000_003 + seed)
        return np.random.default_rng([SEED, seed])

    def kept(self, name, make):
        """What `make(rng)` gives, from the work folder if it was made before with the same settings and texts."""
        g = self.given
        said = f"{name} {g.scale} {g.steps} {g.queries} {g.pieces} {self.texts} {self.device}"
        path = g.work / f"{zlib.crc32(said.encode()):08x}.pt"
        if path.exists():
            return self.torch.load(path, map_location=self.device, weights_only=False)
        made = make(self.seeded(name))
        g.work.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        self.torch.save(made, part)
        part.replace(path)
        return made

    # Models

    def empty(self):
        from transformers import GPT2Config, GPT2LMHeadModel

        scale = self.given.scale
        config = GPT2Config(
            vocab_size=VOCABULARY, n_positions=LENGTH, n_embd=64 * scale, n_layer=2 * scale, n_head=4,
            resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=None, pad_token_id=None,
        )  # fmt: skip
        return GPT2LMHeadModel(config).to(self.device)

    def trained(self, name, rows_of, steps, rate, start=None):
        """A model and its last loss in nats a token: `steps` of 64 of the rows that `rows_of(rng)` gives, by AdamW."""

        def make(rng):
            model = self.empty()
            if start is not None:
                model.load_state_dict(start.state_dict())
            loss = self._train(model, rows_of(rng), steps, rate, rng)
            return model.state_dict(), loss

        state, loss = self.kept(name, make)
        model = self.empty()
        model.load_state_dict(state)
        return model.eval(), loss

    def _train(self, model, rows, steps, rate, rng):
        torch = self.torch
        optimiser = torch.optim.AdamW(model.parameters(), lr=rate)
        model.train()
        for _ in range(steps):
            batch = torch.tensor(rows[rng.integers(len(rows), size=BATCH)], device=self.device)
            logits = model(input_ids=batch[:, :-1]).logits
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
        return loss.item()

    # Text

    def pieces(self, stream, count, rng):
        starts = rng.integers(len(stream) - LENGTH, size=count)
        return stream[starts[:, None] + np.arange(PROMPT + ANSWER)]

    def answers(self, name, model, prompts, *, key=None, mark=None, temperature=1.0):
        """Sampled continuations of `prompts` (n, PROMPT), (n, PROMPT + ANSWER).

        With a `key` red/green from a table of all its coins; with a `mark` too, by the processor that operators use.
        """
        green = None if key is None or mark else self._green(key)

        def make(_):
            with self.torch.no_grad():
                parts = np.array_split(prompts, max(1, len(prompts) // ASKED_AT_ONCE))
                return np.concatenate(
                    [self._continued(model, p, green, key, mark, temperature) for p in parts]
                )

        return self.kept(name, make)

    def _continued(self, model, prompts, green, key, mark, temperature):
        torch = self.torch
        ids = torch.tensor(prompts, device=self.device)
        past = None
        for _ in range(ANSWER):
            told = model(
                input_ids=ids if past is None else ids[:, -1:],
                attention_mask=torch.ones_like(ids),
                past_key_values=past,
                use_cache=True,
            )
            past, logits = told.past_key_values, told.logits[:, -1] / temperature
            if green is not None:
                logits = logits + DELTA * green[ids[:, -1]]
            elif mark is not None:
                logits = changed_logits(logits, ids.tolist(), mark, key, 1)
            ids = torch.cat([ids, torch.multinomial(torch.softmax(logits, -1), 1)], 1)
        return ids.cpu().numpy()

    def _green(self, key):
        drawn = prf.draws(key, every_pair()).reshape(VOCABULARY, VOCABULARY) >> np.uint64(63)
        return self.torch.tensor(drawn.astype(np.float32), device=self.device)

    def said(self, rows):
        """The texts of answers."""
        return self.tokenizer.decode_batch(rows[:, PROMPT:].tolist(), skip_special_tokens=False)

    def counts(self, rows):
        """Tuples of answers, by way of their text."""
        return counted(windows(self.scorer(text), 1) for text in self.said(rows))

    def nats(self, model, rows):
        """Mean surprise at answers under a model, nats a token."""
        torch = self.torch
        with torch.no_grad():
            ids = torch.tensor(rows, device=self.device)
            logits = model(input_ids=ids[:, :-1]).logits[:, PROMPT - 1 :]
            return torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, PROMPT:].flatten()).item()

    def opened(self, model):
        return Opened(self.torch, self.fast, model)


def every_pair():
    """The tuple of every token after every token."""
    out = np.empty((VOCABULARY * VOCABULARY, 3), np.uint64)
    absent = np.uint64(prf.ABSENT)
    every = np.arange(VOCABULARY, dtype=np.uint64)
    out[:, 0] = absent << np.uint64(32) | absent
    out[:, 1] = absent << np.uint64(32) | np.repeat(every, VOCABULARY)
    out[:, 2] = np.tile(every, VOCABULARY)
    return out
