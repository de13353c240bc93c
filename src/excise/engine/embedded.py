"""The embedded engine: maps a kernel over batches on a few threads of this process.

The kernels release the interpreter's lock, so threads are enough; results come back in the order of the batches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Other = TypeVar("Other")


def map_ordered(
    kernel: Callable[[Item], Result], items: Iterable[Item], *, threads: int, ahead: int = 1
) -> Iterator[Result]:
    """Yield `kernel(item)` for each item, in order, with at most `threads` + `ahead` items in flight or waiting to be yielded.

    The first error of a kernel is raised here, after the items in flight have ended.
    """
    if threads <= 1:
        yield from map(kernel, items)
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="excise") as pool:
        pending: deque[Future[Result]] = deque()
        try:
            for item in items:
                pending.append(pool.submit(kernel, item))
                if len(pending) >= threads + ahead:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def together(
    first: Callable[[], Result], second: Callable[[], Other], *, threads: int
) -> tuple[Result, Other]:
    """Return what two pieces of work give that know nothing of each other, done at once where there is a second thread."""
    if threads <= 1:
        return first(), second()
    with ThreadPoolExecutor(1, thread_name_prefix="excise") as pool:
        other = pool.submit(second)
        return first(), other.result()
