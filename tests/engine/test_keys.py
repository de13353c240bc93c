"""Keys against sets and counters: what may be dropped is dropped, what must be kept is kept."""

from collections import Counter, defaultdict

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from excise.engine.keys import Seen, common, count_distinct, group, repeated, shared

KEYS = st.lists(st.one_of(st.integers(0, 9), st.integers(0, 2**64 - 1)), max_size=60)


def u64(values):
    return np.array(values, np.uint64)


@settings(deadline=None)
@given(st.lists(KEYS, max_size=5))
def test_seen_says_which_are_new(batches):
    seen, known = Seen(), {0}
    for keys in batches:
        assert seen.has(u64(keys)).tolist() == [key in known and key != 0 for key in keys]
        new = seen.add(u64(keys))
        for key, said in zip(keys, new.tolist(), strict=True):
            assert said == (key not in known)
            known.add(key)
    assert len(seen) == len(known) - 1


def test_seen_grows():
    keys = u64(range(1, 20_001))
    seen = Seen()
    assert seen.add(keys).all()
    assert not seen.add(keys[::-1]).any()


@settings(deadline=None)
@given(KEYS)
def test_every_key_that_comes_again_is_kept(keys):
    kept = repeated(u64(keys)).tolist()
    count = Counter(keys)
    assert {i for i, k in enumerate(keys) if k and count[k] > 1} <= set(kept)
    assert kept == sorted(kept)
    assert all(keys[i] for i in kept)


def test_most_keys_that_come_once_are_dropped():
    keys = np.random.default_rng(0).integers(1, 1 << 62, 100_000, dtype=np.uint64)
    assert len(repeated(keys)) < 20_000
    assert len(common(keys[:50_000], keys[50_000:])) < 10_000


@settings(deadline=None)
@given(KEYS, KEYS)
def test_every_common_key_is_kept(keys, others):
    kept = set(common(u64(keys), u64(others)).tolist())
    assert {i for i, k in enumerate(keys) if k and k in set(others)} <= kept


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=60), st.booleans())
def test_every_holder_of_a_shared_key_is_kept(held, in_order):
    held = sorted(held, key=lambda h: h[1]) if in_order else held
    kept = [held[i] for i in shared(u64([k for k, _ in held]), np.array([h for _, h in held], np.int32))]
    holders = defaultdict(set)
    for key, holder in held:
        holders[key].add(holder)
    wanted = {(k, h) for k, hs in holders.items() if k and len(hs) > 1 for h in hs}
    assert wanted <= set(kept) <= set(held)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.one_of(st.integers(0, 3), st.integers(0, 2**64 - 1)))))
def test_groups_are_counted_in_order(rows):
    rows = sorted(rows, key=lambda r: r[0])
    owner, key, count, of_row = group(np.array([r[0] for r in rows], np.int32), u64([r[1] for r in rows]))
    pairs = list(zip(owner.tolist(), key.tolist(), strict=True))
    assert dict(zip(pairs, count.tolist(), strict=True)) == Counter(rows)
    assert pairs == sorted(set(rows))
    assert [pairs[i] for i in of_row] == rows


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.one_of(st.integers(0, 3), st.integers(0, 2**64 - 1))), max_size=90
    )
)
def test_distinct_keys_are_counted(rows):
    rows = sorted(rows, key=lambda r: r[0])
    found = count_distinct(np.array([r[0] for r in rows], np.int32), u64([r[1] for r in rows]), 6)
    assert found.tolist() == [len({k for o, k in rows if o == owner and k}) for owner in range(6)]
