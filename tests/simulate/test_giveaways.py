"""Nothing that means nothing tells good from bad: no value of any column belongs to campaigns alone by construction."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from excise.simulate import WorldSpec, write_world


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    out = tmp_path_factory.mktemp("giveaway") / "w"
    write_world(WorldSpec(exchanges=10_000, accounts=2_500, seed=12, levels=(1, 2, 3, 5)), out)
    accounts = pq.read_table(out / "accounts.parquet")
    labels = pq.read_table(f"{out}-labels/account_labels.parquet")
    bad = set(labels.filter(pc.is_valid(labels["campaign_id"]))["account_id"].to_pylist())
    return accounts, pq.read_table(out / "exchanges"), bad


def split(table, column, bad):
    rows = list(zip(table["account_id"].to_pylist(), table[column].to_pylist(), strict=True))
    return [v for a, v in rows if a in bad], [v for a, v in rows if a not in bad]


@pytest.mark.parametrize(
    "column",
    [
        "temperature",
        "max_tokens",
        "sdk_name",
        "os",
        "runtime",
        "model",
        "provider",
        "endpoint",
        "http_status",
    ],
)
def test_settings_and_clients_of_campaigns_are_anybodys(tables, column):
    mine, others = split(tables[1], column, tables[2])
    assert set(mine) <= set(others)


@pytest.mark.parametrize("column", ["org_id", "owner_id", "email_domain", "payment_fp", "signup_ip"])
def test_facts_of_accounts_are_missing_alike(tables, column):
    mine, others = split(tables[0], column, tables[2])
    share = [np.mean([v is None for v in values]) for values in (mine, others)]
    assert abs(share[0] - share[1]) < 0.25


def test_new_accounts_and_disposable_mail_are_anybodys_too(tables):
    accounts, _, bad = tables
    mine, others = split(accounts, "created_at", bad)
    assert max(others) > max(mine)
    mail, theirs = (set(x) - {None} for x in split(accounts, "email_domain", bad))
    assert mail & theirs


def test_nobody_calls_before_the_account_exists(tables):
    accounts, exchanges, _ = tables
    created = dict(zip(accounts["account_id"].to_pylist(), accounts["created_at"].to_pylist(), strict=True))
    for account, at in zip(
        exchanges["account_id"].to_pylist(), exchanges["started_at"].to_pylist(), strict=True
    ):
        assert at >= created[account]


def test_texts_are_many(tables):
    texts = tables[1]["user_text"].to_pylist()
    assert len(set(texts)) > 0.8 * len(texts)
