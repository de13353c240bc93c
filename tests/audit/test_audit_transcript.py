"""No line of a transcript can be changed, dropped or moved unseen, and a killed run loses at most the line it was at."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from excise.audit.transcript import SCHEMA, Answer, Failure, Header, Writer, read
from excise.errors import InputError, UnreadableFile, UsageError

HEADER = Header(SCHEMA, "suspect", "c" * 64, "2026-01-01T00:00:00Z", "recorded")
RECORDS = [
    Answer(0, "p", "a\x1b[31m\u202e\x00\n", "2026-01-02T00:00:00Z", "m"),
    Failure(1, "timeout", attempts=4),
    Answer(2, "q", 'he said "hash":"' + "0" * 64 + '"}', claimed_tokens=5),
    Failure(3, "too-large", final=True),
]


@pytest.fixture
def path(tmp_path):
    where = tmp_path / "t.ndjson"
    with Writer(where, HEADER) as writer:
        for record in RECORDS:
            writer.add(record)
    return where


def test_what_is_written_is_read(path):
    found = read(path)
    assert found.header == HEADER
    assert [*found.answers] == [RECORDS[0], RECORDS[2]]
    assert [*found.failures] == [RECORDS[1], RECORDS[3]]
    assert (found.asked, found.torn) == (4, 0)


def test_no_control_character_stands_in_the_file(path):
    assert not [b for b in path.read_bytes() if b < 0x20 and b != 0x0A]


def test_a_failure_at_the_end_that_may_pass_is_not_done_with(tmp_path):
    with Writer(tmp_path / "t", HEADER) as writer:
        for record in (RECORDS[0], Failure(1, "timeout"), Failure(2, "timeout")):
            writer.add(record)
    assert read(tmp_path / "t").asked == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_every_changed_byte_is_seen(path, data):
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda b: b != whole[at]))
    spoiled = path.with_name("spoiled")
    spoiled.write_bytes(whole[:at] + bytes([other]) + whole[at + 1 :])
    try:
        found = read(spoiled)
    except InputError:
        return
    assert (
        found.torn > 0
    )  # only the last line feed can be lost without a broken chain: the line then counts as torn
    assert at == len(whole) - 1


@pytest.mark.parametrize(
    "change",
    [lambda x: x[:1] + x[2:], lambda x: x[1:], lambda x: [x[0], x[2], x[1], *x[3:]], lambda x: x + x[-1:]],
)
def test_dropped_moved_and_repeated_lines_are_seen(path, change):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(change(lines)))
    with pytest.raises(InputError, match="does not hold"):
        read(path)


@pytest.mark.parametrize("kept", [1, 20, -1, -30])
def test_a_torn_line_is_left_out_and_the_run_goes_on(path, kept):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]) + lines[-1][:kept])
    assert read(path).torn > 0
    with Writer(path, HEADER) as writer:
        assert writer.done.asked == 3
        writer.add(RECORDS[3])
    found = read(path)
    assert (found.asked, found.torn, len(found.failures)) == (4, 0, 2)


def test_a_torn_header_is_written_again(tmp_path):
    (tmp_path / "t").write_bytes(b'{"kind":"hea')
    with Writer(tmp_path / "t", HEADER) as writer:
        writer.add(RECORDS[0])
    assert read(tmp_path / "t").answers == (RECORDS[0],)


@pytest.mark.parametrize("other", ["suspect", "plan"])
def test_another_suspect_s_or_plan_s_transcript_is_not_continued(path, other):
    changed = Header(**{**{f: getattr(HEADER, f) for f in HEADER.__struct_fields__}, other: "x"})
    with pytest.raises(UsageError, match="another suspect or plan"):
        Writer(path, changed)


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(UnreadableFile):
        read(tmp_path / "none")
    with pytest.raises(UnreadableFile):
        read(tmp_path)
    (tmp_path / "empty").touch()
    with pytest.raises(InputError, match="no header"):
        read(tmp_path / "empty")


def test_two_runs_do_not_write_one_transcript(path):
    with Writer(path, HEADER), pytest.raises(UsageError, match="another run"):
        Writer(path, HEADER)
    Writer(path, HEADER).__exit__()
