"""The circles of a call graph are those that the definition gives, and what they return does not depend on the order."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from excise.inspect import run
from excise.inspect.python import flow
from excise.inspect.python.components import circles

GRAPHS = st.dictionaries(st.integers(0, 7), st.lists(st.integers(0, 7), max_size=4), max_size=8)


def reached(calls, start):
    seen, pending = set(), list(calls.get(start, ()))
    while pending:
        at = pending.pop()
        if at not in seen:
            seen.add(at)
            pending += calls.get(at, ())
    return seen


@given(GRAPHS)
def test_circles_are_what_reaches_itself(calls):
    nodes = set(calls) | {c for called in calls.values() for c in called}
    reach = {n: reached(calls, n) for n in nodes}
    wanted = {
        n: tuple(sorted(m for m in nodes if m in reach[n] and n in reach[m])) for n in nodes if n in reach[n]
    }
    assert circles(calls) == wanted


def test_a_long_way_needs_no_deep_stack():
    assert circles({n: [n + 1] for n in range(50_000)} | {50_000: [0]})[7] == tuple(range(50_001))


PARTS = {
    "even": "def even(x, n):\n    if n:\n        return odd(x, n - 1)\n    return x\n",
    "odd": "def odd(x, n):\n    if n:\n        return even(x, n - 1)\n    return input_of(n)\n",
    "input_of": "def input_of(n):\n    return llm.predict('q')\n",
    "go": "@mcp.tool()\ndef go(text: str):\n    exec(even(text, 3))\n    eval(odd(text, 3))\n",
}


def test_functions_that_call_each_other_are_found_in_any_order(tmp_path):
    said = set()
    for order in itertools.permutations(PARTS):
        (tmp_path / "app.py").write_text("\n\n".join(PARTS[name] for name in order))
        found = run.inspect(tmp_path, analysers=(flow.ANALYSER,)).findings
        said.add(tuple(sorted((f.weakness, f.symbol, f.severity, f.title, f.steps[-1].text) for f in found)))
    (one,) = said
    assert {row[4] for row in one if row[3].startswith("The arguments of a tool")} == {
        "exec(even(text, 3))",
        "eval(odd(text, 3))",
    }
