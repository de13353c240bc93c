"""CI workflows: whether text of strangers reaches a step that asks a model, and what that step holds.

A workflow is at risk when three things meet in one job: a trigger that strangers pull, an agent's step that reads their
text, and secrets or write permission. Without a check of who pulled it, that is high; with one, or with read-only
permission and no secret but the model's own key, less. Two classical forms are reported too, since an agent's answer
makes them worse: strangers' text, or a model's answer, expanded into a shell script.
Background: GitHub, "Security hardening for GitHub Actions" (untrusted input); Aikido, PromptPwnd (2025).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from excise.inspect.finding import Severity
from excise.inspect.surfaces.commands import FETCH_AND_RUN
from excise.inspect.surfaces.conditions import holds_on_every_way
from excise.inspect.surfaces.node import Node, scalars
from excise.inspect.surfaces.readers import yaml
from excise.inspect.surfaces.surface import Surface
from excise.inspect.surfaces.verdict import Mark, Verdict
from excise.inspect.tree import Source, Unparsable

STRANGERS: Final = frozenset(
    "issues issue_comment pull_request_target pull_request_review pull_request_review_comment discussion "
    "discussion_comment workflow_run fork watch gollum pull_request".split()
)
"""Events that somebody without rights in the repository can cause."""
_WITHOUT_SECRETS: Final = frozenset({"pull_request", "pull_request_review", "pull_request_review_comment"})
"""Of those, the ones that carry neither secrets nor a writing token when they come from a fork."""
UNTRUSTED: Final = re.compile(
    r"github\.event\.(?:issue|pull_request|comment|review|review_comment|discussion)\.(?:title|body|user\.\w+|head\.(?:ref|label|repo\.[\w.]+))"
    r"|github\.event\.(?:head_commit\.(?:message|author\.(?:name|email))|commits\S{0,20}\.(?:message|author\.(?:name|email))|pages\S{0,20}\.page_name)"
    r"|github\.head_ref\b|github\.event\.workflow_run\.(?:head_branch|head_commit\.message|display_title|pull_requests)"
    r"|toJ(?:SON|son)\(\s*github(?:\.event)?\s*\)|github\.event\.(?:issue|comment|pull_request|discussion)\s*[)}]"
)
_READS: Final = re.compile(
    r"\bgh\s+(?:issue|pr|api|search)\b|\bgit\s+(?:log|diff|show)\b|/issues/|/comments\b|GITHUB_EVENT_PATH|github\.event_path"
)
"""A step that fetches what strangers wrote."""
_HEAD: Final = re.compile(
    r"github\.event\.pull_request\.head\.(?:sha|ref)|github\.head_ref|refs/pull/|github\.event\.workflow_run\.head"
)
_AI_USES: Final = re.compile(
    r"(?:^|[/_.-])(?:claude(?:-code)?|codex|gemini(?:-cli)?|openai|chatgpt|gpt|copilot|llm|ai|ai-inference|aider|ollama|anthropic|cursor|opencode|goose|openhands|qwen|deepseek|mistral|agent|agents|agentic)(?:$|[/_.@-])",
    re.IGNORECASE,
)
_AI_RUN: Final = re.compile(
    r"(?:^|[\s;&|(`/])(?:claude|gemini|codex|aider|opencode|goose|cursor-agent|copilot|llm|ollama|openhands|qwen|amp|crush|sgpt|aichat)\s+(?:-p\b|--print|--prompt|-m\b|exec\b|run\b|--message|--yolo|-y\b|chat\b|--dangerously|[\"'$])"
    r"|api\.(?:openai|anthropic|mistral|deepseek)\.(?:com|ai)|generativelanguage\.googleapis|models\.github\.ai|models\.inference\.ai\.azure|openrouter\.ai/api",
)
_AI_KEY: Final = re.compile(
    r"(?:OPENAI|ANTHROPIC|GEMINI|GOOGLE_AI|GOOGLE_API|CLAUDE|MISTRAL|DEEPSEEK|OPENROUTER|GROQ|COHERE|HF|HUGGINGFACE|AZURE_OPENAI|LLM|AI)_?\w*(?:KEY|TOKEN)\b",
    re.IGNORECASE,
)
_PROMPT: Final = re.compile(r"prompt|instruction|query|message|question|task", re.IGNORECASE)
_SECRET: Final = re.compile(r"secrets\.([A-Za-z_]\w*)|secrets\[|toJ(?:SON|son)\(\s*secrets\s*\)")
_GATE: Final = re.compile(
    r"author_association[^\n]{0,200}(?:OWNER|MEMBER|COLLABORATOR)|(?:OWNER|MEMBER|COLLABORATOR)[^\n]{0,200}author_association"
    r"|github\.(?:actor|triggering_actor|event\.(?:sender|comment\.user|issue\.user|pull_request\.user)\.login)\s*==\s*'"
    r"|contains\(\s*(?:fromJ(?:SON|son)\(|vars\.|'\[)[^\n]{0,200}github\.(?:actor|event\.(?:sender|comment\.user)\.login)"
    r"|head\.repo\.full_name\s*==\s*github\.repository|head\.repo\.fork\s*==\s*false|head_repository\.full_name\s*==\s*github\.repository|!\s*github\.event\.pull_request\.head\.repo\.fork"
)
_OTHER_THAN: Final = re.compile(r"!=\s*'(?:OWNER|MEMBER|COLLABORATOR)'")
_NO_FORK: Final = re.compile(r"!\s*github\.event\.pull_request\.head\.repo\.fork\s*")
_EVENT_IS: Final = re.compile(r"\s*github\.event_name\s*==\s*'(\w+)'\s*")
_PERMISSION_STEP: Final = re.compile(
    r"collaborators/[^\n]{0,100}/permission|getCollaboratorPermissionLevel|check-(?:user-)?permission|actions-cool/check-user-permission",
    re.IGNORECASE,
)
_OPEN_TO_ALL: Final = re.compile(r"^(?:\*|true)$")
_LOOSE: Final = re.compile(
    r"--dangerously-skip-permissions|--yolo\b|danger-full-access|Bash\(\*\)|(?:^|[\s,\"'])Bash(?:$|[\s,\"'])|--allow-all-tools|--full-auto"
)
_NUMBERS: Final = re.compile(
    r"\.(?:user\.(?:id|login|type)|head\.(?:repo\.(?:id|fork|full_name|owner\.login)))$"
)
_OUTPUT: Final = re.compile(r"steps\.([\w-]+)\.outputs\.[\w-]+|needs\.([\w-]+)\.outputs\.[\w-]+")
_EXPRESSION: Final = re.compile(r"\$\{\{(.{0,500}?)\}\}", re.DOTALL)


@dataclass(frozen=True)
class Step:
    """One step of a job: its texts, whether it asks a model, and what the steps before it left for it."""

    node: Node
    words: tuple[str, ...]
    ai: bool
    handed: frozenset[str] = frozenset()
    """Ids of earlier steps that took in what strangers wrote."""
    stranger: bool = False
    """Whether an earlier step checked a stranger's pull request out."""
    asked: bool = False
    """Whether an earlier step asked for the rights of who started it."""

    @property
    def line(self) -> int:
        """Where it asks: its `uses` or `run`."""
        return self.node.line_of("uses" if self.node.at("uses") else "run")


