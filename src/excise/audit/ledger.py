"""What was served under which key, and to whom: only ever added to, each line bound to all before it.

A gateway that marks writes a line an exchange. It holds no key and no text: names of keys, counts, and ids of slots.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from excise import chain
from excise.errors import InputError


class Served(msgspec.Struct, frozen=True):
    """One exchange that was served under a key. `slots` are the keyed free choices in it, by id."""

    account_id: str
    key: str
    tokens: int = 0
    exchange_id: str = ""
    at: str = ""
    slots: tuple[str, ...] = ()


class Ledger(chain.Appender):
    """Adds to a ledger that is there, or begins one. Raises `InputError` for one whose chain is broken."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            self.cut()
            for number, text in enumerate(chain.whole_lines(path)[0], 1):
                _, self.digest = chain.checked(path, number, text, self.digest)
        except BaseException:
            self.close()
            raise


def read(path: Path) -> Iterator[Served]:
    """The lines of a ledger: chained where the first one is, plain NDJSON of another program otherwise. Raises `InputError`."""
    lines, _ = chain.whole_lines(path)
    chained = bool(lines) and b'"hash":"' in lines[0]
    digest = chain.START
    for number, text in enumerate(lines, 1):
        if not text.strip() and not chained:
            continue
        body = text
        if chained:
            body, digest = chain.checked(path, number, text, digest)
        try:
            yield msgspec.json.decode(body, type=Served)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise InputError(
                f"line {number}: {error}",
                subject=str(path),
                hint='one object a line: {"account_id": "…", "key": "gumbel:all@1", "tokens": 5}',
            ) from error
