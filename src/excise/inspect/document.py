"""A JSON document that the user names: of an earlier run, of accepted findings, of another tool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from excise.errors import UnreadableFile

MOST_BYTES: Final = 200_000_000


def read_document(path: Path, hint: str) -> Any:
    """Return what the file says. Raises `UnreadableFile`, with the hint, where it is too large or is not JSON."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UnreadableFile(f"more than {MOST_BYTES:,} bytes", subject=str(path), hint=hint)
        return json.loads(path.read_bytes())
    except OSError as error:
        raise UnreadableFile(
            (error.strerror or "cannot be read").lower(), subject=str(path), hint=hint
        ) from error
    except (ValueError, RecursionError) as error:
        raise UnreadableFile("is not JSON", subject=str(path), hint=hint) from error
