"""The registry's contract, and for each detector a scene in which it must speak and its innocent twin, in which it must not."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import scene
from excise.detect import DETECTORS
from excise.detect.run import measure
from excise.model.findings import LAYERS
from excise.sketch.available import NEEDS
from scene import DAY, HOUR, RELEASE, base, evidence, names_of_planted, of, text, traffic_of

BY_ID = {d.id: d for d in DETECTORS}
SOURCE = Path(__import__("excise.detect").detect.__file__).parent


def test_ids_are_unique_and_name_their_files():
    assert len(BY_ID) == len(DETECTORS)
    for detector in DETECTORS:
        assert (SOURCE / f"{detector.id.replace('-', '_')}.py").is_file()


@pytest.mark.parametrize("detector", DETECTORS, ids=list(BY_ID))
def test_a_detector_says_what_it_is(detector):
    assert detector.layer in LAYERS
    assert detector.question.endswith("?")
    assert len(detector.innocent) > 20
    assert detector.source
    assert detector.needs <= set(NEEDS)
    assert all(p.unit and p.source for p in detector.parameters.values())
    assert (detector.measure is not None) != bool(detector.marks and detector.statement)
    if detector.statement:
        said = detector.statement.format(share="40%", baseline="2%")
        assert "40%" in said
        assert "2%" in said


FRAME = text(np.random.default_rng(99), 30)
"""Words enough to leave several sampled shingles."""
FRAME_OF = {name[:3]: text(np.random.default_rng(i), 30) for i, name in enumerate(scene.everyone())}


def accounts(**columns):
    """One line an account; a value is a function of the account's name and of whether it is planted."""
    return [
        {"account_id": name, **{k: v(name, name.startswith("p")) for k, v in columns.items()}}
        for name in scene.everyone()
    ]


def number_of(name):
    """A number of an account that is the same in every run."""
    return sum(ord(c) * 31**i for i, c in enumerate(name))


def own(name, planted):
    return name


def one_card(name, planted):
    return "card" if planted else name


def payment(owner):
    return base(), accounts(payment_fp=one_card, owner_id=owner)


def one_owner(name, planted):
    return "firm" if planted else name


def domain(owner):
    return base(), accounts(email_domain=one_card, owner_id=owner)


def address(holders):
    rows = base()
    for r in rows:
        r["client_ip"] = f"10.{number_of(r['account_id']) % 200}.{int(r['exchange_id'][1:]) % 200}.5"
    for r in of(rows, names_of_planted()):
        r["client_ip"] = "100.64.7." + str(5 + int(r["account_id"][1:]))
    if holders == "hub":
        for r in rows[::3]:
            r["client_ip"] = "100.64.7.200"
    return rows, ()


