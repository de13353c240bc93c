"""Fusing, verdicts, membership, innocent explanations and what is shown of a wrapper."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from excise.judge.decide import Findings, JudgeSettings, speaking
from excise.judge.facts import Facts
from excise.judge.fuse import FuseSettings, fuse, joint_log_odds, size_prior
from excise.judge.innocent import EXPLANATIONS, Case, explain_away
from excise.judge.members import MemberSettings, Signal, accuse, belong
from excise.judge.verdict import MOST_SURE, judge
from excise.judge.wrapper import as_example, common_wrapper, redact
from excise.link.linker import gather
from excise.model.clusters import Edges
from excise.model.findings import Evidence

S = FuseSettings()
NEUTRAL = Facts(
    members=20, wrapped=500, in_system=0.0, one_system=0.0, single=1.0, refused=0.01, items=0.0, owner=0.05, owner_known=12, mail=0.1, programme=0.0,
    verified=0.2, declared=(), declared_share=0.0, users=0.0, prompts=1.0, active_days=20.0, young=0.2, wrapped_share=0.9,
)  # fmt: skip
EVERYTHING = frozenset({"content", "accounts", "network", "payment", "releases", "time", "sessions"})


def piece(detector, layer, log_odds, value=0.9):
    return Evidence(detector, layer, "said", value, 0.1, log_odds)


def verdict(evidence, facts=NEUTRAL, relays=frozenset({"handover", "relay-signature"}), available=EVERYTHING):
    return judge(evidence, relays, facts, available, -4.0, S)


@given(st.lists(st.tuples(st.sampled_from(["account", "content", "time"]), st.floats(0, 9)), max_size=12))
def test_a_layer_counts_its_best_piece_whole_and_never_more_than_its_limit(pieces):
    fused = fuse([piece(f"d{i}", layer, value) for i, (layer, value) in enumerate(pieces)], -4.0, S)
    assert fused.log_odds == pytest.approx(-4.0 + sum(fused.layers.values()))
    assert sum(e.log_odds for e in fused.evidence) == pytest.approx(
        sum(fused.layers.values()), abs=0.05 * len(pieces) + 1e-9
    )
    for layer, value in fused.layers.items():
        best = max(v for name, v in pieces if name == layer)
        assert min(best, S.layer_most) - 1e-9 <= value <= S.layer_most + 1e-9


@pytest.mark.parametrize(
    ("kindred", "life", "more"),
    [(3.0, 1.5, S.kindred_life), (2.0, 1.5, 0.0), (3.0, 0.5, 0.0), (0.0, 4.0, 0.0)],
)
def test_a_groups_one_life_says_more_beside_a_kindred_group(kindred, life, more):
    said = [piece("kindred", "content", kindred), piece("lifecycle", "time", life)]
    assert verdict(said).harvest.log_odds == pytest.approx(-4.0 + kindred + life + more)


def test_the_prior_rises_with_a_size_that_is_rare_here():
    priors = size_prior([2] * 500 + [3] * 200 + [40], S)
    assert priors[0] == S.prior
    assert priors[-1] > priors[500] >= priors[0]


def test_one_layer_is_never_enough():
    one = verdict([piece("multiplicity", "content", 9.0), piece("echo", "content", 9.0)])
    assert one.verdict == "shared-client"
    two = verdict(
        [piece("multiplicity", "content", 4.0), piece("pivot", "time", 4.0), piece("payment", "account", 3.0)]
    )
    assert two.verdict == "distillation"
    assert 0.9 <= two.confidence <= MOST_SURE


def test_a_deterministic_layer_may_stand_with_what_it_has():
    assert (
        verdict([piece("block-replay", "deterministic", 6.0), piece("pivot", "time", 3.0)]).verdict
        == "distillation"
    )


def test_copied_blocks_without_a_wrapper_need_common_times_or_a_content_that_no_relay_explains():
    bare = dataclasses.replace(NEUTRAL, wrapped=0, wrapped_share=0.0)
    blocks, asks = piece("block-replay", "deterministic", 6.0), piece("elicitation", "content", 1.5)
    assert verdict([blocks, asks], bare).verdict == "distillation"
    assert verdict([blocks, asks, piece("handover", "account", 1.0)], bare).verdict == "undetermined"
    assert verdict([blocks, asks], bare, available=EVERYTHING - {"sessions"}).verdict == "undetermined"
    assert verdict([blocks, piece("pivot", "time", 3.0)], bare).verdict == "distillation"
    assert verdict([blocks, piece("signup", "account", 4.0)], bare).verdict == "undetermined"


def test_a_harvest_of_nobody_may_be_claimed_as_a_relay_where_conversations_say_so():
    pieces = [
        piece("multiplicity", "content", 4.0),
        piece("pivot", "time", 4.0),
        piece("payment", "account", 2.0),
    ]
    said = verdict([*pieces, piece("handover", "account", 4.0)])
    assert said.verdict == "distillation"
    assert said.serves
    assert said.as_relay().verdict == "relay"
    assert said.as_relay().confidence >= S.accuse
    assert not verdict(pieces).serves


LAYERS = st.dictionaries(
    st.sampled_from(["account", "content", "time"]), st.sampled_from([0.2, 1.0, 1.5, 4.0])
)


@given(st.lists(st.tuples(st.integers(2, 3), LAYERS), max_size=12))
def test_what_comes_together_in_a_pair_is_set_against_all_pairs(groups):
    sizes, layers = [n for n, _ in groups], [found for _, found in groups]
    pairs = [found for n, found in groups if n == 2]
    for (n, found), got in zip(groups, joint_log_odds(layers, sizes, S), strict=True):
        strong = {k: v for k, v in found.items() if v >= S.layer_least}
        if n != 2 or len(strong) < 2:
            assert got == -math.inf
            continue
        expected = S.dependent * len(pairs)
        for layer, value in strong.items():
            expected *= sum(p.get(layer, 0.0) >= value for p in pairs) / len(pairs)
        assert got == pytest.approx(-math.log(expected))


def test_a_likely_innocent_explanation_stops_an_accusation():
    strong = [
        piece("multiplicity", "content", 4.0),
        piece("pivot", "time", 4.0),
        piece("payment", "account", 4.0),
    ]
    owned = dataclasses.replace(NEUTRAL, owner=0.95)
    declared = dataclasses.replace(NEUTRAL, declared=("licensed-distiller",), declared_share=0.9)
    assert verdict(strong).verdict == "distillation"
    assert verdict(strong, owned).verdict != "distillation"
    assert verdict(strong, declared).verdict != "distillation"


def test_customers_of_a_relay_are_no_harvest():
    hand = [piece("handover", "account", 4.0), piece("pivot", "time", 4.0), piece("payment", "account", 4.0)]
    products = dataclasses.replace(NEUTRAL, in_system=0.9, wrapped_share=0.3)
    assert verdict(hand, products).verdict == "relay"
    harvest = [*hand, piece("multiplicity", "content", 4.0)]
    assert verdict(harvest).verdict == "distillation"


def test_a_pool_whose_traffic_is_uniform_has_no_customers():
    hand = [piece("handover", "account", 4.0), piece("pivot", "time", 4.0), piece("payment", "account", 4.0)]
    assert verdict(hand).verdict == "distillation"
    assert verdict(hand, dataclasses.replace(NEUTRAL, in_system=0.9, wrapped_share=0.6)).verdict == "relay"
    assert verdict(hand, dataclasses.replace(NEUTRAL, wrapped_share=0.3)).verdict == "relay"


def test_a_pool_that_sends_little_else_has_one_customer():
    hand = [piece("handover", "account", 4.0), piece("pivot", "time", 4.0), piece("payment", "account", 4.0)]
    one = dataclasses.replace(NEUTRAL, in_system=1.0, one_system=0.5, wrapped_share=0.8)
    assert verdict(hand, one).verdict == "distillation"
    assert verdict(hand, dataclasses.replace(one, wrapped_share=0.6)).verdict == "relay"


def test_kindred_groups_say_nothing_of_a_pool():
    said = [piece("kindred", "content", 4.0), piece("lifecycle", "time", 4.0)]
    assert verdict(said).verdict == "distillation"
    pool = verdict([*said, piece("handover", "account", 1.5)])
    assert pool.verdict == "undetermined"
    assert "kindred" not in {e.detector for e in pool.harvest.evidence}


def accused_of_six(signals, doubted=(), *, depth=(3, 3, 3, 3, 3, 3), belonging=(1, 1, 1, 1, 1, 1), harvesting=(1, 1, 1, 1, 1, 1), declared=(0, 0, 0, 0, 0, 0), private=None, lives=False, tied=True, sure=True, relay=False):  # fmt: skip
    """Whom of six members, all tied to each other, a claim is about.

    `signals`: layer of each signal and which members show it; `depth`: their wrappers; `private`: those that the group has to itself, if not all; `tied`: whether the sixth is tied to anybody; `lives`: their lives speak for the claim.
    """
    a, b = np.nonzero(np.triu(np.ones((6, 6)), 1))
    weights = np.where((b == 5) & ~np.bool_(tied), 0.0, 9.0)
    edges = Edges(a.astype(np.int32), b.astype(np.int32), weights, np.ones(15, np.int64), ("x",))
    wrappers = np.array(depth, float)
    clusters = dataclasses.replace(
        gather(np.zeros(6, np.int64), edges),
        wrappers=wrappers,
        private=wrappers.copy() if private is None else np.array(private, float),
    )
    shown = {f"s{i}": (layer, np.array(who, bool)) for i, (layer, who) in enumerate(signals)}
    doubts = np.array(doubted or [0] * 6, bool)
    return accuse(
        clusters.of(0), np.array(declared, bool), np.array(harvesting, bool),
        [piece(name, layer, 3.0) for name, (layer, _) in shown.items()], clusters,
        {name: Signal(who, np.ones(6, bool), 0.05, layer, doubted=doubts if lives else None) for name, (layer, who) in shown.items()},
        MemberSettings(), np.array(belonging, float), doubts, sure=sure, relay=relay,
    ).astype(int).tolist()  # fmt: skip


FOUR = ("time", [1, 1, 1, 1, 0, 0])


def test_a_life_in_doubt_needs_a_signal_beside_it():
    few = (2.5,) * 6
    assert accused_of_six([FOUR], depth=few) == [1] * 6
    assert accused_of_six([FOUR], [1, 0, 0, 0, 0, 1], depth=few) == [1, 1, 1, 1, 1, 0]


def test_a_claim_about_most_of_a_group_is_about_who_has_many_of_its_wrappers_too():
    doubted = [0, 0, 0, 0, 1, 1]
    deep = (2.5, 2.5, 2.5, 2.5, 3, 2.9)
    assert accused_of_six([FOUR], doubted, depth=deep) == [1, 1, 1, 1, 1, 0]
    assert accused_of_six([FOUR], doubted, depth=deep, sure=False) == [0] * 6
    assert accused_of_six([FOUR], doubted, depth=deep, belonging=(1, 1, 1, 1, 0.98, 1)) == [1, 1, 1, 1, 0, 0]
    known = (2.5, 2.5, 2.5, 2.5, 3, 2.1)
    assert accused_of_six([FOUR], doubted, depth=known, declared=(0, 0, 0, 0, 0, 1)) == [1, 1, 1, 1, 0, 0]


def test_a_claim_about_the_smaller_part_is_about_who_has_many_wrappers_or_shows_two_layers():
    two = ("time", [1, 1, 0, 0, 0, 0])
    doubted = [0, 0, 1, 1, 1, 1]
    assert accused_of_six([two], doubted, depth=(3, 3, 2.9, 2.9, 2.9, 2.9)) == [1, 1, 0, 0, 0, 0]
    few = (3, 2.9, 2.9, 2.9, 2.9, 2.9)
    assert accused_of_six([two], doubted, depth=few) == [1, 0, 0, 0, 0, 0]
    both = [two, ("account", [0, 1, 0, 0, 0, 0])]
    assert accused_of_six(both, doubted, depth=few) == [1, 1, 0, 0, 0, 0]


def test_the_groups_own_wrappers_make_a_member_of_one_that_keeps_no_company():
    """One member of six shows a signal, so nobody is tied to such members mostly; it takes the group's wrappers, in a claim that is sure, and a quarter of the group."""
    one = ("time", [1, 0, 0, 0, 0, 0])
    assert accused_of_six([one]) == [1] * 6
    assert accused_of_six([one], depth=(3, 3, 3, 3, 1, 0.7)) == [1, 1, 1, 1, 0, 0]
    assert accused_of_six([one], sure=False) == [0] * 6
    assert accused_of_six([one], declared=(0, 0, 0, 0, 0, 1)) == [0] * 6


