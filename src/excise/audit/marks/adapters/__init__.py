"""Marks where logits are: thin adapters to serving libraries. Each needs the extra `audit-torch`, and says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from excise.audit.keys import KEY_BYTES, KeyName, parse_name
from excise.audit.marks import MARKS
from excise.audit.marks.mark import Mark
from excise.audit.texts import read_bytes
from excise.errors import InputError, UsageError


def torch() -> Any:
    """The library. Raises `UsageError` without the extra."""
    try:
        import torch as loaded  # noqa: PLC0415  an extra
    except ImportError as error:
        raise UsageError(
            "marking logits needs the extra `audit-torch`",
            subject="torch",
            hint="pip install 'excise[audit-torch]'",
        ) from error
    return loaded


def mark_of(purpose: str) -> Mark:
    """The mark on logits with this id. Raises `UsageError`."""
    found = next((mark for mark in MARKS if mark.id == purpose), None)
    if found is None:
        raise UsageError(
            "is no mark on logits", subject=purpose[:80], hint=f"one of {', '.join(m.id for m in MARKS)}"
        )
    return found


def served_key(path: Path) -> tuple[KeyName, bytes]:
    """The name and the key in a file that `excise audit keys --serve` wrote. Raises `InputError`, `UsageError`."""
    try:
        held = json.loads(read_bytes(path, "a file that `excise audit keys --serve` wrote"))
        name, key = parse_name(held["name"]), bytes.fromhex(held["key"])
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise InputError(
            "holds no served key",
            subject=str(path),
            hint="`excise audit keys KEYFILE --serve NAME --out FILE`",
        ) from error
    if len(key) != KEY_BYTES:
        raise InputError(
            "holds no served key",
            subject=str(path),
            hint="`excise audit keys KEYFILE --serve NAME --out FILE`",
        )
    return name, key
