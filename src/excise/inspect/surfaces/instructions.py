"""Files that tell an agent what to do: hidden passages, orders against its user, commands and files they pull in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from excise.inspect.finding import Severity
from excise.inspect.surfaces.commands import judge
from excise.inspect.surfaces.links import outside
from excise.inspect.surfaces.surface import Surface, command_mark, foreign
from excise.inspect.surfaces.verdict import Mark, Verdict
from excise.inspect.tree import Source, Unparsable

MOST_TEXT: Final = 500_000
"""Characters of an instruction file; real ones have some thousands."""
_REFERENCE: Final = re.compile(
    r"^\s{0,3}\[(?://|comment|[^\]]{0,30})\]:\s*(?:#|<>)\s*[(\"'](.{10,2000}?)[)\"']\s*$", re.MULTILINE
)
_UNSEEN: Final = re.compile(
    r"<(\w{1,20})\b[^>]{0,200}(?:display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0|opacity\s*:\s*0(?![.\d]*[1-9])|color\s*:\s*(?:white|#fff(?:fff)?|transparent)\b|\shidden(?=[\s>]))[^>]{0,100}>([^<]{0,5000})",
    re.DOTALL | re.IGNORECASE,
)
ORDERS: Final = re.compile(
    r"\b(?:ignore|disregard|forget|override)\b[^.\n]{0,40}\b(?:previous|prior|above|earlier|other|all|your|system)\b[^.\n]{0,40}\b(?:instructions?|rules?|prompts?|guidelines?|polic\w+|safety)\b"
    r"|\b(?:do not|don'?t|never|without)\b[^.\n]{0,30}\b(?:tell(?:ing)?|mention(?:ing)?|inform(?:ing)?|notify(?:ing)?|reveal(?:ing)?|show(?:ing)?|alert(?:ing)?|disclos\w+|report(?:ing)?)\b[^.\n]{0,60}\b(?:user|human|developer|operator|reviewer|anyone|this|them)\b"
    r"|\b(?:do not|don'?t|never|without)\s+(?:ask(?:ing)?|request(?:ing)?|wait(?:ing)?)\b[^.\n]{0,40}\b(?:confirm\w*|permission|approval|consent|user|human)\b"
    r"|\b(?:assistants?|agents?|ai|llms?|models?|claude|copilot|cursor|gemini|codex)\b[^.\n]{0,40}\b(?:must|should|shall|please|need to|have to|always)\b[^.\n]{0,60}\b(?:run|execute|send|post|upload|include|add|insert|fetch|download|install|read|open|print|copy|append|call|curl)\b"
    r"|\b(?:system|developer)\s*(?:prompt|message|override|instruction)s?\s*[:>\]]|<\|?(?:im_start|system|start_header_id)\|?>|\[INST\]",
    re.IGNORECASE,
)
CONCEALS: Final = re.compile(
    r"\b(?:do not|don'?t|never|without)\b[^.\n]{0,30}\b(?:tell(?:ing)?|mention(?:ing)?|inform(?:ing)?|notify(?:ing)?|alert(?:ing)?|reveal(?:ing)?|disclos\w+)\b[^.\n]{0,60}\b(?:users?|humans?|developers?|operators?|reviewers?|anyone)\b"
    r"|\b(?:ignore|disregard|forget)\b[^.\n]{0,20}\b(?:all|any|your)?\s*(?:previous|prior|above|earlier)\b[^.\n]{0,30}\b(?:instructions?|rules?|prompts?)\b"
    r"|\bsilently\b[^.\n]{0,60}\b(?:send|upload|post|run|execute|add|insert|include|exfiltrate)\b",
    re.IGNORECASE,
)
_NEGATED: Final = re.compile(
    r"\b(?:if|when|in case|even if|attack\w*|malicious|inject\w*|untrusted|such as|like|e\.g\.|example|never (?:follow|obey)|do not (?:follow|obey)|must not|refuse|treat|whenever)\b",
    re.IGNORECASE,
)
"""Words of a line that speaks about such orders, as a rule against them does."""
_SENDS_SECRETS: Final = re.compile(
    r"\b(?:send|post|upload|submit|transmit|forward|exfiltrate|encode|append|include|report)\b[^.\n]{0,120}(?:\.env\b|\b(?:env(?:ironment)?[ -]var\w*|api[ _-]?keys?|tokens?|secrets?|credentials?|passwords?|ssh[ -]keys?|id_rsa|private keys?|conversation|chat history|source code|system prompt)\b)[^\n]{0,160}(?:https?://(?!localhost|127\.)|\b(?:webhook|url|endpoint|server|query param\w*)\b)",
    re.IGNORECASE,
)
_IMAGE: Final = re.compile(
    r"!\[[^\]\n]{0,200}\]\((https?://[^)\s]{1,500}[?&/=](?:\{+[^)\s]{0,80}\}|<[^)\s]{0,80}>|\$\{?\w+\}?|\[[^\])\s]{0,60}\]|%s|DATA\b|SECRET\b)[^)\s]{0,100})\)"
)
_SHELL_BLOCK: Final = re.compile(r"^(?:!`([^`\n]{1,500})`)|[ (]!`([^`\n]{1,500})`", re.MULTILINE)
_PULLS_IN: Final = re.compile(r"(?:^|\s)@((?:~|/|\.\./)[\w./~-]{2,200})", re.MULTILINE)
_HOUSEKEEPING: Final = re.compile(
    r"^\s*(?:markdownlint|prettier|eslint|toc|/?toc|start|end|begin|spdx|copyright|license|todo|vale|textlint|doctoc|all-contributors|badges?|omit in toc|#(?:region|endregion))\b",
    re.IGNORECASE,
)
_HIDING: Final = (
    (_REFERENCE, "a link reference that shows nothing", 1),
    (_UNSEEN, "an element that is not shown", 2),
)


def marks(source: Source) -> Iterator[Mark]:
    """Hidden passages, orders that conceal, orders to send secrets, commands and imports of one instruction file."""
    text = source.text
    if len(text) > MOST_TEXT:
        raise Unparsable(f"more than {MOST_TEXT:,} characters of instructions")
    yield from concealed(source)
    visible = _without_comments(text)
    for number, words in enumerate(visible.split("\n"), 1):
        yield from _visible(source.path, number, words)
    for found in _SHELL_BLOCK.finditer(visible):
        line = visible.count("\n", 0, found.end()) + 1
        yield command_mark(
            line,
            found[1] or found[2],
            "a command inside instructions, run when they are loaded,",
            Verdict.ON_TRUST,
        )


def concealed(source: Source) -> Iterator[Mark]:
    """Orders in passages that are not shown: comments, empty references, hidden elements."""
    for start, end in comments(source.text):
        yield from _hidden(source, start + 4, source.text[start + 4 : end], "an HTML comment")
    for pattern, kind, group in _HIDING:
        for found in pattern.finditer(source.text):
            yield from _hidden(source, found.start(group), found.group(group), kind)


def comments(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each HTML comment; one that is never closed goes to the end of the text."""
    start = text.find("<!--")
    while start >= 0:
        end = text.find("-->", start + 4)
        yield start, end if end >= 0 else len(text)
        start = text.find("<!--", end) if end >= 0 else -1


