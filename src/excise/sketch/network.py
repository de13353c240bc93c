"""The network of an address: /24 for IPv4, /48 for IPv6, as a keyed hash."""

from __future__ import annotations

import ipaddress

import numpy as np
import pyarrow as pa

from excise.model.tables import U64
from excise.sketch.hashing import hash_strings


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
    """Return the keyed hash of each address's network, 0 where there is no valid address. Distinct addresses are parsed once."""
    coded = addresses.dictionary_encode()
    networks = pa.array(
        [None if a is None else network_of(a) for a in coded.dictionary.to_pylist()], pa.string()
    )
    hashed = np.append(hash_strings(networks, seed=seed), np.uint64(0))
    return hashed[coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)]
