"""Open weights: what is read is what the formula says, under any tokenizer, and the p-values hold for innocent models."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
from cases import PLAN, done, excise, material

from excise.audit import keys as stored
from excise.audit import ngram, prf
from excise.audit.marks.red_green import RED_GREEN
from excise.audit.reading import MOST_PAIRS, TOP, our_tokens, read, same_vocabulary
from excise.audit.statistic import decoys, log10_bound, tail_bound, z_of
from excise.audit.tokens import Words, word_id
from excise.stats.tails import binomial_tail


class OpenChain:
    """A chain of the test-bed that shows its probabilities, as a model whose tokens are words with a space before them."""

    def __init__(self, chain):
        self.chain = chain
        self.words = ngram.vocabulary_words(len(chain.start))
        self.places = {word: place for place, word in enumerate(self.words)}
        self.pieces = [f" {word}" for word in self.words]

    def after(self, text):
        found = list(re.finditer(r"\S+", text))
        rows = [
            self.chain.after[self.places[m[0]]] if m[0] in self.places else self.chain.start for m in found
        ]
        return np.array([m.end() for m in found]), np.array(rows)


class Halved(OpenChain):
    """The same, but its tokens are halves of words: it ends a token of ours at every second of its own."""

    def after(self, text):
        ends, probable = super().after(text)
        places = np.stack([ends - 1, ends], axis=1).ravel()
        return places, np.repeat(probable, 2, axis=0)


@pytest.fixture(scope="module")
def bed():
    rng = np.random.default_rng(515)
    world, key = ngram.world(rng), rng.bytes(16)
    marked = ngram.marked(world.teacher, RED_GREEN, key)
    texts = ngram.texts_of(ngram.spoken(world.base, 150, rng))
    return world, key, marked, texts, rng


def heard(bed, chain, base=None):
    return read(bed[3], OpenChain(chain), base or OpenChain(bed[0].base), Words(), 1)


def test_weights_are_the_mean_change_times_the_root_of_the_looks():
    rng = np.random.default_rng(3)
    words = ngram.vocabulary_words(1024)[:3]
    first, second = (
        ngram.Chain(np.full(1024, 1 / 1024), rng.dirichlet(np.full(1024, 0.01), 1024)) for _ in range(2)
    )
    suspect, base = OpenChain(first), OpenChain(second)
    text = " ".join(words[i] for i in (0, 1, 0, 2, 0))
    found = read([text, text], suspect, base, Words(), 1)
    change = first.after - second.after
    for pair, weight in zip(found.contrast.tuples.tolist(), found.contrast.weights, strict=True):
        context = next(i for i in range(3) if word_id(words[i]) == pair[1] & 0xFFFFFFFF)
        token = next(i for i, w in enumerate(suspect.words) if word_id(w) == pair[2])
        looks = {0: 6, 1: 2, 2: 2}[context]
        assert weight == pytest.approx(np.sqrt(looks) * change[context, token])
    assert (found.texts, found.places, found.contexts) == (2, 10, 3)
    assert len(found.contrast.weights) <= 3 * TOP


def test_a_student_s_weights_show_the_key_more_than_its_answers_do(bed):
    world, key, marked, _, rng = bed
    student = ngram.student(world, 0.05, marked, rng)
    found = heard(bed, student)
    assert len(found.contrast.weights) <= MOST_PAIRS
    assert log10_bound(z_of(found.contrast, key, prf.BIT)) < -6
    assert log10_bound(z_of(found.contrast, bytes(16), prf.BIT)) > -3


@pytest.mark.slow
def test_p_values_of_weights_hold_for_innocent_models_over_five_thousand_keys(bed):
    world, _, _, _, rng = bed
    for share, teacher in (
        (0.0, world.teacher),
        (1.0, world.teacher),
        (1.0, ngram.dialect(world.human, rng)),
    ):
        found = heard(bed, ngram.student(world, share, teacher, rng)).contrast
        top = np.argsort(-np.abs(found.weights))[:12_000]
        z = prf.contrasts(decoys(b"trial", 5_000), found.tuples[top], found.weights[top], prf.BIT)
        for level in (0.05, 0.01, 0.001):
            rejected = sum(tail_bound(v) <= level for v in z)
            assert binomial_tail(rejected, 5_000, level) > 0.0005
        assert abs(z.std() - 1) < 0.04


def test_the_suspect_s_own_tokenizer_does_not_matter(bed):
    world, key, marked, texts, rng = bed
    student = ngram.student(world, 0.25, marked, rng)
    plain = read(texts, OpenChain(student), OpenChain(world.base), Words(), 1)
    halved = read(texts, Halved(student), Halved(world.base), Words(), 1)
    assert halved.places == plain.places
    assert halved.contrast.weights.tolist() == plain.contrast.weights.tolist()
    assert z_of(halved.contrast, key, prf.BIT) > 5


def test_without_a_base_the_suspect_stands_alone(bed):
    world, key, marked, texts, rng = bed
    student = ngram.student(world, 1.0, marked, rng)
    alone = read(texts, OpenChain(student), None, Words(), 1)
    assert (alone.contrast.weights > 0).all()
    assert 3 < z_of(alone.contrast, key, prf.BIT) < z_of(heard(bed, student).contrast, key, prf.BIT)


def test_only_pieces_that_are_one_token_of_ours_count():
    told = our_tokens([" a", "a", "ab cd", "", "\ufffd", "!", "?!"], Words())
    assert told.tolist() == [word_id("a"), word_id("a"), -1, -1, -1, word_id("!"), -1]


def test_nothing_to_read_is_nothing(bed):
    found = read([], OpenChain(bed[0].base), None, Words(), 1)
    assert (found.texts, found.places, found.contexts, len(found.contrast.weights)) == (0, 0, 0, 0)
    assert same_vocabulary(OpenChain(bed[0].base), OpenChain(bed[0].teacher))


# As a user does it, with the loading of a model replaced by a chain


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The material of a case, and the case `case` in which the student's weights are read and the other is asked."""
    folder = tmp_path_factory.mktemp("weights")
    material(folder)
    for name in ("student", "base", "other"):
        (folder / name).mkdir()
        (folder / name / "model").write_text(name)
    done(*PLAN, "case", "--weights", "student=base", cwd=folder)
    return folder


