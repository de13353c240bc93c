"""`excise audit` as the shell sees it: from a key to a report that anyone can replay."""

from __future__ import annotations

import json
import shutil
import stat

import pytest
from cases import EARLIER, PLAN, done, excise, material

from excise.audit import keys as stored
from excise.audit import transcript
from hostile_server import Stall, answer, raw, served


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """All of a case's material, and the case `case` with both suspects asked and its report made."""
    folder = tmp_path_factory.mktemp("audit")
    material(folder)
    done(*PLAN, "case", cwd=folder)
    shutil.copytree(folder / "case", folder / "unasked")
    for suspect in ("student", "innocent"):
        done("audit", "run", "case", "--suspect", suspect, "--recorded", f"{suspect}.ndjson", cwd=folder)
    done("audit", "report", "case", "--keys", "master.key", cwd=folder)
    return folder


@pytest.fixture
def fresh(home, tmp_path):
    """A copy of the material with a new case that nobody was asked for."""
    for path in home.iterdir():
        if path.is_file():
            shutil.copy2(path, tmp_path)
    shutil.copytree(home / "unasked", tmp_path / "case")
    return tmp_path


def told(folder):
    return json.loads((folder / "case" / "report.json").read_text())


def test_the_student_is_found_by_its_key_and_nobody_else_by_any(home):
    report = told(home)
    claimed = {(f["suspect"], f["key"]): f["claimed"] for f in report["findings"]}
    assert claimed == {
        ("student", "red-green:k7@1"): True,
        ("student", "red-green:k8@1"): False,
        ("innocent", "red-green:k7@1"): False,
        ("innocent", "red-green:k8@1"): False,
    }
    student = report["findings"][0]
    assert student["rank"] == 1
    assert [look["queries"] for look in student["looks"]] == [100, 240]
    assert student["log10_p"] <= student["looks"][-1]["log10_spent"]
    assert student["log10_holm"] >= student["log10_p"]
    assert report["attribution"][0]["key"] == "red-green:k7@1"
    assert report["exploratory"] == []
    assert report["reservations"] == ["The key is ranked among 1,000 decoys only; 10,000 are usual."]


def test_the_page_says_all_that_it_must(home):
    page = (home / "case" / "report.html").read_text()
    report = told(home)
    for said in (
        report["commitment"],
        *report["not_claimed"],
        "terms of service, section 4",
        "excise audit score CASE",
        "Hoeffding",
    ):
        assert said in page
    assert "xploratory" not in page
    assert "<script" not in page


def test_a_replay_gives_the_same_numbers_and_sees_a_change(fresh, home):
    shutil.rmtree(fresh / "case")
    shutil.copytree(home / "case", fresh / "case")
    assert "the report holds" in done("audit", "score", "case", "--keys", "master.key", cwd=fresh).stderr
    report = told(fresh)
    report["findings"][1]["claimed"] = True
    (fresh / "case" / "report.json").write_text(json.dumps(report))
    said = excise("audit", "score", "case", "--keys", "master.key", cwd=fresh)
    assert said.returncode == 3
    assert "findings" in said.stderr


def test_an_opened_seal_burns_the_keys_and_lets_anyone_replay(fresh):
    done("audit", "run", "case", "--suspect", "student", "--recorded", "student.ndjson", cwd=fresh)
    assert excise("audit", "score", "case", cwd=fresh).returncode == 3
    done("audit", "report", "case", "--keys", "master.key", "--open-seal", cwd=fresh)
    (fresh / "master.key").rename(fresh / "elsewhere.key")
    assert "the report holds" in done("audit", "score", "case", cwd=fresh).stderr
    refused = excise("audit", "keys", "elsewhere.key", "--serve", "red-green:k7", "--out", "g.key", cwd=fresh)
    assert refused.returncode == 2
    assert "burned" in refused.stderr
    master = stored.load(fresh / "elsewhere.key").master
    for path in (fresh / "case").rglob("*"):
        assert path.is_dir() or master not in path.read_text()


