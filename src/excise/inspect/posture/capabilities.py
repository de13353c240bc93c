"""Agents whose tools together take in untrusted text, read private data and have a way out.

Each alone is ordinary. Together, a text that the agent reads can make it fetch a secret and send it away, and no
validator of a single tool is wrong. Tools are functions that are declared as such (a decorator, a class of tools);
what each can do is what it calls, through functions of this tree. The tools of one folder count as one agent's.
Source: S. Willison, "The lethal trifecta for AI agents" (2025); Meta, "Agents Rule of Two" (2025).
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from excise.inspect.analyser import Analyser, Tree
from excise.inspect.finding import Finding, Severity, Step
from excise.inspect.posture.shape import (
    Named,
    dotted,
    is_shipped,
    keyword,
    own_calls,
    shape,
    text_of,
    touched,
)
from excise.inspect.tree import Source
from excise.inspect.weakness import BY_ID

DEEPEST: Final = 5
"""Calls that are followed from a tool."""
_TOOL: Final = re.compile(
    r"(?:^|\.)(?:tool|tool_plain|function_tool|kernel_function|register_tool|register_for_llm|agent_tool|ai_function)$"
)
_DECLARES: Final = re.compile(
    r"^[ \t]*@[\w.]*(?:tool|ai_function)\w*|^[ \t]*class\s+\w+\([^)\n]*Tool\b", re.MULTILINE
)
_ABLE: Final = (
    "requests.", "httpx.", "aiohttp", "session.get", "session.post", "client.get(", "client.post(", "urlopen", "urlretrieve",
    ".goto(", "subprocess", "os.system", "os.popen", "os.walk", "environ", "getenv", "open(", "exec(", "eval(", "read_text",
    "read_bytes", "listdir", "scandir", "iterdir", "glob(", "imaplib", "feedparser", "sendmail", "send_message", "send_email",
    "chat_postMessage", "upload_file", "put_object", "get_object", "publish(", "get_password", "get_messages",
    "list_messages", "read_inbox",
)  # fmt: skip
"""Words of calls that give an ability."""
_TOOL_CLASS: Final = re.compile(
    r"(?:^|\.)(?:BaseTool|Tool|StructuredTool|FunctionTool|AgentTool|BasePydanticTool)$"
)
_RUN: Final = frozenset({"run", "_run", "arun", "_arun", "forward", "invoke", "execute", "call", "__call__"})

IN, PRIVATE, OUT = "untrusted input", "private data", "a way out"
SIDES: Final = (IN, PRIVATE, OUT)
_FETCH: Final = re.compile(
    r"^(?:requests|httpx|aiohttp|session|self\.session|client|self\.client|http|self\._client|self\.http)\.(?:get|request|stream)$|(?:^|\.)(?:urlopen|urlretrieve|goto)$"
)
_SEND: Final = re.compile(
    r"^(?:requests|httpx|session|self\.session|client|self\.client|http|self\._client)\.(?:post|put|patch)$|(?:^|\.)(?:sendmail|send_message|send_email|chat_postMessage|create_issue_comment|create_issue|publish|put_object|upload_file|upload_fileobj)$"
)
_READS: Final = re.compile(
    r"(?:^|\.)(?:read_text|read_bytes|listdir|scandir|iterdir|rglob|getenv|get_password|get_object|download_file|get_secret_value|fetchall|fetchone)$|^os\.walk$|^glob\.glob$|^os\.environ\.get$"
)
_SHELL: Final = re.compile(
    r"^(?:os\.system|os\.popen|subprocess\.(?:run|Popen|call|check_output|check_call)|asyncio\.create_subprocess_(?:exec|shell)|exec|eval)$"
)
_INBOX: Final = re.compile(
    r"(?:^|\.)(?:fetch_mail|search_emails?|list_messages|conversations_history|get_issue|list_issues|get_comments|feedparser\.parse|read_inbox|get_messages)$|^imaplib\."
)


def read(source: Source) -> Any:
    """The functions of a file: what each calls and can do, and which are tools."""
    tools = "ool" in source.text and _DECLARES.search(source.text) is not None
    named = shape(source) if tools else _able(source)
    noted = [note for n in named if (note := _function(source, n))]
    return {"functions": noted, "imports": _imports(source.syntax) if tools else {}} if noted else None


def _able(source: Source) -> list[Named]:
    """Functions that may have an ability, and those of the same file that call them."""
    first = {n.symbol: n for n in touched(source, _ABLE)}
    callers = touched(source, {n.node.name + "(" for n in first.values()})
    return list((first | {n.symbol: n for n in callers}).values())


def _function(source: Source, named: Named) -> dict[str, Any] | None:
    can: dict[str, tuple[int, str]] = {}
    called: set[str] = set()
    for call, name in own_calls(named.node):
        for side in _abilities(call, name):
            can.setdefault(side, (call.lineno, source.line(call.lineno).strip()))
        if name and not name.startswith(("os.", "subprocess.", "json.", "re.")):
            called.add(name)
    tool = _is_tool(named)
    if not (can or tool or called):
        return None
    return {
        "symbol": named.symbol, "line": named.node.lineno, "head": source.line(named.node.lineno).strip(),
        "can": {side: list(at) for side, at in can.items()}, "calls": sorted(called)[:60], "tool": tool,
    }  # fmt: skip


def _abilities(call: ast.Call, name: str) -> Iterator[str]:
    if _SHELL.match(name):
        yield from (PRIVATE, OUT)
    if _FETCH.search(name):
        yield IN
        if call.args and not isinstance(call.args[-1], ast.Constant):
            yield OUT
    if _INBOX.search(name):
        yield IN
    if _SEND.search(name):
        yield OUT
    if _READS.search(name) or (name == "open" and not _writes(call)):
        yield PRIVATE


def _writes(call: ast.Call) -> bool:
    mode = text_of(call.args[1]) if len(call.args) > 1 else text_of(keyword(call, "mode"))
    return bool(set(mode) & set("wax"))


def _is_tool(named: Named) -> bool:
    decorated = any(
        _TOOL.search(dotted(d.func if isinstance(d, ast.Call) else d)) for d in named.node.decorator_list
    )
    owner = named.owner
    inside = (
        owner is not None
        and any(_TOOL_CLASS.search(dotted(b)) for b in owner.bases)
        and named.node.name in _RUN
    )
    return decorated or inside


def _imports(tree: ast.Module) -> dict[str, str]:
    """Names of other modules' functions by the name that they have here: `module.function`, the module's last part alone."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = (node.module or "").rpartition(".")[2]
            found.update({a.asname or a.name: f"{module}.{a.name}" for a in node.names})
    return found


