"""Artifacts are read by structure: attacks are named, harmless ones are let be, damaged ones are said to be so."""

from __future__ import annotations

import pickle
import pickletools
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from excise.inspect.artifacts import pickles
from excise.inspect.artifacts.artifact import ARTIFACTS, say, wants
from excise.inspect.artifacts.containers import escapes
from excise.inspect.artifacts.danger import danger
from excise.inspect.finding import Severity
from excise.inspect.tree import Source
from inspect_artifacts import ATTACKS, DAMAGED, HARMLESS, TELLING, gguf, proto4, torch_zip


def said(name, data, size=None):
    assert wants(name)
    return list(say(Source(name, data, size=len(data) if size is None else size)))


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_named(name):
    data, weakness = ATTACKS[name]
    worst = [s for s in said(name, data) if s.severity >= Severity.HIGH]
    assert weakness in {s.weakness for s in worst}


@pytest.mark.parametrize("name", HARMLESS)
def test_nothing_is_said_of_data(name):
    assert said(name, HARMLESS[name]) == []


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_said(name):
    assert {s.weakness for s in said(name, DAMAGED[name])} == {"artifact-structure"}


@pytest.mark.parametrize("name", [*ATTACKS, *HARMLESS, *DAMAGED])
@given(cut=st.floats(0, 1), flip=st.integers(0, 255))
def test_no_bytes_break_a_reader(name, cut, flip):
    data = (ATTACKS | {n: (d, "") for n, d in (HARMLESS | DAMAGED).items()})[name][0]
    if len(data) > 100_000:
        data = data[:100_000]
    place = int(cut * max(len(data) - 1, 0))
    said(name, data[:place])
    said(name, data[:place] + bytes([flip]) + data[place + 1 :])


def test_a_large_zip_is_read_from_its_head():
    data = torch_zip(proto4("os", "system"))
    facts = said("large.pt", data[:-150], size=len(data) + 1_000_000_000)
    assert [s.weakness for s in facts] == ["artifact-code", "artifact-structure"]


def test_a_template_with_words_of_its_own_is_for_review():
    (fact,) = said("a.gguf", gguf(TELLING))
    assert (fact.weakness, fact.severity) == ("artifact-template", Severity.MEDIUM)


def test_unknown_code_is_for_review():
    (fact,) = said("a.pkl", proto4("sklearn.tree", "Tree"))
    assert fact.severity == Severity.MEDIUM


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(), inner)
        | st.tuples(inner, inner)
        | st.frozensets(st.integers())
    ),
    max_leaves=20,
)


@given(value=PLAIN, protocol=st.integers(0, 5))
def test_a_pickle_of_data_names_nothing_that_runs(value, protocol):
    data = pickle.dumps(value, protocol)
    seen = pickles.walk(data)
    assert (seen.pickles, seen.ended, seen.end) == (1, "", len(data))
    assert not seen.of("dangerous")
    assert not seen.of("unknown")
    assert not seen.unknown


class Calls:
    """An object whose pickle calls `function`."""

    def __init__(self, function):
        self.function = function

    def __reduce__(self):
        return self.function, ("1",)


@given(value=PLAIN, protocol=st.integers(0, 5))
def test_a_call_is_found_wherever_it_stands(value, protocol):
    data = pickle.dumps([value, {"k": (Calls(eval), value)}], protocol)
    seen = pickles.walk(data)
    module = "builtins" if protocol > 2 else "__builtin__"
    assert seen.uses[module, "eval"].called
    assert seen.opcodes == sum(1 for _ in pickletools.genops(data))


def test_arrays_of_joblib_are_stepped_over(monkeypatch):
    """As joblib writes them: a wrapper with state, padding, raw bytes, and the pickle goes on."""
    raw = b"." * 7 + b"\x80\x04" + b"cos\nsystem\n" + b"." * 12
    state = b"}(" + _u("shape") + b"K\x04\x85" + _u("dtype") + b"cnumpy\ndtype\n" + _u("f8") + b"\x85R"
    state += _u("numpy_array_alignment_bytes") + b"K\x10" + b"u"
    head = b"\x80\x04]" + b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81" + state + b"b"
    seen = pickles.walk(head + b"\x03" + b"\xff" * 3 + raw + b"a" + proto4("os", "getcwd")[2:])
    assert len(raw) == 32
    assert {u.whole for u in seen.of("dangerous")} == {"os.getcwd"}
    assert seen.ended == ""


def _u(text):
    return b"\x8c" + bytes([len(text)]) + text.encode()


def test_standard_modules_that_act_are_dangerous():
    acting = {
        "os",
        "subprocess",
        "socket",
        "shutil",
        "importlib",
        "runpy",
        "ctypes",
        "pickle",
        "marshal",
        "webbrowser",
        "code",
        "pty",
    }
    assert acting <= sys.stdlib_module_names
    assert {danger(module, "anything") for module in acting} == {"dangerous"}
    assert danger("builtins", "eval") == danger("builtins", "getattr") == "dangerous"
    assert (
        danger("builtins", "set") == danger("numpy", "dtype") == danger("torch", "FloatStorage") == "allowed"
    )
    assert danger("torch", "load") == "dangerous"
    assert danger("somewhere", "Else") == "unknown"


@pytest.mark.parametrize(
    ("name", "out"),
    [("a/b", False), ("a/../b", True), ("/a", True), ("..\\a", True), ("C:\\a", True), ("a..b", False)],
)
def test_names_that_lead_out(name, out):
    assert escapes(name) == out


def test_the_analyser_gives_findings_that_can_be_kept():
    source = Source("a.pkl", ATTACKS["proto0.pkl"][0], size=10)
    (found,) = ARTIFACTS.conclude(type("T", (), {"notes": {"a.pkl": ARTIFACTS.read(source)}})())
    assert found.weakness == "artifact-code"
    assert found.path == "a.pkl"
