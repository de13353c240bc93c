"""Real public templates in the hands of unrelated accounts: `python bench/benign_text.py DATA [--seeds 301,302] [--page PAGE]`.

DATA is a folder of public text (prompt collections, agents' prompts, evaluation jobs, judges' templates, tools), one folder a
source. A world of `excise simulate` without a campaign gives accounts, networks, clients and times, all drawn apart; some of
its unrelated accounts are dealt a real template each, around real payloads, and the whole is scanned with default settings.
Whoever is accused is innocent.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import excise
from excise.model.findings import ACCUSING
from excise.simulate.populations import POPULATIONS
from excise.simulate.spec import WorldSpec
from excise.simulate.world import write_world
from intervals import upper_bound
from page import PAGES, command, table, write_section

ALONE = {p.name for p in POPULATIONS if not p.shares and p.declared is None and p.prompt != "many"}
"""Simulated populations whose accounts have nothing in common with each other."""
TOGETHER = ("class_cohort", "hackathon", "byok_saas")
"""Simulated populations whose groups share a network, a date or a client, and a prompt: here a real one."""
LEAST_EXCHANGES = 6
"""Of an account that is dealt a template: fewer would not show that it repeats one."""
Text = tuple[str | None, str, str | None]
"""System prompt, last user turn, tools."""


@dataclass(frozen=True, slots=True)
class Source:
    """A kind of public template. `deal` gives, for each template, a function from a number to the text of a request.

    groups, accounts: templates that are dealt, and accounts a template. hard: the template itself asks for what campaigns ask for.
    """

    name: str
    what: str
    groups: int
    accounts: int
    deal: Callable[[Path], list[Callable[[int], Text]]]


def _column(path: Path, *names: str) -> list[tuple[str, ...]]:
    rows = pq.read_table(path, columns=list(names))
    return [
        tuple(str(x or "") for x in row) for row in zip(*(rows[n].to_pylist() for n in names), strict=True)
    ]


def _payloads(data: Path) -> list[str]:
    """Questions of people, for templates that take any."""
    return [q[:1500] for (q,) in _column(data / "arena_hard/questions.parquet", "prompt")]


def pasted(data: Path) -> list[Callable[[int], Text]]:
    """A prompt of the public collection, pasted before each question or used as the system prompt."""
    asked = _payloads(data)
    prompts = [
        p
        for p, kind in _column(data / "awesome_prompts/prompts.parquet", "prompt", "type")
        if kind == "TEXT" and 200 < len(p) < 3000
    ]

    def deal(k: int, prompt: str) -> Callable[[int], Text]:
        if k % 2:
            return lambda i: (prompt, asked[i % len(asked)], None)
        return lambda i: (None, f"{prompt}\n\n{asked[i % len(asked)]}", None)

    return [deal(k, p) for k, p in enumerate(prompts)]


def agents(data: Path) -> list[Callable[[int], Text]]:
    """The system prompt of an open agent; the tasks are people's coding requests."""
    tasks = [t for (t,) in _column(data / "gpteacher/codegen.parquet", "instruction")]
    texts = []
    for path in sorted((data / "benign_agent_prompts").rglob("*")):
        if path.suffix == ".yaml":
            texts.append(path.read_text("utf-8"))
        elif path.suffix == ".py":
            texts += list(_long_strings(path.read_text("utf-8")))[:1]
    return [lambda i, t=t: (t, tasks[i % len(tasks)], None) for t in texts]


def _long_strings(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) > 200:
            yield node.value


def jobs(data: Path) -> list[Callable[[int], Text]]:
    """A public evaluation job: everybody who runs it sends the same items."""
    items: dict[str, list[Text]] = defaultdict(list)
    for job, system, user in _column(data / "openai_evals/samples.parquet", "eval", "system", "user"):
        if user:
            items[job].append((system or None, user, None))
    return [lambda i, rows=rows: rows[i % len(rows)] for _, rows in sorted(items.items()) if len(rows) >= 100]