@pytest.fixture
def fresh(home, tmp_path, monkeypatch):
    from excise.audit.suspects import opened

    rng = np.random.default_rng(61)
    world = ngram.world(rng)
    key = stored.load(home / "master.key").key(stored.parse_name("red-green:k7@1"))
    student = ngram.student(world, 0.5, ngram.marked(world.teacher, RED_GREEN, key), rng)
    chains = {"student": student, "base": world.base, "other": world.teacher}

    monkeypatch.setattr(opened, "opened", lambda folder: OpenChain(chains[folder.name]))
    shutil.copytree(home, tmp_path / "home")
    return tmp_path / "home"


def test_weights_are_read_once_scored_replayed_and_told(fresh):
    words = ("audit", "run", "case", "--suspect", "student", "--weights", "student", "--base", "base")
    said = done(*words, cwd=fresh)
    assert "240 texts read" in said.stdout
    assert "nothing was done" in done(*words, cwd=fresh).stderr
    done("audit", "run", "case", "--suspect", "innocent", "--recorded", "innocent.ndjson", cwd=fresh)
    done("audit", "report", "case", "--keys", "master.key", cwd=fresh)
    report = json.loads((fresh / "case" / "report.json").read_text())
    claimed = {(f["suspect"], f["key"]): f["claimed"] for f in report["findings"]}
    assert [k for k, claim in claimed.items() if claim] == [("student", "red-green:k7@1")]
    first = report["findings"][0]
    assert (first["form"], first["rank"], len(first["looks"])) == ("weights", 1, 1)
    assert report["findings"][2]["form"] == "sampled"
    assert report["suspects"][0]["reading"]["base_sha256"]
    assert report["exploratory"] == []
    page = (fresh / "case" / "report.html").read_text()
    assert "probabilities were read" in page
    assert report["suspects"][0]["reading"]["suspect_sha256"] in page
    assert "the report holds" in done("audit", "score", "case", "--keys", "master.key", cwd=fresh).stderr


READ = ("audit", "run", "case", "--suspect", "student", "--weights", "student", "--base", "base")


