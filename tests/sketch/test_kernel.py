from __future__ import annotations

import random
import threading

import numpy as np
import pyarrow as pa
import pytest
from adversarial import bytestrings, texts
from definition import Sketch, has_phrase, sketch
from hypothesis import given, settings
from hypothesis import strategies as st

from excise.sketch.cues import MAX_PHRASE
from excise.sketch.kernel import TextSketch, sketch_text, token_hashes
from excise.sketch.lexicon import Family, Group, Lexicon

SEED = 20260223
PHRASES = (
    "think",
    "step by",
    "一步一步",
    "ｓｔｅｐ ｂｙ ｓｔｅｐ",
    "решение",
    "a b a b a",
    "a a",
    "42 think",
)
LEXICON = Lexicon(
    "test",
    (Family("f", "", "other", tuple(Group(f"g{i}", (phrase,)) for i, phrase in enumerate(PHRASES))),),
)


def row(s: TextSketch, i: int) -> Sketch:
    lists = (
        (s.shingle_offsets, s.shingles),
        (s.wide_offsets, s.wide),
        (s.mark_offsets, s.marks),
    )
    parts = [values[offsets[i] : offsets[i + 1]].tolist() for offsets, values in lists]
    return Sketch(int(s.tokens[i]), int(s.doc[i]), int(s.head[i]), int(s.tail[i]), *parts)


def same(a: TextSketch, b: TextSketch) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in TextSketch.__slots__)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.one_of(st.none(), bytestrings), min_size=1, max_size=5),
    st.sampled_from([1, 2, 8]),
    st.sampled_from([b"", b"." * 80]),
)
def test_equals_the_definition(values, rate, behind):
    caps = (7, 5, 4)
    values = [*values, behind]  # what the texts before are read 64 bytes at a time for
    got = sketch_text(
        pa.array(values, pa.binary()), seed=SEED, cues=LEXICON.cue_table(SEED),
        shingle_rate=rate, wide_rate=rate, shingle_cap=7, wide_cap=5, mark_cap=4,
    )  # fmt: skip
    for i, value in enumerate(values):
        assert row(got, i) == sketch(value, seed=SEED, rates=(rate, rate), caps=caps)
        expected = [has_phrase(value or b"", phrase, seed=SEED) for phrase in PHRASES]
        assert [bool(int(got.cues[i]) >> g & 1) for g in range(len(PHRASES))] == expected


@settings(max_examples=60, deadline=None)
@given(texts, st.integers(-5, 2**65))
def test_any_seed_keys_every_hash(text, seed):
    got = sketch_text(pa.array([text]), seed=seed, shingle_rate=1, wide_rate=1)
    assert row(got, 0) == sketch(text.encode(), seed=seed, rates=(1, 1), caps=(64, 64, 24))


def test_texts_longer_than_a_chunk_equal_the_definition():
    rng = random.Random(3)
    vocabulary = [
        "think",
        "step",
        "by",
        "42",
        "\n## My heading\n",
        "<tag a='b'>",
        '"key":',
        "一",
        "ﷺ",
        "[x y]",
        ",",
        "a b a b a",
    ]
    for words in (2000, 2047, 2049, 5000):
        text = " ".join(rng.choice(vocabulary) for _ in range(words))
        got = sketch_text(pa.array([text, "a b c d"]), seed=1, cues=LEXICON.cue_table(1))
        assert row(got, 0) == sketch(text.encode(), seed=1, rates=(8, 16), caps=(64, 64, 24))
        assert row(got, 1) == sketch(b"a b c d", seed=1, rates=(8, 16), caps=(64, 64, 24))
        assert [bool(int(got.cues[0]) >> g & 1) for g in range(len(PHRASES))] == [
            has_phrase(text.encode(), phrase, seed=1) for phrase in PHRASES
        ]


def test_words_and_separators_at_every_edge_of_64_bytes_equal_the_definition():
    middles = ("W7", "x" * 63 + "é", "Y" * 64, "z" * 130, "5" * 70, "a\u200bb", "<tag>", "\x85", ", \r\n")
    values = [("-" * pad + middle + " End [a b]\n").encode() for pad in range(66) for middle in middles]
    got = sketch_text(pa.array([*values, b"." * 80], pa.binary()), seed=1, shingle_rate=1, wide_rate=1)
    for i, value in enumerate(values):
        assert row(got, i) == sketch(value, seed=1, rates=(1, 1), caps=(64, 64, 24))


def test_lists_grow_where_texts_leave_more_than_most_do():
    values = [f"<a{i}> [b{i}] c{i}: " * 20 for i in range(40)]
    got = sketch_text(pa.array(values), seed=1, shingle_rate=1, wide_rate=1)
    for i, value in enumerate(values):
        assert row(got, i) == sketch(value.encode(), seed=1, rates=(1, 1), caps=(64, 64, 24))