def test_the_less_an_account_has_of_a_groups_wrappers_the_surer_it_must_belong():
    likely = (1, 1, 1, 0.9, 0.9, 0.7)
    assert accused_of_six([FOUR], belonging=likely) == [1, 1, 1, 1, 1, 0]
    assert accused_of_six([FOUR], belonging=likely, depth=(3, 3, 3, 1.3, 1.3, 3)) == [1, 1, 1, 0, 0, 0]


def test_who_shows_no_signal_needs_several_wrappers_and_more_than_a_declared_member():
    deep = (3, 3, 3, 3, 3, 1.9)
    assert accused_of_six([FOUR], depth=deep) == [1, 1, 1, 1, 1, 0]
    assert accused_of_six([FOUR], [1] * 6, depth=deep, relay=True) == [1] * 6
    declared = (1, 0, 0, 0, 0, 0)
    assert accused_of_six([FOUR], depth=(2, 3, 3, 3, 3.1, 2.9), declared=declared) == [0, 1, 1, 1, 1, 0]


def test_in_a_group_that_leads_one_life_wrappers_of_many_groups_tell_too():
    """The fifth member has too few of the group's wrappers, the sixth leads another life."""
    group = {"depth": (1, 1, 1, 1, 0.5, 1), "private": [0.1] * 6}
    nobody = ("time", [0] * 6)
    assert accused_of_six([nobody], [0, 0, 0, 0, 0, 1], **group) == [0] * 6
    assert accused_of_six([nobody], [0, 0, 0, 0, 0, 1], **group, lives=True) == [1, 1, 1, 1, 0, 0]
    assert accused_of_six([nobody], [0, 0, 1, 1, 1, 1], **group, lives=True) == [0] * 6
    assert accused_of_six([nobody], **group, lives=True, sure=False) == [0] * 6
    assert accused_of_six([nobody], **group, lives=True, declared=(1, 0, 0, 0, 0, 0)) == [0] * 6


