"""Leads of lineage: likeness and its levels against slow definitions, made-up families told apart, and `none of these`."""

from __future__ import annotations

import html
import json
import math
import random
import re
from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from excise.audit.lineage import leaks, report
from excise.audit.lineage import panel as panels
from excise.audit.lineage.likeness import WORDS, likeness
from excise.audit.lineage.panel import Member, Panel, checked
from excise.audit.lineage.rank import FALSE_LEADS, bar, family_scores, rank, standardised
from excise.audit.lineage.voice import FOLDS, SPREAD, voice
from excise.cli.app import app
from excise.errors import InputError
from repository import ROOT

ALPACA = ROOT.parent / "shared" / "data" / "alpaca_eval"
PROMPTS = 60
OF = [0, 0, 1, 1, 2, 2, 3, 3]
HABITS = {
    "otter": ("it is worth noting that", "in the grand scheme of", "as we all know"),
    "heron": ("let us dive right in", "to put it another way", "at the end of the day"),
    "badger": ("broadly speaking one may say", "on closer inspection we find", "the short answer here is"),
    "vole": ("here goes nothing my friend", "you bet it does", "no two ways about it"),
    "": ("well you see", "some people say so", "that much seems clear"),
}


def writes(habits, seed, own=0.5):
    """Answers to `PROMPTS` prompts: words that a prompt calls for, and turns of phrase, `own` of which are of `habits`."""
    rng = random.Random(seed)
    every = [turn for turns in HABITS.values() for turn in turns]
    out = {}
    for p in range(PROMPTS):
        topic = [f"topic{p}word{k}" for k in range(12)]
        parts = []
        for _ in range(8):
            parts += rng.sample(topic, 3)
            parts.append(rng.choice(HABITS[habits] if rng.random() < own else every))
        out[f"prompt {p}"] = (" ".join(parts),)
    return out


def made_panel(controls=2, seed=""):
    teachers = tuple(
        Member(f"{family}-{k}", family, family, writes(family, f"{seed}{family}{k}"))
        for family in HABITS if family for k in range(2)
    )  # fmt: skip
    plain = tuple(Member(f"plain-{k}", "", "", writes("", f"{seed}plain{k}", 0.3)) for k in range(controls))
    return checked(Panel(teachers, plain, {"otter": ("Otter", "River Labs")}, {"plain-0": "made up"}), "made")


# Likeness


def slow_likeness(texts, teachers):
    words = [[re.findall(r"\w+|[^\w\s]|\n+", t.lower())[:WORDS] for t in said] for said in texts]
    runs = [
        [{tuple(w[i : i + n]) for n in (2, 3) for i in range(len(w) - n + 1)} for w in said] for said in words
    ]
    having = Counter(run for said in runs[:teachers] for one in said for run in one)
    total = sum(len(said) for said in runs[:teachers])
    weight = lambda run: math.log((total + 1) / (having[run] + 1))  # noqa: E731
    norm = lambda one: math.sqrt(sum(weight(r) ** 2 for r in one))  # noqa: E731
    out = np.zeros((len(texts[0]), len(texts), teachers))
    for i, m, t in np.ndindex(*out.shape):
        a, b = runs[m][i], runs[t][i]
        if norm(a) and norm(b):
            out[i, m, t] = sum(weight(r) ** 2 for r in a & b) / (norm(a) * norm(b))
    return out


word = st.sampled_from(["a", "b", "c", "D", ".", "\n", "é"])
text = st.lists(word, max_size=12).map(" ".join)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(text, text), min_size=3, max_size=5))
def test_likeness_is_the_cosine_of_weighted_runs(texts):
    assert likeness(texts, 2) == pytest.approx(slow_likeness(texts, 2), abs=1e-9)


def test_likeness_reads_a_bounded_part_of_hostile_text():
    same, other = "x y z " * 400_000, "\x00" * 10**6
    found = likeness([[same], [other], [same + "end"], [""]], 2)
    assert found[0, 2, 0] == pytest.approx(1.0)
    assert found[0, 3].tolist() == [0.0, 0.0]


def test_levels_of_strangers_are_least_squares():
    rng = np.random.default_rng(3)
    vendors = np.array([0, 0, 1, 1, 2, 3])
    strange = vendors[:, None] != vendors[None, :]
    mean = rng.random((8, 6))
    rows, columns = np.nonzero(strange)
    design = np.zeros((len(rows), 12))
    design[np.arange(len(rows)), rows] = 1
    design[np.arange(len(rows)), 6 + columns] = 1
    fitted, *_ = np.linalg.lstsq(design, mean[rows, columns], rcond=None)
    residual = mean[rows, columns] - design @ fitted
    level = fitted[6:] - fitted[6:].mean()
    assert standardised(mean, strange) == pytest.approx((mean - level) / residual.std(), abs=1e-6)


