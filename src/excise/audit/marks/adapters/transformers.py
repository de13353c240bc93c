"""A `LogitsProcessor` for `generate`: `model.generate(..., logits_processor=LogitsProcessorList([processor(...)]))`."""

from __future__ import annotations

from typing import Any

from excise.audit.marks import adapters
from excise.audit.marks.adapters.logits import changed_logits
from excise.errors import UsageError


def processor(purpose: str, key: bytes, context: int = 1) -> Any:
    """A processor that marks with `purpose` (an id of `MARKS`) under `key`. Raises `UsageError` without the extra.

    It changes the distribution that is sampled from, so it stands after every warper (temperature, top-p). The audit must
    score with this model's tokenizer and the same `context`.
    """
    adapters.torch()
    adapters.mark_of(purpose)
    try:
        from transformers import LogitsProcessor  # noqa: PLC0415  an extra
    except ImportError as error:
        raise UsageError(
            "marking in transformers needs the extra `audit-torch`",
            subject="transformers",
            hint="pip install 'excise[audit-torch]'",
        ) from error

    class Marking(LogitsProcessor):  # type: ignore[misc, unused-ignore]
        def __call__(self, input_ids: Any, scores: Any) -> Any:
            return changed_logits(scores, input_ids.tolist(), purpose, key, context)

    return Marking()