def test_holm_counts_suspects_that_were_never_asked(fresh):
    done("audit", "run", "case", "--suspect", "student", "--recorded", "student.ndjson", cwd=fresh)
    done("audit", "report", "case", "--keys", "master.key", cwd=fresh)
    student = told(fresh)["findings"][0]
    assert student["log10_holm"] == pytest.approx(student["log10_p"] + 0.60206, abs=1e-4)


def test_answers_from_before_the_plan_are_exploratory_on_every_page(fresh):
    rows = [
        json.loads(line) | {"at": EARLIER} for line in (fresh / "student.ndjson").read_text().splitlines()
    ]
    (fresh / "old.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done("audit", "run", "case", "--suspect", "student", "--recorded", "old.ndjson", cwd=fresh)
    said = done("audit", "report", "case", "--keys", "master.key", cwd=fresh)
    assert said.stdout.startswith("EXPLORATORY")
    assert "before the plan" in told(fresh)["exploratory"][0]
    page = (fresh / "case" / "report.html").read_text()
    assert page.count("xploratory") >= 4


def test_too_few_answers_for_a_look_are_exploratory(fresh):
    done(
        "audit",
        "run",
        "case",
        "--suspect",
        "student",
        "--recorded",
        "student.ndjson",
        "--budget",
        "30",
        cwd=fresh,
    )
    done("audit", "report", "case", "--keys", "master.key", cwd=fresh)
    assert "not asked as often" in told(fresh)["exploratory"][0]
    assert told(fresh)["findings"][0]["planned"] is False


@pytest.mark.parametrize(
    "name",
    ["plan.json", "prompts.ndjson", "reference.ndjson", "controls/organic.ndjson", "suspects/student.ndjson"],
)
def test_a_sealed_file_that_was_changed_is_refused(fresh, name):
    done("audit", "run", "case", "--suspect", "student", "--recorded", "student.ndjson", cwd=fresh)
    path = fresh / "case" / name
    path.write_text(path.read_text().replace("a", "e", 3))
    said = excise("audit", "report", "case", "--keys", "master.key", cwd=fresh)
    assert said.returncode == 3 or "another plan" in said.stdout
    assert "Traceback" not in said.stderr


def test_a_changed_plan_makes_its_transcripts_exploratory(fresh):
    done("audit", "run", "case", "--suspect", "student", "--recorded", "student.ndjson", cwd=fresh)
    path = fresh / "case" / "plan.json"
    path.write_text(path.read_text().replace('"alpha": 0.0001', '"alpha": 0.01'))
    done("audit", "report", "case", "--keys", "master.key", cwd=fresh)
    assert "asked under another plan" in told(fresh)["exploratory"][0]


def test_another_master_key_cannot_score_a_case(fresh):
    done("audit", "run", "case", "--suspect", "student", "--recorded", "student.ndjson", cwd=fresh)
    stored.create(fresh / "other.key")
    said = excise("audit", "report", "case", "--keys", "other.key", cwd=fresh)
    assert (said.returncode, "another key" in said.stderr) == (3, True)


def test_a_control_that_stands_out_forbids_every_claim(fresh):
    shutil.rmtree(fresh / "case")
    shutil.copy(fresh / "student.ndjson", fresh / "organic.ndjson")
    done(*PLAN, "case", cwd=fresh)
    done("audit", "run", "case", "--suspect", "student", "--recorded", "student.ndjson", cwd=fresh)
    done("audit", "report", "case", "--keys", "master.key", cwd=fresh)
    report = told(fresh)
    assert report["findings"][0]["log10_holm"] < -4
    assert not any(f["claimed"] for f in report["findings"])
    assert any("control" in said for said in report["reservations"])


# A hostile endpoint


def steps(*special):
    """Answers for 240 prompts with `special` ones among them."""
    plain = [answer(f"word{i} follows word{i + 1}", model="s-1") for i in range(240)]
    for at, step in special:
        plain.insert(at, step)
    return plain


def ask(folder, url, *more):
    return excise(
        "audit", "run", "case", "--suspect", "student", "--endpoint", url, "--rate", "1000000",
        "--timeout", "1", "--attempts", "1", *more, cwd=folder,
    )  # fmt: skip


def test_a_hostile_endpoint_costs_queries_and_no_transcript(fresh):
    """It errs, stalls, sends 10 MB, nonsense and control characters, lies about length, and changes its model."""
    bad = [
        (3, raw(b"oops", status=500)),
        (9, Stall()),
        (15, raw(b"x" * (10 << 20))),
        (20, raw(b"<html>")),
        (30, answer("\x1b]0;owned\x07 \u202eevil\x00 text", model="s-1")),
        (40, answer("liar", model="s-1", tokens=10**9)),
        (50, raw(b"{", length=100)),
        (60, answer("cut", model="s-1", finish="length")),
        (120, answer("new", model="s-2\x1b[2J")),
    ]
    with served(*steps(*bad)) as server:
        said = ask(fresh, server.url)
    assert said.returncode == 0, said.stderr
    assert "0 left" in said.stdout
    found = transcript.read(fresh / "case" / "suspects" / "student.ndjson")
    assert {f.reason for f in found.failures} == {"status", "timeout", "too-large", "bad-json", "cut-off"}
    done("audit", "report", "case", "--keys", "master.key", cwd=fresh)
    report = told(fresh)
    course = report["suspects"][0]
    assert course["lied_about_length"] == 1
    assert course["cut_short"] == 1
    assert [query for _, query in course["models"]] == [0, 120]
    assert any("changed its name" in said for said in report["reservations"])
    page = (fresh / "case" / "report.html").read_text()
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "changed its name" in page


def test_a_run_that_was_stopped_goes_on_where_it_was(fresh):
    with served() as server:
        assert ask(fresh, server.url, "--budget", "7").returncode == 0
        path = fresh / "case" / "suspects" / "student.ndjson"
        with path.open("ab") as file:
            file.write(b'{"kind":"answer","query":7,"pro')
        assert "7 done before" in ask(fresh, server.url, "--budget", "5").stdout
        prompts = [body["messages"][0]["content"] for _, body in server.requests]
    assert prompts == [f"Tell me about {i}." for i in range(12)]
    assert transcript.read(path).asked == 12


def test_a_suspect_that_is_down_is_left_and_asked_again_later(fresh):
    down = [answer("up")] * 4 + [raw(b"", status=503)] * 5
    with served(*down) as server:
        said = ask(fresh, server.url)
        assert said.returncode == 3
        assert "seems to be down" in said.stderr
        assert "236 left" in said.stdout
        assert "4 done before" in ask(fresh, server.url, "--budget", "1").stdout
    assert transcript.read(fresh / "case" / "suspects" / "student.ndjson").asked == 5


# Wrong use


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("run", "case", "--suspect", "nobody", "--recorded", "student.ndjson"), 2),
        (("run", "case", "--suspect", "student"), 2),
        (
            (
                "run",
                "case",
                "--suspect",
                "student",
                "--recorded",
                "student.ndjson",
                "--endpoint",
                "http://h/v1",
            ),
            2,
        ),
        (("run", "case", "--suspect", "student", "--recorded", "prompts.txt"), 3),
        (("run", "case", "--suspect", "student", "--local", "nowhere"), (2, 3)),
        (("run", "nowhere", "--suspect", "student", "--recorded", "student.ndjson"), 3),
        (("report", "case", "--keys", "master.key"), 3),
        (("report", "case", "--keys", "nowhere.key"), 3),
        (("score", "case"), 3),
        (("keys", "master.key", "--serve", "gumbel:all"), 2),
        (("keys", "prompts.txt"), (2, 3)),
        (("keys", "master.key", "--burn", "x"), 2),
    ],
)
def test_a_mistake_ends_with_a_message_and_a_hint(fresh, words, status):
    said = excise("audit", *words, cwd=fresh)
    assert said.returncode in (status if isinstance(status, tuple) else (status,)), said.stderr
    assert said.stderr.startswith("excise: ")
    assert "  hint: " in said.stderr


