"""What a shell runs when it enters a folder, and variables that a folder gives to programs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from excise.inspect.surfaces.commands import judge
from excise.inspect.surfaces.git import pointed
from excise.inspect.surfaces.node import scalars
from excise.inspect.surfaces.readers import read
from excise.inspect.surfaces.surface import Surface, command_mark, named, variable
from excise.inspect.surfaces.verdict import Mark, Verdict
from excise.inspect.tree import Source

_ASSIGNS: Final = re.compile(r"^\s*(?:export\s+)?([A-Za-z_]\w{0,100})=(.{0,2000})$")
_DECLARES: Final = re.compile(
    r"^\s*(?:#.*|(?:export\s+)?\w+=[^`$]*(?:\$(?:PWD|\{PWD\}|HOME|\{HOME\}|PATH|\{PATH\}|\(pwd\))[^`$]*)*|(?:use|layout|PATH_add|dotenv(?:_if_exists)?|watch_file|source_up(?:_if_exists)?|env_vars_required|unset|strict_env|path_add|MANPATH_add|load_prefix|watch_dir)\b[^`;|&]*|if\s.*;?\s*then|fi|else|esac|done|\s*)$"
)


def envrc_marks(source: Source) -> Iterator[Mark]:
    """A folder's shell script: review once if it runs more than declarations, worse if a command shows something."""
    if not source.text.strip():
        return
    acting = [n for n, line in enumerate(source.lines, 1) if not _DECLARES.match(line[:2000])]
    whole = judge(source.text)
    if acting or not whole.ordinary:
        mark = command_mark(
            acting[0] if acting else 1,
            source.text,
            f"{source.name}, on entering the folder,",
            Verdict.ON_TRUST,
        )
        yield pointed(source, mark)
    yield from _assigned(source)


def env_marks(source: Source) -> Iterator[Mark]:
    """A file of variables: those that change what programs run or where keys go."""
    yield from _assigned(source)


def _assigned(source: Source) -> Iterator[Mark]:
    for number, line in enumerate(source.lines, 1):
        found = _ASSIGNS.match(line)
        if found:
            yield from variable(found[1], found[2].strip().strip("\"'"), number, source.name)


def manager_marks(source: Source) -> Iterator[Mark]:
    """A version manager's file: hooks on entering, sourced scripts, variables."""
    top = read(source)
    for path, value in scalars(top):
        if path[0] == "hooks" or path[:2] == ("env", "_") or path[-1] in {"postinstall", "_.source"}:
            if path[-1] in {"path", "file", "redact"}:
                continue
            yield command_mark(
                value.line, value.string, f"{source.name}: {'.'.join(path[:3])}", Verdict.ON_TRUST
            )
        elif path[0] == "env" and len(path) == 2:
            yield from variable(path[1], value.string, value.line, source.name)


def nix_marks(source: Source) -> Iterator[Mark]:
    """A shell hook of Nix; ordinary ones are left."""
    at = source.text.find("shellHook")
    if at >= 0 and not judge(source.text[at:]).ordinary:
        line = source.text.count("\n", 0, at) + 1
        mark = command_mark(line, source.text[at:], "the shell's hook", Verdict.ON_TRUST)
        yield pointed(source, mark)


def _is_env(path: str) -> bool:
    name = path.lower().rpartition("/")[2]
    return name == ".env" or (
        name.startswith(".env.") and not name.endswith((".example", ".sample", ".template"))
    )


DIRENV = Surface("direnv", named(".envrc", ".autoenv", ".autoenv.zsh", ".env.zsh", ".in"), envrc_marks)
ENV = Surface("env-files", _is_env, env_marks)
VERSION_MANAGERS = Surface(
    "version-managers",
    named("mise.toml", ".mise.toml", "mise.local.toml", ".mise/config.toml", ".config/mise.toml"),
    manager_marks,
)
NIX = Surface("nix-shell", named("shell.nix", "flake.nix", "devenv.nix"), nix_marks)