def marks(source: Source) -> Iterator[Mark]:
    """Every job of a workflow, or the steps of a composite action."""
    top = yaml(source.text)
    events = triggers(top)
    asking = {name for name, job in top.at("jobs").entries if any(map(_PERMISSION_STEP.search, _words(job)))}
    for _, job in top.at("jobs").entries:
        yield from _job(top, job, events, asking)
    action = top.at("runs", "steps")
    if action and not top.at("jobs"):
        yield from _scripts(steps_of(action), events=frozenset())


def triggers(top: Node) -> frozenset[str]:
    """The events that start a workflow (`on` is a word, a list or a mapping)."""
    on = top.at("on") or top.at("true")
    return frozenset([name for name, _ in on.entries] + [item.string for item in on.each])


MOST_STEPS: Final = 1_000
"""Steps of a job; the service that runs workflows allows no more."""


def steps_of(steps: Node) -> tuple[Step, ...]:
    """The steps of a job, each with what the ones before it left for it."""
    if len(steps.each) > MOST_STEPS:
        raise Unparsable(f"line {steps.line}: more than {MOST_STEPS:,} steps in a job")
    made: list[Step] = []
    handed: set[str] = set()
    stranger = asked = False
    for node in steps.each:
        words = tuple(_words(node))
        made.append(Step(node, words, asks_a_model(node), frozenset(handed), stranger, asked))
        if any(UNTRUSTED.search(w) or _READS.search(w) for w in words):
            handed.add(node.at("id").string or "?")
        stranger |= _checks_out(node)
        asked |= any(map(_PERMISSION_STEP.search, words))
    return tuple(made)


def asks_a_model(step: Node) -> bool:
    """Whether a step gives something to a model: an action by its name and inputs, a command, or a model's key."""
    uses, run = step.at("uses").string, step.at("run").string
    inputs = [name for key in ("with", "env") for name, _ in step.at(key).entries]
    keyed = any(_AI_KEY.search(name) for name in inputs)
    prompted = any(_PROMPT.search(name) for name, _ in step.at("with").entries)
    if uses:
        named = bool(_AI_USES.search(uses.split("@")[0]))
        return (named or prompted) and (keyed or (named and prompted))
    return bool(run) and (bool(_AI_RUN.search(run)) or keyed)