def judges(data: Path) -> list[Callable[[int], Text]]:
    """A public template of a judge, filled with questions and answers."""
    asked, answers = (
        _payloads(data),
        [a[:1200] for (a,) in _column(data / "arena_hard/answers.parquet", "answer")],
    )
    texts = [p.read_text("utf-8") for p in sorted((data / "judge_templates/alpaca_eval").glob("*.txt"))]

    def fill(template: str, i: int) -> Text:
        pieces = iter(
            [asked[i % len(asked)], answers[i % len(answers)], answers[(7 * i + 1) % len(answers)]] * 20
        )
        return None, re.sub(r"\{(\w+)\}", lambda _: next(pieces), template), None

    return [lambda i, t=t: fill(t, i) for t in texts]


def tools(data: Path) -> list[Callable[[int], Text]]:
    """Public tool schemas in one program's hands; people's questions."""
    asked = _payloads(data)
    schemas = [f for (f,) in _column(data / "bfcl/questions.parquet", "functions") if len(f) > 400]
    return [
        lambda i, s=s: ("You are a helpful assistant with access to tools.", asked[i % len(asked)], s)
        for s in dict.fromkeys(schemas)
    ]


def few_shot(data: Path) -> list[Callable[[int], Text]]:
    """A published prompt with worked examples before public questions: a result that many reproduce."""
    questions = [q for (q,) in _column(data / "fireact/questions.parquet", "question")]
    texts = [p.read_text("utf-8") for p in sorted((data / "fireact/prompts").glob("*.txt"))]
    return [lambda i, t=t: (None, f"{t}\nQuestion: {questions[i % len(questions)]}", None) for t in texts]


def pipelines(data: Path) -> list[Callable[[int], Text]]:
    """A template of an open synthetic-data program, as its users send it: it asks for what campaigns ask for."""
    asked = _payloads(data)
    texts = [p.read_text("utf-8") for p in sorted((data / "harvest_templates/distilabel").glob("*.jinja2"))]
    return [
        lambda i, t=t: (
            None,
            re.sub(r"\{\{.*?\}\}|\{%.*?%\}", lambda _: asked[i % len(asked)], t, count=6),
            None,
        )
        for t in texts
    ]


SOURCES = (
    Source("prompt collection", "awesome-chatgpt-prompts (CC0)", 40, 20, pasted),
    Source("agents' system prompts", "aider, mini-swe-agent, smolagents (Apache-2.0, MIT)", 16, 40, agents),
    Source("evaluation jobs", "openai/evals (MIT)", 25, 12, jobs),
    Source("judges' templates", "alpaca_eval's templates (Apache-2.0)", 25, 15, judges),
    Source("tool schemas", "BFCL (Apache-2.0)", 20, 15, tools),
    Source("few-shot prompts", "FireAct (MIT)", 9, 20, few_shot),
    Source("synthetic-data templates", "distilabel's templates (Apache-2.0)", 20, 10, pipelines),
)


GROUPED = "any of these, within a class, a hackathon or one product's customers"


def deal(world: Path, data: Path, seed: int, sources: Sequence[Source] = SOURCES) -> dict[str, str]:
    """Write real templates into a simulated world; return the source of each account that was dealt one."""
    path = next((world / "exchanges").glob("*.parquet"))
    rows = pq.read_table(path)
    labels = pq.read_table(world.with_name(world.name + "-labels") / "account_labels.parquet").to_pylist()
    volume = Counter(rows["account_id"].to_pylist())
    free = [
        r["account_id"]
        for r in labels
        if r["population"] in ALONE and volume[r["account_id"]] >= LEAST_EXCHANGES
    ]
    rng = np.random.default_rng(seed)
    free = [free[i] for i in rng.permutation(len(free))]
    dealt: dict[str, tuple[str, Callable[[int], Text], int]] = {}
    for source in sources:
        templates = source.deal(data)
        for k in rng.permutation(len(templates))[: source.groups].tolist():
            for _ in range(source.accounts):
                if free:
                    start = 0 if source.deal is jobs else int(rng.integers(0, 10_000))
                    dealt[free.pop()] = source.name, templates[k], start
    dealt |= _deal_groups(labels, [t for s in sources for t in s.deal(data)], rng)
    texts: dict[str, list[str | None]] = {
        c: rows[c].to_pylist() for c in ("system_text", "user_text", "tools_json")
    }
    sent: Counter[str] = Counter()
    for i, account in enumerate(rows["account_id"].to_pylist()):
        if account in dealt:
            _, template, start = dealt[account]
            texts["system_text"][i], texts["user_text"][i], texts["tools_json"][i] = template(
                start + sent[account]
            )
            sent[account] += 1
    for name, values in texts.items():
        rows = rows.set_column(rows.column_names.index(name), name, pa.array(values, pa.string()))
    pq.write_table(rows, path, compression="zstd")
    return {account: name for account, (name, _, _) in dealt.items()}


