"""The sketch said again, slowly and obviously: what the kernel must equal."""

from __future__ import annotations

import re
from dataclasses import dataclass

from excise.sketch.fold import DIGIT, LATIN, LETTER, SINGLE, fold_character, kind_of, script_of
from excise.sketch.hashing import keys_of

MASK = (1 << 64) - 1
(WORD_KEY, LETTER_KEY, NUMBER_KEY, BASE, DOC, NARROW, WIDE, EDGE, MARK, CUE) = range(10)


def mix(x: int) -> int:
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        x = (x ^ (x >> 33)) * factor & MASK
    return x ^ (x >> 33)


def polynomial(values: list[int], base: int, start: int = 0) -> int:
    for value in values:
        start = (start * base + value) & MASK
    return start


@dataclass(frozen=True)
class Token:
    kind: str  # w word, d word with digits, n number, s single character
    letters: tuple[tuple[int, int, int], ...]  # folded, script of the original, kind

    def hash(self, keys: list[int]) -> int:
        if self.kind == "n":
            return keys[NUMBER_KEY]
        scripts = {s for _, s, _ in self.letters}
        mixed = (
            self.kind != "s"
            and LATIN in {s for _, s, k in self.letters if k == LETTER}
            and max(scripts) > LATIN
        )
        h = keys[WORD_KEY]
        word = "".join(chr(s if mixed and s > LATIN else folded) for folded, s, _ in self.letters).encode()
        for at in range(0, len(word), 8):
            h = mix((h ^ int.from_bytes(word[at : at + 8], "little")) * keys[LETTER_KEY] & MASK)
        return h


def events(text: bytes) -> list[Token | str]:
    """Tokens and separators in order."""
    out: list[Token | str] = []
    word: list[tuple[int, int, int]] = []

    def end_word() -> None:
        if word:
            kinds = {kind for _, _, kind in word}
            name = "n" if kinds == {DIGIT} else "d" if DIGIT in kinds else "w"
            out.append(Token(name, tuple(word)))
            word.clear()

    for character in text.decode("utf-8", errors="replace"):
        for folded in fold_character(character):
            kind = kind_of(folded)
            if kind in {LETTER, DIGIT}:
                word.append((ord(folded), script_of(character), kind))
                continue
            end_word()
            out.append(Token("s", ((ord(folded), 0, kind),)) if kind == SINGLE else folded)
    end_word()
    return out


def bottom(values: list[int], limit: int, cap: int) -> list[int]:
    return sorted({v for v in values if v <= limit})[:cap]


def windows(tokens: list[int], width: int) -> list[list[int]]:
    return [tokens[i : i + width] for i in range(len(tokens) - width + 1)]


# Tokens stand as the letters of their kind, which no separator can be.
PATTERNS = (
    (0, 8, r"</?([wdns](?:[_\-.:]?[wdns])*)(?:[ /][^<>\n]{0,32})?>"),
    (1, 8, r"\[([wdns](?:[ _\-.:/]?[wdns])*)\]"),
    (2, 8, r'"([wdns](?:[ _\-./]?[wdns])*)" *:'),
    (3, 10, r"(?:(?<=\n)|^)#{1,6} ([^\n]*)(?=\n|$)"),
    (4, 6, r"(?:(?<=\n)|^)[ *#>\-]{0,8}([ws](?:[ _\-]?[ws])*)(?:[ _\-]|\*+)?:"),
)


def marks(found: list[Token | str], keys: list[int]) -> list[int]:
    result = []
    for kind, limit, pattern in PATTERNS:
        stream = [e for e in found if not (kind == 2 and e == "\\")]
        shown = "".join(e.kind if isinstance(e, Token) else e for e in stream)
        for match in re.finditer(f"(?={pattern})", shown):
            inside = stream[match.start(1) : match.end(1)]
            tokens = [e for e in inside if isinstance(e, Token)]
            units = sum(1 if t.kind == "s" else 2 for t in tokens)
            words = any(t.kind != "n" for t in tokens)
            if not words or units > limit or (kind == 3 and len(inside) - len(tokens) > 16):
                continue
            name = polynomial([t.hash(keys) for t in tokens], keys[BASE])
            result.append(mix(name ^ (keys[MARK] * (2 * kind + 3) & MASK)))
    return result


@dataclass(frozen=True)
class Sketch:
    tokens: int
    doc: int
    head: int
    tail: int
    shingles: list[int]
    wide: list[int]
    marks: list[int]


def sketch(text: bytes | None, *, seed: int, rates: tuple[int, int], caps: tuple[int, int, int]) -> Sketch:
    keys = [int(k) for k in keys_of(seed, 10)]
    found = events(text or b"")
    tokens = [e.hash(keys) for e in found if isinstance(e, Token)]

    def edge(part: list[int]) -> int:
        return mix(polynomial(part, keys[BASE]) ^ keys[EDGE]) if len(tokens) >= 12 else 0

    def sample(width: int, salt: int, rate: int, cap: int) -> list[int]:
        hashes = [mix(polynomial(w, keys[BASE]) ^ keys[salt]) for w in windows(tokens, width)]
        return bottom(hashes, (1 << 64) // rate - 1, cap)

    return Sketch(
        len(tokens),
        mix(polynomial(tokens, keys[DOC]) ^ len(tokens)) if tokens else 0,
        edge(tokens[:12]),
        edge(tokens[-12:]),
        sample(4, NARROW, rates[0], caps[0]),
        sample(10, WIDE, rates[1], caps[1]),
        bottom(marks(found, keys), MASK, caps[2]),
    )


def has_phrase(text: bytes, phrase: str, *, seed: int) -> bool:
    keys = [int(k) for k in keys_of(seed, 10)]
    tokens = [e.hash(keys) for e in events(text) if isinstance(e, Token)]
    wanted = [e.hash(keys) for e in events(phrase.encode()) if isinstance(e, Token)]
    return wanted in windows(tokens, len(wanted))
