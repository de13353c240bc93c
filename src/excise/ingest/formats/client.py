"""What the headers of a request say about the program that sent it, and which address it came from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Final

from excise.ingest.formats.fields import integer, text
from excise.ingest.reader import Row

_OURS: Final = tuple(
    ip_network(block)
    for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16",
                  "100.64.0.0/10", "::1/128", "fc00::/7", "fe80::/10")
)  # fmt: skip
"""Networks of an operator's own hops: RFC 1918, 3927, 6598, 4193, loopback. Documentation ranges are not among them."""

_SDK: Final = re.compile(r"(?:Async)?(?:Azure)?(OpenAI|Anthropic)[A-Za-z]*/(\w{1,20})[ /]([\w.+-]{1,40})")
_PRODUCT: Final = re.compile(r"([A-Za-z][\w.@-]{0,60})/v?(\d[\w.+-]{0,40})")
_ASN: Final = re.compile(r"(?:AS)?(\d{1,10})", re.IGNORECASE | re.ASCII)
_EDGE: Final = re.compile(
    r"x-(?:forwarded|real|ja[34]|asn|country|envoy|amzn|request-id)|cf-|via$|forwarded$|true-client"
)
"""Headers that the operator's edge adds: no part of the order in which the client sent its own."""


def headers_of(value: object) -> dict[str, str]:
    """Headers as lower-case name -> value in the order received, from an object or from a list of pairs."""
    if isinstance(value, Mapping):
        pairs: Any = value.items()
    elif isinstance(value, list):
        pairs = [pair for pair in value if isinstance(pair, list | tuple) and len(pair) == 2]
    else:
        return {}
    found: dict[str, str] = {}
    for name, content in pairs:
        one = content[0] if isinstance(content, list) and content else content
        if isinstance(name, str) and isinstance(one, str):
            found.setdefault(name.lower(), one)
    return found


def client_columns(headers: Mapping[str, str], user_agent: object = None, peer: object = None) -> Row:
    """The contract's columns on the client, from its headers, its logged user agent and the logged address."""
    agent = text(headers.get("user-agent")) or text(user_agent)
    name, version = _sdk(agent or "")
    own = text(headers.get("x-stainless-package-version"))
    return {
        "client_ip": client_ip(peer, headers.get("x-forwarded-for")),
        "asn": _asn(headers.get("x-asn")),
        "country": _country(headers.get("x-country")),
        "ja4": text(headers.get("x-ja4")),
        "user_agent": agent,
        "sdk_name": name,
        "sdk_version": own or version,
        "os": text(headers.get("x-stainless-os")),
        "runtime": _runtime(headers),
        "header_order": text(",".join(name for name in headers if not _EDGE.match(name))),
    }


def client_ip(peer: object, forwarded: object = None) -> str | None:
    """The address of the rightmost hop that is not the operator's own.

    A proxy appends the address that it saw on the right; what stands further left was sent by the client and may be
    invented. Where every hop is the operator's own, the rightmost one. `forwarded` (X-Forwarded-For) counts only when
    the direct peer is one of the operator's own hops.
    """
    hops = [*_hops(forwarded), *_hops(peer)]
    for hop in reversed(hops):
        if not any(hop in block for block in _OURS if block.version == hop.version):
            return str(hop)
    return str(hops[-1]) if hops else None


def _hops(value: object) -> list[IPv4Address | IPv6Address]:
    found = []
    for part in value.split(",") if isinstance(value, str) else ():
        bare = part.strip().strip('"')
        if bare.startswith("["):
            bare = bare[1:].partition("]")[0]
        elif bare.count(":") == 1:
            bare = bare.partition(":")[0]
        try:
            address = ip_address(bare)
        except ValueError:
            continue
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        found.append(mapped or address)
    return found


def _sdk(agent: str) -> tuple[str | None, str | None]:
    if sdk := _SDK.match(agent):
        return f"{sdk[1]}-{sdk[2]}".lower(), sdk[3]
    product = _PRODUCT.match(agent)
    if product is None or product[1] == "Mozilla":
        return None, None
    return product[1].lower(), product[2]


def _runtime(headers: Mapping[str, str]) -> str | None:
    parts = (text(headers.get("x-stainless-runtime")), text(headers.get("x-stainless-runtime-version")))
    return " ".join(part for part in parts if part) or None


def _asn(value: object) -> int | None:
    found = _ASN.fullmatch(value.strip()) if isinstance(value, str) else None
    number = integer(found[1]) if found else None
    return number if number is not None and 0 < number < 2**32 else None


def _country(value: object) -> str | None:
    code = value.strip().upper() if isinstance(value, str) else ""
    return code if len(code) == 2 and code.isascii() and code.isalpha() else None
