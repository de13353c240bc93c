"""Habits, matching and pairs against slow definitions over dictionaries and sets."""

import itertools
import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from excise.detect.habits import HabitSettings, find_habits
from excise.detect.matching import match
from excise.detect.pairs import sum_pairs, tie_by_key
from excise.detect.repeats import pack_key
from excise.errors import InputError
from excise.link.linker import gather, join_ties
from excise.model.ragged import Ragged
from excise.model.tables import Accounts, Exchanges, Habits, Systems, Traffic

TOKENS = st.integers(1, 12)
TEXTS = st.lists(TOKENS, max_size=5, unique=True)
ROWS = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 6), st.integers(-1, 1)), min_size=1, max_size=40)


def ragged(lists):
    offsets = np.cumsum([0, *map(len, lists)]).astype(np.int64)
    return Ragged(offsets, np.array([hashed(v) for values in lists for v in values], np.uint64))


def hashed(token):
    """A spread-out 64-bit number for a small one, as the sketch gives."""
    return (token * 0xC4CEB9FE1A85EC53 + 0x632BE5AB) % (1 << 64)


def packed(token):
    return int(pack_key(np.uint64(hashed(token)), np.uint64(0))) >> 24


def exchanges_of(rows, words, marks):
    """Columns of rows (account, document, system); a document stands for its words and marks."""
    rows = sorted(rows, key=lambda r: r[0])
    n = len(rows)
    zeros = {name: np.zeros(n, np.uint64) for name in Exchanges.__dataclass_fields__}
    empty = Ragged(np.zeros(n + 1, np.int64), np.zeros(0, np.uint64))
    return rows, Exchanges(
        **{
            **zeros,
            "row": np.arange(n),
            "account": np.array([r[0] for r in rows], np.int32),
            "doc": np.array([r[1] for r in rows], np.uint64),
            "system": np.array([r[2] for r in rows], np.int32),
            "at": np.arange(n) * 3_600_000_000,
            "shingles": ragged([words[r[1]] for r in rows]),
            "marks": ragged([marks[r[1]] for r in rows]),
            **dict.fromkeys(("wide_in", "wide_out", "emitted", "replayed"), empty),
        }
    )


def systems_of(words, marks):
    n = len(words)
    zeros = np.zeros(n, np.uint64)
    return Systems(np.arange(1, n + 1, dtype=np.uint64), zeros, zeros, zeros, ragged(words), ragged(marks))


def slow_habits(rows, words, marks, prompt, prompt_marks, repeats, most):
    """{(token, account): (spread, weight)}: said plainly."""
    texts = dict.fromkeys(rows)
    said, per_text = Counter(), defaultdict(list)
    for text in texts:
        account, doc, system = text
        mine = [*words[doc], *marks[doc]]
        for token in mine:
            said[token, account] += 1
        per_text[text] = mine + ([*prompt[system], *prompt_marks[system]] if system >= 0 else [])
    for (account, system), count in Counter((a, s) for a, _, s in texts if s >= 0).items():
        for token in (*prompt[system], *prompt_marks[system]):
            said[token, account] += min(count, repeats)
    users = Counter(token for token, _ in said)
    habits = {key for key, n in said.items() if n >= repeats and 2 <= users[key[0]] <= most}
    shares = defaultdict(list)
    for text, tokens in per_text.items():
        found = [(t, text[0]) for t in tokens if (t, text[0]) in habits]
        for key in found:
            shares[key].append(1 / len(found))
    return {k: (users[k[0]], sum(shares[k]) / len(shares[k])) for k in habits}


BOOK = st.fixed_dictionaries(dict.fromkeys(range(1, 7), TEXTS))
PROMPTS = st.tuples(TEXTS, TEXTS)


@settings(max_examples=150, deadline=None)
@given(ROWS, BOOK, BOOK, PROMPTS, PROMPTS, st.integers(1, 4), st.integers(2, 5))
def test_habits_equal_the_definition(rows, words, marks, prompt, prompt_marks, repeats, most):
    # A token is a word or a mark, never both: their hashes are keyed apart.
    marks = {doc: [t + 100 for t in found] for doc, found in marks.items()}
    prompt_marks = tuple([t + 100 for t in found] for found in prompt_marks)
    rows, exchanges = exchanges_of(rows, words, marks)
    found = find_habits(exchanges, systems_of(prompt, prompt_marks), 5, HabitSettings(repeats, most))
    expected = slow_habits(rows, words, marks, prompt, prompt_marks, repeats, most)
    names = {packed(t): t for t in [*range(1, 13), *range(101, 113)]}
    got = {
        (names[int(t)], int(a)): (int(s), float(w))
        for t, a, s, w in zip(found.token, found.account, found.spread, found.weight, strict=True)
    }
    assert got.keys() == expected.keys()
    assert all(got[k] == (expected[k][0], pytest.approx(expected[k][1])) for k in got)
    assert np.array_equal(np.lexsort((found.account, found.token)), np.arange(len(found.token)))


