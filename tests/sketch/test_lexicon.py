"""The lexicon: every phrase fires its group, every family its examples, and a pack's mistakes are told."""

import json
import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from excise.errors import UsageError
from excise.sketch.kernel import sketch_text
from excise.sketch.lexicon import CAPABILITIES, MAX_GROUPS, Family, Group, Lexicon, load_pack
from repository import page

LEXICON = load_pack()
LEAST_LANGUAGES = 4
CUES = LEXICON.cue_table(5)
GROUPS = [group for family in LEXICON.families for group in family.groups]


def cues_of(texts):
    return sketch_text(pa.array(texts), seed=5, cues=CUES).cues


@pytest.mark.parametrize("number", range(len(GROUPS)), ids=[g.id for g in GROUPS])
def test_every_phrase_fires_its_group(number):
    phrases = list(GROUPS[number].phrases)
    found = (cues_of([f"so {p} now" for p in phrases]) >> np.uint64(number)) & np.uint64(1)
    assert [p for p, hit in zip(phrases, found, strict=True) if not hit] == []


@pytest.mark.parametrize("number", range(len(LEXICON.families)), ids=[f.id for f in LEXICON.families])
def test_families_fire_on_their_examples_and_stay_silent_on_others(number):
    family = LEXICON.families[number]
    assert len(family.fires) >= LEAST_LANGUAGES
    assert len(family.silent) >= LEAST_LANGUAGES
    assert all(re.fullmatch("[a-z]{2}", language) for language in {**family.fires, **family.silent})
    for examples, expected in ((family.fires, True), (family.silent, False)):
        texts = [text for those in examples.values() for text in those]
        fired = (LEXICON.families_of(cues_of(texts)) >> np.uint64(number)) & np.uint64(1)
        assert [text for text, hit in zip(texts, fired.tolist(), strict=True) if bool(hit) != expected] == []


def test_the_pack_keeps_its_rules():
    assert len(GROUPS) <= MAX_GROUPS
    assert {f.capability for f in LEXICON.families} <= set(CAPABILITIES)


def slow_families(families, mask):
    """Family f fires when at least `needs` of its groups, numbered through all families, are in the mask."""
    numbered = iter(range(64))
    places = [[next(numbered) for _ in family.groups] for family in families]
    fires = [
        sum(mask >> g & 1 for g in groups) >= f.needs for f, groups in zip(families, places, strict=True)
    ]
    return sum(1 << f for f, fired in enumerate(fires) if fired)


@st.composite
def lexicons(draw):
    """Packs of up to 64 groups in families of any size and need."""
    sizes, room = [], MAX_GROUPS
    for size in draw(st.lists(st.integers(1, MAX_GROUPS), max_size=MAX_GROUPS)):
        if size <= room:
            sizes.append(size)
            room -= size
    return Lexicon(
        "test",
        tuple(
            Family(
                f"f{f}",
                "",
                "other",
                tuple(Group(f"g{f}.{g}", ("x",)) for g in range(size)),
                draw(st.integers(1, size)),
            )
            for f, size in enumerate(sizes)
        ),
    )


@given(
    st.one_of(st.just(LEXICON), lexicons()),
    st.lists(st.one_of(st.integers(0, 2**64 - 1), st.just(2**64 - 1)), max_size=20),
)
@settings(max_examples=100, deadline=None)
def test_families_of_equals_the_slow_definition(lexicon, masks):
    expected = [slow_families(lexicon.families, mask) for mask in masks]
    fired = lexicon.families_of(np.array(masks, np.uint64))
    assert fired.dtype == np.uint64
    assert fired.tolist() == expected
    names = [f.id for f in lexicon.families]
    assert [lexicon.names_of(mask) for mask in expected] == [
        tuple(name for f, name in enumerate(names) if mask >> f & 1) for mask in expected
    ]


def test_a_phrase_in_two_groups_fires_both_and_a_disguise_fires_too():
    lexicon = Lexicon(
        "t", (Family("f", "", "other", (Group("a", ("step by step",)), Group("b", ("Step-by-step",))), 2),)
    )
    cues = lexicon.cue_table(9)
    said = ["step by step", "ＳＴＥＰ\u200b by\nstep", "stеp bу stеp", "step by", "by step step", None]
    assert sketch_text(pa.array(said), seed=9, cues=cues).cues.tolist() == [3, 3, 3, 0, 0, 0]


