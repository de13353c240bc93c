"""OpenAI chat completions: raw request/response pairs; `pairs` says which keys around the bodies are read."""

from __future__ import annotations

from typing import Final

from excise.ingest.formats.pairs import CARRIES, LACKS, api_of, convert
from excise.ingest.reader import Reader, Record


def _matches(record: Record) -> bool:
    return api_of(record) == "chat"


OPENAI_CHAT: Final = Reader(
    id="openai-chat",
    title="OpenAI chat completions: raw request/response pairs",
    carries=CARRIES,
    lacks=LACKS,
    matches=_matches,
    convert=convert,
)