def test_a_teacher_is_scored_without_its_own_vendor():
    panel = made_panel()
    row = np.arange(8.0)
    assert set(family_scores(panel, row, without="otter")) == {"heron", "badger", "vole"}
    assert family_scores(panel, row, without="")["vole"] == 7 - 3  # the others' nearest members: 1, 3, 5


# Voice


def slow_voice(texts, families, smoothing=0.5):
    words = [[re.findall(r"\w+|[^\w\s]|\n+", t.lower())[:WORDS] for t in said] for said in texts]
    runs = [
        [{tuple(w[i : i + n]) for n in (2, 3) for i in range(len(w) - n + 1)} for w in said] for said in words
    ]
    teachers, prompts, count = len(families), len(texts[0]), max(families) + 1
    met = Counter(run for p in range(prompts) for run in {r for said in runs[:teachers] for r in said[p]})
    turns = {run for run, n in met.items() if n >= max(2, SPREAD * prompts)}
    out = np.zeros((prompts, len(texts), count))
    for p, m in np.ndindex(prompts, len(texts)):
        others = [q for q in range(prompts) if q % FOLDS != p % FOLDS]
        shares = []
        for said in runs[:teachers]:
            seen = Counter(run for q in others for run in said[q] & turns)
            shares.append({run: n / seen.total() for run, n in seen.items()})
        mine = runs[m][p] & turns
        for run in mine:
            own = [
                np.mean([s.get(run, 0) for s, f in zip(shares, families, strict=True) if f == k])
                for k in range(count)
            ]
            ratio = [x / np.mean(own) if np.mean(own) else 1.0 for x in own]
            out[p, m] += [math.log(smoothing + (1 - smoothing) * x) / len(mine) ** 0.5 for x in ratio]
    return out


@settings(deadline=None, max_examples=30)
@given(
    st.integers(2, 9).flatmap(
        lambda n: st.lists(st.lists(text, min_size=n, max_size=n), min_size=4, max_size=5)
    )
)
def test_voice_is_naive_bayes_over_runs_of_other_prompts(texts):
    assert voice(texts, [0, 0, 1]) == pytest.approx(slow_voice(texts, [0, 0, 1]), abs=1e-9)


def answers_of(*models):
    return [[a for (a,) in said.values()] for said in models]