def test_who_shows_no_signal_of_a_relay_keeps_company_or_leads_a_life_like_it():
    one = ("account", [1, 0, 0, 0, 0, 0])
    assert accused_of_six([one], [0, 0, 0, 0, 0, 1], relay=True) == [1] * 6
    alone = [("account", [1, 1, 1, 1, 1, 0])]
    assert accused_of_six(alone, [0, 0, 0, 0, 0, 1], relay=True, tied=False) == [1, 1, 1, 1, 1, 0]
    assert accused_of_six(alone, relay=True, tied=False) == [1] * 6


def test_who_asks_for_nothing_of_it_needs_signals_of_two_layers():
    idle = (1, 1, 1, 0, 0, 1)
    assert accused_of_six([FOUR], harvesting=idle) == [1, 1, 1, 0, 0, 1]
    assert accused_of_six([FOUR, ("account", [0, 0, 0, 1, 0, 0])], harvesting=idle) == [1, 1, 1, 1, 0, 1]


@pytest.mark.parametrize(
    ("claim", "speaks"), [("relay", ["handover", "address"]), ("distillation", ["address"])]
)
def test_where_a_relay_is_claimed_the_accounts_themselves_speak_for_their_membership(claim, speaks):
    said = [piece("handover", "account", 4.0), piece("address", "account", 2.0), piece("pivot", "time", 2.0)]
    found = Findings([said], {}, {}, frozenset({"handover"}))
    judged = dataclasses.replace(verdict(said), verdict=claim)
    heard = [e.detector for e in speaking(0, judged, found, JudgeSettings())]
    assert heard == ([*speaks, "pivot"] if claim == "distillation" else speaks)