@pytest.mark.parametrize(
    "change",
    [
        ("--looks", "400,100"), ("--looks", "x"), ("--looks", "500"), ("--alpha", "0"), ("--alpha", "nan"), ("--context", "5"),
        ("--decoys", "10"), ("--key", "choices:all"), ("--key", "red-green:k7@9"), ("--suspect", "../x"), ("--control", "noequals"),
        ("--control", "organic=student.ndjson"), ("--tokenizer", "nowhere.json"), ("--run", "nowhere"), ("--prompts", "nowhere"),
    ],
)  # fmt: skip
def test_a_plan_that_cannot_be_carried_out_is_refused_and_leaves_nothing(fresh, change):
    said = excise(*PLAN, "new", *change, cwd=fresh)
    assert said.returncode in (2, 3), said.stdout
    assert "  hint: " in said.stderr
    assert not (fresh / "new").exists()


def test_a_case_is_never_planned_over(fresh):
    said = excise(*PLAN, "case", cwd=fresh)
    assert said.returncode == 4


def test_keys_are_made_rotated_and_served(tmp_path):
    first = done("audit", "keys", "k", "--json", cwd=tmp_path)
    assert json.loads(first.stdout) == {"epoch": 1, "burned": []}
    assert json.loads(done("audit", "keys", "k", "--rotate", "--json", cwd=tmp_path).stdout)["epoch"] == 2
    said = done("audit", "keys", "k", "--serve", "gumbel:all", "--out", "gateway.key", cwd=tmp_path)
    held = stored.load(tmp_path / "k")
    assert held.master not in first.stdout + first.stderr + said.stdout + said.stderr
    gateway = json.loads((tmp_path / "gateway.key").read_text())
    assert gateway["name"] == "gumbel:all@2"
    assert gateway["key"] not in said.stdout + said.stderr
    assert stat.S_IMODE((tmp_path / "gateway.key").stat().st_mode) == 0o600


