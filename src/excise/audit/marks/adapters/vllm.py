"""A logits processor for vLLM's V1 engine: `LLM(..., logits_processors=["excise.audit.marks.adapters.vllm:Marking"])`.

The folder in the environment variable `EXCISE_MARK_KEYS` holds the key files that `excise audit keys --serve` wrote. A
request says which by `SamplingParams(extra_args={"excise_mark": "red-green:k7@1"})`; one that says none is not marked.
The engine applies it before temperature and top-p, so a free mark is free of distortion only without those.

Source of the interface: vLLM's documentation, "Custom Logits Processors", `AdapterLogitsProcessor`. This file imports
vLLM and is loaded by it; nothing else of Excise imports it.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any, Final

from vllm.v1.sample.logits_processor import AdapterLogitsProcessor

from excise.audit.marks import adapters
from excise.audit.marks.adapters.logits import changed_logits

CONTEXT: Final = int(os.environ.get("EXCISE_MARK_CONTEXT", "1"))
"""Tokens before a token that its coin depends on; the audit's `--context`."""


@cache
def served() -> dict[str, tuple[str, bytes]]:
    """Purpose and key by name, of every file in the folder of keys. Raises `UsageError`, `InputError`."""
    found = [adapters.served_key(path) for path in sorted(Path(os.environ["EXCISE_MARK_KEYS"]).iterdir())]
    return {str(name): (name.purpose, key) for name, key in found}


class Marking(AdapterLogitsProcessor):  # type: ignore[misc, unused-ignore]
    """Marks each request under the key that its `excise_mark` names."""

    @classmethod
    def validate_params(cls, sampling_params: Any) -> None:
        """Raises `ValueError` for a key that is not served."""
        name = (sampling_params.extra_args or {}).get("excise_mark")
        if name is not None and name not in served():
            raise ValueError("excise_mark names no key that is served")

    def is_argmax_invariant(self) -> bool:
        """A mark changes what is likeliest."""
        return False

    def new_req_logits_processor(self, params: Any) -> Any:
        """A function from output ids and one row of logits to that row, or None for a request without a mark."""
        name = (params.extra_args or {}).get("excise_mark")
        if name is None:
            return None
        purpose, key = served()[name]
        return lambda ids, row: changed_logits(row[None, :], [ids], purpose, key, CONTEXT)[0]