def test_every_family_has_an_anchor_in_the_docs_and_every_anchor_a_family():
    titles = re.findall(r"^### (.+)$", page("docs/families.md"), re.MULTILINE)
    assert titles == [f.id for f in LEXICON.families]
    told = dict(re.findall(r"^### (.+)\n\n\*\*(.+?)\.\*\*", page("docs/families.md"), re.MULTILINE))
    assert told == {f.id: f.title for f in LEXICON.families}


def test_the_docs_tell_capability_and_need_of_every_family():
    rows = re.findall(
        r"^\| \[`([a-z-]+)`\]\(#\1\) \| ([a-z-]+) \| (\d+) of (\d+) \|$",
        page("docs/families.md"),
        re.MULTILINE,
    )
    assert rows == [(f.id, f.capability, str(f.needs), str(len(f.groups))) for f in LEXICON.families]


def test_the_pack_that_the_docs_show_is_one(tmp_path):
    shown = re.search(r"```toml\n(.*?)```", page("docs/families.md"), re.DOTALL).group(1)
    (tmp_path / "pack.toml").write_text(shown)
    lexicon = load_pack(tmp_path / "pack.toml")
    family = lexicon.families[0]
    for examples, expected in ((family.fires, 1), (family.silent, 0)):
        texts = pa.array([text for those in examples.values() for text in those])
        cues = sketch_text(texts, seed=1, cues=lexicon.cue_table(1)).cues
        assert set(lexicon.families_of(cues).tolist()) == {expected}


def family_toml(name="a", *, capability="other", needs=1, groups=(("g", ["x"]),), extra=""):
    lines = [
        "[[families]]",
        f'id = "{name}"',
        'title = "t"',
        f'capability = "{capability}"',
        f"needs = {needs}",
        extra,
    ]
    for group, phrases in groups:
        lines += ["[[families.groups]]", f'id = "{group}"', f"phrases = {json.dumps(phrases)}"]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("not toml [", "pack"),
        ("families = 3", "families"),
        ("families = []\nextra = 1", "extra"),
        (family_toml(extra="weight = 2"), "weight"),
        (family_toml(extra='fires = ["a list, not by language"]'), "fires"),
        (family_toml(groups=[("g", ["x"]), ("h", [1])]), "phrases"),
        (family_toml(capability="magic"), "magic"),
        (family_toml(needs=2), "needs 2 of 1"),
        (family_toml(needs=0), "needs 0 of 1"),
        (family_toml(groups=[]), "groups"),
        (family_toml() + "\n" + family_toml("b"), "'g' is used twice"),
        (family_toml() + "\n" + family_toml(groups=[("h", ["x"])]), "'a' is used twice"),
        (
            family_toml(groups=[("g", ["one two three four five six seven eight nine ten eleven"])]),
            "11 tokens",
        ),
        (family_toml(groups=[("g", ["…"])]), "0 tokens"),
        (family_toml(groups=[("g", ["a" + "," * 3_000 + "b"])]), "3002 characters"),
        (family_toml(groups=[(f"g{i}", ["x"]) for i in range(65)]), "65 groups"),
    ],
)
def test_mistakes_in_a_pack_are_told(tmp_path, body, said):
    path = tmp_path / "pack.toml"
    path.write_text('version = "1"\n' + body, "utf-8")
    with pytest.raises(UsageError) as error:
        load_pack(path)
    assert said in f"{error.value} {error.value.hint}"
    assert error.value.subject == str(path)
    assert "docs/families.md" in error.value.hint


def test_a_pack_that_cannot_be_read_is_told(tmp_path):
    (tmp_path / "latin.toml").write_bytes(b'version = "\xff"')
    for path in (tmp_path / "none.toml", tmp_path, tmp_path / "latin.toml"):
        with pytest.raises(UsageError) as error:
            load_pack(path)
        assert error.value.hint


def test_as_many_groups_as_there_are_bits_fit(tmp_path):
    path = tmp_path / "pack.toml"
    groups = [(f"g{i}", [f"word{chr(97 + i // 26)}{chr(97 + i % 26)}"]) for i in range(MAX_GROUPS)]
    path.write_text('version = "1"\n' + family_toml(groups=groups, needs=MAX_GROUPS))
    lexicon = load_pack(path)
    said = [" ".join(words[0] for _, words in groups), " ".join(words[0] for _, words in groups[1:])]
    cues = sketch_text(pa.array(said), seed=3, cues=lexicon.cue_table(3)).cues
    assert cues.tolist() == [2**64 - 1, 2**64 - 2]
    assert lexicon.families_of(cues).tolist() == [1, 0]
