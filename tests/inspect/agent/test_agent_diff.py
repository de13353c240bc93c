"""A proposed diff changes lines of listed files in memory, exactly where they stand, or is refused."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from excise.inspect.agent.diff import MOST_CHANGED, Unfit, applied, written

FILE = {"app.py": "one\ntwo\nthree\nfour\nfive\n"}


def hunk(*lines, head="@@ -2,2 +2,2 @@", path="app.py"):
    return "\n".join([f"--- a/{path}", f"+++ b/{path}", head, *lines, ""])


def test_lines_change_where_they_stand():
    assert applied(hunk(" two", "-three", "+3"), FILE.get) == {"app.py": "one\ntwo\n3\nfour\nfive\n"}


def test_a_wrong_number_is_mended_where_the_lines_are_unique():
    said = hunk(" two", "-three", "+3", head="@@ -40,2 +40,2 @@ def f():")
    assert applied(said, FILE.get) == {"app.py": "one\ntwo\n3\nfour\nfive\n"}
    with pytest.raises(Unfit, match="more than once"):
        applied(hunk("-same", "+other", head="@@ -9 +9 @@"), {"app.py": "same\nx\nsame\n"}.get)


def test_an_empty_line_of_context_may_have_lost_its_mark():
    texts = {"app.py": "a\n\nb\n"}
    assert applied(hunk(" a", "", "-b", "+c", head="@@ -1,3 +1,3 @@"), texts.get) == {"app.py": "a\n\nc\n"}


HOSTILE = {
    "leaves the tree": hunk("-root", "+x", path="../../etc/passwd"),
    "absolute": hunk("-root", "+x", path="/etc/passwd"),
    "a file that is not there": hunk("-two", "+x", path="other.py"),
    "a new file": "--- /dev/null\n+++ b/new.py\n@@ -0,0 +1 @@\n+x\n",
    "no file any more": "--- a/app.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-one\n",
    "a rename": "diff --git a/app.py b/b.py\nrename from app.py\nrename to b.py\n" + hunk("-two", "+2"),
    "a mode": "diff --git a/app.py b/app.py\nold mode 100644\nnew mode 100755\n" + hunk("-two", "+2"),
    "two names": "--- a/app.py\n+++ b/other.py\n@@ -2 +2 @@\n-two\n+2\n",
    "binary": "GIT binary patch\nliteral 0\n",
    "nothing": "",
    "words": "I have fixed it for you.",
    "no change": hunk(" two", " three"),
    "only new lines": hunk("+x"),
    "no place": hunk("-two", "+2", head="@@ two @@"),
    "no file": "@@ -2 +2 @@\n-two\n+2\n",
    "too much": hunk(*(f"+{i}" for i in range(MOST_CHANGED + 1)), " two"),
    "context that is not there": hunk(" zwei", "-three", "+3"),
    "many files": "".join(hunk("-two", "+2", path=f"{i}.py") for i in range(6)),
    "control characters": hunk("-two\x00", "+\x1b[2J"),
}


@pytest.mark.parametrize("diff", HOSTILE.values(), ids=HOSTILE)
def test_anything_else_is_refused(diff):
    with pytest.raises(Unfit):
        applied(diff, FILE.get)


@given(st.text(st.sampled_from("-+ @,0123\nab/\\"), max_size=200))
def test_no_text_does_more_than_that(diff):
    try:
        out = applied("--- a/app.py\n+++ b/app.py\n" + diff, FILE.get)
    except Unfit:
        return
    assert out.keys() == FILE.keys()


LINES = st.lists(st.sampled_from(["a", "b", "", "  c", "-d", "+e"]), max_size=12)


@given(LINES, LINES, st.booleans(), st.booleans())
def test_what_we_write_says_what_was_changed(before, after, one, other):
    old = "\n".join(before) + "\n" * one
    new = "\n".join(after) + "\n" * other
    diff = written({"f": old}, {"f": new})
    assert bool(diff) == (old != new)


def test_git_applies_what_we_write(tmp_path):
    for old, new in [
        ("a\nb\n", "a\nc\n"),
        ("a\nb", "a\nc"),
        ("a\n\fb\r\n", "a\n\fc\r\n"),
        ("a\nb", "a\nb\n"),
    ]:
        (tmp_path / "f.py").write_bytes(old.encode())
        diff = tmp_path / "a.diff"
        diff.write_bytes(b"# words of ours\n" + written({"f.py": old}, {"f.py": new}).encode())
        subprocess.run(["git", "apply", "--unsafe-paths", "--directory", tmp_path, diff], check=True, cwd="/")
        assert (tmp_path / "f.py").read_bytes() == new.encode()