def _job(top: Node, job: Node, events: frozenset[str], asking: set[str]) -> Iterator[Mark]:
    steps = steps_of(job.at("steps"))
    yield from _scripts(steps, events)
    yield from _answers(steps)
    pulled = events & STRANGERS
    if not pulled:
        return
    shared = _variables(top) | _variables(job)
    held = _held(top, job, pulled)
    for step in steps:
        reached = _reached(step, shared, pulled) if step.ai else ""
        if reached:
            yield _risk(step, pulled, held, reached, gated=_gated(step, job, asking))


def _reached(step: Step, shared: set[str], pulled: frozenset[str]) -> str:
    """By which way strangers' text reaches an agent's step, in words; empty for none that is seen."""
    variables = shared | _variables(step.node)
    ways = (
        (any(map(UNTRUSTED.search, step.words)), "strangers' text is put into its prompt"),
        (_names(variables, step.words), "strangers' text is in a variable that its prompt names"),
        (
            any((found := _OUTPUT.search(w)) and found[1] in step.handed for w in step.words),
            "a step before it hands over what strangers wrote",
        ),
        (
            bool(pulled & _CAN_CHECK_OUT) and step.stranger,
            "it works in a checkout of a stranger's pull request",
        ),
        (any(map(_READS.search, step.words)), "it is told to fetch what strangers wrote"),
        (_takes_the_event(step, pulled), BY_ITSELF),
    )
    return next((way for taken, way in ways if taken), "")


_CAN_CHECK_OUT: Final = frozenset({"pull_request_target", "workflow_run", "issue_comment"})
_SPEAKS: Final = frozenset(
    {"issues", "issue_comment", "discussion", "discussion_comment", "pull_request_target"}
)


BY_ITSELF: Final = "it takes the event's text by itself, and may ask for the rights of who wrote it"
_NAMED: Final = re.compile(r"(?:\$\{?|\benv\.)(\w{1,200})")


def _names(variables: set[str], words: Iterable[str]) -> bool:
    return bool(variables) and any(m[1] in variables for w in words for m in _NAMED.finditer(w))


def _checks_out(step: Node) -> bool:
    uses, ref = step.at("uses").string, step.at("with", "ref").string
    return ("checkout" in uses and bool(_HEAD.search(ref))) or "gh pr checkout" in step.at("run").string


def _takes_the_event(step: Step, pulled: frozenset[str]) -> bool:
    """An agent's action without a prompt of its own reads the event that started it."""
    prompted = any(_PROMPT.search(name) for name, _ in step.node.at("with").entries)
    return bool(step.node.at("uses").string) and not prompted and bool(pulled & _SPEAKS)


def _words(node: Node) -> list[str]:
    return [value.string for _, value in scalars(node)]


def _variables(node: Node) -> set[str]:
    """The variables of a workflow, job or step that strangers' text is put into."""
    return {name for name, value in node.at("env").entries if UNTRUSTED.search(value.string)}


def _risk(step: Step, pulled: frozenset[str], held: list[str], how: str, *, gated: bool) -> Mark:
    loose = any(_LOOSE.search(w) for w in step.words)
    open_to_all = any(
        n.startswith("allowed_non_write") and _OPEN_TO_ALL.match(v.string)
        for n, v in step.node.at("with").entries
    )
    severity = Severity.HIGH if held else Severity.LOW
    if held and (loose or open_to_all) and not gated:
        severity = Severity.CRITICAL
    elif held and how == BY_ITSELF and not gated:
        severity = Severity.MEDIUM
    elif gated:
        severity = Severity.LOW if held else Severity.NOTE
    what = f"on {', '.join(sorted(pulled))}, an agent's step: {how}; it holds {' and '.join(held) or 'nothing but the model'}"
    what += "; only some people can start it" if gated else ""
    verdict = Verdict.ON_TRUST if gated else Verdict.BEFORE_TRUST
    return Mark(step.line, verdict, severity, what, "", "ci-prompt-injection", "medium")


def _held(top: Node, job: Node, pulled: frozenset[str]) -> list[str]:
    """What an agent's step could misuse: secrets of the job beyond the model's key, and permission to write."""
    if pulled <= _WITHOUT_SECRETS:
        return []
    held = []
    names = {
        m[1] or "all"
        for node in (top.at("env"), job.at("env"), job.at("steps"))
        for w in _words(node)
        for m in _SECRET.finditer(w)
    }
    names = {n for n in names if n != "GITHUB_TOKEN" and not _AI_KEY.fullmatch(n)}
    if names:
        held.append(f"secrets ({', '.join(sorted(names)[:3])})")
    permissions = job.at("permissions") or top.at("permissions")
    if not permissions:
        held.append("the default permissions, which may write")
    elif "write-all" in permissions.string:
        held.append("every permission")
    else:
        written = [name for name, value in permissions.entries if value.string == "write"]
        if written:
            held.append(f"permission to write ({', '.join(written[:4])})")
    return held


