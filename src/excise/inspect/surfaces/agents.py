"""Settings of coding agents that a repository may bring: hooks, commands for keys, approvals given in advance."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from excise.inspect.finding import Severity
from excise.inspect.surfaces.node import Node, scalars
from excise.inspect.surfaces.readers import read
from excise.inspect.surfaces.servers import servers
from excise.inspect.surfaces.surface import (
    Surface,
    command_mark,
    keys_of_an_environment,
    named,
    variable,
    yes,
)
from excise.inspect.surfaces.verdict import Mark, Verdict
from excise.inspect.tree import Source

_COMMAND_KEYS: Final = frozenset(
    "apikeyhelper awsauthrefresh awscredentialexport otelheadershelper statusline filesuggestion notify "
    "tooldiscoverycommand toolcallcommand forceloginmethod".split()
)
"""Settings whose value is run, in lower case."""
_ANYTHING: Final = re.compile(
    r"^(?:\*|(?:Bash|Shell|run_shell_command|shell)(?:\((?:\*|:\*|\*:\*|)\))?)$", re.IGNORECASE
)
_HOOK_EVENTS_OF_OPENING: Final = (
    "sessionstart",
    "setup",
    "userpromptsubmit",
    "beforesubmitprompt",
    "folderopen",
)
_FREE: Final = {
    "defaultmode": {"bypasspermissions", "dontask"},
    "approval_policy": {"never"},
    "approvalpolicy": {"never"},
    "approvalmode": {"yolo", "auto_edit"},
    "defaultapprovalmode": {"yolo"},
    "sandbox_mode": {"danger-full-access"},
    "sandboxmode": {"danger-full-access"},
    "permission": {"allow"},
    "yes-always": {"true"},
}
"""Settings and the values that switch approval or isolation off."""
_FREE_IF_YES: Final = frozenset(
    "enableallprojectmcpservers autoaccept autoapprove yolo dangerouslyskippermissions skipdangerousmodepermissionprompt "
    "trust chat.tools.autoapprove chat.tools.global.autoapprove autoallow disablesandbox allowunsandboxedcommands".split()
)


def marks(source: Source) -> Iterator[Mark]:
    """Hooks, commands, environments, approvals and tool servers of one settings file."""
    top = read(source)
    yield from _hooks(top.at("hooks"))
    for path, value in scalars(top):
        key = path[-1].lower() if path else ""
        inner = path[-2].lower() if len(path) > 1 else ""
        if key in _COMMAND_KEYS or (key == "command" and inner in _COMMAND_KEYS):
            yield command_mark(value.line, value.string, f"the setting {path[-1]}", Verdict.ON_TRUST)
        yield from approvals(path, value)
        if key in {"base_url", "baseurl", "apibase", "api_base", "openai-api-base"}:
            yield from variable("MODEL_BASE_URL", value.string, value.line, "the agent's settings")
    yield from keys_of_an_environment(top.at("env"), "the agent's environment")
    yield from servers(top)


def approvals(path: tuple[str, ...], value: Node) -> Iterator[Mark]:
    """A setting that gives an approval in advance or takes isolation away."""
    keys = [p.lower() for p in path if p != "[]"]
    if not keys:
        return
    key, word = keys[-1], value.string.lower()
    if word in _FREE.get(key, ()) or (key in _FREE_IF_YES and yes(value)):
        yield Mark(
            value.line, Verdict.BEFORE_TRUST, Severity.HIGH,
            f"{path[-1]} = {value.string[:40]}: an agent acts without asking", value.string, "lowered-approval",
        )  # fmt: skip
    elif "allow" in keys[-2:] and "permissions" in keys and _ANYTHING.match(value.string):
        yield Mark(
            value.line, Verdict.BEFORE_TRUST, Severity.HIGH,
            f"any command is allowed in advance ({value.string[:30]})", value.string, "lowered-approval",
        )  # fmt: skip


def _hooks(node: Node) -> Iterator[Mark]:
    """Commands below `hooks`, whatever the nesting: `{event: [{matcher, hooks: [{type, command}]}]}` or flatter."""
    for event, below in node.entries:
        opening = event.lower() in _HOOK_EVENTS_OF_OPENING
        where = f"the {event[:40]} hook" + (", at the start of a session," if opening else "")
        for path, value in scalars(below):
            if path and path[-1] in {"command", "bash", "powershell", "run", "script", "[]"}:
                yield command_mark(value.line, value.string, where, Verdict.ON_TRUST)


def _wants(path: str) -> bool:
    folder, _, name = path.lower().rpartition("/")
    place = folder.rpartition("/")[2]
    if place in {".claude", ".gemini", ".qwen"}:
        return name in {"settings.json", "settings.local.json"}
    if place == ".codex":
        return name in {"config.toml", "hooks.json"}
    if place in {".cursor", ".kiro", ".windsurf", ".factory"}:
        return name in {"hooks.json", "settings.json", "cli.json", "config.json"}
    if place == "hooks":
        return name.endswith(".json")
    return _OTHER(path)


_OTHER = named(
    ".aider.conf.yml", "opencode.json", "opencode.jsonc", "crush.json", ".crush.json", ".continue/config.yaml",
    ".continue/config.json", ".roomodes", "plugin.json", ".amazonq/agents/default.json",
)  # fmt: skip

AGENT_SETTINGS = Surface("agent-settings", _wants, marks)