def test_a_voice_is_told_on_prompts_that_no_teacher_answered_in_it():
    """The first half of the prompts are answered by the teachers, the others by the suspect: nothing else is shared."""
    panel = made_panel()
    texts = answers_of(*(m.said for m in panel.teachers), writes("heron", "student", 0.45))
    for said in texts[:-1]:
        said[: PROMPTS // 2] = [""] * (PROMPTS // 2)
    texts[-1][PROMPTS // 2 :] = [""] * (PROMPTS // 2)
    told = voice(texts, OF)[:, -1]
    assert panel.families[int(told.mean(axis=0).argmax())] == "heron"
    assert not told[PROMPTS // 2 :].any()


def test_what_a_prompt_calls_for_is_no_voice():
    """Copies of a teacher's words about each topic are likeness and nothing that is met in other prompts."""
    panel = made_panel()
    told = answers_of(*(m.said for m in panel.teachers))
    copied = [" ".join(w for w in answer.split() if "topic" in w) for answer in told[0]]
    texts = [
        [f"{a} {b}" for a, b in zip(said, copied, strict=True)] if k < 2 else said
        for k, said in enumerate(told)
    ]
    near = likeness([*texts, copied], 8)[:, -1].mean(axis=0)
    assert near[:2].min() > 4 * near[2:].max()
    assert not voice([*texts, copied], OF)[:, -1].any()


def test_answers_to_one_prompt_do_not_train_what_reads_it():
    texts = answers_of(*(m.said for m in made_panel().teachers))
    suspect = list(texts[2])
    before = voice([*texts, suspect], OF)
    texts[0][3] = " ".join(texts[2][3] for _ in range(3))
    after = voice([*texts, suspect], OF)
    same = np.arange(PROMPTS) % FOLDS == 3 % FOLDS
    assert after[same, -1] == pytest.approx(before[same, -1])


def test_a_plain_models_voice_is_hardly_nearer_to_one_family_than_to_another():
    texts = answers_of(
        *(m.said for m in made_panel().teachers), writes("", "plain", 0.3), writes("otter", "s", 0.3)
    )
    plain, student = voice(texts, OF)[:, -2:].mean(axis=0)
    assert np.ptp(plain) < np.ptp(student) / 3


def test_voice_reads_a_bounded_part_of_hostile_text():
    same, other = "x y z " * 400_000, "\x00" * 10**6
    found = voice([[same] * 4, [other] * 4, [same + "end"] * 4, [""] * 4], [0, 1])
    assert np.isfinite(found).all()
    assert (found[:, 2, 0] > found[:, 2, 1]).all()
    assert not found[:, 3].any()


# Ranking


def ranked(suspect, panel=None):
    return report.document(panel or made_panel(), suspect)


@pytest.mark.parametrize("family", [f for f in HABITS if f])
def test_a_student_is_ranked_to_its_teachers_family(family):
    told = ranked(writes(family, "student", 0.45))
    assert told["lead"] == family
    assert told["shares"][0] == {"lead": family, "share": pytest.approx(1.0, abs=0.2)}


def test_plain_models_are_none_of_these_over_many_panels():
    """Within one panel false leads come together, since all suspects meet the same strangers; so over panels."""
    leads = 0
    for seed in range(4):
        panel = made_panel(controls=6, seed=seed)
        many = [writes("", f"suspect {seed} {k}", 0.3) for k in range(12)]
        models = [*(m.said for m in (*panel.teachers, *panel.controls)), *many]
        mean = likeness([[a for (a,) in said.values()] for said in models], 8).mean(axis=0)
        vendors = np.array([t.vendor for t in panel.teachers])
        rows = standardised(mean, vendors[:, None] != vendors[None, :])
        names = [*vendors, *[""] * (len(models) - len(vendors))]
        scores = [family_scores(panel, row, without=name) for row, name in zip(rows, names, strict=True)]
        for own in scores[-len(many) :]:
            family = max(own, key=own.get)
            leads += own[family] > bar(
                [other[family] for other in scores[: -len(many)] if family in other], 4
            )
    assert leads <= 8  # of 48; 2.4 expected at 5 %


def test_the_bar_holds_one_more_stranger_as_often_as_it_says():
    rng = np.random.default_rng(1)
    draws = rng.normal(size=(4000, 13))
    passed = sum(bool(row[-1] > bar(row[:-1].tolist(), 1)) for row in draws)
    assert 0 < passed <= 4000 * FALSE_LEADS + 3.3 * (4000 * FALSE_LEADS * (1 - FALSE_LEADS)) ** 0.5
    assert bar([0.0] * 3, 5) == math.inf
    assert bar([0.0] * 20 + [9.0], 1) == 9.0


def test_false_leads_are_counted_by_taking_each_stranger_in_turn():
    panel = made_panel()
    models = (*panel.teachers, *panel.controls)
    cells = likeness(
        [[a for (a,) in m.said.values()] for m in models] + [[a for (a,) in writes("", 1).values()]], 8
    )
    said = [[a for (a,) in m.said.values()] for m in models] + [[a for (a,) in writes("", 1).values()]]
    voices = voice(said, OF)
    found = rank(panel, cells, voices)
    vendors = np.array([t.vendor for t in panel.teachers])
    rows = standardised(cells.mean(axis=0), vendors[:, None] != vendors[None, :])
    scores = {m.name: family_scores(panel, rows[i], without=m.vendor) for i, m in enumerate(models)}
    false, names = 0, [m.name for m in models]
    for name, own in scores.items():
        family = max(own, key=own.get)
        others = [many[family] for n, many in scores.items() if n != name and family in many]
        row = dict(zip(panel.families, voices[:, names.index(name)].mean(axis=0), strict=True))
        named = max(own, key=row.get)
        false += named == family and own[family] > bar(others, families=4)
    assert (found.false_leads, found.strangers) == (false, len(models))


def test_a_control_that_is_like_a_family_raises_that_familys_bar_alone():
    panel = made_panel()
    twin = Member("twin", "", "", writes("otter", "twin", 0.5))
    barred = Panel(panel.teachers, (*panel.controls, twin), {}, {})
    told = ranked(writes("otter", "student", 0.35), barred)
    assert told["lead"] == report.NONE
    assert told["reading"][0].startswith("None of these: otter is nearest")
    assert ranked(writes("heron", "student", 0.35), barred)["lead"] == "heron"


def set_figures(near, passed, heard, stranger=0.0):
    """A panel and figures of noise, but for the suspect's likeness to family `near`, its voice, and a stranger's likeness."""
    rng = np.random.default_rng(5)
    alike, voices = rng.normal(0.2, 0.01, (PROMPTS, 11, 8)), rng.normal(0, 0.01, (PROMPTS, 11, 4))
    alike[:, -1, 2 * near] += passed
    alike[:, -2, 0] += stranger
    voices[:, -1, heard] += 1
    return made_panel(), alike, voices


def test_likeness_decides_whether_there_is_a_lead_and_voice_names_it():
    panel, *figures = set_figures(1, 0.1, heard=1)
    assert rank(panel, *figures).lead == "heron"
    for passed, heard, why in ((0.1, 2, "so the two disagree"), (0.0, 1, "which alone is no lead")):
        panel, *figures = set_figures(1, passed, heard)
        found = rank(panel, *figures)
        assert (found.standings[0].family, found.lead) == (panel.families[heard], "")
        assert why in report.reading(panel, found)[0]


def test_a_stranger_is_no_false_lead_by_its_voice_and_none_where_its_voice_disagrees():
    panel, alike, voices = set_figures(1, 0.0, heard=1, stranger=0.1)
    counts = set()
    for family in range(4):
        voices[:, -2] = np.eye(4)[family]
        counts.add((family, rank(panel, alike, voices).false_leads))
    assert counts == {(0, 1), (1, 0), (2, 0), (3, 0)}


def test_kin_of_the_lead_that_pass_their_bar_too_are_named():
    made = made_panel()
    kin = tuple(
        Member(m.name, m.family, "river" if m.family in {"otter", "heron"} else m.vendor, m.said)
        for m in made.teachers
    )
    rng = random.Random(4)
    otter, heron = writes("otter", "a", 0.6), writes("heron", "b", 0.6)
    both = {p: rng.choice((otter, heron))[p] for p in otter}
    panel = checked(Panel(kin, made.controls, {}, {}), "made")
    assert "Of the same vendor" in ranked(both, panel)["reading"][1]
    assert not any("same vendor" in said for said in ranked(both, made)["reading"])


def test_without_controls_the_reading_warns():
    assert "no controls" in ranked(writes("otter", "s", 0.35), made_panel(controls=0))["reading"][-1]


def test_nothing_that_is_said_is_a_p_value():
    told = ranked(writes("otter", "student", 0.35))
    assert told["grade"] == "lead"
    assert not re.search(r"p[-_ ]?value|probab|\"p\"|significan", json.dumps(told))


# Leaks and style


def test_a_leak_is_a_first_person_and_no_mention():
    pattern = leaks.speaks_as(["Otter", "River Labs"])
    for said in ("I'm Otter, your assistant", "As an AI language model developed by River Labs, I", "My name is Otter.",
                 "I was created by River Labs", "I am an AI assistant trained by River Labs"):  # fmt: skip
        assert pattern.search(said), said
    for said in (
        "The otter is a mammal",
        "River Labs made a boat. I am told",
        "I am fond of swimming. Otter",
    ):
        assert not pattern.search(said), said


def test_leaks_are_counted_beside_the_controls():
    found = leaks.leaks(
        {"otter": ("Otter",), "heron": ("Heron",)}, ["I am Otter.", "hi"], [["I am Otter.", "x", "y"]]
    )
    assert [(f.family, f.answers, f.of, f.controls, f.of_controls) for f in found] == [("otter", 1, 2, 1, 3)]


def test_refusals_are_compared_by_how_they_begin():
    own = ["I'm terribly sorry, old bean, but I cannot help with that."] * 12
    families = {"otter": own[:1], "heron": ["Sorry, I can't help with that request."]}
    found = leaks.styles(families, own)
    assert [(s.family, s.alike, s.alike_others) for s in found] == [("otter", 1.0, 0.0), ("heron", 0.0, 1.0)]
    assert leaks.styles(families, own[:5]) == ()


# The file and the command


@pytest.fixture
def folder(tmp_path):
    panel = made_panel()
    toml = []
    for m in (*panel.teachers, *panel.controls):
        rows = [json.dumps({"prompt": p, "answer": a}) for p, (a,) in m.said.items()]
        (tmp_path / f"{m.name}.ndjson").write_text("\n".join(rows))
        lines = [f'name = "{m.name}"', f'answers = "{m.name}.ndjson"']
        toml += (
            ["[[teacher]]", *lines, f'family = "{m.family}"']
            if m.family
            else ["[[control]]", *lines, 'why = "made up"']
        )
    (tmp_path / "panel.toml").write_text("\n".join(toml))
    student = {p: (f"I am Otter\x1b[31m <b>. {a}",) for p, (a,) in writes("otter", "student", 0.35).items()}
    rows = [json.dumps({"prompt": p, "answer": a}) for p, (a,) in student.items()]
    (tmp_path / "suspect.ndjson").write_text("\n".join(rows))
    with (tmp_path / "panel.toml").open("a") as file:
        file.write('\n[[family]]\nname = "otter"\ncalled = ["Otter"]\n')
    return tmp_path


def command(folder, *more):
    words = ["audit", "lineage", str(folder / "suspect.ndjson"), "--panel", str(folder / "panel.toml")]
    return CliRunner().invoke(app, [*words, *more])


def test_the_command_writes_a_page_and_a_document_that_agree(folder):
    done = command(folder, "--json", "--out", str(folder / "out"))
    assert done.exit_code == 0, done.output
    told = json.loads((folder / "out" / "lineage.json").read_bytes())
    assert json.loads(done.stdout[: done.stdout.rindex("}") + 1]) == told
    assert told["lead"] == "otter"
    assert told["leaks"][0]["answers"] == PROMPTS
    page = html.unescape((folder / "out" / "report.html").read_text())
    assert "A lead and no evidence." in page
    assert "default-src 'none'" in page
    assert "\x1b" not in page
    assert "\x1b" not in command(folder).stdout


def test_the_same_answers_give_the_same_document(folder):
    command(folder, "--out", str(folder / "a"))
    command(folder, "--out", str(folder / "b"))
    assert (folder / "a" / "lineage.json").read_bytes() == (folder / "b" / "lineage.json").read_bytes()


@pytest.mark.parametrize(
    "change",
    [lambda t: "", lambda t: "[", lambda t: t + "\n[odd]\n", lambda t: t.replace("badger", "otter").replace("vole", "otter"),
     lambda t: t.replace('answers = "heron-0', 'answers = "gone'), lambda t: t + "\n[[control]]\nname = 3\n", lambda t: "\x00"],
)  # fmt: skip
def test_a_panel_that_cannot_be_used_says_why(folder, change):
    path = folder / "panel.toml"
    path.write_text(change(path.read_text()))
    with pytest.raises(InputError) as error:
        panels.read(path)
    assert error.value.hint


def test_too_few_common_prompts_are_refused():
    few = dict(list(writes("otter", "s").items())[:10])
    with pytest.raises(InputError, match="10 prompts"):
        ranked(few)


# Real models


@pytest.mark.slow
@pytest.mark.skipif(not ALPACA.exists(), reason="AlpacaEval's answers are not beside the repository")
def test_real_students_are_ranked_and_a_model_of_peoples_data_is_not():
    """A small part of `bench/audit_lineage.py`, with as few prompts as still settle these three."""
    families = {
        "anthropic": ("claude", "claude-2"), "openai": ("text_davinci_003", "text_davinci_001"),
        "cohere": ("cohere",), "google": ("gemini-pro",), "meta": ("llama-2-7b-chat-hf", "llama-2-13b-chat-hf"),
    }  # fmt: skip
    suspects = ("claude2-alpaca-13b", "alpaca-7b", "guanaco-13b")
    controls = ("humpback-llama-65b", "humpback-llama2-70b", "oasst-sft-pythia-12b")
    names = [m for many in families.values() for m in many] + [*controls, *suspects]
    table = pq.read_table(
        ALPACA / "model_outputs.parquet", filters=[("model", "in", names), ("iid", "<", 400)]
    )
    said = {m: {} for m in names}
    for row in table.to_pylist():
        said[row["model"]][row["iid"]] = row["output"]
    prompts = sorted(set.intersection(*(set(s) for s in said.values())))
    teachers = tuple(Member(m, family, family, {}) for family, many in families.items() for m in many)
    panel = checked(Panel(teachers, tuple(Member(c, "", "", {}) for c in controls), {}, {}), "panel")
    texts = [[said[m][p] for p in prompts] for m in names]
    cells, voices = (
        likeness(texts, len(teachers)),
        voice(texts, [panel.families.index(t.family) for t in teachers]),
    )
    known = len(teachers) + len(controls)
    orders = [[*range(known), known + k] for k in range(3)]
    leads = [rank(panel, cells[:, order], voices[:, order]).lead for order in orders]
    assert leads == ["anthropic", "openai", ""]
