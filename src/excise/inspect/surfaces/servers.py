"""Lists of tool servers (MCP): each entry is a program that starts with the agent, or an address that gets its calls."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from excise.inspect.finding import Severity
from excise.inspect.surfaces.node import Node
from excise.inspect.surfaces.readers import read
from excise.inspect.surfaces.surface import (
    Surface,
    command_mark,
    command_of,
    foreign,
    host,
    keys_of_an_environment,
    named,
    yes,
)
from excise.inspect.surfaces.verdict import Mark, Verdict
from excise.inspect.tree import Source

_LISTS: Final = ("mcpServers", "mcp_servers", "servers", "context_servers", "mcp")
_RUNNERS: Final = re.compile(r"^(?:\S*/)?(?:npx|bunx|pnpx|uvx|pipx|pnpm|yarn|bun|uv|deno)(?:\.cmd|\.exe)?\s")
_PINNED: Final = re.compile(r"(?:@|==)\d+(?:\.\d+)+\S*|@sha256:[0-9a-f]{64}|#[0-9a-f]{40}\b|@[0-9a-f]{40}\b")
_LOCAL: Final = re.compile(
    r"(?:^|\s)\.{1,2}/|\s(?:run|exec|dev)\s+(?!--from)(?!\S*@)[\w./-]+\.(?:py|js|ts|mjs)\b|--directory\s"
)
_SECRET_NAME: Final = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
_EXPANDS: Final = re.compile(r"\$\{?(?:env:)?([A-Z0-9_]+)|\$\{input:([\w-]+)")


def marks(source: Source) -> Iterator[Mark]:
    """Every server of a list of servers."""
    yield from servers(read(source))


def servers(top: Node) -> Iterator[Mark]:
    """The servers below any of the usual keys of `top`."""
    for key in _LISTS:
        for name, server in top.at(key).entries:
            yield from _server(name[:40], server)


def _server(name: str, server: Node) -> Iterator[Mark]:
    command = command_of(server)
    address = server.at("url").string or server.at("httpUrl").string or server.at("serverUrl").string
    where = f"the tool server {name!r}"
    if command:
        at = server.at("command").line or server.line
        yield command_mark(at, command, f"{where}, started with the agent,", Verdict.ON_TRUST)
        if _RUNNERS.match(command + " ") and not _PINNED.search(command) and not _LOCAL.search(command):
            yield Mark(
                server.line_of("args"), Verdict.ON_TRUST, Severity.MEDIUM,
                f"{where} is whatever the registry serves under that name on the day: no version is pinned",
                server.at("args").each[0].string if server.at("args").each else command, "unpinned-code",
            )  # fmt: skip
        yield from keys_of_an_environment(server.at("env"), where)
    if address and foreign(address):
        yield from _remote(where, server, address)
    for key in ("trust", "autoApprove", "alwaysAllow"):
        if yes(server.at(key)) or any(item.string == "*" for item in server.at(key).items or ()):
            yield Mark(
                server.line_of(key), Verdict.BEFORE_TRUST, Severity.HIGH,
                f"{where} may be called without asking", key, "lowered-approval",
            )  # fmt: skip


def _remote(where: str, server: Node, address: str) -> Iterator[Mark]:
    line = server.at("url").line or server.line
    if not address.startswith("https://"):
        yield Mark(
            line, Verdict.ON_TRUST, Severity.MEDIUM,
            f"{where} is reached without encryption at {host(address)}", address, "unpinned-code",
        )  # fmt: skip
    taken = [
        (n, v.line)
        for key in ("headers", "env", "http_headers")
        for n, v in server.at(key).entries
        if _EXPANDS.search(v.string) and not _belongs(v.string, address)
    ]
    inline = _EXPANDS.search(address)
    if inline and _SECRET_NAME.search(inline.group()):
        taken.append((inline.group(), line))
    for header, at in taken[:1]:
        yield Mark(
            at or line, Verdict.EXFILTRATES, Severity.MEDIUM,
            f"{where} gets a key of the user's environment at {host(address)}", header,
            "secret-exfiltration", "low",
        )  # fmt: skip


def _belongs(value: str, address: str) -> bool:
    """Whether a variable's name holds a word of the host it goes to (`GITHUB_TOKEN` to `api.github.com`)."""
    words = {w for w in re.split(r"[^a-z0-9]+", host(address)) if len(w) > 3}
    names = " ".join(g.lower() for found in _EXPANDS.findall(value) for g in found)
    return any(w in names for w in words)


TOOL_SERVERS = Surface(
    "tool-servers",
    named(
        ".mcp.json", "mcp.json", "mcp_config.json", "claude_desktop_config.json", "mcp-servers.json",
        "mcp_settings.json", "cline_mcp_settings.json", ".zed/settings.json",
    ),
    marks,
)  # fmt: skip