def test_an_open_control_is_read_beside_the_suspect_and_stands_out_if_it_learnt_from_us(fresh):
    for control, right in (("other", True), ("student", False)):
        shutil.rmtree(fresh / "case")
        done(*PLAN, "case", "--weights", "student=base", "--control", f"open={control}", cwd=fresh)
        assert excise(*READ, cwd=fresh).returncode == 2
        assert "240 texts read" in done(*READ, "--control", f"open={control}", cwd=fresh).stdout
        done("audit", "report", "case", "--keys", "master.key", cwd=fresh)
        report = json.loads((fresh / "case" / "report.json").read_text())
        beside = {(c["name"], c["form"]): c for c in report["findings"][0]["controls"]}
        assert beside.keys() == {("organic", "sampled"), ("open", "weights")}
        assert (beside["open", "weights"]["log10_p"] > -3) is right
        assert any(f["claimed"] for f in report["findings"]) is right
        assert any("control stands out" in said for said in report["reservations"]) is not right
        assert report["exploratory"] == []
        assert "its weights, read beside" in (fresh / "case" / "report.html").read_text()
        assert "the report holds" in done("audit", "score", "case", "--keys", "master.key", cwd=fresh).stderr


def test_a_reading_beside_other_controls_than_sealed_is_exploratory(fresh):
    from excise.audit import case as cases
    from excise.audit.transcript import SCHEMA, Header, Reading, Writer

    done(*PLAN, "new", "--weights", "student=base", "--control", "open=other", cwd=fresh)
    case = cases.read(fresh / "new")
    base = case.plan.weights[0].base
    with Writer(
        case.transcript_path("student"), Header(SCHEMA, "student", case.commitment, "", "weights")
    ) as w:
        w.add(Reading("2099-01-01T00:00:00Z", 1, 1, 1, "", base, bytes(24), bytes(8)))
    done("audit", "report", "new", "--keys", "master.key", cwd=fresh)
    report = json.loads((fresh / "new" / "report.json").read_text())
    assert report["exploratory"] == ["student was read beside other controls than the plan sealed"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("student", "--weights", "student"), "not the base that the plan sealed"),
        (("student", "--weights", "student", "--base", "student"), "not the base that the plan sealed"),
        (("student", "--weights", "student", "--base", "base", "--control", "o=other"), "open controls"),
        (("student", "--weights", "student", "--base", "base", "--control", "o"), "NAME=FOLDER"),
        (("innocent", "--weights", "student"), "is to be asked"),
        (("student", "--recorded", "student.ndjson"), "has its weights read"),
        (("student", "--weights", "student", "--recorded", "student.ndjson"), "one of several"),
    ],
)
def test_what_the_plan_does_not_say_is_not_read(fresh, words, said):
    told = excise("audit", "run", "case", "--suspect", *words, cwd=fresh)
    assert (told.returncode, said in told.stderr) == (2, True), told.stderr
    assert "  hint: " in told.stderr


@pytest.mark.parametrize(
    "change",
    [
        ("--weights", "nobody"), ("--weights", "student", "--weights", "student"), ("--weights", "student=nowhere"),
        ("--weights", "student", "--prompts-marked"), ("--control", "o=base"),
        ("--weights", "student", "--control", "o=base", "--control", "o=other"),
    ],
)  # fmt: skip
def test_a_plan_that_cannot_read_weights_is_refused(fresh, change):
    said = excise(*PLAN, "new", *change, cwd=fresh)
    assert said.returncode in (2, 3)
    assert "  hint: " in said.stderr
    assert not (fresh / "new").exists()


def test_a_reading_that_was_forged_to_be_uneven_is_refused(fresh):
    from excise.audit import case as cases
    from excise.audit.transcript import SCHEMA, Header, Reading, Writer

    case = cases.read(fresh / "case")
    with Writer(
        case.transcript_path("student"), Header(SCHEMA, "student", case.commitment, "", "weights")
    ) as w:
        w.add(Reading("", 1, 1, 1, "", "", bytes(48), bytes(8)))
    said = excise("audit", "report", "case", "--keys", "master.key", cwd=fresh)
    assert (said.returncode, "is none" in said.stderr) == (3, True)
