"""The commands that measure on real data, run over small made-up data of the same form."""

import json
import sys
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import benign_text
import coortweet
import hop
from excise.simulate.spec import WorldSpec
from excise.simulate.world import write_world

# Reviewed operators


@pytest.fixture
def money(tmp_path):
    """2,000 strangers who use one exchange, and two operators of ten accounts, each funded from one wallet and emptied into another."""
    names = [f"a{i}" for i in range(2000)]
    edges = [(n, "exchange") for n in names]
    edges += [(f"w{i // 10}", f"a{i}") for i in range(20)] + [(f"a{i}", f"s{i // 10}") for i in range(20)]
    rng = np.random.default_rng(0)
    operator = [f"issue:{1 + i // 10}" if i < 20 else None for i in range(len(names))]
    tables = {
        "accounts": {"account": names, "first_use": rng.integers(0, 10**7, len(names)), "volume_usd": rng.lognormal(0, 2, len(names)), "report_cluster": pa.array(operator, pa.string())},
        "nodes": {"node": [*names, "exchange", "w0", "w1", "s0", "s1"], "hub_class": pa.array([None] * len(names) + ["exchange", *[None] * 4], pa.string())},
        "edges": {"src": [a for a, _ in edges], "dst": [b for _, b in edges]},
    }  # fmt: skip
    for name, columns in tables.items():
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    return tmp_path


def test_the_engine_needs_not_be_told_the_hubs(money):
    read = hop.read(money)
    every = np.ones(len(read.names), bool)
    assert hop.pairs(hop.engine(read), read.operator, every) == (1.0, 1.0, 1.0)
    assert hop.pairs(hop.components(read, told=True), read.operator, every) == (1.0, 1.0, 1.0)
    assert hop.pairs(hop.components(read, told=False), read.operator, every)[0] < 0.5


@given(st.lists(st.tuples(st.integers(-1, 3), st.integers(-1, 3)), min_size=2, max_size=20))
@settings(max_examples=50, deadline=None)
def test_pairs_are_counted_as_the_definition_says(rows):
    label, operator = np.array(rows).T
    pairs = [(i, j) for i in range(len(rows)) for j in range(i) if operator[i] >= 0 and operator[j] >= 0]
    said = {p for p in pairs if label[p[0]] == label[p[1]] >= 0}
    true = {p for p in pairs if operator[p[0]] == operator[p[1]]}
    p = len(said & true) / len(said) if said else 0.0
    r = len(said & true) / len(true) if true else 0.0
    got = hop.pairs(label, operator, np.ones(len(rows), bool))
    assert got[:2] == pytest.approx((p, r))


def test_hop_writes_its_section_and_says_when_the_scorer_does_not_run(money, tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    monkeypatch.setattr(sys, "argv", ["hop.py", str(money), "--page", str(page)])
    hop.main()
    text = page.read_text()
    assert "| Excise: money alone | 1.000 / 1.000 / 1.000 |" in text
    assert "not run: " in text


# Co-sharing


POSTS = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.sampled_from("xyz"), st.integers(0, 200)), min_size=1, max_size=40
)


@given(POSTS, st.sampled_from([0, 10, 60]))
@settings(max_examples=40, deadline=None)
def test_no_difference_is_left_without_a_cause(tmp_path_factory, rows, window):
    path = tmp_path_factory.mktemp("posts") / "p.parquet"
    account, thing, at = zip(*rows, strict=True)
    content = [f"c{i}" for i in range(len(rows))]
    pq.write_table(pa.table({"account_id": account, "object_id": thing, "content_id": content, "timestamp_share": [float(t) for t in at]}), path)  # fmt: skip
    _, cause = coortweet.causes(coortweet.read(path), window)
    assert cause["unexplained"] == 0


def test_the_published_rule_asks_for_two_posts_that_met():
    names = ["a", "b", "c"]
    posts = coortweet.Posts(
        names, np.array([0, 1, 0, 1, 2, 2]), np.array([0, 0, 1, 1, 0, 9]),
        [f"c{i}" for i in range(6)], np.array([0, 5, 100, 101, 900, 0]),
    )  # fmt: skip
    weight, _, taking_part = coortweet.rule(posts, 60)
    assert weight == {(0, 1): 2}
    assert taking_part == Counter({0: 2, 1: 2})


# Benign text


def test_templates_are_dealt_to_unrelated_accounts_and_to_groups(tmp_path):
    world = tmp_path / "w"
    write_world(WorldSpec(exchanges=6000, seed=4, levels=()), world)
    source = benign_text.Source(
        "one", "made up", 1, 5, lambda _: [lambda i: ("You are a pirate.", f"question {i}", None)]
    )
    dealt = benign_text.deal(world, tmp_path, 1, [source])
    rows = pq.read_table(world / "exchanges").to_pylist()
    mine = [r for r in rows if r["account_id"] in dealt]
    labels = {
        r["account_id"]: r for r in pq.read_table(tmp_path / "w-labels/account_labels.parquet").to_pylist()
    }
    assert Counter(dealt.values())["one"] == 5
    assert {labels[a]["population"] for a, s in dealt.items() if s == benign_text.GROUPED} <= set(
        benign_text.TOGETHER
    )
    assert {r["system_text"] for r in mine} == {"You are a pirate."}
    assert not any(r["system_text"] == "You are a pirate." for r in rows if r["account_id"] not in dealt)
    own = [int(r["user_text"].split()[1]) for r in mine if r["account_id"] == mine[0]["account_id"]]
    assert own == list(range(own[0], own[0] + len(own)))


def test_every_source_reads_its_folder(tmp_path):
    tables = {
        "arena_hard/questions": {"prompt": ["why?", "how?"]},
        "arena_hard/answers": {"answer": ["so.", "thus."]},
        "awesome_prompts/prompts": {"prompt": ["act " * 80, "short"], "type": ["TEXT", "TEXT"]},
        "gpteacher/codegen": {"instruction": ["write it"]},
        "openai_evals/samples": {
            "eval": ["e"] * 100,
            "system": ["s"] * 100,
            "user": [f"u{i}" for i in range(100)],
        },
        "bfcl/questions": {"functions": [json.dumps([{"name": "f" * 500}])]},
        "fireact/questions": {"question": ["who?"]},
    }
    for name, columns in tables.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    texts = {
        "benign_agent_prompts/a.yaml": "system: do", "benign_agent_prompts/b.py": f"x = '{'z' * 300}'",
        "judge_templates/alpaca_eval/j.txt": "Rank {a} and {b}", "fireact/prompts/p.txt": "Solve step by step",
        "harvest_templates/distilabel/t.jinja2": "Write like {{ this }}",
    }  # fmt: skip
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    said = {s.name: [t(1) for t in s.deal(tmp_path)] for s in benign_text.SOURCES}
    assert {name: len(t) for name, t in said.items()} == {
        "prompt collection": 1, "agents' system prompts": 2, "evaluation jobs": 1, "judges' templates": 1,
        "tool schemas": 1, "few-shot prompts": 1, "synthetic-data templates": 1,
    }  # fmt: skip
    assert said["evaluation jobs"] == [("s", "u1", None)]
    assert said["judges' templates"] == [(None, "Rank how? and thus.", None)]
    assert said["synthetic-data templates"] == [(None, "Write like how?", None)]
