"""Splitting text into records, against Python's own json."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from excise.errors import BadRow
from excise.ingest import records
from excise.ingest.decode import MAX_DEPTH, too_deep
from excise.ingest.records import is_line_based, json_objects

value = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
objects = st.lists(st.dictionaries(st.text(max_size=4), value, max_size=4), max_size=6)


class Dribble:
    """A source that gives a few bytes at a time."""

    def __init__(self, data, step):
        self._data, self._step = data, step

    def read(self, nbytes, /):
        piece, self._data = self._data[: self._step], self._data[self._step :]
        return piece


@settings(max_examples=200)
@given(
    objects,
    st.sampled_from([None, 1]),
    st.sampled_from(["\n", "", ",", " \r\n"]),
    st.integers(1, 50),
    st.booleans(),
)
def test_objects_are_split_as_json_would(found, indent, between, step, array):
    text = (
        json.dumps(found, indent=indent)
        if array
        else between.join(json.dumps(o, indent=indent) for o in found)
    )
    parts = list(json_objects(Dribble(text.encode(), step)))
    assert [json.loads(part) for part in parts] == found


@given(st.binary(max_size=200), st.integers(1, 20))
def test_any_bytes_end_in_parts_or_bad_rows(data, step):
    parts = list(json_objects(Dribble(data, step)))
    assert all(isinstance(part, BadRow) or part.startswith(b"{") for part in parts)
    assert sum(len(part) for part in parts if isinstance(part, bytes)) <= len(data)


def test_an_object_above_the_limit_ends_the_file(monkeypatch):
    monkeypatch.setattr(records, "MAX_RECORD_BYTES", 1000)
    monkeypatch.setattr(records, "CHUNK", 100)
    parts = list(json_objects(Dribble(b'{"a": 1} {"b": "' + b"x" * 5000 + b'"} {"c": 1}', 100)))
    assert parts[0] == b'{"a": 1}'
    assert isinstance(parts[1], BadRow)
    assert parts[1].reason == "too-long"


def test_lines_are_told_from_pretty_printed_objects():
    assert is_line_based(b'{"a": 1}\n{"a": 2}\n')
    assert is_line_based(b'{"a": 1}')
    assert is_line_based(b'{"a": damaged\n{"a": 2}\n')
    assert not is_line_based(b'{\n "a": 1\n}\n{\n "a": 2\n}\n')
    assert not is_line_based(b'[\n{"a": 1},\n{"a": 2}\n]')
    assert not is_line_based(b'[{"a": 1},\n{"a": 2}]')
    assert not is_line_based(b'[{"a": 1}]\n')


def test_depth_is_measured_without_recursion():
    built = []
    for _ in range(MAX_DEPTH - 1):
        built = [built]
    assert not too_deep(built)
    assert too_deep([built])
    for _ in range(50_000):
        built = [built]
    assert too_deep(built)
