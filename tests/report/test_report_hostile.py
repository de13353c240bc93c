"""A run folder from a stranger: whatever passes the reader can be shown, and whatever cannot be read is an input error."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from datetime import date

import factory
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from excise.errors import InputError
from excise.model import findings as f
from excise.report import canonical, diff, explain, folder, html, summary, terminal

words = st.text(st.characters(codec="utf-8"), max_size=12)
moments = st.one_of(words, st.dates().map(str))
figures = st.floats(allow_nan=False, allow_infinity=False)
shares = st.floats(0, 1)
counts = st.one_of(st.integers(0, 50), st.integers(0, 2**63 - 1))
layers = st.sampled_from(f.LAYERS)


def some(of, most=3):
    return st.lists(of, max_size=most).map(tuple)


@st.composite
def timelines(draw):
    days = draw(st.integers(0, 40))
    series = [tuple(draw(st.lists(counts, min_size=days, max_size=days))) for _ in range(3)]
    return f.Timeline(draw(st.dates(max_value=date(9990, 1, 1))).isoformat(), *series)


@st.composite
def graphs(draw):
    accounts = draw(st.lists(words, min_size=1, max_size=8))
    place = st.integers(0, len(accounts) - 1)
    links = draw(some(st.builds(f.Link, a=place, b=place, weight=figures, layers=some(layers)), 8))
    return f.Graph(tuple(accounts), links, draw(counts))


campaigns = st.builds(
    f.Campaign,
    campaign_id=words,
    verdict=st.sampled_from(("distillation", "relay", "shared-client", "undetermined")),
    confidence=shares,
    q_value=shares,
    accounts=counts,
    exchanges=counts,
    harvest_exchanges=counts,
    first_seen=moments,
    last_seen=moments,
    capabilities=some(words),
    evidence=some(st.builds(f.Evidence, words, layers, words, figures, figures, figures)),
    innocent=some(st.builds(f.Innocent, words, st.sampled_from(("ruled-out", "possible", "likely")), words)),
    examples=some(st.builds(f.Example, words, words)),
    timeline=st.none() | timelines(),
    marks=some(st.builds(f.Mark, moments, words, words)),
    wrapper=st.none() | st.builds(f.Wrapper, some(st.builds(f.Segment, words, st.booleans())), figures),
    graph=st.none() | graphs(),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(campaigns, max_size=3, unique_by=lambda c: c.campaign_id), moments, moments)
def test_whatever_the_reader_lets_pass_can_be_shown(found, first, last):
    text = canonical.lines(found)
    read = msgspec.json.decode(text, type=tuple[f.Campaign, ...])
    folder.check_campaigns(read)
    empty = factory.run(0)
    run = replace(empty, campaigns=read, info=empty.info | {"period": {"first": first, "last": last}})
    page = html.render(run)
    assert page.count('<details class="campaign"') == len(found)
    assert not re.search(r' (width|height|x\d?|y\d?|d)="[^"]*(nan|inf|e\+|e-)', page)
    assert list(terminal.lines(run))
    assert len(summary.to_json(run)["campaigns"]) == len(found)
    assert diff.text(diff.diff(run, run))
    for c in found:
        assert explain.text(explain.explain(run, c.campaign_id))


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in folder.FILES if n != folder.REPORT_HTML])
def test_damage_is_an_input_error_or_does_no_harm(tmp_path, name):
    folder.write(factory.run(2), tmp_path / "run")
    path = tmp_path / "run" / name
    whole = path.read_bytes()
    chance = random.Random(4)
    refused = 0
    for _ in range(120):
        data = bytearray(whole)
        for _ in range(chance.choice((1, 4, 40))):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(bytes(data[: chance.randrange(len(data))] if chance.random() < 0.2 else data))
        try:
            run = folder.read(tmp_path / "run")
        except InputError:
            refused += 1
            continue
        assert html.render(run)
    assert refused > 20
    path.write_bytes(whole)
    assert folder.read(tmp_path / "run").accounts.num_rows
