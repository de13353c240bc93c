"""Settings: defaults, a TOML file over them, and every mistake told with the thing and what to do."""

import dataclasses
import math
import re
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from excise.detect import DETECTORS
from excise.errors import UsageError
from excise.judge.fuse import size_prior
from excise.settings import Settings, load_settings


def load(folder, text):
    path = folder / "settings.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load_settings(path)


def leaves(table, prefix=()):
    """Every setting with the keys that lead to it."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from leaves(value, (*prefix, key))
        else:
            yield (*prefix, key), value


def toml(keys, value):
    *tables, key = keys
    head = f"[{'.'.join(tables)}]\n" if tables else ""
    said = str(value).lower() if isinstance(value, bool) else value
    return f"{head}{key} = {said}\n"


LEAVES = [(k, v) for k, v in leaves(Settings().as_dict()) if k != ("seed",)]


def test_no_file_and_an_empty_file_are_the_defaults(tmp_path):
    assert load_settings(None) == Settings()
    assert load(tmp_path, "") == Settings()
    assert load(tmp_path, "[detect]\n[judge.fuse]\n").digest() == Settings().digest()


@pytest.mark.parametrize(("keys", "default"), LEAVES, ids=[".".join(k) for k, _ in LEAVES])
def test_every_setting_can_be_written_and_changes_the_digest(tmp_path, keys, default):
    other = (not default) if isinstance(default, bool) else default + 1
    changed = load(tmp_path, toml(keys, other))
    found = changed.as_dict()
    for key in keys:
        found = found[key]
    assert found == other
    assert changed.digest() != Settings().digest()
    assert load(tmp_path, toml(keys, default)).digest() == Settings().digest()


@pytest.mark.parametrize(("keys", "default"), LEAVES, ids=[".".join(k) for k, _ in LEAVES])
def test_a_mistyped_key_is_refused_with_the_nearest_one(tmp_path, keys, default):
    *tables, key = keys
    with pytest.raises(UsageError) as error:
        load(tmp_path, toml((*tables, key[:-1] + "qx"), default))
    assert "unknown setting" in str(error.value)
    assert f"{'.'.join(keys)}`" in error.value.hint or "known are" in error.value.hint
    assert error.value.subject.endswith("settings.toml")


def test_the_nearest_key_is_named(tmp_path):
    for wrong, right in (("[lnk]", "link"), ("[detect.multiplicty]", "detect.multiplicity")):
        with pytest.raises(UsageError) as error:
            load(tmp_path, wrong)
        assert error.value.hint == f"did you mean `{right}`?"


@pytest.mark.parametrize(("keys", "default"), LEAVES, ids=[".".join(k) for k, _ in LEAVES])
@pytest.mark.parametrize("wrong", ['"text"', "[1]", "{ a = 1 }", "1979-05-27"])
def test_a_value_of_another_type_is_refused(tmp_path, keys, default, wrong):
    with pytest.raises(UsageError) as error:
        load(tmp_path, toml(keys, wrong))
    assert ".".join(keys) in str(error.value)
    assert error.value.hint


@pytest.mark.parametrize(("keys", "default"), LEAVES, ids=[".".join(k) for k, _ in LEAVES])
def test_a_number_out_of_range_is_refused(tmp_path, keys, default):
    """No number is infinite; none that is not negative by default may be; a count is at least 1."""
    wrong = ["nan", "inf", "-inf"] + ["-0.5"] * (default >= 0)
    if isinstance(default, bool):
        return
    if isinstance(default, int):
        wrong = ["0", "-1"]
    for value in wrong:
        with pytest.raises(UsageError) as error:
            load(tmp_path, toml(keys, value))
        assert ".".join(keys) in str(error.value)
        assert error.value.hint


@pytest.mark.parametrize(
    "text", ["link = 3", "detect = []", "[judge]\nfuse = 1", "detect = { pivot = 2 }", "[[habits]]"]
)
def test_what_must_be_a_table_is_told(tmp_path, text):
    with pytest.raises(UsageError) as error:
        load(tmp_path, text)
    assert "must be a table" in str(error.value)


@pytest.mark.parametrize("text", ["a = ", b"\xff\xfe", "a = 1\na = 2", "[link\n"])
def test_what_is_no_toml_is_told(tmp_path, text):
    with pytest.raises(UsageError) as error:
        load(tmp_path, text)
    assert "settings.toml" in str(error.value)
    assert error.value.hint


def test_a_file_that_is_not_there_is_told(tmp_path):
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(UsageError):
            load_settings(path)


@given(st.integers(-(1 << 70), 1 << 70))
def test_the_seed_counts_and_is_never_shown(seed):
    said = dataclasses.replace(Settings(), seed=seed)
    assert re.fullmatch("[0-9a-f]{16}", said.as_dict()["seed"])
    assert (said.digest() == Settings().digest()) == (seed == 0)


def test_a_whole_number_stands_for_a_share_and_yes_is_no_number(tmp_path):
    assert load(tmp_path, "[link]\nedge_nats = 9").link.edge_nats == 9.0
    assert isinstance(load(tmp_path, "[link]\nedge_nats = 9").link.edge_nats, float)
    for text in ("[link]\nedge_nats = true", "seed = true", "keep_text = 1", "seed = 1.0"):
        with pytest.raises(UsageError):
            load(tmp_path, text)


def test_a_detectors_parameters_are_its_own(tmp_path):
    changed = load(tmp_path, "[detect.multiplicity]\nwithin_hours = 3\n").as_dict()["detect"]
    before = Settings().as_dict()["detect"]
    assert changed.pop("multiplicity") == {**before.pop("multiplicity"), "within_hours": 3.0}
    assert changed == before
    assert set(Settings().as_dict()["detect"]) == {d.id for d in DETECTORS}


def test_what_a_run_says_of_its_settings_reads_back_as_settings(tmp_path):
    tables = {}
    for keys, value in LEAVES:
        tables.setdefault(keys[:-1], []).append((keys[-1:], value))
    told = ""
    for name, values in sorted(tables.items()):
        told += f"[{'.'.join(name)}]\n" if name else ""
        told += "".join(toml(key, value) for key, value in values)
    assert len(tomllib.loads(told)) >= 5
    assert load(tmp_path, told).digest() == Settings().digest()


def test_the_largest_campaign_may_be_small(tmp_path):
    """`largest = 0` once ended a scan with a math error."""
    for largest in ("0", "2", "2.0"):
        chosen = load(tmp_path, f"[judge.fuse]\nlargest = {largest}").judge.fuse
        assert all(math.isfinite(p) for p in size_prior([2, 2, 9], chosen))
