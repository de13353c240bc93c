"""One finished scan in memory: the same four things that its folder holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from excise.model.findings import Campaign

RUN_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Run:
    """`info` is `run.json` (see `docs/run-folder.md`); the tables have the schemas `ACCOUNTS_OUT` and `HARVEST_OUT`.

    `info` keys: `schema`, `product`, `version`, `settings`, `settings_hash`,
    `inputs` (list of `path`, `kind`, `format`, `rows`, `sha256`),
    `rejected` (`rows`, `reasons` {word: count}, `samples` list of `path`, `row`, `reason`, `detail`),
    `unavailable` (list of `evidence`, `why`), `counts` (`exchanges`, `accounts`, `campaigns`, `accused_accounts`,
    `harvest_exchanges`, and `verdicts` {verdict: campaigns}), `period` (`first`, `last`, ISO times),
    `events` (list of `at`, `kind`, `label`; never an account's id), `timing` (`stages` list of `name`, `seconds`, `cpu_seconds`, `peak_bytes`; `peak_bytes`).
    """

    info: dict[str, Any]
    campaigns: tuple[Campaign, ...]
    accounts: pa.Table
    harvest: pa.Table
