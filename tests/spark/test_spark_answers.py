"""What executors say of a bucket of whole accounts adds up to what the embedded engine finds in all exchanges."""

from dataclasses import fields, replace
from functools import partial
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from excise import pipeline
from excise.detect import DETECTORS, block_replay, echo, matching, multiplicity, prompt_novelty, synchrony
from excise.detect.run import find_ties, usable
from excise.engine.budget import Budget
from excise.engine.progress import Clock, Silence
from excise.ingest.source import open_traffic
from excise.judge import facts
from excise.judge.campaigns import life_of, subject_of
from excise.judge.decide import accused_of, name_harvest
from excise.model.ragged import Ragged
from excise.outcome import worth_telling
from excise.settings import Settings
from excise.spark.buckets import PLACE_SHIFT, Bucket, bare
from excise.spark.grouped import _lives
from excise.spark.members import EACH, SUMS, Grouping, Wanted, _harvest, _life, by_cluster, columns_of, only
from excise.spark.relations import parameters
from excise.spark.sharing import Fact

PARTS = 3


@pytest.fixture(scope="module")
def scanned(world, tmp_path_factory):
    """Traffic, clusters, findings with their harvest, and the exchanges that show a signal."""
    staging, settings = tmp_path_factory.mktemp("staging"), Settings()
    opened = open_traffic(str(world), staging=staging)
    gathered = pipeline.read(opened, settings, 1, Clock(Silence()), Budget(1 << 30, staging))
    traffic, _ = pipeline.sort(gathered, opened, settings, 1)
    detectors = usable(DETECTORS, traffic)
    clusters = pipeline.cluster(detectors, traffic, settings)
    findings, signals = pipeline.weigh(detectors, traffic, clusters, settings)
    assert accused_of(findings, len(traffic.accounts))[0].any()
    return traffic, clusters, name_harvest(traffic, clusters, signals, findings), signals


def taken(exchanges, rows):
    columns = {f.name: getattr(exchanges, f.name) for f in fields(exchanges)}
    return replace(
        exchanges, **{n: c.take(rows) if isinstance(c, Ragged) else c[rows] for n, c in columns.items()}
    )


def buckets(traffic):
    """Cut traffic into whole accounts: the position of the first row of each, its first account, and the bucket."""
    e, a = traffic.exchanges, traffic.accounts
    cuts = np.linspace(0, len(a), PARTS + 1).astype(int).tolist()
    for number, (low, high) in enumerate(pairwise(cuts)):
        rows = np.arange(a.starts[low], a.starts[high])
        some = taken(e, rows)
        exchanges = replace(some, account=(some.account - low).astype(np.int32))
        part = bare(exchanges, traffic.systems, a.hash[low:high], a.starts[low : high + 1] - a.starts[low])
        yield (
            rows,
            slice(low, high),
            Bucket((number << PLACE_SHIFT) + np.arange(len(rows)), part.accounts.hash, part),
        )


def each_part(traffic, clusters):
    for rows, who, bucket in buckets(traffic):
        held = clusters.matched[rows], clusters.wrapper[rows]
        yield rows, who, bucket, only(clusters.label[who], held, len(clusters))


@pytest.mark.parametrize("name", EACH)
def test_what_is_asked_of_accounts_is_the_same_of_whole_accounts(scanned, name):
    traffic, clusters = scanned[:2]
    whole = columns_of({name: EACH[name](traffic, clusters)})
    parts = [columns_of({name: EACH[name](b.traffic, mine)}) for *_, b, mine in each_part(traffic, clusters)]
    for column, values in whole.items():
        assert np.array_equal(np.concatenate([part[column] for part in parts]), values)


@pytest.mark.parametrize("name", SUMS)
def test_what_is_asked_of_clusters_adds_up(scanned, name):
    traffic, clusters = scanned[:2]
    parts = [SUMS[name](b.traffic, mine) for *_, b, mine in each_part(traffic, clusters)]
    for whole, *some in zip(SUMS[name](traffic, clusters), *parts, strict=True):
        assert whole.any()
        assert np.array_equal(whole, sum(some))


def test_hours_at_work_are_those_of_whole_accounts(scanned):
    traffic, clusters = scanned[:2]
    parts = [
        (account + who.start, hour)
        for _, who, b, mine in each_part(traffic, clusters)
        for account, hour in [synchrony.active_hours(b.traffic, mine)]
    ]
    for whole, some in zip(synchrony.active_hours(traffic, clusters), zip(*parts, strict=True), strict=True):
        assert np.array_equal(whole, np.concatenate(some))


def test_new_material_is_what_an_exchange_has_first(scanned):
    traffic, clusters = scanned[:2]
    e, rows = traffic.exchanges, clusters.wrapped_rows(traffic.exchanges)
    runs = int(parameters(prompt_novelty.DETECTOR, Settings())["fresh_runs"])
    key, first = prompt_novelty.first_holders(e, rows, clusters.label[e.account[rows]])
    assert len(np.unique(key)) == len(key)
    new = np.bincount(first, minlength=len(e))[rows] >= runs
    assert new.any()
    assert np.array_equal(new, prompt_novelty.novel(traffic, clusters, rows, runs))