def test_a_scan_of_more_accounts_than_a_key_holds_is_refused():
    _, exchanges = exchanges_of([(0, 1, -1)], {1: [1]}, {1: []})
    with pytest.raises(InputError) as error:
        find_habits(exchanges, systems_of(([], []), ([], [])), 1 << 25, HabitSettings())
    assert error.value.hint


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 7)), max_size=30),
    st.integers(2, 5),
)
def test_pairs_that_share_a_key_equal_brute_force(held, most):
    held = held or [(0, 0)]
    keys, accounts = (np.array([h[i] for h in held]) for i in (0, 1))
    a, b, weight = tie_by_key(keys.astype(np.uint64), accounts.astype(np.int32), 20, most=most)
    holders = {k: {x for key, x in held if key == k} for k, _ in held if k}
    expected = {}
    for who in holders.values():
        if 2 <= len(who) <= most:
            for pair in itertools.combinations(sorted(who), 2):
                expected[pair] = max(expected.get(pair, 0.0), math.log(20 / len(who)))
    got = dict(zip(zip(a.tolist(), b.tolist(), strict=True), weight.tolist(), strict=True))
    assert got == pytest.approx(expected)
    assert len(got) == len(a)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(4, 6), st.floats(0, 5)), max_size=20))
def test_weights_of_equal_pairs_add_up(pairs):
    a, b, weight = (np.array([p[i] for p in pairs]) for i in range(3))
    x, y, total = sum_pairs(a.astype(np.int32), b.astype(np.int32), weight.astype(np.float64))
    expected = defaultdict(float)
    for p, q, w in pairs:
        expected[p, q] += w
    got = dict(zip(zip(x.tolist(), y.tolist(), strict=True), total.tolist(), strict=True))
    assert got == pytest.approx(dict(expected))


def accounts_of(n):
    zeros = {name: np.zeros(n, np.uint64) for name in Accounts.__dataclass_fields__}
    return Accounts(**{**zeros, "starts": np.zeros(n + 1, np.int64)})


HABITS = st.dictionaries(
    st.tuples(st.integers(1, 12), st.integers(0, 4)), st.integers(2, 9), min_size=1, max_size=30
)


@settings(max_examples=100, deadline=None)
@given(ROWS, BOOK, PROMPTS, HABITS, st.lists(st.integers(0, 2), min_size=5, max_size=5))
def test_matching_equals_brute_force(rows, words, prompt, habits, label):
    """A cluster's tokens are those that two members repeat, members being a good part of the users or of the cluster."""
    nothing = dict.fromkeys(range(1, 7), ())
    rows, exchanges = exchanges_of(rows, words, nothing)
    spread = {t: max(s for (token, _), s in habits.items() if token == t) for t, _ in habits}
    order = sorted(habits, key=lambda key: (packed(key[0]), key[1]))
    table = Habits(
        np.array([packed(t) for t, _ in order], np.uint64),
        np.array([a for _, a in order], np.int32),
        np.array([spread[t] for t, _ in order], np.int32),
        np.ones(len(order)),
    )
    systems = systems_of(prompt, ((), ()))
    traffic = Traffic(exchanges, systems, table, accounts_of(5), None, (), frozenset())
    clusters = gather(np.array(label, np.int64), join_ties([], most=1.0))
    found = match(traffic, clusters, share_inside=0.5, share_of_cluster=0.8)
    sizes = Counter(label)
    tokens = set()
    for group in sizes:
        for token, users in spread.items():
            inside = sum((token, a) in habits for a in range(5) if label[a] == group)
            if inside >= 2 and (inside >= 0.5 * users or inside >= 0.8 * sizes[group]):
                tokens.add((group, token))
    expected = [
        0
        if sizes[label[a]] < 2
        else sum((label[a], t) in tokens for t in [*words[d], *(prompt[s] if s >= 0 else ())])
        for a, d, s in rows
    ]
    assert found.matched.tolist() == expected
    assert (found.wrapper != 0).tolist() == [n > 0 for n in expected]
