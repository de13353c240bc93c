"""The documents are true: commands, options, links, paths and exit statuses are those of the code."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import typer.main

from excise import errors
from excise.cli.app import app
from excise.settings import load_settings
from repository import ROOT, page, tracked


def commands_of(group, before: str = "") -> dict:
    """Every command by its words: those of a group of commands too, `audit plan`."""
    found = {}
    for name, command in group.commands.items():
        inner = getattr(command, "commands", None)
        found |= commands_of(command, f"{name} ") if inner else {before + name: command}
    return found


COMMANDS = commands_of(typer.main.get_command(app))
GROUPS = {words.split()[0] for words in COMMANDS if " " in words}
ROOT_OPTIONS = {"--version", "--install-completion", "--show-completion", "--help"}
PICTURE_BYTES = 300_000
PAGES = [path.relative_to(ROOT).as_posix() for path in tracked() if path.suffix == ".md"]


def commands_in(text: str) -> list[list[str]]:
    """The words of every `excise` or `make` command of the code blocks, and of `make` in running text."""
    blocks = re.findall(r"^(?:    |\$ )((?:excise|make) .+)$", text, re.MULTILINE)
    return [line.split("#")[0].split() for line in blocks + re.findall(r"`((?:make|excise) [^`]+)`", text)]


def options_of(command: str) -> set[str]:
    return {o for p in COMMANDS[command].params for o in [*p.opts, *p.secondary_opts] if o.startswith("-")}


@pytest.mark.parametrize("name", PAGES)
def test_every_command_that_a_page_shows_exists(name):
    targets = set(re.findall(r"^([a-z-]+):", page("Makefile"), re.MULTILINE))
    for program, *words in commands_in(page(name)):
        if program == "make":
            assert words[0] in targets
            continue
        command = words[0]
        if not re.fullmatch(r"[a-z]+", command):
            assert command in {*ROOT_OPTIONS, "COMMAND", "…"}
            continue
        if command in GROUPS:
            command = " ".join(words[:2])
            if command in GROUPS or len(words) == 1:  # the group itself
                continue
        shown = {word for word in words if re.fullmatch(r"--?[a-z][a-z-]*", word)}
        assert shown <= options_of(command) | {"--help"}


def sections() -> dict[str, str]:
    parts = re.split(r"^## `excise (\w+(?: \w+)?)`$", page("docs/cli.md"), flags=re.MULTILINE)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def test_every_command_has_a_section_and_every_section_a_command():
    assert set(sections()) - {""} == set(COMMANDS)
    assert set(re.findall(r"`excise (--[a-z-]+)`", sections()[""])) == ROOT_OPTIONS - {"--help"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_documented_and_every_documented_option_exists(command):
    rows = [line.split("|")[1] for line in sections()[command].splitlines() if line.startswith("| `-")]
    assert {option for row in rows for option in re.findall(r"`(-[^`]+)`", row)} == options_of(command)


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name):
    folder = (ROOT / name).parent
    text = re.sub(r"```.*?```", "", page(name), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:", target):
            path, _, anchor = target.partition("#")
            found = folder / path if path else ROOT / name
            assert found.exists(), target
            titles = re.findall(r"^#+ (.+)$", found.read_text("utf-8"), re.MULTILINE) if anchor else []
            assert not anchor or anchor in {
                re.sub(r"[^\w-]", "", t.lower().replace(" ", "-")) for t in titles
            }


def test_every_page_is_in_the_index():
    linked = set(re.findall(r"\]\(([^)#]+)\)", page("docs/README.md")))
    pages = {name.removeprefix("docs/") for name in PAGES if re.fullmatch(r"docs/[^/]+", name)}
    assert pages - {"README.md"} <= linked


def test_the_page_of_settings_is_that_of_the_code():
    made = subprocess.run(
        [sys.executable, ROOT / "tools" / "settings_page.py"], check=True, capture_output=True, text=True
    )
    assert made.stdout == page("docs/settings.md"), "run `make docs`"


def test_the_settings_that_the_page_shows_are_accepted(tmp_path):
    shown = re.search(r"```toml\n(.*?)```", page("docs/settings.md"), re.DOTALL).group(1)
    (tmp_path / "settings.toml").write_text(shown)
    settings = load_settings(tmp_path / "settings.toml")
    assert settings.judge.fuse.accuse == 0.95
    assert settings.detect == {"payment": {"most_accounts": 50}}
    assert settings.keep_text is False


def test_the_paths_and_registries_that_contributing_names_exist():
    text = page("CONTRIBUTING.md")
    paths = re.findall(r"`((?:src|tests|docs|bench)/[^`]+)`", text)
    assert len(paths) > 10
    assert not [path for path in paths if not (ROOT / path).exists()]
    source = "\n".join(p.read_text("utf-8") for p in (ROOT / "src").rglob("*.py"))
    assert not [
        name
        for name in re.findall(r"`([A-Z]{5,})`", text)
        if not re.search(rf"^{name}\b", source, re.MULTILINE)
    ]


def test_exit_statuses_are_those_of_the_errors():
    for name in ("README.md", "docs/cli.md"):
        said = {int(n) for n in re.findall(r"^\| (\d+) \|", page(name), re.MULTILINE)}
        kinds = (
            errors.UsageError,
            errors.InputError,
            errors.OutputError,
            errors.Interrupted,
        )
        assert said == {0, 10} | {kind.exit_status for kind in kinds}


def test_the_picture_is_there_and_small():
    picture = (ROOT / "docs" / "report.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) < PICTURE_BYTES
