"""Which exchanges of an accused account are named: the wrapped, their sessions, and requests that are worded and set up like them."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from excise.judge.harvest import harvest_rows
from excise.link.linker import gather, join_ties
from scene import START, traffic_of

SESSIONS = ("", "s1", "s2")
PROMPTS = (None, "You are a clerk.", "You grade answers.")
ROW = st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2), st.integers(0, 2), st.booleans())


def traffic(rows):
    """Rows (account, session, system prompt, matched tokens, worded) as traffic and clusters."""
    made = [
        {"exchange_id": f"x{i}", "started_at": START + i, "account_id": f"a{who}", "model": "m", "user_text": f"text {i}",
         "session_id": SESSIONS[session] or None, "system_text": PROMPTS[prompt], "n_messages": 1}
        for i, (who, session, prompt, _, _) in enumerate(rows)
    ]  # fmt: skip
    t = traffic_of(made)
    e = replace(t.exchanges, families=np.array([rows[i][4] for i in t.exchanges.row], np.uint64))
    clusters = gather(np.zeros(len(t.accounts), np.int64), join_ties([], most=1.0))
    matched = np.array([rows[i][3] for i in e.row], np.int32)
    return replace(t, exchanges=e), replace(clusters, matched=matched)


def named(rows, accused, asking=None, telling=()):
    t, clusters = traffic(rows)
    who = [name in accused for name in t.accounts.name]
    ask = [name in (accused if asking is None else asking) for name in t.accounts.name]
    told = np.flatnonzero(np.isin(t.exchanges.row, list(telling)))
    found = harvest_rows(t, clusters, told, np.array(who), np.array(ask))
    return sorted(int(r) for r in t.exchanges.row[found])


def test_one_token_of_the_wrapper_is_enough_in_an_accused_account_only():
    rows = [(0, 0, 0, 1, False), (0, 0, 0, 0, False), (1, 0, 0, 2, False)]
    assert named(rows, {"a0"}) == [0]


def test_the_rest_of_a_session_is_named_and_no_session_is_none():
    rows = [
        (0, 1, 0, 1, False),
        (0, 1, 1, 0, False),
        (0, 2, 0, 0, False),
        (0, 0, 0, 0, False),
        (1, 1, 0, 0, False),
    ]
    assert named(rows, {"a0", "a1"}) == [0, 1]


def test_worded_requests_need_the_prompt_that_wrapped_ones_come_with():
    rows = [(0, 1, 1, 2, False), (0, 2, 1, 0, True), (0, 2, 2, 0, True), (0, 0, 1, 0, False)]
    assert named(rows, {"a0"}) == [0, 1]
    assert named(rows, {"a0"}, asking=set()) == [0]


def test_a_signal_of_its_own_names_a_row():
    assert named([(0, 0, 0, 0, False), (0, 0, 0, 0, False)], {"a0"}, telling=(1,)) == [1]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(ROW, min_size=1, max_size=14),
    st.sets(st.integers(0, 2)),
    st.sets(st.integers(0, 13), max_size=3),
)
def test_what_is_named_is_what_the_words_say(rows, accused, telling):
    hit = {i for i, r in enumerate(rows) if r[0] in accused and (r[3] >= 1 or i in telling)}
    sessions = {rows[i][:2] for i in hit if rows[i][1]}
    hit |= {i for i, r in enumerate(rows) if r[0] in accused and r[1] and r[:2] in sessions}
    prompts = {(rows[i][0], rows[i][2]) for i in hit}
    hit |= {i for i, r in enumerate(rows) if r[0] in accused and r[4] and (r[0], r[2]) in prompts}
    assert named(rows, {f"a{i}" for i in accused}, telling=telling) == sorted(hit)
