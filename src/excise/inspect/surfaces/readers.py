"""Read JSON with comments, YAML and TOML into nodes. Nothing is constructed from a tag, nothing is expanded.

JSON is read by a reader of our own, since editors allow comments and trailing commas and a finding needs lines. YAML
is composed by PyYAML, never constructed: a tag makes no object, and an alias is the same node again, so that a bomb
of aliases stays as small as its text. All of them raise `Unparsable`.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from functools import lru_cache
from typing import Any, Final

from excise.inspect.surfaces.node import Node
from excise.inspect.tree import Source, Unparsable

MOST_TEXT = 2_000_000
"""Characters of a structured file."""
DEEPEST = 100
"""Levels below each other; settings have fewer than ten."""
_SPACE: Final = re.compile(r"(?:[ \t\n\ufeff]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING: Final = re.compile(r'"((?:[^"\\\n]|\\.)*)"', re.DOTALL)
_WORD: Final = re.compile(r"[^\s,:\[\]{}\"/]+")
_ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_PLAIN: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def read(source: Source) -> Node:
    """The file as nodes, by the end of its name."""
    if source.name.endswith((".yml", ".yaml")):
        return yaml(source.text)
    if source.name.endswith(".toml"):
        return toml(source.text)
    return json(source.text)


def json(text: str) -> Node:
    """JSON, with comments and trailing commas."""
    _bounded(text)
    node, end = _Json(text).value(0, 0)
    if _after_space(text, end) < len(text):
        raise Unparsable(f"line {text.count(chr(10), 0, end) + 1}: more after the end of JSON")
    return node


@lru_cache(maxsize=16)
def yaml(text: str) -> Node:
    """The first document of YAML (1.1, as most readers have it); keys that are no scalars are left out."""
    import yaml as pyyaml  # noqa: PLC0415  takes a tenth of a second, and few trees need it

    _bounded(text)
    try:
        top = next(iter(pyyaml.compose_all(text, Loader=pyyaml.SafeLoader)), None)
    except pyyaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise Unparsable(f"line {mark.line + 1 if mark else 0}: no YAML") from None
    except (RecursionError, ValueError) as error:
        raise Unparsable(f"YAML that nests too deep ({type(error).__name__})") from None
    return _from_yaml(top, {}, 0) if top is not None else Node(1, text="")


def toml(text: str) -> Node:
    """TOML; the line of a key is the first that assigns it below its table's head."""
    _bounded(text)
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unparsable(f"no TOML ({type(error).__name__})") from None
    return _from_toml(values, text.split("\n"), 1, 0)


def _bounded(text: str) -> None:
    if len(text) > MOST_TEXT:
        raise Unparsable(f"more than {MOST_TEXT:,} characters of structured text")
    if "\0" in text:
        raise Unparsable("holds NUL bytes")


def _from_yaml(node: Any, made: dict[int, Node], level: int) -> Node:
    if level > DEEPEST:
        raise Unparsable(f"nests deeper than {DEEPEST}")
    known = made.get(id(node))
    if known is not None:
        return known
    line = node.start_mark.line + 1
    made[id(node)] = Node(line)  # an alias of an ancestor ends here
    if node.id == "mapping":
        pairs = [(k, v) for k, v in node.value if k.id == "scalar"]
        result = Node(
            line,
            pairs=tuple((str(k.value), _from_yaml(v, made, level + 1)) for k, v in pairs),
            lines={str(k.value): k.start_mark.line + 1 for k, _ in pairs},
        )
    elif node.id == "sequence":
        result = Node(line, items=tuple(_from_yaml(v, made, level + 1) for v in node.value))
    else:
        result = Node(line, text=str(node.value))
    made[id(node)] = result
    return result


def _from_toml(value: Any, lines: list[str], line: int, level: int) -> Node:
    if level > DEEPEST:
        raise Unparsable(f"nests deeper than {DEEPEST}")
    if isinstance(value, dict):
        where = {k: _line_of(k, lines, line) for k in value}
        pairs = tuple((k, _from_toml(v, lines, where[k], level + 1)) for k, v in value.items())
        return Node(line, pairs=pairs, lines=where)
    if isinstance(value, list):
        return Node(line, items=tuple(_from_toml(v, lines, line, level + 1) for v in value))
    return Node(line, text=str(value).lower() if isinstance(value, bool) else str(value))


def _line_of(key: str, lines: list[str], start: int) -> int:
    for number in range(start, len(lines) + 1):
        head = lines[number - 1].split("#")[0]
        if key in head.split("=")[0]:
            return number
    return start


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


class _Json:
    """A reader of one JSON text: `value` gives the node that starts at a place, and where it ends."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.breaks = [m.start() for m in re.finditer("\n", text)]

    def line(self, at: int) -> int:
        return bisect_left(self.breaks, at) + 1

    def value(self, at: int, level: int) -> tuple[Node, int]:
        at = _after_space(self.text, at)
        if level > DEEPEST:
            raise Unparsable(f"nests deeper than {DEEPEST}")
        first = self.text[at : at + 1]
        if first == "{":
            return self._mapping(at, level)
        if first == "[":
            return self._list(at, level)
        if first == '"':
            word, end = self._string(at)
            return Node(self.line(at), text=word), end
        found = _WORD.match(self.text, at)
        if not found:
            raise self._wrong(at)
        return Node(self.line(at), text=found.group()), found.end()

    def _mapping(self, at: int, level: int) -> tuple[Node, int]:
        pairs: list[tuple[str, Node]] = []
        lines: dict[str, int] = {}
        end = _after_space(self.text, at + 1)
        while self.text[end : end + 1] != "}":
            key, after = self._string(end)
            lines[key] = self.line(end)
            after = _after_space(self.text, after)
            if self.text[after : after + 1] != ":":
                raise self._wrong(after)
            value, after = self.value(after + 1, level + 1)
            pairs.append((key, value))
            end = self._comma(after, "}")
        return Node(self.line(at), pairs=tuple(pairs), lines=lines), end + 1

    def _list(self, at: int, level: int) -> tuple[Node, int]:
        items: list[Node] = []
        end = _after_space(self.text, at + 1)
        while self.text[end : end + 1] != "]":
            value, after = self.value(end, level + 1)
            items.append(value)
            end = self._comma(after, "]")
        return Node(self.line(at), items=tuple(items)), end + 1

    def _comma(self, at: int, close: str) -> int:
        """The start of the next member, or of the closing sign."""
        at = _after_space(self.text, at)
        if self.text[at : at + 1] == ",":
            return _after_space(self.text, at + 1)
        if self.text[at : at + 1] != close:
            raise self._wrong(at)
        return at

    def _string(self, at: int) -> tuple[str, int]:
        found = _STRING.match(self.text, at)
        if not found:
            raise self._wrong(at)
        return _ESCAPE.sub(_unescaped, found.group(1)), found.end()

    def _wrong(self, at: int) -> Unparsable:
        return Unparsable(f"line {self.line(at)}: no JSON")


def _unescaped(found: re.Match[str]) -> str:
    word = found.group(1)
    return chr(int(word[1:], 16)) if len(word) > 1 else _PLAIN.get(word, word)
