"""The network of an address: /24 for IPv4, /48 for IPv6, as a keyed hash."""

from __future__ import annotations

import ipaddress
from typing import Any, Final

import numpy as np
import pyarrow as pa

from excise.model.tables import U64
from excise.sketch.hashing import arrow_bytes, hash_bytes, hash_strings, jit, keys_of

_ABSENT: Final = np.uint64(0)
_LONGEST: Final = 45
"""Characters of the longest address in text (INET6_ADDRSTRLEN without its end)."""
_DIGITS: Final = np.frombuffer(b"0123456789abcdef", np.uint8)
_DOT, _COLON = ord("."), ord(":")


def network_of(address: str) -> str | None:
    """Return the /24 or /48 of an address in text, or None where it is none; IPv4 inside IPv6 counts as IPv4."""
    try:
        ip = ipaddress.ip_address(address.strip().partition("%")[0])  # a zone is local to its host
    except ValueError:
        return None
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return str(ipaddress.ip_network((ip, 24 if ip.version == 4 else 48), strict=False))


def hash_networks(addresses: pa.Array, *, seed: int) -> U64:
    """Return the keyed hash of each address's network, 0 where there is no valid address.

    The usual ways to write an address are read by a kernel; the others (zones, blanks, IPv4 inside IPv6, what is none)
    by `network_of`, each distinct one once.
    """
    if pa.types.is_null(addresses.type):
        return np.zeros(len(addresses), np.uint64)
    if pa.types.is_dictionary(addresses.type):
        entries = np.append(hash_networks(addresses.dictionary, seed=seed), _ABSENT)
        return entries[addresses.indices.fill_null(len(entries) - 1).to_numpy(zero_copy_only=False)]
    data, offsets, valid = arrow_bytes(addresses)
    out, other = np.zeros(len(addresses), np.uint64), np.zeros(len(addresses), np.bool_)
    room = np.empty(_LONGEST, np.uint8), np.empty(8, np.int64)
    _hash_plain(data, offsets, valid, keys_of(seed, 4), _DIGITS, room, out, other)
    rest = np.flatnonzero(other)
    if len(rest):
        out[rest] = _hash_others(addresses.take(pa.array(rest)), seed)
    return out


def _hash_others(addresses: pa.Array, seed: int) -> U64:
    coded = addresses.dictionary_encode()
    networks = pa.array([network_of(a) for a in coded.dictionary.to_pylist()], pa.string())
    return hash_strings(networks, seed=seed)[coded.indices.to_numpy(zero_copy_only=False)]


@jit
def _hash_plain(
    data: Any, offsets: Any, valid: Any, keys: Any, digits: Any, room: Any, out: Any, other: Any
) -> None:
    """Hash the networks of plain addresses; `other` says which rows are not written in the plain way.

    `room`: for the text of a network, and for the groups of an address.
    """
    text, groups = room
    for i in range(len(out)):
        if len(valid) > 0 and not valid[i]:
            continue
        n = _plain_ipv4(data, offsets[i], offsets[i + 1], text)
        if n == 0:
            n = _plain_ipv6(data, offsets[i], offsets[i + 1], digits, text, groups)
        if n == 0:
            other[i] = True
        else:
            out[i] = hash_bytes(text, 0, n, keys)


@jit
def _plain_ipv4(data: Any, start: int, end: int, text: Any) -> int:
    """Write `a.b.c.0/24` of a dotted quad without leading zeros; its length, or 0."""
    if end - start < 7 or end - start > 15:
        return 0
    dots, value, size, cut = 0, 0, 0, 0
    for at in range(start, end + 1):
        c = np.int64(data[at]) if at < end else _DOT
        if c == _DOT:
            if size == 0 or value > 255:
                return 0
            dots += 1
            cut = at - start if dots == 3 else cut
            value, size = 0, 0
        elif 48 <= c <= 57 and size < 3 and not (size > 0 and value == 0):
            value, size = value * 10 + c - 48, size + 1
        else:
            return 0
    if dots != 4:
        return 0
    for k in range(cut):
        text[k] = data[start + k]
    text[cut], text[cut + 1], text[cut + 2], text[cut + 3], text[cut + 4] = _DOT, 48, 47, 50, 52
    return cut + 5


@jit
def _hex(c: int) -> int:
    if 48 <= c <= 57:
        return c - 48
    low = c | 32
    return low - 87 if 97 <= low <= 102 else -1


@jit
def _plain_ipv6(data: Any, start: int, end: int, digits: Any, text: Any, groups: Any) -> int:
    """Write `a:b:c::/48` of an address of hexadecimal groups; its length, or 0 (also for IPv4 inside IPv6)."""
    if end - start < 2 or end - start > 39:
        return 0
    n, gap, at = 0, -1, start
    if data[at] == _COLON:
        if data[at + 1] != _COLON:
            return 0
        gap, at = 0, at + 2
    while at < end:
        value, size = 0, 0
        while at < end and size < 5:
            digit = _hex(np.int64(data[at]))
            if digit < 0:
                break
            value, size, at = value * 16 + digit, size + 1, at + 1
        if size == 0 or size > 4 or n == 8:
            return 0
        groups[n] = value
        n += 1
        if at == end:
            break
        if data[at] != _COLON or at + 1 == end:
            return 0
        at += 1
        if data[at] == _COLON:
            if gap >= 0:
                return 0
            gap, at = n, at + 1
    if (gap < 0 and n != 8) or (gap >= 0 and n > 7):
        return 0
    if gap >= 0:
        for k in range(n - 1, gap - 1, -1):
            groups[k + 8 - n] = groups[k]
        for k in range(gap, gap + 8 - n):
            groups[k] = 0
    mapped = groups[5] == 0xFFFF
    for k in range(5):
        mapped = mapped and groups[k] == 0
    return 0 if mapped else _write_48(groups, digits, text)


@jit
def _write_48(groups: Any, digits: Any, text: Any) -> int:
    """Write the first three groups as Python writes a network: the zeros that end the address are `::`."""
    kept = 3
    while kept > 0 and groups[kept - 1] == 0:
        kept -= 1
    n = 0
    for k in range(kept):
        started = False
        for shift in (12, 8, 4, 0):
            digit = (groups[k] >> shift) & 15
            if digit or started or shift == 0:
                text[n], n, started = digits[digit], n + 1, True
        text[n], n = _COLON, n + 1
    if kept == 0:
        text[n], n = _COLON, n + 1
    text[n], text[n + 1], text[n + 2], text[n + 3] = _COLON, 47, 52, 56
    return n + 4
