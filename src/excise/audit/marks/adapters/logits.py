"""The marks of `excise.audit.marks` on tensors, on any device: the same draws and the same change, for a whole batch.

SipHash needs 64-bit words without a sign; two's complement adds, rotates and xors alike, so `int64` serves. About a
hundred and seventy elementwise steps on (batch, vocabulary): a few milliseconds on a GPU; compile it where it matters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from excise.audit import prf
from excise.audit.marks import adapters
from excise.audit.marks.red_green import DELTA
from excise.audit.tokens import MOST_CONTEXT

_SIGNED: Final = 1 << 63
_WORDS: Final = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)


def changed_logits(
    logits: Any, sequences: Sequence[Sequence[int]], purpose: str, key: bytes, context: int
) -> Any:
    """Marked log-probabilities for `logits` (batch, vocabulary), after the token ids of each sequence so far.

    A sequence shorter than `context` stays as it is. So does, for a mark that is free only over keys, one whose last
    `context` tokens stood before in it: the same draw twice would be no chance.
    """
    torch = adapters.torch()
    mark = adapters.mark_of(purpose)
    rows = [i for i, ids in enumerate(sequences) if _marks(ids, context, once=mark.distortion_free)]
    if not rows:
        return logits
    contexts = [_packed(sequences[i][len(sequences[i]) - context :]) for i in rows]
    drawn = draws(torch, key, contexts, logits.shape[-1], logits.device)
    out = logits.clone()
    out[rows] = _CHANGED[mark.id](torch, torch.log_softmax(logits[rows].float(), -1), drawn).to(logits.dtype)
    return out


def _marks(ids: Sequence[int], context: int, *, once: bool) -> bool:
    if len(ids) < context:
        return False
    last = list(ids[len(ids) - context :])
    return not (once and any(list(ids[i : i + context]) == last for i in range(len(ids) - context)))


def _packed(ids: Sequence[int]) -> tuple[int, int]:
    """The two words of a window, as `tokens.windows` packs them."""
    whole = [prf.ABSENT] * (MOST_CONTEXT - len(ids)) + [int(i) for i in ids]
    return whole[0] << 32 | whole[1], whole[2] << 32 | whole[3]


def _signed(word: int) -> int:
    return word - 2 * _SIGNED if word >= _SIGNED else word


def draws(torch: Any, key: bytes, contexts: Sequence[tuple[int, int]], vocabulary: int, device: Any) -> Any:
    """`prf.draws` for every token after every context: int64 with the bits of the draw, (contexts, vocabulary)."""
    k0, k1 = (int(word) for word in prf.words_of(key))
    high, low = (
        torch.tensor([[_signed(c[i])] for c in contexts], dtype=torch.int64, device=device) for i in (0, 1)
    )
    tokens = torch.arange(vocabulary, dtype=torch.int64, device=device)[None, :]
    v = [torch.full_like(high, _signed(word ^ (k0, k1)[i % 2])) for i, word in enumerate(_WORDS)]
    for message in (high, low, tokens, torch.full_like(high, 24 << 56)):
        v[3] = v[3] ^ message
        v = _round(_round(v))
        v[0] = v[0] ^ message
    v[2] = v[2] ^ 0xFF
    for _ in range(4):
        v = _round(v)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def _rotate(x: Any, bits: int) -> Any:
    return (x << bits) | ((x >> (64 - bits)) & ((1 << bits) - 1))


def _round(v: list[Any]) -> list[Any]:
    a, b, c, d = v
    a = a + b
    b = _rotate(b, 13) ^ a
    a = _rotate(a, 32)
    c = c + d
    d = _rotate(d, 16) ^ c
    a = a + d
    d = _rotate(d, 21) ^ a
    c = c + b
    b = _rotate(b, 17) ^ c
    return [a, b, _rotate(c, 32), d]


def _red_green(torch: Any, log_p: Any, drawn: Any) -> Any:
    return torch.log_softmax(log_p + DELTA * (drawn < 0), -1)


def _gumbel(torch: Any, log_p: Any, drawn: Any) -> Any:
    unit = (((drawn >> 11) & ((1 << 53) - 1)).double() + 0.5) * 2.0**-53
    best = (log_p.double() - torch.log(-torch.log(unit))).argmax(-1, keepdim=True)
    return torch.full_like(log_p, -math.inf).scatter(-1, best, 0.0)


def _tournament(torch: Any, log_p: Any, drawn: Any) -> Any:
    p = log_p.double().exp()
    for layer in range(prf.LAYERS):
        g = ((drawn >> layer) & 1).double()
        p = p * (1.0 + g - (p * g).sum(-1, keepdim=True))
    return torch.log(p / p.sum(-1, keepdim=True))


_CHANGED: Final = {"red-green": _red_green, "gumbel": _gumbel, "tournament": _tournament}
