"""A transformers model whose probabilities are read (extra `audit-torch`): `reading.OpenModel` of a local folder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from excise.audit.suspects.local import loaded
from excise.errors import UnreadableFile, UsageError

if TYPE_CHECKING:
    from excise.audit.prf import Numbers
    from excise.audit.tokens import Places

_CHUNK = 1 << 20


class Opened:
    """A model and its tokenizer that read texts. Needs a tokenizer that knows where its tokens stand (a fast one)."""

    def __init__(self, torch: Any, tokenizer: Any, model: Any) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise UsageError(
                "the model's tokenizer does not say where its tokens stand",
                subject="--weights",
                hint="give it a tokenizer.json, or ask the model instead: --local",
            )
        self._torch, self._tokenizer, self._model = torch, tokenizer, model
        self._longest = int(getattr(model.config, "max_position_embeddings", 0) or 2048)
        self.pieces: Sequence[str] = _pieces(tokenizer, int(model.config.vocab_size))

    def after(self, text: str) -> tuple[Places, Numbers]:
        """See `reading.OpenModel`. What is longer than the model reads at once is cut off."""
        found = self._tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)
        ids = found["input_ids"][: self._longest]
        ends = np.array([end for _, end in found["offset_mapping"][: self._longest]], np.int64)
        if not ids:
            return ends, np.empty((0, len(self.pieces)))
        with self._torch.no_grad():
            told = self._model(input_ids=self._torch.tensor([ids], device=self._model.device)).logits[0]
        return ends, self._torch.softmax(told.float(), -1).cpu().numpy()


def opened(folder: Path, device: str = "cpu") -> Opened:
    """The model in `folder`. Raises `UsageError` without the extra, `UnreadableFile` for what is no model."""
    return Opened(*loaded(folder, device))


def _pieces(tokenizer: Any, size: int) -> list[str]:
    """The text that each token adds. Told after another token, since some tokenizers drop a space that stands first."""
    first = tokenizer("a", add_special_tokens=False)["input_ids"]
    before = tokenizer.decode(first)
    told = tokenizer.batch_decode([[*first, token] for token in range(min(size, len(tokenizer)))])
    return [text[len(before) :] if text.startswith(before) else "" for text in told] + [""] * max(
        0, size - len(tokenizer)
    )


def fingerprint(folder: Path) -> str:
    """SHA-256 over names and contents of the files directly in `folder`. Raises `UnreadableFile`."""
    whole = hashlib.sha256()
    try:
        for path in sorted(p for p in folder.iterdir() if p.is_file()):
            content = hashlib.sha256()
            with path.open("rb") as file:
                while part := file.read(_CHUNK):
                    content.update(part)
            whole.update(path.name.encode("utf-8", "surrogateescape") + b"\0" + content.digest())
    except OSError as error:
        raise UnreadableFile(
            (error.strerror or str(error)).lower(),
            subject=str(folder),
            hint="name a folder that `save_pretrained` made",
        ) from error
    return whole.hexdigest()