def multiplicity(days):
    rows, rng = base(), np.random.default_rng(5)
    for _ in range(6):
        shared, at = text(rng), int(rng.integers(2, 15)) * DAY + scene.START
        for i, name in enumerate(rng.permutation(names_of_planted())):
            rows.append(
                {
                    **rows[0],
                    "exchange_id": f"m{len(rows)}",
                    "account_id": str(name),
                    "user_text": shared,
                    "started_at": at + i * (days * DAY // 12 if days else HOUR // 3),
                }
            )
    return rows, ()


def echo(told_to):
    rows = base()
    planted = names_of_planted()
    for i, name in enumerate(planted):
        mine, theirs = of(rows, [name]), of(rows, [planted[(i + 1) % len(planted)]])
        for a, b in zip(mine[:5], theirs[-5:], strict=True):
            a["started_at"], b["started_at"] = scene.START + HOUR, scene.START + 19 * DAY
            b["user_text"] = "please tidy this text for me now " + a["output_text"]
            if told_to == "many":
                rows[0 if name != "g00a0" else 20]["output_text"] = a["output_text"]
                rows.append(
                    {
                        **rows[0],
                        "exchange_id": f"e{len(rows)}",
                        "account_id": "g39a1",
                        "output_text": a["output_text"],
                    }
                )
    return rows, ()


def handover(kind):
    rows = base()
    planted = of(rows, names_of_planted())
    for i, r in enumerate(planted):
        r["session_id"] = f"shared{i % 30}" if kind == "pool" else r["session_id"]
    return rows, accounts(owner_id=one_owner) if kind == "firm" else ()


def pivot(everybody):
    rows = base(each=14)
    for r in rows:
        if (r["account_id"].startswith("p") or everybody) and r["started_at"] > RELEASE:
            r["model"] = "new"
    return rows, (), [{"at": RELEASE, "kind": "model_release", "subject": "new"}]


def even_pace(by):
    rows, rng = base(), np.random.default_rng(9)
    first, rows = rows[0], [r for r in rows if not r["account_id"].startswith("p")]
    for name in names_of_planted():
        for i in range(40):
            jitter = rng.normal(0, 0.05) if by == "scheduler" else rng.exponential(6)
            rows.append(
                {
                    **first,
                    "exchange_id": f"f{len(rows)}",
                    "account_id": name,
                    "user_text": text(rng),
                    "started_at": scene.START
                    + int((i * 0.4 + jitter / (1 if by == "scheduler" else 2)) * DAY),
                }
            )
    return rows, ()


def together(same_days):
    rows, rng = base(), np.random.default_rng(13)
    hours = rng.integers(0, 18 * 24, 25)
    for name in names_of_planted():
        for at in hours if same_days else rng.integers(0, 18 * 24, 25):
            rows.append(
                {
                    **rows[0],
                    "exchange_id": f"t{len(rows)}",
                    "account_id": name,
                    "started_at": scene.START + int(at) * HOUR + int(rng.integers(0, HOUR)),
                    "user_text": f"{FRAME} {text(rng)}",
                }
            )
    return rows, ()


def displaced(after):
    rows, rng = base(), np.random.default_rng(15)
    stop = scene.START + 9 * DAY
    for i, name in enumerate(names_of_planted()):
        begin = (
            scene.START + int(rng.integers(0, 2 * DAY))
            if i < 6
            else stop + (i * HOUR // 2 if after == "hours" else i * DAY)
        )
        rows = [r for r in rows if r["account_id"] != name]
        rows += [
            {
                "exchange_id": f"d{name}{j}",
                "account_id": name,
                "model": "old",
                "n_messages": 1,
                "started_at": begin + j * HOUR,
                "user_text": f"{FRAME} {text(rng)}",
                "output_text": text(rng),
            }
            for j in range(12)
        ]
    return (
        rows,
        (),
        [
            {"at": stop, "kind": "suspension", "subject": "p00"},
            {"at": stop + HOUR, "kind": "suspension", "subject": "p01"},
        ],
    )


def replay(how):
    rows = base()
    planted = names_of_planted()
    for i, name in enumerate(planted):
        mine, theirs = of(rows, [name])[:3], of(rows, [planted[(i + 1) % len(planted)]])[3:6]
        for a, b in zip(mine, theirs, strict=True):
            a["emitted_blocks"], b["replayed_blocks"] = (
                [f"block{a['exchange_id']}"],
                [f"block{a['exchange_id']}"],
            )
            if how == "session":
                b["session_id"] = a["session_id"]
    return rows, accounts(owner_id=one_owner) if how == "owner" else ()


def relayed(constant):
    rows = base()
    for r in of(rows, names_of_planted()):
        r["device_id"] = "d_6d80b607905bb422" if constant else f"d_{r['account_id']}"
    return rows, ()


def wrapped(private):
    """Planted: three private wrappers each. Its twin: one template that other groups use as well."""
    rows, rng = base(), np.random.default_rng(17)
    frames = [text(rng, 30) for _ in range(3)] if private else [text(rng, 30)]
    users = names_of_planted() + (
        [] if private else [f"g{g:02d}a{i}" for g in range(30) for i in range(SIZE_SHARED)]
    )
    for name in users:
        rows += [
            {
                **rows[0],
                "exchange_id": f"w{len(rows) + j}",
                "account_id": name,
                "user_text": f"{frames[j % len(frames)]} {text(rng)}",
            }
            for j in range(15)
        ]
    for g in range(30):  # ordinary groups have a template of their own
        frame = text(rng, 30)
        for i in range(5):
            rows += [
                {
                    **rows[0],
                    "exchange_id": f"o{len(rows) + j}",
                    "account_id": f"g{g:02d}a{i}",
                    "user_text": f"{frame} {text(rng)}",
                }
                for j in range(5)
            ]
    return rows, ()


SIZE_SHARED = 2


def asked(harvest):
    rows, rng = base(), np.random.default_rng(19)
    for account in scene.everyone():
        frame = (
            f"{FRAME} explain your reasoning step by step before the final answer"
            if account.startswith("p") and harvest
            else FRAME_OF[account[:3]]
        )
        rows += [
            {
                **rows[0],
                "exchange_id": f"q{len(rows) + j}",
                "account_id": account,
                "user_text": f"{frame} {text(rng)}",
            }
            for j in range(8)
        ]
    return rows, ()


def unread(single):
    rows, rng = base(), np.random.default_rng(21)
    for account in scene.everyone():
        turns = 1 if account.startswith("p") and single else 3
        rows += [
            {
                **rows[0],
                "exchange_id": f"u{len(rows) + j}",
                "account_id": account,
                "n_messages": 1 + 2 * (j % turns),
                "user_text": f"{FRAME if account.startswith('p') else FRAME_OF[account[:3]]} {text(rng)}",
            }
            for j in range(9)
        ]
    return rows, ()


def one_client(rare):
    rows = base()
    for r in rows:
        mine = (
            "odd/0.1"
            if r["account_id"].startswith("p") and rare
            else f"common/{number_of(r['account_id']) % 3}"
        )
        r["user_agent"], r["temperature"] = mine, 0.31 if mine.startswith("odd") else 1.0
    return rows, ()


def worked_off(once):
    """Planted: ever new payloads in a frame. Its twin: the same few payloads again, with a number that changes."""
    rows, rng = base(), np.random.default_rng(23)
    for account in scene.everyone():
        mine = [text(rng, 40) for _ in range(3)]
        for j in range(9):
            new = account.startswith("p") and once
            payload = text(rng, 40) if new else f"{mine[j % 3]} {j}"
            frame = FRAME if account.startswith("p") else FRAME_OF[account[:3]]
            rows.append(
                {
                    **rows[0],
                    "exchange_id": f"n{len(rows)}",
                    "account_id": account,
                    "started_at": scene.START + DAY + j * HOUR,
                    "user_text": f"{frame} {payload}",
                }
            )
    return rows, ()


def agent_client(false_header):
    """Everybody names an agent's client and sends tools and follow-ups; the planted group does so or only says so."""
    rows = base()
    for i, r in enumerate(rows):
        quiet = r["account_id"].startswith("p") and false_header
        r["user_agent"] = f"agent/{number_of(r['account_id']) % 2}"
        if not quiet:
            r["tools_json"], r["n_messages"] = '[{"name": "read"}]', 1 + i % 3
    return rows, ()


def opened(together):
    def created(name, planted):
        number = int(name[1:3]) * 7 + int(name[-1]) * 3
        return scene.START - (
            30 * DAY + int(name[1:]) * HOUR if planted and together else 20 * DAY + number % 300 * 2 * DAY
        )

    return base(), accounts(created_at=created)


def two_personas(together):
    """The planted accounts and a small group that has two of their three frames: opened and at work in the same days. Its twin: in days of its own."""
    rows, rng = [r for r in base() if not r["account_id"].startswith(("p", "g00"))], np.random.default_rng(37)
    frames = [text(rng, 30) for _ in range(4)]
    personas = {"p": (frames[:3], 8), "g": (frames[1:], 8 if together else 14)}
    members = [n for n in scene.everyone() if n.startswith(("p", "g00"))]
    for name in members:
        mine, begin = personas[name[0]]
        for j, at in enumerate(rng.integers(begin * 24, (begin + 2) * 24, 12)):
            rows.append(
                {
                    **rows[0],
                    "exchange_id": f"k{len(rows)}",
                    "account_id": name,
                    "started_at": scene.START + int(at) * HOUR,
                    "user_text": f"{mine[j % 3]} explain your reasoning step by step before the final answer {text(rng)}",
                }
            )

    def created(name, planted):
        same = name in members and (together or planted)
        return scene.START - (200 * DAY + number_of(name) % (20 if same else 900) * 8 * DAY)

    return rows, accounts(created_at=created)


def one_life(together):
    """Planted: opened weeks apart and at work in the same days of twenty. Its twin: each in days of its own."""
    rows, rng = base(), np.random.default_rng(31)
    planted = names_of_planted()
    for i, name in enumerate(planted):
        begin = 8 if together else 1 + 17 * i // len(planted)
        for at in rng.integers(begin * 24, (begin + 3) * 24, 9):
            rows.append(
                {
                    **rows[0],
                    "exchange_id": f"l{len(rows)}",
                    "account_id": name,
                    "started_at": scene.START + int(at) * HOUR,
                    "user_text": f"{FRAME} {text(rng)}",
                }
            )
    rows = [r for r in rows if r["account_id"] not in planted or r["exchange_id"].startswith("l")]

    def created(name, planted):
        return scene.START - (200 * DAY + number_of(name) % (20 if planted and together else 900) * 8 * DAY)

    return rows, accounts(created_at=created)


SCENES = {
    "signup": (lambda: opened(True), lambda: opened(False)),
    "payment": (lambda: payment(own), lambda: payment(one_owner)),
    "mail-domain": (lambda: domain(own), lambda: domain(one_owner)),
    "address": (lambda: address("few"), lambda: address("hub")),
    "multiplicity": (lambda: multiplicity(0), lambda: multiplicity(10)),
    "echo": (lambda: echo("one"), lambda: echo("many")),
    "handover": (lambda: handover("pool"), lambda: handover("none")),
    "pivot": (lambda: pivot(False), lambda: pivot(True)),
    "flat-rhythm": (lambda: even_pace("scheduler"), lambda: even_pace("chance")),
    "synchrony": (lambda: together(True), lambda: together(False)),
    "lifecycle": (lambda: one_life(True), lambda: one_life(False)),
    "kindred": (lambda: two_personas(True), lambda: two_personas(False)),
    "displacement": (lambda: displaced("hours"), lambda: displaced("days")),
    "block-replay": (lambda: replay("foreign"), lambda: replay("owner")),
    "relay-signature": (lambda: relayed(True), lambda: relayed(False)),
    "shared-wrapper": (lambda: wrapped(True), lambda: wrapped(False)),
    "elicitation": (lambda: asked(True), lambda: asked(False)),
    "no-consumer": (lambda: unread(True), lambda: unread(False)),
    "client": (lambda: one_client(True), lambda: one_client(False)),
    "prompt-novelty": (lambda: worked_off(True), lambda: worked_off(False)),
    "header-contradiction": (lambda: agent_client(True), lambda: agent_client(False)),
}
LOW = {
    "shared-wrapper": 0.7,
    "no-consumer": 0.3,
    "prompt-novelty": 0.3,
    "kindred": 0.6,
    "synchrony": 0.5,
    "client": 1.0,
    "mail-domain": 0.8,
    "signup": 1.0,
    "address": 1.0,
    "displacement": 1.0,
}


def test_every_detector_has_a_scene():
    assert set(SCENES) == set(BY_ID)


@pytest.mark.parametrize("name", list(SCENES))
def test_a_detector_speaks_in_its_scene(name):
    found, others = evidence(BY_ID[name], traffic_of(*SCENES[name][0]()))
    assert found is not None
    assert found.log_odds > LOW.get(name, 1.4)
    assert found.statement
    assert others <= 2


@pytest.mark.parametrize("name", list(SCENES))
def test_a_detector_is_silent_on_the_innocent_twin(name):
    found, _ = evidence(BY_ID[name], traffic_of(*SCENES[name][1]()))
    assert found is None or found.log_odds < 1.0


def test_who_only_sends_answers_back_is_not_marked():
    """All but the first send back what the first was told, and nobody what they were told."""
    rows, detector = base(), BY_ID["echo"]
    first, *rest = names_of_planted()
    told = of(rows, [first])
    for name in rest:
        for a, b in zip(told[:5], of(rows, [name])[-5:], strict=True):
            a["started_at"], b["started_at"] = scene.START + HOUR, scene.START + 19 * DAY
            b["user_text"] = "please tidy this text for me now " + a["output_text"]
    traffic = traffic_of(rows, ())
    marks = detector.marks(traffic, scene.clusters_of(detector, traffic), detector.settings({}))
    assert traffic.accounts.name[marks.shows].tolist() == [first]


@pytest.mark.parametrize("harvest", [True, False])
def test_a_group_without_a_wrapper_is_judged_by_all_that_it_asks(harvest):
    traffic = traffic_of(*asked(harvest))
    detector = BY_ID["elicitation"]
    clusters = scene.clusters_of(detector, traffic)
    bare = dataclasses.replace(clusters, matched=np.zeros_like(clusters.matched))
    found = measure([detector], traffic, bare, {}, {})[bare.label[list(traffic.accounts.name).index("p00")]]
    assert any(" the requests are" in e.statement for e in found) == harvest


def test_a_new_version_of_a_client_contradicts_nothing():
    rows, _ = agent_client(False)
    for r in of(rows, names_of_planted()):
        r["user_agent"], r["tools_json"], r["n_messages"] = "agent/next", None, 1
    found, _ = evidence(BY_ID["header-contradiction"], traffic_of(rows))
    assert found is None


def test_a_session_that_changes_accounts_takes_its_blocks_along():
    found, _ = evidence(BY_ID["block-replay"], traffic_of(*replay("session")))
    assert found is None


def in_one_period(opened):
    """The planted accounts work at random hours of the same four days of twenty; `opened`: days between their openings."""
    rows, rng = base(), np.random.default_rng(14)
    for name in names_of_planted():
        for at in rng.integers(8 * 24, 12 * 24 + 12, 12):
            rows.append(
                {
                    **rows[0],
                    "exchange_id": f"u{len(rows)}",
                    "account_id": name,
                    "started_at": scene.START + int(at) * HOUR + int(rng.integers(0, HOUR)),
                    "user_text": f"{FRAME} {text(rng)}",
                }
            )
    created = {n: scene.START - 100 * DAY + i * opened * DAY for i, n in enumerate(names_of_planted())}
    return traffic_of(rows, [{"account_id": n, "created_at": at} for n, at in created.items()])


def test_a_common_period_is_no_second_finding_of_accounts_opened_together():
    apart, _ = evidence(BY_ID["synchrony"], in_one_period(8))
    together, _ = evidence(BY_ID["synchrony"], in_one_period(0))
    assert apart.log_odds > 1
    assert together is None or together.log_odds < apart.log_odds
    assert evidence(BY_ID["signup"], in_one_period(0))[0].log_odds > 1


def test_a_life_is_no_second_finding_of_accounts_opened_together():
    rows, lines = one_life(True)
    cohort = [
        {**line, "created_at": scene.START - 50 * DAY} if line["account_id"] in names_of_planted() else line
        for line in lines
    ]
    assert evidence(BY_ID["lifecycle"], traffic_of(rows, cohort))[0] is None
    assert evidence(BY_ID["signup"], traffic_of(rows, cohort))[0].log_odds > 1


def test_a_member_that_leads_a_strangers_life_is_denied():
    rows, lines = one_life(True)
    stray = names_of_planted()[0]
    for r in of(rows, [stray]):
        r["started_at"] += (6 if int(r["exchange_id"][1:]) % 2 else -6) * DAY
    lines = [
        {**line, "created_at": scene.START - 3000 * DAY} if line["account_id"] == stray else line
        for line in lines
    ]
    traffic = traffic_of(rows, lines)
    detector = BY_ID["lifecycle"]
    clusters = scene.clusters_of(detector, traffic)
    marks = detector.marks(traffic, clusters, detector.settings({}))
    names = list(traffic.accounts.name)
    assert marks.denied[names.index(stray)]
    assert sum(marks.denied[names.index(n)] for n in names_of_planted()) <= 2


def test_who_lives_somewhat_apart_is_doubted_before_he_is_denied():
    rows, lines = one_life(True)
    traffic, detector = traffic_of(rows, lines), BY_ID["lifecycle"]
    clusters = scene.clusters_of(detector, traffic)
    marks = detector.marks(
        traffic, clusters, detector.settings({"fellow": 0.75, "stranger": 0.4, "apart": 1})
    )
    assert marks.doubted.any()
    assert not (marks.doubted & marks.shows).any()
    strict = detector.marks(traffic, clusters, detector.settings({"fellow": 0.75, "stranger": 0.75}))
    assert (strict.denied == strict.doubted).all()


def test_a_group_is_kindred_to_another_of_three_and_more_only():
    rows, lines = two_personas(True)
    pair = {"g00a0", "g00a1"}
    rows = [r for r in rows if not r["account_id"].startswith("g00") or r["account_id"] in pair]
    assert evidence(BY_ID["kindred"], traffic_of(rows, lines))[0] is None


def test_a_group_with_no_wrapper_of_its_own_is_kindred_to_none():
    traffic, kindred = traffic_of(*two_personas(True)), BY_ID["kindred"]
    clusters = scene.clusters_of(kindred, traffic)
    p = kindred.settings({})
    assert any(kindred.measure(traffic, clusters, p))
    bare = dataclasses.replace(clusters, private=np.zeros(len(clusters.label)))
    assert not any(kindred.measure(traffic, bare, p))


def test_one_owners_groups_are_not_kindred():
    rows, lines = two_personas(True)
    owned = [{**line, "owner_id": "one"} if line["account_id"][0] == "p" or line["account_id"].startswith("g00") else line for line in lines]  # fmt: skip
    assert evidence(BY_ID["kindred"], traffic_of(rows, owned))[0] is None


def test_what_no_account_tells_denies_nobody():
    rows, _ = one_life(True)
    bare = traffic_of([{**r, "started_at": scene.START} for r in rows])
    detector = BY_ID["lifecycle"]
    marks = detector.marks(
        bare, scene.clusters_of(detector, bare), detector.settings({"stranger": 0.45, "apart": 1.0})
    )
    assert not marks.denied.any()