def _without_comments(text: str) -> str:
    parts, at = [], 0
    for start, end in comments(text):
        parts += [text[at:start], "\n" * text.count("\n", start, end)]
        at = end
    return "".join([*parts, text[at:]])


def _hidden(source: Source, at: int, passage: str, kind: str) -> Iterator[Mark]:
    spoken = ORDERS.search(passage) or CONCEALS.search(passage) or _SENDS_SECRETS.search(passage)
    harmful = judge(passage)
    if _HOUSEKEEPING.match(passage) and not spoken and harmful.ordinary:
        return
    start = at + (spoken.start() if spoken else len(passage) - len(passage.lstrip()))
    line = source.text.count("\n", 0, start) + 1
    if spoken or not harmful.ordinary:
        words = spoken.group() if spoken else ""
        yield Mark(
            line, Verdict.HIDDEN_TEXT, Severity.HIGH, f"{kind} gives orders to an agent", words, "hidden-text"
        )


def _visible(path: str, number: int, line: str) -> Iterator[Mark]:
    sends = _SENDS_SECRETS.search(line)
    image = _IMAGE.search(line)
    conceals = CONCEALS.search(line)
    spoken = sends or conceals
    about = spoken is not None and bool(_NEGATED.search(line[: spoken.start()]))
    if sends and not about and not _denied(line, sends.start()):
        yield Mark(
            number, Verdict.EXFILTRATES, Severity.HIGH, "instructions to send secrets away", sends.group(),
            "secret-exfiltration", "medium",
        )  # fmt: skip
    elif image and foreign(image[1]):
        yield Mark(
            number, Verdict.EXFILTRATES, Severity.HIGH, "a picture whose address takes data along", image[1],
            "secret-exfiltration", "medium",
        )  # fmt: skip
    elif conceals and not about:
        yield Mark(
            number, Verdict.ON_TRUST, Severity.MEDIUM, "instructions to act behind the user's back",
            conceals.group(), "agent-orders", "medium",
        )  # fmt: skip
    judged = judge(line)
    if judged.exfiltrates or (not judged.ordinary and judged.what.startswith(("runs code that", "writes"))):
        yield Mark(
            number, judged.verdict(Verdict.ON_TRUST), min(judged.severity, Severity.HIGH),
            f"instructions whose command {judged.what}", line,
            "secret-exfiltration" if judged.exfiltrates else "agent-orders", "medium",
        )  # fmt: skip
    elif judged.what == "runs code from the network":
        yield Mark(
            number, Verdict.ON_TRUST, Severity.LOW, "instructions whose command runs code from the network", line,
            "agent-orders", "medium",
        )  # fmt: skip
    for found in _PULLS_IN.finditer(line):
        if not found[1].startswith("~") and not outside(path, found[1]):
            continue
        yield Mark(
            number, Verdict.ON_TRUST, Severity.MEDIUM, f"pulls a file from outside the tree in: {found[1][:80]}",
            found[1], "agent-orders", "medium",
        )  # fmt: skip


