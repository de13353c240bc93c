"""Keyed free choices: harmless by contract, exact in their test; and re-ranking, which costs no quality over keys."""

from __future__ import annotations

import itertools
import json
from collections import Counter

import numpy as np
import pytest
from cases import PROMPTS, done, excise, material
from hypothesis import given, settings
from hypothesis import strategies as st

from excise.audit import keys as stored
from excise.audit import ledger
from excise.audit.ledger import Ledger, Served
from excise.audit.marks import choices, rerank
from excise.audit.marks.choices import CATEGORIES, CONTEXTS, Ranks, Slot, assigned, problems, ranked
from excise.audit.statistic import decoys
from excise.audit.tokens import Words
from excise.errors import InputError

FINE = Slot("name", "name", ("example",), ("Ada", "Bo", "Cem"))


def slots(count, values=16):
    return [
        Slot(f"s{i}", "name", ("example",), tuple(f"v{i}x{j}" for j in range(values))) for i in range(count)
    ]


# What may be chosen


def test_a_free_choice_is_fine():
    assert problems([FINE]) == ()


@pytest.mark.parametrize(
    "change",
    [
        {"category": "fact"}, {"contexts": ()}, {"contexts": ("medical",)}, {"contexts": ("example", "code")},
        {"values": ("Ada",)}, {"values": ("Ada", "ada ")}, {"values": ("Ada", "")}, {"values": tuple(map(str, range(65)))},
        {"values": ("take 5 mg", "take 10 mg")}, {"values": ("a safe way", "a way")}, {"values": ("import os", "import sys")},
    ],
)  # fmt: skip
def test_what_is_no_free_choice_is_refused(change):
    fields = {f: getattr(FINE, f) for f in FINE.__struct_fields__} | change
    assert problems([Slot(**fields)])


def test_two_slots_do_not_share_an_id():
    assert problems([FINE, FINE]) == ("two slots share an id",)


def test_nothing_that_decides_anything_may_be_chosen():
    for word in ("safety", "medical", "legal", "finance", "code", "tool", "schema", "fact"):
        assert word not in CATEGORIES
        assert word not in CONTEXTS


def test_a_value_is_uniform_over_keys():
    counts = Counter(assigned(key.tobytes(), FINE) for key in decoys(b"uniform", 9_000))
    assert all(abs(counts[v] - 3_000) < 4 * 3_000**0.5 for v in range(3))


# The test


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(2, 5), min_size=1, max_size=4))
def test_p_is_exact(sizes):
    ranks = Ranks(np.zeros((len(sizes), 3), np.uint64), tuple(np.arange(1, n + 1) for n in sizes))
    sums = [sum(c) for c in itertools.product(*[range(1, n + 1) for n in sizes])]
    for total in range(len(sizes), sum(sizes) + 1):
        assert ranks.p(total) == pytest.approx(sum(s <= total for s in sums) / len(sums))
    mean, deviation = ranks.chance
    assert (mean, deviation) == (pytest.approx(np.mean(sums)), pytest.approx(np.std(sums)))


def test_values_are_ranked_by_what_the_suspect_says_more_than_the_reference():
    found = ranked([FINE], ["Ada and Bo", "Bo", "Bo!", "Adams"], ["Bo", "Bo", "Cem", "x"], b"seed")
    assert found.ranks[0].tolist() == [1, 1, 3] or sorted(found.ranks[0].tolist()) == [1, 2, 3]
    assert found.ranks[0][2] == 3


def test_a_slot_that_was_never_seen_counts_for_nothing():
    assert ranked([FINE], ["nobody"], ["Ada"], b"seed").p(0) == 1.0


def test_ties_are_broken_by_lot_without_the_key():
    many = slots(200)
    said = [" ".join(v for s in many for v in s.values)]
    a, b = (ranked(many, said, [], seed) for seed in (b"a", b"b"))
    assert any(x.tolist() != y.tolist() for x, y in zip(a.ranks, b.ranks, strict=True))
    totals = np.array([a.total(key.tobytes()) for key in decoys(b"tie", 500)])
    mean, deviation = a.chance
    assert abs(totals.mean() - mean) < 5 * deviation / 500**0.5


def answers_of(key, many, rng, share):
    """A student that says the key's value in `share` of its answers, and any value otherwise."""
    rows = []
    for _ in range(400):
        slot = many[rng.integers(len(many))]
        keyed = rng.random() < share
        rows.append(slot.values[assigned(key, slot) if keyed else rng.integers(len(slot.values))])
    return rows