@dataclass(frozen=True)
class _Tool:
    """A tool, and what it can do: for each side the place that shows it."""

    path: str
    symbol: str
    line: int
    head: str
    can: Mapping[str, tuple[str, int, str]]


def conclude(tree: Tree) -> Iterator[Finding]:
    """Folders whose tools have all three sides."""
    index = _index(tree)
    folders: dict[str, list[_Tool]] = defaultdict(list)
    for path, note in tree.notes.items():
        for function in note["functions"]:
            if function["tool"]:
                can = _reach(path, function, index, 0, set())
                folders[path.rpartition("/")[0]].append(
                    _Tool(path, function["symbol"], function["line"], function["head"], can)
                )
    for tools in folders.values():
        sides = {side: [t for t in tools if side in t.can] for side in SIDES}
        if all(sides.values()):
            yield _finding(sides)


_Index = Mapping[str, tuple[str, Mapping[str, Any], Mapping[str, str]]]


def _index(tree: Tree) -> _Index:
    """Functions by `path:name` and by `module.name`."""
    index: dict[str, tuple[str, Mapping[str, Any], Mapping[str, str]]] = {}
    for path, note in tree.notes.items():
        module = path.removesuffix(".py").removesuffix("/__init__").rpartition("/")[2]
        for function in note["functions"]:
            entry = (path, function, note["imports"])
            short = function["symbol"].rpartition(".")[2]
            index.setdefault(f"{path}:{short}", entry)
            index.setdefault(f"{module}.{short}", entry)
    return index


def _reach(
    path: str, function: Mapping[str, Any], index: _Index, level: int, seen: set[str]
) -> dict[str, tuple[str, int, str]]:
    """What a function can do itself and through functions of the tree."""
    can = {side: (path, at[0], at[1]) for side, at in function["can"].items()}
    key = f"{path}:{function['symbol']}"
    if level >= DEEPEST or key in seen:
        return can
    seen.add(key)
    imports = index[f"{path}:{function['symbol'].rpartition('.')[2]}"][2]
    for name in function["calls"]:
        short = name.rpartition(".")[2] if name.startswith(("self.", "cls.")) else name
        entry = index.get(f"{path}:{short}") or index.get(imports.get(short, "")) or index.get(name)
        if entry is not None:
            for side, at in _reach(entry[0], entry[1], index, level + 1, seen).items():
                can.setdefault(side, at)
    return can


def _finding(sides: Mapping[str, list[_Tool]]) -> Finding:
    weakness = BY_ID["agent-capabilities"]
    steps = tuple(
        Step(
            tool.can[side][0],
            tool.can[side][1],
            f"{side}: the tool {tool.symbol}",
            "present",
            tool.can[side][2],
        )
        for side in SIDES
        for tool in sides[side][:4]
    )
    first = sides[OUT][0]
    names = {side: ", ".join(t.symbol for t in tools[:3]) for side, tools in sides.items()}
    what = f"tools take in untrusted text ({names[IN]}), read private data ({names[PRIVATE]}) and have a way out ({names[OUT]})"
    return Finding(
        weakness.id, Severity.MEDIUM, "medium", first.path, first.line, what, steps,
        "any text that the agent reads: a page, a message, a file of others", weakness.gets, weakness.fix, symbol=first.symbol,
    )  # fmt: skip


CAPABILITIES = Analyser("capabilities", ("agent-capabilities",), is_shipped, read, conclude)
