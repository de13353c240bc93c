"""The master key of an operator's marks, and the keys that are derived from it: one a purpose, cluster and epoch.

The master key never leaves its file (mode 0600, replaced in one step). A derived key is HMAC-SHA256(master, name),
so that a gateway holds only what it serves with, and an opened key says nothing about any other. The name of a key,
`PURPOSE:CLUSTER@EPOCH`, is no secret. A key that was opened for a case is burned: it is never served again, since
whoever has read the case can forge it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import stat
from typing import TYPE_CHECKING, Final

import msgspec

from excise.errors import InputError, UnreadableFile, UsageError
from excise.report.staging import cannot_write

if TYPE_CHECKING:
    from pathlib import Path

PURPOSES: Final = ("red-green", "gumbel", "tournament", "rerank", "choices")
KEY_BYTES: Final = 16
MASTER_BYTES: Final = 32
_NAME = re.compile(rf"({'|'.join(PURPOSES)}):([A-Za-z0-9._-]{{1,64}})@([1-9][0-9]{{0,5}})")
_FILE_LIMIT: Final = 4 << 20


class KeyName(msgspec.Struct, frozen=True):
    """Which key: what it marks with (`PURPOSES`), whom it was served to (`all`, or a cluster), and in which epoch (from 1)."""

    purpose: str
    cluster: str
    epoch: int

    def __str__(self) -> str:
        return f"{self.purpose}:{self.cluster}@{self.epoch}"


def parse_name(said: str, epoch: int | None = None) -> KeyName:
    """The name that `said` gives; without `@EPOCH` that of `epoch`. Raises `UsageError`."""
    whole = said if "@" in said or epoch is None else f"{said}@{epoch}"
    found = _NAME.fullmatch(whole)
    if found is None:
        raise UsageError(
            "is no name of a key",
            subject=said[:80],
            hint=f"PURPOSE:CLUSTER or PURPOSE:CLUSTER@EPOCH, the purpose one of {', '.join(PURPOSES)}",
        )
    return KeyName(found[1], found[2], int(found[3]))


class Keys(msgspec.Struct, frozen=True):
    """What the key file holds. `epoch` is the current one; `burned` are names. Its `repr` shows no secret."""

    schema: int
    master: str
    epoch: int = 1
    burned: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Keys(epoch={self.epoch}, burned={self.burned})"

    def key(self, name: KeyName) -> bytes:
        """The derived key, 16 bytes."""
        return self._digest("key", name)[:KEY_BYTES]

    def salt(self, name: KeyName) -> bytes:
        """What hides the key in its commitment, 16 bytes."""
        return self._digest("salt", name)[:KEY_BYTES]

    def commitment(self, name: KeyName) -> str:
        """SHA-256 of salt and key, as hex."""
        return commitment(self.salt(name), self.key(name))

    def served(self, name: KeyName) -> bytes:
        """The key, to serve with. Raises `UsageError` for one that is burned or not of the current epoch."""
        if str(name) in self.burned:
            raise UsageError("this key is burned", subject=str(name), hint="begin an epoch with --rotate")
        if name.epoch != self.epoch:
            raise UsageError(
                f"the epoch is {self.epoch}", subject=str(name), hint="serve the current epoch's keys only"
            )
        return self.key(name)

    def rotated(self) -> Keys:
        """The next epoch. Earlier keys can still be looked for."""
        return msgspec.structs.replace(self, epoch=self.epoch + 1)

    def with_burned(self, names: tuple[KeyName, ...]) -> Keys:
        """These keys never to be served again."""
        return msgspec.structs.replace(self, burned=tuple(sorted({*self.burned, *map(str, names)})))

    def _digest(self, what: str, name: KeyName) -> bytes:
        said = "\0".join(("excise-audit", what, name.purpose, name.cluster, str(name.epoch)))
        return hmac.digest(bytes.fromhex(self.master), said.encode(), "sha256")


def commitment(salt: bytes, key: bytes) -> str:
    """SHA-256(salt, key) as hex: binds to the key and does not show it."""
    return hashlib.sha256(salt + key).hexdigest()


def create(path: Path) -> Keys:
    """A new master key in a file that is not there yet. Raises `OutputError`."""
    keys = Keys(schema=1, master=os.urandom(MASTER_BYTES).hex())
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        _fill(handle, keys)
    except OSError as error:
        raise cannot_write(path, error) from error
    return keys


def save(path: Path, keys: Keys) -> None:
    """Put `keys` in place of what is there, in one step, mode 0600. Raises `OutputError`."""
    write_secret(path, keys)


def write_secret(path: Path, value: Keys | dict[str, str]) -> None:
    """A secret under `path`, in one step, mode 0600 from its first byte on. Raises `OutputError`."""
    staging = path.with_name(f".{path.name}.excise-{os.getpid()}")
    try:
        staging.unlink(missing_ok=True)
        try:
            handle = os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            _fill(handle, value)
            staging.replace(path)
        finally:
            staging.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error


def _fill(handle: int, value: Keys | dict[str, str]) -> None:
    with os.fdopen(handle, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def load(path: Path) -> Keys:
    """The keys in `path`. Raises `UsageError` for a file that others may read or that is a link, `InputError` for no key file."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(_FILE_LIMIT)
    except OSError as error:
        raise UnreadableFile(
            (error.strerror or str(error)).lower(),
            subject=str(path),
            hint="`excise audit keys FILE` makes a key file; a link is not followed",
        ) from error
    if not stat.S_ISREG(mode) or mode & 0o077:
        raise UsageError("the key can be read by others", subject=str(path), hint=f"chmod 600 {path}")
    try:
        keys = msgspec.json.decode(text, type=Keys)
        sound = keys.schema == 1 and keys.epoch >= 1 and len(bytes.fromhex(keys.master)) == MASTER_BYTES
    except (msgspec.MsgspecError, ValueError, RecursionError):
        sound = False
    if not sound:
        raise InputError(
            "is no key file", subject=str(path), hint="`excise audit keys FILE` makes one where there is none"
        )
    return keys