def _gated(step: Step, job: Node, asking: set[str]) -> bool:
    """Whether conditions on the way let only known people start the step."""

    def gate(part: str) -> bool:
        event = _EVENT_IS.fullmatch(part)
        if event:
            return event[1] not in STRANGERS
        if part.lstrip().startswith("!"):
            return bool(_NO_FORK.fullmatch(part.strip()))
        waits = set(re.findall(r"\bneeds\.([\w-]+)\.outputs\.", part))
        return bool(_GATE.search(part) and not _OTHER_THAN.search(part)) or bool(waits & asking)

    conditions = (job.at("if").string, step.node.at("if").string)
    return bool(job.at("environment")) or step.asked or any(holds_on_every_way(c, gate) for c in conditions)


def _scripts(steps: Iterable[Step], events: frozenset[str]) -> Iterator[Mark]:
    """Strangers' text expanded into a script, before a shell reads it."""
    for step in steps:
        for script in (step.node.at("run"), step.node.at("with", "script")):
            for found in _EXPRESSION.finditer(script.string):
                name = UNTRUSTED.search(found[1])
                if name and not _NUMBERS.search(name.group()) and "toJ" not in name.group():
                    line = script.line + script.string.count("\n", 0, found.start()) + _folded(script)
                    exposed = bool(events & (STRANGERS - _WITHOUT_SECRETS))
                    yield Mark(
                        line, Verdict.BEFORE_TRUST, Severity.HIGH if exposed else Severity.MEDIUM,
                        f"{name.group()[:60]} is expanded into a script before the shell reads it", found.group(),
                        "ci-script-injection",
                    )  # fmt: skip


def _answers(steps: tuple[Step, ...]) -> Iterator[Mark]:
    """A model's answer expanded into a script, or piped into a shell."""
    asked = {s.node.at("id").string for s in steps if s.ai} - {""}
    for step in steps:
        script = step.node.at("run")
        for found in _EXPRESSION.finditer(script.string):
            output = _OUTPUT.search(found[1])
            if output and output[1] in asked:
                line = script.line + script.string.count("\n", 0, found.start()) + _folded(script)
                yield Mark(
                    line, Verdict.BEFORE_TRUST, Severity.HIGH, "a model's answer is expanded into a script",
                    found.group(), "ci-script-injection",
                )  # fmt: skip
        if (
            step.ai
            and re.search(r"\|\s*(?:ba|z)?sh\b|\beval\s+[\"']?\$\(", script.string)
            and not FETCH_AND_RUN.search(script.string)
        ):
            yield Mark(
                script.line, Verdict.BEFORE_TRUST, Severity.HIGH, "a model's answer is run by a shell", "",
                "ci-script-injection", "medium",
            )  # fmt: skip


def _folded(script: Node) -> int:
    """A block scalar begins on the line after its mark: 1 there, 0 for a text on the line of its key."""
    return 1 if "\n" in script.string else 0


def _is_workflow(path: str) -> bool:
    low = "/" + path.lower()
    name = low.rpartition("/")[2]
    if not name.endswith((".yml", ".yaml")):
        return False
    return any(
        f in low for f in ("/.github/workflows/", "/.gitea/workflows/", "/.forgejo/workflows/")
    ) or name in {"action.yml", "action.yaml"}


def gitlab_marks(source: Source) -> Iterator[Mark]:
    """Jobs of a merge-request pipeline whose script asks a model about what the request's author wrote."""
    top = yaml(source.text)
    for name, job in top.entries:
        script = "\n".join(_words(job.at("script")) + _words(job.at("before_script")))
        if _AI_RUN.search(script) and re.search(
            r"\$\{?CI_(?:MERGE_REQUEST_(?:TITLE|DESCRIPTION|SOURCE_BRANCH_NAME)|COMMIT_(?:MESSAGE|TITLE|DESCRIPTION|REF_NAME))",
            script,
        ):
            yield Mark(
                job.line_of("script"), Verdict.BEFORE_TRUST, Severity.MEDIUM,
                f"the job {name[:40]!r} gives a request's text to a model", "", "ci-prompt-injection", "medium",
            )  # fmt: skip


GITHUB = Surface("workflows", _is_workflow, marks)
GITLAB = Surface(
    "pipelines", lambda path: path.lower().endswith((".gitlab-ci.yml", ".gitlab-ci.yaml")), gitlab_marks
)