FACTS_OF = {
    "popular client or product with a fixed prompt": {"likely": {"one_system": 0.95}},
    "one legal owner with many keys, or its CI fleet": {
        "likely": {"owner": 0.9},
        "possible": {"owner_known": 0},
    },
    "declared or licensed": {"likely": {"declared": ("reseller",), "declared_share": 0.8}},
    "evaluation harness on a public set": {"likely": {"items": 0.7}, "possible": {"items": 0.2}},
    "batch labeller or bot": {"likely": {"members": 1}},
    "class or hackathon": {
        "likely": {"programme": 0.9, "single": 0.4, "active_days": 6.0},
        "possible": {"single": 0.3, "active_days": 6.0},
    },
    "honest reseller": {"possible": {"users": 40.0}},
    "red team": {"likely": {"refused": 0.5, "verified": 0.9}, "possible": {"refused": 0.5}},
    "public VPN, campus or office network": {"likely": {}},
}


def test_every_explanation_is_tried_by_a_case_that_fits_it():
    assert {name for name, _ in EXPLANATIONS} == set(FACTS_OF)


@pytest.mark.parametrize("name", list(FACTS_OF))
def test_explanations_are_ruled_out_on_neutral_facts_and_reached_on_fitting_ones(name):
    quiet = fuse([piece("multiplicity", "content", 3.0), piece("pivot", "time", 3.0)], -4.0, S)
    neutral = {i.name: i for i in explain_away(Case(NEUTRAL, quiet, EVERYTHING))}
    assert neutral[name].verdict == "ruled-out", neutral[name].why
    weak = fuse(
        [piece("address", "account", 3.0)] if "VPN" in name else [piece("shared-wrapper", "content", 1.0)],
        -4.0,
        S,
    )
    for expected, changes in FACTS_OF[name].items():
        found = {
            i.name: i for i in explain_away(Case(dataclasses.replace(NEUTRAL, **changes), weak, EVERYTHING))
        }
        assert found[name].verdict == expected
        assert found[name].why