def test_recorded_answers_are_matched_by_their_prompt(fresh):
    lines = (fresh / "student.ndjson").read_text().splitlines()
    (fresh / "mixed.ndjson").write_text("\n".join([*lines[200:], *lines[:150]]))
    said = done("audit", "run", "case", "--suspect", "student", "--recorded", "mixed.ndjson", cwd=fresh)
    assert said.stdout == "190 answered, 50 without an answer, 0 done before, 0 left\n"
    found = transcript.read(fresh / "case" / "suspects" / "student.ndjson")
    assert all(a.prompt == f"Tell me about {a.query}." for a in found.answers)


def test_an_interrupted_run_keeps_its_answers_and_says_so(fresh, monkeypatch):
    from excise.audit.suspects.recorded import Recorded

    asked = []

    def ask(self, query, prompt):
        asked.append(query)
        if query == 5:
            raise KeyboardInterrupt
        return original(self, query, prompt)

    original = Recorded.ask
    monkeypatch.setattr(Recorded, "ask", ask)
    said = excise("audit", "run", "case", "--suspect", "student", "--recorded", "student.ndjson", cwd=fresh)
    assert (said.returncode, "every answer so far is kept" in said.stderr) == (130, True)
    assert transcript.read(fresh / "case" / "suspects" / "student.ndjson").asked == 5


def test_what_stands_in_a_marked_prompt_is_left_out(fresh):
    """A suspect that only repeats marked prompts: without the option it would look guilty, with it nothing is left."""
    answers = [json.loads(line)["answer"] for line in (fresh / "student.ndjson").read_text().splitlines()]
    (fresh / "prompts.txt").write_text("\n".join(answers))
    rows = [{"prompt": a, "answer": a, "at": "2099-01-01"} for a in answers]
    (fresh / "parrot.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))
    claimed = {}
    for case, more in (("naive", ()), ("careful", ("--prompts-marked",))):
        done(*PLAN, case, *more, cwd=fresh)
        done("audit", "run", case, "--suspect", "student", "--recorded", "parrot.ndjson", cwd=fresh)
        said = done("audit", "report", case, "--keys", "master.key", "--json", cwd=fresh)
        claimed[case] = json.loads(said.stdout)["findings"][0]["claimed"]
    assert claimed == {"naive": True, "careful": False}
    assert "Prompts hold marked text" in (fresh / "careful" / "report.html").read_text()