def test_a_student_that_took_over_the_choices_is_found_and_an_innocent_one_is_not():
    rng, many, key = np.random.default_rng(5), slots(48), b"k" * 16
    reference = answers_of(key, many, rng, 0.0)
    student = ranked(many, answers_of(key, many, rng, 0.4), reference, b"x")
    innocent = ranked(many, answers_of(key, many, rng, 0.0), reference, b"x")
    assert student.p(student.total(key)) < 1e-6
    assert innocent.p(innocent.total(key)) > 1e-3
    assert min(student.p(student.total(k.tobytes())) for k in decoys(b"wrong", 500)) > 1e-6


def test_choices_are_a_hypothesis_of_a_case(tmp_path):
    material(tmp_path)
    many, rng = slots(48), np.random.default_rng(8)
    key = stored.load(tmp_path / "master.key").key(stored.parse_name("choices:k7@1"))
    for name, share in (("student", 0.5), ("reference", 0.0), ("organic", 0.0)):
        texts = answers_of(key, many, rng, share)
        rows = [{"prompt": p, "answer": a, "at": "2099-01-01"} for p, a in zip(PROMPTS, texts, strict=False)]
        (tmp_path / f"{name}.ndjson").write_text("".join(json.dumps(r) + "\n" for r in rows))
    (tmp_path / "slots.json").write_text(
        json.dumps([{f: getattr(s, f) for f in s.__struct_fields__} for s in many])
    )
    words = (
        "audit", "plan", "--keys", "master.key", "--key", "choices:k7", "--suspect", "student", "--prompts", "prompts.txt",
        "--reference", "reference.ndjson", "--control", "organic=organic.ndjson", "--worlds", "0", "--decoys", "1000", "--out",
    )  # fmt: skip
    said = excise(*words, "none", cwd=tmp_path)
    assert (said.returncode, "--slots FILE" in said.stderr) == (2, True)
    done(*words, "case", "--slots", "slots.json", cwd=tmp_path)
    done("audit", "run", "case", "--suspect", "student", "--recorded", "student.ndjson", cwd=tmp_path)
    done("audit", "report", "case", "--keys", "master.key", cwd=tmp_path)
    finding = json.loads((tmp_path / "case" / "report.json").read_text())["findings"][0]
    assert finding["claimed"]
    assert finding["rank"] == 1
    assert finding["controls"][0]["log10_p"] > -3
    done("audit", "score", "case", "--keys", "master.key", cwd=tmp_path)


# The ledger


def test_a_ledger_is_only_ever_added_to(tmp_path):
    path = tmp_path / "ledger"
    rows = [Served("a", "gumbel:all@1", 5, f"x{i}", slots=("s1",)) for i in range(3)]
    with Ledger(path) as first:
        first.add(rows[0])
    with path.open("ab") as file:
        file.write(b"torn")
    with Ledger(path) as second:
        second.add(rows[1])
        second.add(rows[2])
    assert list(ledger.read(path)) == rows
    path.write_bytes(path.read_bytes().replace(b"x1", b"x9"))
    with pytest.raises(InputError, match="does not hold"):
        list(ledger.read(path))
    with pytest.raises(InputError, match="does not hold"):
        Ledger(path)


# Re-ranking


def candidates(rng, count):
    return [" ".join(f"w{i}" for i in rng.integers(400, size=25)) for _ in range(count)]


def test_reranked_text_scores_under_its_key_and_every_candidate_is_as_likely():
    rng, key = np.random.default_rng(2), b"r" * 16
    places, scores = Counter(), []
    for _ in range(300):
        texts = candidates(rng, 4)
        place = rerank.chosen(texts, key, Words())
        places[place] += 1
        scores.append(rerank.keyed_score(choices_windows(texts[place]), key))
    assert all(abs(places[i] - 75) < 4 * 75**0.5 for i in range(4))
    assert np.mean(scores) > 0.8


def choices_windows(text):
    from excise.audit.tokens import windows

    return windows(Words()(text), 1)


def test_a_candidate_without_tuples_is_no_reason_to_fail():
    assert rerank.chosen(["", ""], bytes(16), Words()) == 0
    with pytest.raises(ValueError, match="no candidate"):
        rerank.chosen([], bytes(16), Words())


def test_a_value_counts_once_an_answer_and_as_words_of_its_own():
    assert choices.counts(FINE, ["Ada, Ada", "xAda", "Ada."]).tolist() == [2, 0, 0]
