"""Replace names by keyed pseudonyms at the door: the same name under the same key is the same pseudonym everywhere.

A pseudonym is `prefix_` and 20 hex digits of HMAC-SHA256(key, kind NUL value); without the key it cannot be guessed
back, even by one who tries every account. An address becomes an IPv6 address in unallocated space (3000::/5): 43 bits
from its /24 (IPv4) or /48 (IPv6), 16 zero bits, 64 bits from the whole address. Addresses of one network so stay
neighbours under any grouping from /48 to /64, and nothing else of them remains.
"""

from __future__ import annotations

import hmac
import os
import socket
import stat
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from excise.errors import OutputError, UsageError
from excise.ingest.bytes_in import unreadable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DIGITS: Final = 20
KEY_BYTES: Final = 32
_KINDS: Final = {
    "account_id": "acct",
    "org_id": "org",
    "key_id": "key",
    "project_id": "proj",
    "end_user_id": "user",
    "session_id": "sess",
    "device_id": "dev",
    "owner_id": "own",
    "payment_fp": "pay",
    "email_domain": "dom",
}
_ADDRESSES: Final = ("client_ip", "signup_ip")
_SPACE: Final = 0b00110 << 43
_MAPPED: Final = b"\0" * 10 + b"\xff\xff"
_ACCOUNT_EVENTS: Final = ("suspension", "rate_limit")


@dataclass(frozen=True, slots=True)
class Pseudonymiser:
    """Holds the key of one case. Columns are replaced by distinct value, so the cost is in names, not rows."""

    key: bytes

    def name(self, kind: str, value: str) -> str:
        """The pseudonym of `value`, e.g. `acct_1f0c…`. Kinds never collide: the kind is part of what is hashed."""
        return f"{kind}_{self._digest(kind, value.encode()).hex()[:DIGITS]}"

    def address(self, value: str) -> str:
        """The pseudonym of an IP address; text that is none becomes `ip_…`."""
        packed = _packed(value.strip())
        if packed is None:
            return self.name("ip", value)
        network = packed[: 3 if len(packed) == 4 else 6]
        prefix = int.from_bytes(self._digest("net", network)[:6]) & ((1 << 43) - 1)
        host = self._digest("ip", packed)[:8]
        return socket.inet_ntop(socket.AF_INET6, (_SPACE | prefix).to_bytes(6) + b"\0\0" + host)

    def batch(self, batch: Any) -> Any:
        """A record batch or table with its naming columns replaced; others stay."""
        for column, kind in _KINDS.items():
            if column in batch.schema.names:
                batch = self._replaced(batch, column, partial(self.name, kind))
        for column in _ADDRESSES:
            if column in batch.schema.names:
                batch = self._replaced(batch, column, self.address)
        return batch

    def events(self, events: pa.Table, accounts: pa.Table | None) -> pa.Table:
        """Events with `subject` replaced where it is an account: by the event's kind, or since the table knows it."""
        known = set() if accounts is None else set(accounts.column("account_id").to_pylist())
        kinds, subjects = events.column("kind").to_pylist(), events.column("subject").to_pylist()
        replaced = [
            self.name("acct", subject)
            if subject and (kind in _ACCOUNT_EVENTS or subject in known)
            else subject
            for kind, subject in zip(kinds, subjects, strict=True)
        ]
        where = events.schema.get_field_index("subject")
        return events.set_column(where, events.schema.field(where), pa.array(replaced, pa.string()))

    def _replaced(self, batch: Any, column: str, change: Callable[[str], str]) -> Any:
        where = batch.schema.get_field_index(column)
        values = batch.column(where)
        if values.null_count == len(values):
            return batch
        whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
        coded = pc.dictionary_encode(whole)
        names = pa.array([change(value) for value in coded.dictionary.to_pylist()], pa.string())
        return batch.set_column(where, batch.schema.field(where), names.take(coded.indices))

    def _digest(self, kind: str, value: bytes) -> bytes:
        return hmac.digest(self.key, kind.encode() + b"\0" + value, "sha256")


def _packed(address: str) -> bytes | None:
    """4 or 16 bytes in network order; an IPv4 address in IPv6 clothes as 4; `None` for what is no address."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            packed = socket.inet_pton(family, address)
        except (OSError, ValueError):
            continue
        return packed[12:] if packed.startswith(_MAPPED) else packed
    return None


def load_key(path: Path) -> bytes:
    """The key in `path`, made with 32 random bytes and mode 0600 where there is none yet.

    Raises `UsageError` for a key that others may read, that is a link, or that is too short.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read_key(path)
    except OSError as error:
        raise OutputError(
            f"cannot be written: {error.strerror}",
            subject=str(path),
            hint="name a key file in a folder of yours",
        ) from error
    key = os.urandom(KEY_BYTES)
    with os.fdopen(handle, "w") as file:
        file.write(key.hex() + "\n")
    return key


def _read_key(path: Path) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(handle, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(4096).strip()
    except OSError as error:
        raise unreadable(error, path) from error
    if not stat.S_ISREG(mode) or mode & 0o077:
        raise UsageError(
            "the key can be read by others", subject=str(path), hint=f"chmod 600 {path}, or make a new one"
        )
    try:
        key = bytes.fromhex(text.decode())
    except ValueError:
        key = b""
    if len(key) < KEY_BYTES:
        raise UsageError(
            "is no key of this tool", subject=str(path), hint="name a file that does not exist: it is made"
        )
    return key
