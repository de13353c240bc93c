"""Keys stay secret, are bound to by commitments, and are not served once burned."""

from __future__ import annotations

import json
import os
import stat

import pytest

from excise.audit import keys as stored
from excise.audit.keys import KeyName, parse_name
from excise.errors import InputError, UnreadableFile, UsageError


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "master.key"
    stored.create(path)
    return path


def test_a_key_file_is_the_owner_s_alone_and_stays_so(file):
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    held = stored.load(file)
    stored.save(file, held.rotated())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stored.load(file).epoch == 2
    assert stored.load(file).master == held.master
    assert [p.name for p in file.parent.iterdir()] == ["master.key"]


def test_nothing_shows_the_master_key(file):
    held = stored.load(file)
    assert held.master not in repr(held) + str(held)


def test_a_key_file_is_never_overwritten_by_a_new_one(file):
    with pytest.raises(stored.cannot_write(file, OSError()).__class__, match="exists"):
        stored.create(file)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_key_that_others_may_read_is_refused(file, mode):
    file.chmod(mode)
    with pytest.raises(UsageError, match="read by others"):
        stored.load(file)


def test_a_link_is_not_followed(file, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(file)
    with pytest.raises(UnreadableFile):
        stored.load(link)


@pytest.mark.parametrize(
    "text",
    ["", "{}", "null", "[" * 5000, '{"schema":1,"master":"00"}', '{"schema":9,"master":"' + "00" * 32 + '"}'],
)
def test_what_is_no_key_file_is_refused(tmp_path, text):
    path = tmp_path / "k"
    path.touch(mode=0o600)
    path.write_text(text)
    with pytest.raises(InputError):
        stored.load(path)


def test_a_pipe_is_refused_and_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(UsageError):
        stored.load(tmp_path / "pipe")


def test_every_name_has_a_key_of_its_own(file):
    held = stored.load(file)
    names = [KeyName(p, c, e) for p in stored.PURPOSES for c in ("all", "k7", "k7@") for e in (1, 2, 11)]
    derived = {held.key(n) for n in names} | {held.salt(n) for n in names}
    assert len(derived) == 2 * len(names)
    assert all(len(key) == 16 for key in derived)


def test_a_commitment_binds_to_the_key_and_its_salt(file):
    held, name = stored.load(file), KeyName("gumbel", "all", 1)
    assert held.commitment(name) == stored.commitment(held.salt(name), held.key(name))
    assert held.commitment(name) != held.commitment(KeyName("gumbel", "all", 2))


def test_only_the_epoch_s_unburned_keys_are_served(file):
    held, name = stored.load(file), KeyName("red-green", "k7", 1)
    assert held.served(name) == held.key(name)
    with pytest.raises(UsageError, match="burned"):
        held.with_burned((name,)).served(name)
    with pytest.raises(UsageError, match="epoch is 2"):
        held.rotated().served(name)


def test_names_are_read_as_they_are_written():
    assert str(parse_name("gumbel:all@3")) == "gumbel:all@3"
    assert parse_name("gumbel:all", 5) == KeyName("gumbel", "all", 5)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "gumbel",
        "gumbel:",
        "green:all@1",
        "gumbel:a b@1",
        "gumbel:all@0",
        "gumbel:all@x",
        "gumbel:" + "a" * 65 + "@1",
        "gumbel:all@1\n",
    ],
)
def test_other_names_are_refused(said):
    with pytest.raises(UsageError):
        parse_name(said)


def test_a_key_for_a_gateway_holds_one_key_and_its_name(file, tmp_path):
    held, name = stored.load(file), KeyName("gumbel", "all", 1)
    out = tmp_path / "gateway.key"
    stored.write_secret(out, {"name": str(name), "key": held.served(name).hex()})
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert held.master not in out.read_text()
    assert json.loads(out.read_text())["key"] == held.key(name).hex()
