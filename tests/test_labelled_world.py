"""A labelled world that the product's authors did not make, where it lies beside the checkout: nobody innocent is accused."""

from collections import Counter

import pyarrow.parquet as pq
import pytest

import excise
from excise.model.findings import ACCUSING
from repository import ROOT

WORLD = ROOT.parent / "shared" / "worlds" / "dev-tiny"
RELAYS = ("reseller_undeclared", "relay_pool_honest")
"""For these `relay` is the right answer."""


@pytest.fixture(scope="module")
def accused():
    """(verdict, label) of every accused account, and all labels."""
    if not WORLD.is_dir():
        pytest.skip("no labelled world beside this checkout")
    labels = pq.read_table(WORLD.with_name(WORLD.name + "-labels") / "account_labels.parquet").to_pylist()
    verdicts = {r["account_id"]: r["verdict"] for r in excise.scan(WORLD).accounts.to_pylist()}
    return [
        (verdicts.get(r["account_id"]), r) for r in labels if verdicts.get(r["account_id"]) in ACCUSING
    ], labels


def test_nobody_innocent_is_accused(accused):
    wrong = [
        (verdict, r["population"])
        for verdict, r in accused[0]
        if r["campaign_id"] is None and not (verdict == "relay" and r["population"] in RELAYS)
    ]
    assert Counter(wrong) == Counter()


def test_the_careless_campaign_is_found(accused):
    """Of the others in so small a world, too little is known of what its other groups show: they are not accused."""
    found, labels = accused
    members = [r for r in labels if r["level"] == 1]
    mine = [r for _, r in found if r["level"] == 1]
    assert len(mine) >= 0.5 * len(members) > 0
