"""The keyed coin is SipHash-2-4, and its bits behave as each mark needs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from excise.audit import prf

MASK = (1 << 64) - 1
KEY = bytes(range(16))


def rotl(x, bits):
    return ((x << bits) | (x >> (64 - bits))) & MASK


def siphash(key, message):
    """SipHash-2-4 as the paper's section 2 writes it, byte by byte."""
    k0, k1 = (int.from_bytes(key[i : i + 8], "little") for i in (0, 8))
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]

    def rounds(n):
        for _ in range(n):
            v[0] = (v[0] + v[1]) & MASK
            v[2] = (v[2] + v[3]) & MASK
            v[1], v[3] = rotl(v[1], 13) ^ v[0], rotl(v[3], 16) ^ v[2]
            v[0] = rotl(v[0], 32)
            v[2] = (v[2] + v[1]) & MASK
            v[0] = (v[0] + v[3]) & MASK
            v[1], v[3] = rotl(v[1], 17) ^ v[2], rotl(v[3], 21) ^ v[0]
            v[2] = rotl(v[2], 32)

    padded = message + bytes(-(len(message) + 1) % 8) + bytes([len(message) % 256])
    for at in range(0, len(padded), 8):
        word = int.from_bytes(padded[at : at + 8], "little")
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 0xFF
    rounds(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def test_the_slow_definition_gives_the_paper_s_vector():
    """Appendix A of the paper: key 00 to 0f, message 00 to 0e."""
    assert siphash(KEY, bytes(range(15))) == 0xA129CA6149BE45E5


@settings(deadline=None)
@given(st.binary(min_size=16, max_size=16), st.binary(min_size=24, max_size=24))
def test_a_draw_is_siphash_of_the_three_words(key, message):
    words = np.frombuffer(message, "<u8").astype(np.uint64).reshape(1, 3)
    assert int(prf.draws(key, words)[0]) == siphash(key, message)


@pytest.fixture(scope="module")
def drawn():
    tuples = np.zeros((200_000, 3), np.uint64)
    tuples[:, 2] = np.arange(len(tuples))
    return prf.draws(KEY, tuples)


@pytest.mark.parametrize("kind", [prf.BIT, prf.UNIFORM, prf.LAYERED])
def test_scores_lie_in_their_range_and_are_symmetric(kind, drawn):
    scores = prf.scores(drawn, kind)
    assert scores.min() >= -1
    assert scores.max() <= 1
    assert abs(scores.mean()) < 4 * scores.std() / len(scores) ** 0.5
    below, above = np.quantile(scores, [0.1, 0.9])
    assert below == pytest.approx(-above, abs=0.01)


@pytest.mark.parametrize("kind", [prf.BIT, prf.UNIFORM, prf.LAYERED])
def test_a_contrast_is_its_definition(kind, drawn):
    tuples = np.zeros((500, 3), np.uint64)
    tuples[:, 1] = np.arange(500)
    weights = np.linspace(-3, 5, 500)
    x = weights * prf.scores(prf.draws(KEY, tuples), kind)
    z = prf.contrasts(np.array([prf.words_of(KEY)]), tuples, weights, kind)[0]
    assert z == pytest.approx(x.sum() / np.sqrt((x * x).sum()))


def test_uniform_numbers_and_layers_are_what_they_are_called(drawn):
    unit = prf.unit(drawn)
    assert 0 < unit.min() < 1e-3
    assert 1 - 1e-3 < unit.max() < 1
    assert abs(unit.mean() - 0.5) < 0.003
    layers = prf.layers(drawn)
    assert layers.shape == (len(drawn), prf.LAYERS)
    assert np.all(abs(layers.mean(axis=0) - 0.5) < 0.006)
    assert np.corrcoef(layers.T)[0, 1] == pytest.approx(0, abs=0.01)


def test_nothing_to_weigh_gives_zero():
    empty = np.empty((0, 3), np.uint64)
    assert prf.contrasts(np.array([prf.words_of(KEY)]), empty, np.empty(0), prf.BIT)[0] == 0.0
    with pytest.raises(ValueError, match="16 bytes"):
        prf.words_of(b"short")
