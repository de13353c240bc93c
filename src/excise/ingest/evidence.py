"""Which kinds of evidence the tables at hand allow, and what is missing for the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from excise.ingest.traffic import Traffic


@dataclass(frozen=True, slots=True)
class Need:
    """A kind of evidence and what it needs: every one of `all_of`, one of `any_of`, in `table`."""

    evidence: str
    serves: str
    table: str = "exchanges"
    all_of: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a kind of evidence can be looked at; `why` not, else empty."""

    need: Need
    why: str

    @property
    def available(self) -> bool:
        """Whether everything that it needs is there."""
        return not self.why


NEEDS: Final = (
    Need("time", "bursts, shared schedules, steady machines", all_of=("started_at",)),
    Need("content", "shared templates and split question lists", all_of=("user_text",)),
    Need("wrapper", "a system prompt that the accounts share", all_of=("system_text",)),
    Need("tools", "a set of tools that the accounts share", all_of=("tools_json",)),
    Need("echo", "answers of one account in the requests of another", all_of=("user_text", "output_text")),
    Need(
        "block-replay",
        "reasoning blocks made for one account and sent by another",
        all_of=("replayed_blocks", "emitted_blocks"),
    ),
    Need("reasoning", "a harvest of reasoning", any_of=("reasoning_text", "tokens_reasoning")),
    Need(
        "sampling",
        "the same sampling settings everywhere",
        any_of=("temperature", "top_p", "max_tokens", "n"),
    ),
    Need("conversation", "single shots told from conversations", any_of=("n_messages", "session_id")),
    Need("refusals", "probing of what is refused", any_of=("refusal_category", "stop_reason")),
    Need("network", "addresses and networks in common", any_of=("client_ip", "asn")),
    Need(
        "client",
        "one program behind many accounts",
        any_of=("ja4", "user_agent", "header_order", "device_id"),
    ),
    Need("accounts", "when and as what accounts were opened", table="accounts", all_of=("account_id",)),
    Need("payment", "one payment instrument behind many accounts", table="accounts", all_of=("payment_fp",)),
    Need(
        "signup-network",
        "accounts opened from one network",
        table="accounts",
        any_of=("signup_ip", "signup_asn"),
    ),
    Need(
        "owner",
        "accounts of one legal owner, which are no conspiracy",
        table="accounts",
        all_of=("owner_id",),
    ),
    Need("displacement", "traffic that moves to other accounts", table="events", all_of=("at", "kind")),
    Need("network-kind", "hosting and VPN told from homes", table="asn", all_of=("asn", "kind")),
)


def availability(traffic: Traffic) -> Iterator[Availability]:
    """For every kind of evidence, whether the traffic allows it. Costs nothing but the side tables' null counts."""
    filled = {
        "exchanges": frozenset(traffic.columns.present),
        "accounts": _filled(traffic.accounts),
        "events": _filled(traffic.events),
        "asn": _filled(traffic.asn),
    }
    for need in NEEDS:
        yield Availability(need, _why(need, filled[need.table]))


def unavailable(traffic: Traffic) -> list[tuple[str, str]]:
    """`evidence, why` for each kind that cannot be looked at, as `run.json` lists them."""
    return [(one.need.evidence, one.why) for one in availability(traffic) if not one.available]


def _why(need: Need, filled: frozenset[str]) -> str:
    if not filled:
        return f"there is no {need.table} table" if need.table != "exchanges" else "there are no exchanges"
    missing = [name for name in need.all_of if name not in filled]
    if missing:
        return f"{need.table} have no {', '.join(missing)}"
    if need.any_of and not filled.intersection(need.any_of):
        return f"{need.table} have none of {', '.join(need.any_of)}"
    return ""


def _filled(table: Any) -> frozenset[str]:
    if table is None:
        return frozenset()
    return frozenset(name for name in table.schema.names if table.column(name).null_count < table.num_rows)
