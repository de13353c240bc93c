"""What the page on speed says of what was measured."""

import pytest

import costs
import page
import speed


def size(rows, cpu, floor):
    stages = ({"name": "sketching", "seconds": 1.0, "cpu_seconds": cpu, "peak_bytes": 1 << 20},)
    return speed.Size(rows, [costs.Cost(cpu / 2, cpu, 1 << 30, "", stages)], {"decode": floor})


def test_cost_in_proportion_to_the_rows_has_the_exponent_one():
    assert speed.growth([size(1_000, 2.0, 1.0), size(8_000, 16.0, 8.0)]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("best", "verdict", "limit"),
    [(100.0, "met", "a bar of 10 is within"), (4_000.0, "missed", "no scan that reads")],
)
def test_a_bar_above_the_floor_is_said_to_be(best, verdict, limit):
    """8,000 rows in 4 CPU seconds, 2 of them the floor: 2,000 a second, 4,000 at most."""
    cost = costs.Cost(1.0, 1.0, 1)
    said = speed.bars([size(1_000, 0.5, 0.2), size(8_000, 4.0, 2.0)], cost, [cost], best)
    line = next(x for x in said.splitlines() if "best peer" in x)
    assert verdict in line
    assert limit in said
    assert "| share of the floor in a scan | 50% | at least 40% | met |" in said


def test_a_new_run_keeps_what_was_measured_of_large_worlds(tmp_path):
    path = tmp_path / "speed.md"
    path.write_text("# Old\n\nold text\n")
    page.write_section(path, "Sizes", "old sizes")
    page.write_section(path, "Large, --memory 3GiB", "32 million")
    assert speed.begin_again(path) == "## Large, --memory 3GiB\n\n32 million\n"
    assert path.read_text() == "# What a scan costs\n"


def test_a_spread_names_the_median_and_the_ends():
    assert costs.spread([1.0, 3.0, 2.0]) == "2.0 (1.0 to 3.0)"
    assert costs.spread([1.0]) == "1.0"


def test_a_command_that_fails_says_its_last_line():
    with pytest.raises(costs.Failed, match="no module"):
        costs.measured(["python3", "-c", "import sys; sys.exit('no module')"])