@pytest.mark.parametrize(
    ("more", "explained"),
    [
        ([], "likely"),
        ([piece("pivot", "time", 4.0)], "likely"),
        ([piece("elicitation", "content", 1.5)], "likely"),
        ([piece("pivot", "time", 4.0), piece("elicitation", "content", 1.5)], "ruled-out"),
        ([piece("payment", "account", 2.0)], "ruled-out"),
        ([piece("multiplicity", "content", 2.0)], "ruled-out"),
    ],
)
def test_a_products_network_explains_a_rhythm_and_no_more(more, explained):
    said = [piece("address", "account", 4.0), piece("synchrony", "time", 4.0), *more]
    found = {i.name: i.verdict for i in explain_away(Case(NEUTRAL, fuse(said, -4.0, S), EVERYTHING))}
    assert found["public VPN, campus or office network"] == explained


def test_users_of_the_same_template_are_told_from_members():
    members = np.arange(30, dtype=np.int32)
    shows = np.zeros((3, 30), bool)
    shows[:, :20] = np.random.default_rng(1).random((3, 20)) < 0.8
    signals = [Signal(row, np.ones(30, bool), 0.03) for row in shows]
    probability = belong(members, signals, np.zeros(30), MemberSettings())
    assert (probability[:20][shows[:, :20].sum(axis=0) >= 2] > 0.9).all()
    assert (probability[20:] < 0.2).all()


def test_what_is_not_known_of_an_account_does_not_count_against_it():
    members = np.arange(10, dtype=np.int32)
    shows, known = np.ones(10, bool), np.ones(10, bool)
    shows[9], known[9] = False, False
    unknown = belong(members, [Signal(shows, known, 0.05)], np.zeros(10), MemberSettings())[9]
    known[9] = True
    assert unknown > belong(members, [Signal(shows, known, 0.05)], np.zeros(10), MemberSettings())[9]


def test_only_words_that_all_texts_share_are_shown():
    frame = "You are a careful examiner of proofs. {} Write every step between <steps> and </steps> tags."
    wrapper = common_wrapper(
        [
            frame.format(p)
            for p in ("secret alpha payload one", "beta hidden two words", "third private gamma text")
        ],
        0.8,
    )
    shown = as_example(wrapper).text
    assert "careful examiner of proofs" in shown
    assert "<steps>" in shown
    for word in ("alpha", "payload", "beta", "hidden", "gamma", "private"):
        assert word not in shown
    assert [s.fixed for s in wrapper.segments] == [True, False, True]


def test_nothing_in_common_is_no_wrapper():
    assert common_wrapper(["one two three four", "five six seven eight"], 0.5) is None
    assert common_wrapper(["only one text here"], 1.0) is None


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("write to ann.bell@example.org now", "ann.bell@example.org"),
        ("see https://example.org/x?token=1", "example.org"),
        ("use sk-abcdefgh12345678 as key", "sk-abcdefgh12345678"),
        ("from 10.20.30.40 today", "10.20.30.40"),
        ("call +49 170 1234567 back", "1234567"),
        ("id 9f86d081884c7d659a2feaa0c55ad015", "9f86d081884c7d659a2feaa0c55ad015"),
    ],
)
def test_what_may_name_a_person_is_redacted(text, gone):
    assert gone not in redact(text)