def test_judging_needs_answers_and_coincidences_and_no_other_exchange(scanned):
    """What the driver of a cluster has; a detector that reads more of exchanges than it asks by a name differs here."""
    traffic, clusters, findings, _ = scanned
    chosen = {d.id: parameters(d, Settings()) for d in DETECTORS}
    pairs = multiplicity.coincidences(traffic, chosen["multiplicity"])
    runs = int(chosen["echo"]["runs"])
    giver, replayed = block_replay.foreign_replays(traffic)
    source, echoed = echo.echoes(traffic, runs=runs)
    rows = np.unique(np.concatenate([*pairs, replayed, echoed]))
    few = replace(traffic, exchanges=taken(traffic.exchanges, rows))
    few.learn(traffic)
    for name, places, other in (
        (multiplicity.coincidences_name(chosen["multiplicity"]), pairs, None),
        (block_replay.REPLAYS, (replayed,), giver),
        (echo.echoes_name(runs), (echoed,), source),
    ):
        Fact(name, places, (), other).tell(few, rows)
    fresh_runs = int(chosen["prompt-novelty"]["fresh_runs"])
    whole = {
        synchrony.HOURS: synchrony.active_hours,
        facts.SPANS: facts.spans,
        prompt_novelty.NEW: partial(prompt_novelty.count_new, fresh_runs=fresh_runs),
    }
    for name, answer in (EACH | SUMS | whole).items():
        few.know(name, answer(traffic, clusters))
    none = replace(clusters, matched=clusters.matched[:0], wrapper=clusters.wrapper[:0])
    again, _ = pipeline.weigh(usable(DETECTORS, few), few, none, Settings())
    for one, other in zip(findings, again, strict=True):
        assert one.judgement == other.judgement
        assert np.array_equal(one.belonging, other.belonging)
        assert np.array_equal(one.accused, other.accused)


def test_the_harvest_of_parts_is_the_harvest(scanned):
    traffic, clusters, findings, signals = scanned
    accused, asking = accused_of(findings, len(traffic.accounts))
    settings = Settings()
    ties = find_ties(usable(DETECTORS, traffic), traffic, settings.detect)
    _, knowing = pipeline.join(ties, traffic, settings)
    tokens = matching.cluster_tokens(
        knowing.habits, clusters, parameters(pipeline.shared_wrapper.DETECTOR, settings)["share_inside"]
    )
    mine = np.flatnonzero(clusters.label >= 0)
    group = Grouping(traffic.accounts.hash[mine], clusters.label[mine], by_cluster(tokens, len(clusters)))
    named, telling = [], np.unique(np.concatenate(list(signals.values())))
    for rows, _, bucket in buckets(traffic):
        places = bucket.places[np.isin(rows, telling)]
        wanted = Wanted(group, accused[mine], asking[mine], np.zeros(len(mine), np.int32), places)
        codes, positions = group.find(bucket)
        found = accused[mine][positions]
        named += _harvest(bucket, wanted, codes[found], positions[found])["row"].to_pylist()
    harvest = np.sort(np.concatenate([f.harvest for f in findings]))
    assert len(harvest)
    assert named == traffic.exchanges.row[harvest].tolist()


def test_lives_of_parts_make_the_life_of_a_group(scanned):
    traffic, _, findings, _ = scanned
    told = worth_telling(findings)
    parts = []
    for _, who, bucket in buckets(traffic):
        for k, finding in enumerate(told):
            subject = subject_of(finding)
            inside = subject[(subject >= who.start) & (subject < who.stop)] - who.start
            parts += [_life(bucket, k, inside)] if len(inside) else []
    for finding, life in zip(told, _lives([pa.concat_tables(parts)], len(told)), strict=True):
        whole = life_of(traffic, subject_of(finding))
        assert (life.first, life.last) == (whole.first, whole.last)
        assert np.array_equal(life.exchanges, whole.exchanges)
        assert np.array_equal(life.active, whole.active)


@pytest.mark.parametrize("size", [1, 2, 3, 9, 10, 11, 12, 100])
def test_tenths_are_quantiles(size):
    at = np.sort(np.random.default_rng(size).integers(0, 10**15, size))
    known = {p: int(at[p]) for low in facts.tenths(size) for p in (int(low), min(int(low) + 1, size - 1))}
    exact = np.ptp(np.quantile(at, (0.1, 0.9))) / (24 * facts.HOUR)
    assert facts.days_between(known, size) == facts.days_between(at, size) == pytest.approx(exact)


def test_an_answer_that_is_known_is_not_derived_and_another_is_not_kept(scanned):
    traffic = replace(scanned[0])
    assert [traffic.ask("clusters", lambda k=k: k) for k in (1, 2)] == [1, 2]
    traffic.know("clusters", 3)
    assert traffic.ask("clusters", lambda: 4) == 3
