"""A transformers model from a local folder as a suspect (extra `audit-torch`)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from excise.audit.suspects import Reply
from excise.errors import UnreadableFile, UsageError

if TYPE_CHECKING:
    from excise.audit.plan import Sampling


class Local:
    """Samples one answer a prompt. Nothing is fetched: the folder holds the model and its tokenizer."""

    source = "model"

    def __init__(self, folder: Path, sampling: Sampling) -> None:
        self._torch, self._tokenizer, self._model = loaded(folder)
        self._sampling = sampling
        self._name = folder.name

    def ask(self, query: int, prompt: str) -> Reply:  # noqa: ARG002  one interface
        """One sampled answer."""
        ids = self._tokenizer(prompt, return_tensors="pt")
        free = self._sampling.temperature > 0
        choice = (
            {"do_sample": True, "temperature": self._sampling.temperature, "top_k": 0}
            if free
            else {"do_sample": False}
        )
        with self._torch.no_grad():
            out = self._model.generate(**ids, max_new_tokens=self._sampling.max_tokens, **choice)
        new = out[0, ids["input_ids"].shape[1] :]
        text = self._tokenizer.decode(new, skip_special_tokens=True)
        raw = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
        return Reply(text, model=self._name, claimed_tokens=len(new), raw_sha256=raw)


def loaded(folder: Path, device: str = "cpu") -> tuple[Any, Any, Any]:
    """The library, the tokenizer and the model of a folder. Raises `UsageError` without the extra, `UnreadableFile`."""
    try:
        import torch  # noqa: PLC0415  an extra
        import transformers  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(
            "a local model needs the extra `audit-torch`",
            subject=str(folder),
            hint="pip install 'excise[audit-torch]', or record its answers and use --recorded",
        ) from error
    try:
        transformers.utils.logging.disable_progress_bar()
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        return torch, tokenizer, model.to(device).eval()
    except Exception as error:  # the library raises bare exceptions of many kinds
        raise UnreadableFile(
            "is no model that can be loaded",
            subject=str(folder),
            hint="name a folder that `save_pretrained` made",
        ) from error
