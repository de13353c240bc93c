"""Notes of files that did not change, kept between runs in a file that the user names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from excise.inspect.tree import Source

if TYPE_CHECKING:
    from excise.inspect.run import FileNotes


class Cache:
    """No memory: every file is read anew."""

    def get(self, source: Source) -> FileNotes | None:
        """The notes of the same content under the same path, if they are known."""
        return None

    def kept(self, results: Iterable[FileNotes]) -> Iterator[FileNotes]:
        """Pass `results` on, remembering them."""
        return iter(results)
