"""Rare phrases, and ties by them, against slow definitions over dictionaries and sets."""

import math
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_habits import BOOK, PROMPTS, ROWS, accounts_of, exchanges_of, packed, systems_of

import scene
from excise.detect import habits, phrases, shared_wrapper
from excise.detect.habits import HabitSettings
from excise.detect.phrase_ties import tie_phrases, with_phrases
from excise.detect.phrases import as_phrases, find_phrases, first_said
from excise.link.linker import gather, join_ties
from excise.model.tables import NO_PHRASES, Habits, Phrases

NOTHING = dict.fromkeys(range(1, 7), ())


def as_dictionary(phrases):
    """{(token, account): (text, runs)}."""
    return {
        (int(phrases.token[k]), int(phrases.account[i])): (int(phrases.text[i]), int(phrases.runs[i]))
        for k in range(len(phrases.token))
        for i in range(phrases.offsets[k], phrases.offsets[k + 1])
    }


@settings(max_examples=150, deadline=None)
@given(ROWS, BOOK, PROMPTS, st.integers(2, 5), st.integers(1, 3))
def test_phrases_are_what_few_accounts_say_and_where_first(rows, words, prompt, most, threads):
    rows, exchanges = exchanges_of(rows, words, NOTHING)
    systems = systems_of(prompt, ((), ()))
    first = {}
    for account, doc, system in rows:
        for said in (words[doc], prompt[system] if system >= 0 else ()):
            for token in said:
                first.setdefault((packed(token), account), (doc, len(said)))
    users = Counter(token for token, _ in first)
    expected = {key: where for key, where in first.items() if 2 <= users[key[0]] <= most}
    found = find_phrases(exchanges, systems, most=most, threads=threads)
    assert as_dictionary(found) == expected
    assert all(np.all(np.diff(found.account[i:j]) > 0) for i, j in zip(found.offsets, found.offsets[1:], strict=False))  # fmt: skip
    tokens = np.array(sorted({token for token, _ in expected}), np.uint64)
    assert as_dictionary(as_phrases(*first_said(exchanges, systems, tokens))) == expected