def _deal_groups(
    labels: Sequence[dict[str, str]], templates: Sequence[Callable[[int], Text]], rng: np.random.Generator
) -> dict[str, tuple[str, Callable[[int], Text], int]]:
    """Give each group of the populations that belong together one template of any source."""
    chosen: dict[str, Callable[[int], Text]] = {}
    out = {}
    for row in labels:
        if row["population"] in TOGETHER and row["group_id"]:
            template = chosen.setdefault(row["group_id"], templates[int(rng.integers(len(templates)))])
            out[row["account_id"]] = GROUPED, template, int(rng.integers(0, 10_000))
    return out


def outcome(
    data: Path, seed: int, exchanges: int
) -> tuple[Counter[str], Counter[tuple[str, str]], Counter[str]]:
    """Accounts dealt a template of each source, their verdicts, and wrong accusations among the others."""
    with tempfile.TemporaryDirectory() as folder:
        world = Path(folder) / "w"
        write_world(WorldSpec(exchanges=exchanges, seed=seed, levels=()), world)
        source = deal(world, data, seed)
        population = {
            r["account_id"]: r["population"]
            for r in pq.read_table(Path(folder) / "w-labels/account_labels.parquet").to_pylist()
        }
        run = excise.scan(world)
    said = dict(zip(*(run.accounts[c].to_pylist() for c in ("account_id", "verdict")), strict=True))
    verdicts = Counter((source[a], str(said[a])) for a in source)
    relays = ("reseller_undeclared", "relay_pool_honest")
    wrong = Counter(
        f"{population[a]} as {v}" for a, v in said.items()
        if a not in source and v in ACCUSING and not (v == "relay" and population[a] in relays)
    )  # fmt: skip
    return Counter(source.values()), verdicts, wrong


def _counts(accounts: int, said: Counter[str]) -> list[object]:
    accused = sum(said[v] for v in ACCUSING)
    return [
        f"{accounts:,}",
        accused,
        said["shared-client"],
        said["undetermined"],
        f"{upper_bound(accused, accounts):.2%}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", default="301,302,303")
    parser.add_argument("--exchanges", type=int, default=200_000)
    parser.add_argument("--page", type=Path, default=PAGES / "real-data.md")
    chosen = parser.parse_args()
    dealt: Counter[str] = Counter()
    verdicts: Counter[tuple[str, str]] = Counter()
    others: Counter[str] = Counter()
    for seed in map(int, chosen.seeds.split(",")):
        mine, said, wrong = outcome(chosen.data, seed, chosen.exchanges)
        dealt, verdicts, others = dealt + mine, verdicts + said, others + wrong
        print(
            seed,
            json.dumps({"accused": sum(n for (_, v), n in said.items() if v in ACCUSING), "others": wrong}),
            flush=True,
        )
    rows = []
    for name, what in [*((s.name, s.what) for s in SOURCES), (GROUPED, "all of them")]:
        rows.append(
            [
                name,
                what,
                *_counts(dealt[name], Counter({v: n for (s, v), n in verdicts.items() if s == name})),
            ]
        )
    everyone: Counter[str] = Counter()
    for (_, verdict), n in verdicts.items():
        everyone[verdict] += n
    rows.append(["all", "", *_counts(sum(dealt.values()), everyone)])
    head = [
        "template",
        "source",
        "accounts",
        "accused",
        "`shared-client`",
        "`undetermined`",
        "at most accused (95 %)",
    ]
    text = f"""Printed by `{command()}`. Worlds of {chosen.exchanges:,} exchanges without a campaign; unrelated accounts were dealt real public templates around real payloads. Default settings, version {excise.__version__}.

{table(head, rows)}

Wrongly accused among the simulated accounts beside them: {dict(others) or "none"}."""
    write_section(chosen.page, "Benign text: public templates in many hands", text)


if __name__ == "__main__":
    main()