def test_marks_and_phrases_cross_the_edge_of_a_chunk():
    for pad in range(2030, 2052):
        text = ", " * (pad // 2) + "<final answer='1'> step by step [a b]"
        got = sketch_text(pa.array([text]), seed=1, cues=LEXICON.cue_table(1), shingle_rate=1)
        assert row(got, 0) == sketch(text.encode(), seed=1, rates=(1, 16), caps=(64, 64, 24))
        assert len(row(got, 0).marks) == 2
        assert int(got.cues[0]) == 0b1010


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), texts), max_size=12), st.integers(0, 12), st.integers(0, 12))
def test_slices_types_and_splits_leave_no_trace(values, i, j):
    start, end = sorted((min(i, len(values)), min(j, len(values))))
    whole = pa.array(values, pa.string())
    expected = sketch_text(pa.array(values[start:end], pa.string()), seed=SEED, shingle_rate=2)
    for form in (
        whole,
        whole.cast(pa.large_string()),
        whole.cast(pa.binary()),
        whole.cast(pa.large_binary()),
        whole.dictionary_encode(),
    ):
        assert same(sketch_text(form.slice(start, end - start), seed=SEED, shingle_rate=2), expected)
    rows = [row(expected, k) for k in range(end - start)]
    single = [row(sketch_text(whole.slice(k, 1), seed=SEED, shingle_rate=2), 0) for k in range(start, end)]
    assert rows == single


def test_two_threads_at_once_agree_with_one():
    values = pa.array([f"think step by step about {i} " + "word " * (i % 50) for i in range(3000)])
    expected, results = sketch_text(values, seed=9), [None, None]

    def work(k):
        results[k] = sketch_text(values, seed=9)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert same(results[0], expected)
    assert same(results[1], expected)


def test_switches_empty_only_their_own_lists():
    array = pa.array(["<x> " + " ".join(f"word{i} also" for i in range(400))])
    full = sketch_text(array, seed=1)
    bare = sketch_text(array, seed=1, narrow=False, wide=False, marks=False)
    assert len(bare.shingles) == len(bare.wide) == len(bare.marks) == 0
    assert len(full.shingles) == 64
    assert len(full.wide) > 20
    assert len(full.marks) == 1
    assert (bare.doc, bare.head, bare.tail) == (full.doc, full.head, full.tail)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [(b"x" * 10_000_000, 1), (b"7" * 10_000_000, 1), (b"\xff" * 3_000_000, 0), (b"#" * 3_000_000, 0), (b"a " * 3_000_000, 3_000_000)],
    ids=["no-blank", "digits", "bad-utf8", "hashes", "short-words"],
)  # fmt: skip
def test_worst_inputs_are_read_in_bounded_lists(text, tokens):
    got = sketch_text(pa.array([text], pa.large_binary()), seed=1)
    assert int(got.tokens[0]) == tokens
    assert len(got.shingles) <= 1
    assert len(got.wide) <= 1
    assert bool(got.doc[0]) == (tokens > 0)


def test_no_rows():
    got = sketch_text(pa.array([], pa.string()), seed=1)
    assert len(got.doc) == 0
    assert got.shingle_offsets.tolist() == [0]
    assert len(sketch_text(pa.nulls(3), seed=1).doc) == 3


def test_numbers_are_payload_and_order_is_not():
    first, second, third = (
        sketch_text(pa.array([t]), seed=1, shingle_rate=1)
        for t in ("solve 12 plus 7 now", "Solve 3 plus ４５６ now!", "solve plus 12 7 now")
    )
    assert same(first, second)
    assert first.doc != third.doc


def test_wrong_use_is_refused():
    with pytest.raises(TypeError, match="string or binary"):
        sketch_text(pa.array([1, 2]), seed=1)
    with pytest.raises(ValueError, match="another seed"):
        sketch_text(pa.array(["a"]), seed=1, cues=LEXICON.cue_table(2))
    with pytest.raises(ValueError, match="sampling rate"):
        sketch_text(pa.array(["a"]), seed=1, shingle_rate=0)


def test_the_longest_phrase_is_found():
    phrase = " ".join(f"w{i}" for i in range(MAX_PHRASE))
    lexicon = Lexicon("t", (Family("f", "", "other", (Group("g", (phrase,)),)),))
    texts_ = pa.array([phrase, "x " + phrase + " y", phrase[:-1]])
    assert len(token_hashes(phrase, seed=4)) == MAX_PHRASE
    assert sketch_text(texts_, seed=4, cues=lexicon.cue_table(4)).cues.tolist() == [1, 1, 0]
