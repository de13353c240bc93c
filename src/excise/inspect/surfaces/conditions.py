"""Whether a workflow's condition lets only known people through: on every way in which it can be true.

`a || b` is a gate if both are, `a && b` if one is. An event that no stranger can cause is a gate too; anything that is
not understood is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

_TOKEN: Final = re.compile(r"'(?:[^']|'')*'|\|\||&&|[()]|[^'|&()]+|.", re.DOTALL)
DEEPEST = 40
LONGEST = 5_000


def holds_on_every_way(condition: str, gate: Callable[[str], bool]) -> bool:
    """Whether every way in which `condition` is true has a part that `gate` accepts; an empty condition has none."""
    text = condition.strip().removeprefix("${{").removesuffix("}}")
    if not text.strip() or len(text) > LONGEST:
        return False
    reader = _Reader(_TOKEN.findall(text), gate)
    return reader.either(0) and not reader.left


class _Reader:
    """Recursive descent over the tokens; each method says whether what it read is a gate."""

    def __init__(self, tokens: list[str], gate: Callable[[str], bool]) -> None:
        self.left = tokens[::-1]
        self.gate = gate

    def either(self, level: int) -> bool:
        if level > DEEPEST:
            return False
        found = [self.both(level)]
        while self._take("||"):
            found.append(self.both(level))
        return all(found)

    def both(self, level: int) -> bool:
        found = [self.part(level)]
        while self._take("&&"):
            found.append(self.part(level))
        return any(found)

    def part(self, level: int) -> bool:
        while self.left and not self.left[-1].strip():
            self.left.pop()
        if self._take("("):
            inside = self.either(level + 1)
            self._take(")")
            return inside
        return self.gate(self._atom())

    def _atom(self) -> str:
        """Words up to the next operator, with the parentheses of calls."""
        words, depth = [], 0
        while self.left:
            sign = self.left[-1]
            if depth == 0 and sign in {"||", "&&", ")"}:
                break
            depth += (sign == "(") - (sign == ")")
            words.append(self.left.pop())
        return "".join(words)

    def _take(self, sign: str) -> bool:
        while self.left and not self.left[-1].strip():
            self.left.pop()
        if self.left and self.left[-1] == sign:
            self.left.pop()
            return True
        return False
