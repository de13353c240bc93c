"""Which kinds of evidence the rows at hand allow: said from what is in them, not from the names of their columns."""

from __future__ import annotations

from typing import Final

import numpy as np

from excise.model import schema
from excise.model.tables import Accounts, Events, Exchanges

NEEDS: Final = {
    "content": "no request has a text of its own (`user_text`)",
    "echo": "there are no answers (`output_text`) beside the requests",
    "conversation": "it is not known which request opens a conversation (`n_messages`)",
    "sessions": "there are neither sessions nor devices (`session_id`, `device_id`)",
    "client": "there are no client facts (`user_agent`, `sdk_name`, `ja4`, `header_order`, `device_id`)",
    "network": "there are no addresses (`client_ip`; `signup_ip` of the accounts table)",
    "blocks": "there are no reasoning blocks (`emitted_blocks`, `replayed_blocks`)",
    "accounts": "there is no accounts table",
    "payment": "no account has a payment fingerprint (`payment_fp` of the accounts table)",
    "mail": "no account has a mail domain (`email_domain` of the accounts table)",
    "releases": "there is no model release among the events",
    "displacement": "there is no suspension among the events",
    "time": "there are no times",
}
"""Kinds of evidence, and what is missing where one cannot be had."""


def seen_columns(exchanges: Exchanges) -> frozenset[str]:
    """Return which columns that evidence needs hold a value at all."""
    told = [name for name in _TOLD if (getattr(exchanges, name) > 0).any()]
    return frozenset(told + [name for name in _LISTS if len(getattr(exchanges, name).values)])


SEEN: Final = (
    "doc",
    "session",
    "device",
    "client",
    "net",
    "messages",
    "wide_in",
    "wide_out",
    "emitted",
    "replayed",
)
"""Columns that evidence needs, the lists last."""
_TOLD, _LISTS = SEEN[:6], SEEN[6:]


def available_kinds(
    seen: frozenset[str], accounts: Accounts, events: Events, *, has_accounts: bool
) -> frozenset[str]:
    """Return the kinds in `NEEDS` that can be looked at; `seen` as in `seen_columns`."""
    release, suspension = (schema.EVENT_KINDS.index(kind) for kind in ("model_release", "suspension"))
    there = {
        "content": "doc" in seen,
        "echo": {"wide_in", "wide_out"} <= seen,
        "conversation": "messages" in seen,
        "sessions": bool({"session", "device"} & seen),
        "client": bool({"client", "device"} & seen),
        "network": "net" in seen or bool(accounts.signup_net.any()),
        "blocks": {"emitted", "replayed"} <= seen,
        "accounts": has_accounts,
        "payment": bool(accounts.payment.any()),
        "mail": bool(accounts.mail.any()),
        "releases": bool(np.any(events.kind == release)),
        "displacement": bool(np.any((events.kind == suspension) & (events.account >= 0))),
        "time": len(accounts) > 0,
    }
    return frozenset(name for name, yes in there.items() if yes)
