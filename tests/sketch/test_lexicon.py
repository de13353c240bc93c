"""The lexicon: every phrase fires its group, every family its examples, and a pack's mistakes are told."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from excise.errors import UsageError
from excise.sketch.kernel import sketch_text
from excise.sketch.lexicon import CAPABILITIES, MAX_GROUPS, load_pack

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
    for examples, expected in ((family.fires, True), (family.silent, False)):
        texts = [text for those in examples.values() for text in those]
        fired = (LEXICON.families_of(cues_of(texts)) >> np.uint64(number)) & np.uint64(1)
        assert [text for text, hit in zip(texts, fired.tolist(), strict=True) if bool(hit) != expected] == []


def test_the_pack_keeps_its_rules():
    assert len(GROUPS) <= MAX_GROUPS
    assert {f.capability for f in LEXICON.families} <= set(CAPABILITIES)


@given(st.lists(st.integers(0, 2**64 - 1), max_size=20))
@settings(max_examples=50, deadline=None)
def test_families_of_equals_the_slow_definition(masks):
    got = LEXICON.families_of(np.array(masks, np.uint64))
    for mask, value in zip(masks, got.tolist(), strict=True):
        bit, expected = 0, 0
        for f, family in enumerate(LEXICON.families):
            hits = sum(mask >> (bit + g) & 1 for g in range(len(family.groups)))
            bit += len(family.groups)
            expected |= (hits >= family.needs) << f
        assert value == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not toml [", "pack"),
        ('version = "1"\nfamilies = []\nextra = 1', "extra"),
        (
            'version = "1"\n[[families]]\nid = "a"\ntitle = "a"\ncapability = "magic"\n[[families.groups]]\nid = "g"\nphrases = ["x"]',
            "magic",
        ),
        (
            'version = "1"\n[[families]]\nid = "a"\ntitle = "a"\ncapability = "other"\nneeds = 2\n[[families.groups]]\nid = "g"\nphrases = ["x"]',
            "needs",
        ),
    ],
)
def test_mistakes_in_a_pack_are_told(tmp_path, text, said):
    path = tmp_path / "pack.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as error:
        load_pack(path)
    assert said in f"{error.value} {error.value.hint}"
