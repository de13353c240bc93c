"""Alignment and redaction on any texts: what is shown is what all share, and nothing of a kind that is redacted."""

import re
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from excise.judge.wrapper import MOST_CHARACTERS, common_wrapper, redact

WORDS = st.sampled_from(
    ["alpha", "beta", "gamma", "delta", "eps", "zeta", "eta", "theta", "你好", "é!", "<tag>"]
)
TEXTS = st.lists(st.lists(WORDS, max_size=30).map(" ".join), min_size=0, max_size=5)


def runs(words, width=3):
    return {tuple(words[i : i + width]) for i in range(len(words) - width + 1)}


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_every_run_that_is_shown_is_in_every_text(texts):
    wrapper = common_wrapper(texts, 0.5)
    if wrapper is None:
        return
    assert len(texts) >= 2
    for segment in wrapper.segments:
        assert bool(segment.text) == segment.fixed
        shown = segment.text.split()
        assert all(runs(shown) <= runs(text.split()) for text in texts)
        assert not segment.fixed or len(shown) >= 3
    kinds = [s.fixed for s in wrapper.segments]
    assert all(a != b or (a and b) for a, b in pairwise(kinds))
    assert any(kinds)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(WORDS, min_size=3, max_size=12), st.lists(st.lists(WORDS, max_size=6), min_size=2, max_size=4)
)
def test_a_prefix_that_all_share_is_found(prefix, payloads):
    wrapper = common_wrapper([" ".join([*prefix, *p]) for p in payloads], 1.0)
    assert wrapper is not None
    assert len(wrapper.segments[0].text.split()) >= 3 or not wrapper.segments[0].fixed


def test_texts_are_compared_up_to_a_limit():
    """A hostile text of megabytes costs no more than the limit; what lies beyond is never shown."""
    frame = "please answer this question with care "
    texts = [frame + f"{c}{i} " * 2_000_000 for i, c in enumerate("ab")]
    assert max(len(t) for t in texts) > 1000 * MOST_CHARACTERS
    wrapper = common_wrapper(texts, 1.0)
    assert [s.text for s in wrapper.segments if s.fixed] == [frame.strip()]
    late = " ".join(str(i) for i in range(2000)) + " the same words at the end"
    assert all("end" not in s.text for s in common_wrapper([late, late], 1.0).segments)


PERSONAL = {
    "mail": st.from_regex(r"[a-z]{1,9}\.[a-z]{1,9}@[a-z]{2,9}\.(com|example)", fullmatch=True),
    "link": st.from_regex(r"https?://[a-z]{2,9}\.org/[a-z0-9/?=]{1,20}", fullmatch=True),
    "key": st.from_regex(r"sk-[A-Za-z0-9]{20,40}", fullmatch=True),
    "address": st.from_regex(r"(1?[0-9]{1,2}\.){3}1?[0-9]{1,2}", fullmatch=True),
    "number": st.from_regex(r"\+49 [1-9][0-9]{2} [0-9]{7}", fullmatch=True),
    "token": st.from_regex(r"[a-f]{3}[0-9][a-f0-9]{28}", fullmatch=True),
    "card": st.from_regex(r"4[0-9]{3} [0-9]{4} [0-9]{4} [0-9]{4}", fullmatch=True),
}


@settings(max_examples=200, deadline=None)
@given(
    st.one_of([st.tuples(st.just(k), v) for k, v in PERSONAL.items()]), st.sampled_from(["", " ", "(", "'"])
)
def test_what_is_personal_is_gone_wherever_it_stands(found, around):
    _, value = found
    said = redact(f"write to {around}{value}{around} now, and to nobody else")
    assert value not in said
    assert "[" in said
    assert said.startswith("write to")
    assert said.endswith("nobody else")


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=300))
def test_redacting_twice_says_the_same_and_words_stay(text):
    once = redact(text)
    assert redact(once) == once
    words = re.findall(r"(?<!\S)[a-z]{1,12}(?!\S)", text)
    assert all(word in once for word in words)