def test_maps_and_tables_that_grow_lose_nothing(monkeypatch):
    """Pieces of a few rows, and maps and tables that must double again and again."""
    draw = np.random.default_rng(1)
    words = {doc: tuple(draw.choice(3_000, 6, replace=False).tolist()) for doc in range(1, 801)}
    _, exchanges = exchanges_of([(doc // 8, doc, -1) for doc in words], words, dict.fromkeys(words, ()))
    systems = systems_of(((), ()), ((), ()))
    expected = as_dictionary(find_phrases(exchanges, systems, most=3))
    monkeypatch.setattr(habits, "_CHUNK_ROWS", 8)
    monkeypatch.setattr(phrases, "_FIRST_WORDS", 1)
    monkeypatch.setattr(phrases, "_FIRST_SIZE", 16)
    assert len(expected) > 1_000
    for threads in (1, 3):
        assert as_dictionary(find_phrases(exchanges, systems, most=3, threads=threads)) == expected


def test_no_exchanges_have_no_phrases():
    _, none = exchanges_of([], NOTHING, NOTHING)
    found = find_phrases(none, systems_of(((), ()), ((), ())), most=20, threads=2)
    assert len(found.token) == len(found.account) == 0
    assert len(as_phrases(*first_said(none, systems_of(((), ()), ((), ())), found.token)).account) == 0


SAID = st.dictionaries(st.tuples(st.integers(0, 9), st.integers(0, 6)), st.integers(1, 200), max_size=60)


def phrases_of(said):
    """Phrases of {(phrase, account): text}."""
    keys = sorted(said)
    size = Counter(phrase for phrase, _ in keys)
    kept = [k for k in keys if size[k[0]] >= 2]
    return Phrases(
        np.array(sorted({p for p, _ in kept}), np.uint64),
        np.cumsum([0, *(size[p] for p in sorted({p for p, _ in kept}))]).astype(np.int64),
        np.array([a for _, a in kept], np.int32),
        np.array([said[k] for k in kept], np.uint32),
        np.full(len(kept), 2, np.uint8),
    )


def bit(text):
    return (text * 0x9E3779B97F4A7C15 % (1 << 64)) >> 59


@settings(max_examples=150, deadline=None)
@given(
    SAID,
    st.lists(st.integers(0, 2), min_size=7, max_size=7),
    st.sampled_from([0.02, 0.5]),
    st.sampled_from([1.2, 9.0]),
)
def test_ties_by_phrases_equal_the_definition(said, owners, chance, most_alike):
    accounts = accounts_of(7)
    accounts.owner[:] = owners
    found = phrases_of(said)
    texts, common = defaultdict(lambda: (set(), set())), Counter()
    for phrase in {p for p, _ in said}:
        for a, b in combinations(sorted(a for p, a in said if p == phrase), 2):
            x, y = said[phrase, a], said[phrase, b]
            if x != y and not (owners[a] == owners[b] != 0):
                common[a, b] += 1
                texts[a, b][0].add(bit(x))
                texts[a, b][1].add(bit(y))
    shared = {pair: min(map(len, both)) for pair, both in texts.items()}
    degree = Counter()
    for pair, m in shared.items():
        for account in pair:
            degree[account] += m
    expected = {}
    for (a, b), m in shared.items():
        rate = max(degree[a] * degree[b] / degree.total(), chance)
        if (
            m >= 2
            and m > rate
            and common[a, b] <= most_alike * m
            and m * math.log(m / rate) - (m - rate) >= 1.0
        ):
            expected[a, b] = m * math.log(m / rate) - (m - rate)
    a, b, weight = tie_phrases(found, accounts, chance=chance, least=1.0, most_alike=most_alike)
    got = dict(zip(zip(a.tolist(), b.tolist(), strict=True), weight.tolist(), strict=True))
    assert got == pytest.approx(expected)
    assert list(got) == sorted(got)


@settings(max_examples=100, deadline=None)
@given(
    SAID, st.lists(st.integers(0, 2), min_size=7, max_size=7), st.integers(2, 4), st.sampled_from([0.3, 0.6])
)
def test_a_clusters_phrases_stand_beside_the_habits(said, label, members, share):
    found = phrases_of(said)
    clusters = gather(np.array(label, np.int64), join_ties([], most=1.0))
    habits = Habits(np.array([1, 3], np.uint64), np.array([2, 0], np.int32), np.array([9, 9], np.int32), np.array([0.1, 0.2]))  # fmt: skip
    expected = {(1, 2): (9, 0.1), (3, 0): (9, 0.2)}
    for phrase in {p for p, _ in said}:
        speakers = [a for p, a in said if p == phrase]
        for a in speakers:
            inside = sum(label[x] == label[a] for x in speakers)
            grouped = label.count(label[a]) >= 2
            if len(speakers) >= 2 and grouped and inside >= members and inside >= share * len(speakers):
                expected.setdefault((phrase, a), (len(speakers), 0.5))
    got = with_phrases(habits, found, clusters, members=members, share=share)
    keys = list(zip(got.token.tolist(), got.account.tolist(), strict=True))
    assert keys == sorted(expected)
    assert [(s, w) for s, w in zip(got.spread.tolist(), got.weight.tolist(), strict=True)] == [expected[k] for k in keys]  # fmt: skip


def reworded(same_texts, words=14):
    """Two accounts that say each of ten sentences once, around payloads of their own, or send ten common texts; other pairs share one."""
    rng = np.random.default_rng(5)
    rows = [r for r in scene.base() if not r["account_id"].startswith("p")]
    others = sorted({r["account_id"] for r in rows})
    pairs = [("p00", "p01")] * 10 + [tuple(rng.choice(others, 2, replace=False)) for _ in range(60)]
    for j, pair in enumerate(pairs):
        sentence = scene.text(rng, words)
        for name in pair:
            payload = "" if same_texts else f" {scene.text(rng)}"
            rows.append({**rows[0], "exchange_id": f"{name}-{j}", "account_id": name, "user_text": sentence + payload})  # fmt: skip
    return scene.traffic_of(rows)


def test_in_a_scan_of_few_accounts_nothing_is_rare_enough():
    assert [HabitSettings().speakers(n) for n in (100, 3_999, 4_000, 12_000, 10**6)] == [0, 1, 2, 6, 20]
    assert reworded(same_texts=False).phrases is NO_PHRASES


def test_no_more_speakers_are_asked_for_than_are_counted():
    assert HabitSettings(most_speakers=1000, speakers_share=0.5).speakers(10**6) == 254
    _, none = exchanges_of([], NOTHING, NOTHING)
    with pytest.raises(ValueError, match="254"):
        find_phrases(none, systems_of(((), ()), ((), ())), most=255)


def test_a_wrapper_worded_anew_each_time_ties_and_a_common_set_of_texts_does_not():
    p = shared_wrapper.DETECTOR.settings({})
    for same_texts, words in ((False, 14), (True, 14), (False, 60)):  # sixty words in common are a payload
        traffic = reworded(same_texts, words)
        traffic = replace(traffic, phrases=find_phrases(traffic.exchanges, traffic.systems, most=20))
        ties = shared_wrapper.tie(traffic, p)
        names = traffic.accounts.name
        pairs = [{names[a], names[b]} for a, b in zip(ties.a, ties.b, strict=True)]
        assert ({"p00", "p01"} in pairs) is (not same_texts and words < 60)


def test_without_phrases_nothing_is_tied_by_them():
    a, b, weight = tie_phrases(NO_PHRASES, accounts_of(3), chance=0.02, least=1.0, most_alike=5.0)
    assert len(a) == len(b) == len(weight) == 0
