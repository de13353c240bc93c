"""The embedded engine reads no further ahead than it must, and stops when its reader does."""

import threading

import pytest

from excise.engine.embedded import map_ordered


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_few_items_are_read_ahead(threads):
    taken = []

    def items():
        for i in range(100):
            taken.append(i)
            yield i

    for done, value in enumerate(map_ordered(lambda x: x, items(), threads=threads), 1):
        assert value == done - 1
        assert len(taken) <= done + threads + 1


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_no_more_kernels_run_at_once_than_threads(threads):
    lock, now, most = threading.Lock(), 0, 0

    def kernel(x):
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        threading.Event().wait(0.002)
        with lock:
            now -= 1
        return x

    assert list(map_ordered(kernel, range(30), threads=threads)) == list(range(30))
    assert most <= threads


@pytest.mark.parametrize("threads", [1, 3])
def test_a_reader_that_stops_stops_the_work(threads):
    begun = []
    results = map_ordered(lambda x: begun.append(x) or x, range(10_000), threads=threads)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    results.close()
    assert len(begun) <= 3 + 2 * threads + 1
    assert not [t for t in threading.enumerate() if t.name.startswith("excise") and t.is_alive()]


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_of_the_source_comes_through(threads):
    def items():
        yield from range(5)
        raise OSError("gone")

    found = []
    with pytest.raises(OSError, match="gone"):
        found.extend(map_ordered(lambda x: x, items(), threads=threads))
    assert found == list(range(len(found)))


@pytest.mark.parametrize("threads", [1, 3])
def test_nothing_gives_nothing(threads):
    assert list(map_ordered(lambda x: x, [], threads=threads)) == []
