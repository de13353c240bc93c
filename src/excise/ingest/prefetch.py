"""Run a generator in a thread of its own, a few items ahead of the one who reads."""

from __future__ import annotations

import threading
from queue import Full, Queue
from typing import TYPE_CHECKING, Final, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

T = TypeVar("T")
_END: Final = object()
_POLL_SECONDS: Final = 0.1


def prefetched(source: Generator[T, None, None], depth: int) -> Iterator[T]:
    """The items of `source`, in order, decoded up to `depth` ahead; its error is raised at its place.

    The thread ends when the source does, or when the caller closes or drops the generator.
    """
    queue: Queue[object] = Queue(depth)
    stop = threading.Event()
    failure: list[BaseException] = []
    thread = threading.Thread(
        target=_work, args=(source, queue, stop, failure), name="excise-decode", daemon=True
    )
    thread.start()
    try:
        while (item := queue.get()) is not _END:
            yield cast("T", item)
        if failure:
            raise failure[0]
    finally:
        stop.set()
        thread.join()


def _work(
    source: Generator[T, None, None],
    queue: Queue[object],
    stop: threading.Event,
    failure: list[BaseException],
) -> None:
    try:
        for item in source:
            if not _put(item, queue, stop):
                return
    except BaseException as error:  # noqa: BLE001  handed to the reader, which raises it
        failure.append(error)
    finally:
        source.close()
        _put(_END, queue, stop)


def _put(item: object, queue: Queue[object], stop: threading.Event) -> bool:
    while not stop.is_set():
        try:
            queue.put(item, timeout=_POLL_SECONDS)
        except Full:
            continue
        return True
    return False
