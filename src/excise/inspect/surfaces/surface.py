"""What a surface is: an id, the names it wants, and what it says of a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from excise.inspect.finding import Confidence, Severity
from excise.inspect.surfaces.commands import judge
from excise.inspect.surfaces.node import Node
from excise.inspect.surfaces.verdict import Mark, Verdict
from excise.inspect.tree import Source


@dataclass(frozen=True)
class Surface:
    """One kind of file that executes or instructs. `marks` is pure and may raise `Unparsable`."""

    id: str
    wants: Callable[[str], bool]
    marks: Callable[[Source], Iterable[Mark]]


def command_mark(
    line: int, command: str, where: str, verdict: Verdict, least: Severity = Severity.LOW
) -> Mark:
    """The mark of a command that runs at `where`: what its words show, at least `least`."""
    judged = judge(command)
    severity = max(least, judged.severity)
    weakness = "secret-exfiltration" if judged.exfiltrates else "runs-on-open"
    confidence: Confidence = "medium" if judged.ordinary else "high"
    what = f"{where} {judged.what}"
    return Mark(line, judged.verdict(verdict), severity, what, command, weakness, confidence)


def command_of(node: Node) -> str:
    """A command written as text, as a list of words, or as `command` with `args`."""
    if node.text is not None:
        return node.text
    if node.items is not None:
        return " ".join(item.string for item in node.items)
    if node.pairs is None:
        return ""
    words = [command_of(node.at("command")), command_of(node.at("args"))]
    return " ".join(word for word in words if word)


def yes(node: Node) -> bool:
    """Whether a scalar says yes, in any of the formats."""
    return node.string.lower() in {"true", "yes", "on", "1", "always", "all"}


def named(*names: str) -> Callable[[str], bool]:
    """Files whose path is one of `names`, or ends with `/` and it; without regard to case."""
    wanted = tuple(n.lower() for n in names)
    tails = tuple("/" + n for n in wanted)

    def wants(path: str) -> bool:
        low = path.lower()
        return low in wanted or low.endswith(tails)

    return wants


def keys_of_an_environment(node: Node, where: str) -> Iterator[Mark]:
    """Variables that change what programs run, or where a key is sent (`NAME: value` pairs)."""
    for name, value in node.entries:
        yield from variable(name, value.string, value.line or node.line, where)


_RUNS = frozenset(
    "LD_PRELOAD LD_AUDIT DYLD_INSERT_LIBRARIES PYTHONSTARTUP PYTHONINSPECT BASH_ENV PROMPT_COMMAND "
    "PERL5OPT RUBYOPT GIT_SSH_COMMAND GIT_SSH GIT_PAGER GIT_EDITOR GIT_EXTERNAL_DIFF GIT_ASKPASS SSH_ASKPASS "
    "PAGER BROWSER MANPAGER JAVA_TOOL_OPTIONS GIT_PROXY_COMMAND PIP_CONFIG_FILE".split()
)
_LOADS = frozenset("NODE_OPTIONS PYTHONPATH PYTHONHOME PYTHONBREAKPOINT".split())
_VENDORS = (
    "anthropic.com", "openai.com", "azure.com", "googleapis.com", "google.com", "amazonaws.com", "mistral.ai",
    "openrouter.ai", "localhost", "127.0.0.1", "[::1]", "host.docker.internal", "ollama",
)  # fmt: skip


def variable(name: str, value: str, line: int, where: str) -> Iterator[Mark]:
    """What setting the variable `name` to `value` does to a program that is started with it."""
    upper = name.upper()
    loads = upper in _LOADS and any(
        word in value
        for word in ("--require", "-r ", "--import", "--loader", "./", "/tmp")  # noqa: S108
    )
    if upper in _RUNS or loads:
        yield Mark(
            line, Verdict.ON_TRUST, Severity.HIGH if upper in _RUNS else Severity.MEDIUM,
            f"{where} sets {upper}, which makes programs run {value[:60]!r}", name, confidence="medium",
        )  # fmt: skip
    elif upper.endswith(("_BASE_URL", "_API_BASE", "_API_URL", "_PROXY", "_ENDPOINT")) and foreign(value):
        yield Mark(
            line, Verdict.EXFILTRATES, Severity.HIGH,
            f"{where} sends what goes to {upper} to {host(value)}, keys included", name, "secret-exfiltration",
        )  # fmt: skip


def host(address: str) -> str:
    """The host of an address, without user and port; empty where there is none."""
    if "://" not in address:
        return ""
    rest = address.split("://", 1)[1].replace("\\", "/")
    return rest.split("/", 1)[0].split("?", 1)[0].rpartition("@")[2].lower()[:100]


def foreign(address: str) -> bool:
    """Whether an address is of neither this machine nor a known vendor of models."""
    name = host(address)
    bare = name.split("]", 1)[0] + "]" if name.startswith("[") else name.split(":", 1)[0]
    return bool(bare) and not any(bare == v or bare.endswith("." + v) for v in _VENDORS)
