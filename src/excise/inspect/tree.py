"""The tree as values: what was listed, and the content of one file. Nothing here touches the disk."""

from __future__ import annotations

import ast
import hashlib
import warnings
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import Literal

Kind = Literal["file", "link", "special"]
"""A regular file; a symbolic link (never followed: `Entry.target` is its text); a device, socket or pipe."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One name of the tree: its path below the root with `/`, size in bytes, permission bits, and a link's target."""

    path: str
    kind: Kind
    size: int = 0
    mode: int = 0
    target: str = ""


class Unparsable(Exception):
    """Python text that has no syntax tree. The message says why, in words of ours."""


@dataclass(frozen=True)
class Source:
    """The content of one file, read once.

    `text` replaces what is not UTF-8 (or what a Python coding line names) by U+FFFD; `syntax` raises `Unparsable`.
    """

    path: str
    data: bytes = field(repr=False)
    mode: int = 0
    size: int = -1
    """Bytes of the file on disk: more than `len(data)` where an analyser asked for the head alone."""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return PurePosixPath(self.path).name

    @cached_property
    def key(self) -> str:
        """SHA-256 of the content."""
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def text(self) -> str:
        """The content as text, line ends unified to a line feed."""
        text = self.data.decode("utf-8-sig", "replace")
        return text.replace("\r\n", "\n").replace("\r", "\n")

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """The lines of `text`, without their ends; line n is `lines[n - 1]`."""
        return tuple(self.text.split("\n"))

    @cached_property
    def syntax(self) -> ast.Module:
        """The syntax tree of Python text. Raises `Unparsable`; a text that nests too deeply for the parser is one too."""
        if "\0" in self.text:
            raise Unparsable("holds NUL bytes")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse(self.text)
        except SyntaxError as error:
            raise Unparsable(f"line {error.lineno or 0}: no Python of this version") from None
        except (ValueError, RecursionError, MemoryError) as error:
            raise Unparsable(type(error).__name__) from None

    def line(self, number: int) -> str:
        """Line `number` (from 1), empty beyond the end."""
        return self.lines[number - 1] if 0 < number <= len(self.lines) else ""
