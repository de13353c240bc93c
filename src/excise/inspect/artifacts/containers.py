"""Containers in memory: the members of a zip or tar within bounds, and streams that are compressed as a whole.

No member is written anywhere. A member is unpacked by zlib directly, so that a wrong checksum, which makes a strict
reader stop and a loader go on, hides nothing.
"""

from __future__ import annotations

import bz2
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

MOST_MEMBERS = 20_000
MOST_UNPACKED = 64_000_000
"""Bytes unpacked of one member or stream, and of all members together."""
MOST_RATIO = 200
"""Times that unpacking may grow a member beyond one megabyte; zlib's own limit is 1,032."""


class Broken(Exception):
    """A container that cannot be read, with the reason in words."""


@dataclass(frozen=True, slots=True)
class Member:
    """One name of a container and its bytes; None where they were not unpacked, and why."""

    name: str
    data: bytes | None
    why: str = ""


def escapes(name: str) -> bool:
    """Whether a name in a container leads out of the folder that it is unpacked into."""
    parts = name.replace("\\", "/").split("/")
    return (
        ".." in parts
        or name.startswith(("/", "\\"))
        or (len(name) > 1 and name[1] == ":" and name[0].isalpha())
    )


def zip_members(data: bytes, wanted: Any) -> Iterator[Member]:
    """The members of a zip by its directory; `wanted(name)` says which are unpacked."""
    try:
        listed = zipfile.ZipFile(io.BytesIO(data)).infolist()
    except (
        zipfile.BadZipFile,
        ValueError,
        struct.error,
        NotImplementedError,
        OSError,
        UnicodeError,
    ) as error:
        raise Broken(f"no readable directory of a zip ({type(error).__name__})") from None
    if len(listed) > MOST_MEMBERS:
        raise Broken(f"more than {MOST_MEMBERS:,} members")
    left = MOST_UNPACKED
    for info in listed:
        if not wanted(info.filename):
            yield Member(info.filename, None)
            continue
        member = _unpacked(data, info, left)
        left -= len(member.data or b"")
        yield member


def local_members(data: bytes, wanted: Any) -> Iterator[Member]:
    """The members of the head of a zip, one after another, as far as the bytes go; for files too large to be read."""
    at = 0
    while data[at : at + 4] == b"PK\x03\x04" and at + 30 <= len(data):
        flags, method = struct.unpack_from("<HH", data, at + 6)
        packed, _, name_length, extra_length = struct.unpack_from("<IIHH", data, at + 18)
        name = data[at + 30 : at + 30 + name_length].decode("utf-8", "replace")
        begin = at + 30 + name_length + extra_length
        if packed == 0xFFFFFFFF:
            packed = _large(data[at + 30 + name_length : begin])
        if flags & 8 or packed < 0:
            return
        if wanted(name):
            yield Member(name, _inflate(data[begin : begin + packed], method, MOST_UNPACKED))
        at = begin + packed


def _large(extra: bytes) -> int:
    """The packed size of a zip64 field; -1 where there is none."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1 and length >= 16:
            return int(struct.unpack_from("<Q", extra, at + 12)[0])
        at += 4 + length
    return -1


def _unpacked(data: bytes, info: zipfile.ZipInfo, left: int) -> Member:
    if info.flag_bits & 1:
        return Member(info.filename, None, "encrypted")
    if info.file_size > left:
        return Member(info.filename, None, f"{info.file_size:,} bytes unpacked, {left:,} are read")
    if info.file_size > 1_000_000 and info.file_size > MOST_RATIO * max(info.compress_size, 1):
        return Member(info.filename, None, "grows too much when it is unpacked")
    at = info.header_offset
    if not 0 <= at <= len(data) - 30 or data[at : at + 4] != b"PK\x03\x04":
        return Member(info.filename, None, "its header is not where the directory says")
    name, extra = struct.unpack_from("<HH", data, at + 26)
    begin = at + 30 + name + extra
    content = _inflate(data[begin : begin + info.compress_size], info.compress_type, min(left, MOST_UNPACKED))
    return Member(info.filename, content, "" if content is not None else "cannot be unpacked")


def _inflate(packed: bytes, method: int, limit: int) -> bytes | None:
    try:
        if method == zipfile.ZIP_STORED:
            return packed[:limit]
        if method == zipfile.ZIP_DEFLATED:
            return zlib.decompressobj(-15).decompress(packed, limit)
        if method == zipfile.ZIP_BZIP2:
            return bz2.BZ2Decompressor().decompress(packed, limit)
    except (zlib.error, OSError, ValueError, EOFError):
        return None
    return None


def tar_members(data: bytes, wanted: Any) -> Iterator[Member]:
    """The members of a tar."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            for number, info in enumerate(tar):
                if number >= MOST_MEMBERS:
                    raise Broken(f"more than {MOST_MEMBERS:,} members")
                inside = info.isfile() and wanted(info.name) and info.offset_data + info.size <= len(data)
                name = info.name if not (info.issym() or info.islnk()) else f"{info.name} -> {info.linkname}"
                if (info.issym() or info.islnk()) and escapes(info.linkname):
                    name = info.linkname
                yield Member(name, data[info.offset_data : info.offset_data + info.size] if inside else None)
    except (tarfile.TarError, ValueError, EOFError, OSError, OverflowError, RecursionError) as error:
        raise Broken(f"no readable tar ({type(error).__name__})") from None


_STREAMS: Final = (
    (b"\x1f\x8b", lambda: zlib.decompressobj(31)),
    (b"BZh", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\x00", lzma.LZMADecompressor),
    (b"\x5d\x00\x00", lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=100_000_000)),
    (b"\x78\x9c", zlib.decompressobj),
    (b"\x78\x01", zlib.decompressobj),
    (b"\x78\xda", zlib.decompressobj),
    (b"\x78\x5e", zlib.decompressobj),
)


def decompressed(data: bytes) -> tuple[bytes, bool] | None:
    """The content of a stream that is compressed as a whole and whether that is all of it; None for other bytes."""
    for magic, make in _STREAMS:
        if data.startswith(magic):
            stream: Any = make()
            try:
                content = stream.decompress(data, MOST_UNPACKED)
            except (zlib.error, lzma.LZMAError, OSError, ValueError, EOFError):
                return None
            return content, bool(stream.eof)
    return None