def _denied(line: str, at: int) -> bool:
    """Whether the order is a prohibition: `never send …`."""
    return bool(re.search(r"\b(?:never|not|don'?t|avoid|no)\b[^.\n]{0,25}$", line[:at], re.IGNORECASE))


_NAMES: Final = frozenset(
    "claude.md claude.local.md agents.md agent.md gemini.md qwen.md copilot-instructions.md .cursorrules .windsurfrules "
    ".clinerules .goosehints .roorules conventions.md skill.md llms.txt llms-full.txt warp.md crush.md replit.md".split()
)
_FOLDERS: Final = (
    "/.claude/", "/.cursor/rules/", "/.cursor/commands/", "/.windsurf/", "/.clinerules/", "/.roo/", "/.kiro/", "/.junie/",
    "/.github/instructions/", "/.github/prompts/", "/.github/chatmodes/", "/.github/agents/", "/.gemini/", "/.codex/",
    "/.continue/rules/", "/.amazonq/rules/", "/.augment/", "/.openhands/", "/.trae/rules/", "/.agents/",
)  # fmt: skip


def is_instruction(path: str) -> bool:
    """Whether an agent takes this file for orders."""
    low = "/" + path.lower()
    name = low.rpartition("/")[2]
    if name in _NAMES:
        return True
    return name.endswith((".md", ".mdc", ".txt", ".toml")) and any(f in low for f in _FOLDERS)


def _is_page(path: str) -> bool:
    name = path.lower().rpartition("/")[2]
    return name.endswith((".md", ".mdx", ".rst", ".html")) and not is_instruction(path)


INSTRUCTIONS = Surface("instructions", is_instruction, marks)
PAGES = Surface("pages", _is_page, concealed)
