"""A campaign of a scan as the dose of an audit: who was served which key, and how much."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from cases import PLAN, done, excise, material

from excise.audit import dose
from excise.audit.keys import parse_name
from excise.audit.ledger import Ledger, Served
from excise.audit.plan import Dose
from excise.errors import InputError, UsageError
from excise.model.findings import Campaign
from excise.model.run import Run
from excise.model.schema import ACCOUNTS_OUT, HARVEST_OUT
from excise.report import folder

K7, K8 = parse_name("red-green:k7@1"), parse_name("red-green:k8@1")
MEMBERS = {"C-1": ("a1", "a2"), "C-2": ("b1",), "C-3": ("c1",)}
VERDICTS = {"C-1": "distillation", "C-2": "relay", "C-3": "shared-client"}


def campaign(name):
    return Campaign(
        name, VERDICTS[name], 0.9, 0.01, len(MEMBERS[name]), 9, 4, "2026-01-01", "2026-01-09", (), (), (), ()
    )


@pytest.fixture
def run(tmp_path):
    accounts = [
        {"account_id": a, "exchanges": 3, "score": 0.9, "campaign_id": c, "verdict": VERDICTS[c], "harvest_exchanges": 2, "reasons": []}
        for c, members in MEMBERS.items()
        for a in members
    ]  # fmt: skip
    harvest = [
        {"exchange_id": f"{a}-{i}", "account_id": a, "campaign_id": c, "score": 0.9}
        for c, members in MEMBERS.items()
        for a in members
        for i in range(2)
    ]
    made = Run(
        {"schema": 1},
        tuple(map(campaign, MEMBERS)),
        pa.Table.from_pylist(accounts, ACCOUNTS_OUT),
        pa.Table.from_pylist(harvest, HARVEST_OUT),
    )
    folder.write(made, tmp_path / "run")
    return tmp_path / "run"


SERVED = [
    Served("a1", str(K7), 100, "a1-0"),
    Served("a1", str(K7), 50, "a1-1"),
    Served("a1", str(K7), 10_000, "a1-7"),  # no harvest
    Served("a2", str(K7), 7),  # no id: all of the account counts
    Served("a2", str(K8), 1),
    Served("b1", str(K8), 30, "b1-0"),
    Served("c1", str(K8), 30, "c1-0"),
    Served("stranger", str(K7), 30),
]


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "served.ndjson") as file:
        for row in SERVED:
            file.add(row)
    return tmp_path / "served.ndjson"


def test_only_what_was_harvested_under_a_key_is_its_dose(run, ledger):
    assert dose.doses(run, (), ledger, (K7, K8)) == (
        Dose("C-1", str(K7), 2, 3, 157),
        Dose("C-1", str(K8), 1, 1, 1),
        Dose("C-2", str(K8), 1, 1, 30),
    )


def test_a_campaign_that_is_named_counts_whatever_it_was_called(run, ledger):
    assert dose.doses(run, ("C-3",), ledger, (K7, K8)) == (Dose("C-3", str(K8), 1, 1, 30),)


def test_a_plain_ledger_of_another_program_is_read(run, tmp_path):
    path = tmp_path / "plain.ndjson"
    path.write_text('{"account_id": "a1", "key": "red-green:k7@1", "more": [1]}\n\n')
    assert dose.doses(run, ("C-1",), path, (K7,)) == (Dose("C-1", str(K7), 1, 1, 0),)


@pytest.mark.parametrize(
    ("campaigns", "names", "said"), [(("C-9",), (K7,), "no campaign"), (("C-2",), (K7,), "served any")]
)
def test_a_dose_that_is_not_there_is_no_dose(run, ledger, campaigns, names, said):
    with pytest.raises(UsageError, match=said):
        dose.doses(run, campaigns, ledger, names)


@pytest.mark.parametrize(
    "text", ["x", "[]", '{"account_id": 1}', '{"account_id": "a", "key": "k", "tokens": "many"}']
)
def test_a_ledger_that_cannot_be_read_is_refused(run, tmp_path, text):
    (tmp_path / "bad").write_text(text + "\n")
    with pytest.raises(InputError):
        dose.doses(run, (), tmp_path / "bad", (K7,))


def test_plan_and_report_say_what_was_served_to_whom(run, ledger, tmp_path):
    material(tmp_path)
    assert excise(*PLAN, "case", "--run", "run", cwd=tmp_path).returncode == 2
    done(*PLAN, "case", "--run", "run", "--campaign", "C-1", "--served", ledger.name, cwd=tmp_path)
    done("audit", "run", "case", "--suspect", "student", "--recorded", "student.ndjson", cwd=tmp_path)
    done("audit", "report", "case", "--keys", "master.key", cwd=tmp_path)
    report = json.loads((tmp_path / "case" / "report.json").read_text())
    assert report["dose"][0] == {
        "campaign": "C-1",
        "key": str(K7),
        "accounts": 2,
        "exchanges": 3,
        "tokens": 157,
    }
    assert report["attribution"][0]["key"] == str(K7)
    assert report["attribution"][0]["runner_up"] == str(K8)
    assert report["attribution"][0]["margin_decades"] > 4
    page = (tmp_path / "case" / "report.html").read_text()
    assert "C-1" in page
    assert "decades behind" in page
