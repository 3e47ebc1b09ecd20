"""Random streams: published vectors, open interval, uniformity, the normal quantile."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import config
from scipy import special, stats

from firsttoken.kernel import random, streams
from firsttoken.kernel.compiled import compiled

PURE = bool(config.DISABLE_JIT)
N = 2_000 if PURE else 200_000
WORDS = st.integers(0, 2**32 - 1)
SEEDS = st.integers(0, 2**63 - 1)


@compiled
def fill(kind: int, seed: int, entity: int, purpose: int, out: np.ndarray) -> None:
    for r in range(len(out)):
        if kind == 0:
            out[r] = random.uniform(seed, r, entity, purpose, 0)
        elif kind == 1:
            out[r] = random.normal(seed, r, entity, purpose, 0)
        else:
            out[r] = random.uniform2(seed, 0, entity, purpose, r)[1]


# Source: Random123 1.14, examples/kat_vectors, philox4x32 10
KNOWN = [
    ([0] * 4, [0] * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_philox_known_answers(counter: list[int], key: list[int], expected: str) -> None:
    assert " ".join(f"{x:08x}" for x in random.philox4x32(*counter, *key)) == expected


def test_philox_accepts_every_integer_type() -> None:
    expected = random.philox4x32(1, 2, 3, 4, 5, 6)
    for kind in (np.uint32, np.int64, np.uint64, np.int32):
        assert random.philox4x32(*(kind(x) for x in range(1, 7))) == expected


@given(SEEDS, WORDS, WORDS, WORDS, WORDS)
def test_uniform_is_open_and_first_of_uniform2(s: int, r: int, e: int, p: int, i: int) -> None:
    u = random.uniform(s, r, e, p, i)
    v, w = random.uniform2(s, r, e, p, i)
    assert 0 < u < 1
    assert 0 < w < 1
    assert u == v
    assert random.normal(s, r, e, p, i) == random.normal_quantile(u)


@given(SEEDS, WORDS, WORDS, WORDS, WORDS)
def test_words_of_the_address_are_the_counter(s: int, r: int, e: int, p: int, i: int) -> None:
    x = random.philox4x32(i, r, e, p, s & 0xFFFFFFFF, s >> 32)
    assert random.uniform(s, r, e, p, i) == ((x[0] << 20 | x[1] >> 12) + 0.5) / 2**52
    assert random.uniform2(s, r, e, p, i)[1] == ((x[2] << 20 | x[3] >> 12) + 0.5) / 2**52


@pytest.mark.parametrize("kind", [0, 2])
def test_uniforms_are_uniform(kind: int) -> None:
    out = np.empty(N)
    fill(kind, 42, streams.entity_key("a"), streams.DEMAND, out)
    assert stats.kstest(out, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(out[1:], out[:-1])[0, 1]) < 4 / math.sqrt(N)


def test_normals_are_normal() -> None:
    out = np.empty(N)
    fill(1, 42, streams.entity_key("a"), streams.DEMAND, out)
    assert stats.kstest(out, "norm").pvalue > 1e-3


def test_streams_of_neighbours_are_independent() -> None:
    a, b, c = np.empty(N), np.empty(N), np.empty(N)
    fill(0, 1, 7, streams.DEMAND, a)
    fill(0, 1, 8, streams.DEMAND, b)
    fill(0, 1, 7, streams.YIELD, c)
    bound = 4 / math.sqrt(N)
    assert abs(np.corrcoef(a, b)[0, 1]) < bound
    assert abs(np.corrcoef(a, c)[0, 1]) < bound


def test_normal_quantile_against_cephes() -> None:
    # scipy.special.ndtri is the independent Cephes implementation
    tails = 10.0 ** -np.arange(1, 17)
    p = np.concatenate([[2**-53, 2**-52], np.linspace(0.001, 0.999, 999), tails, 1 - tails[:15]])
    ours = np.array([random.normal_quantile(x) for x in p])
    np.testing.assert_allclose(ours, special.ndtri(p), rtol=3e-15, atol=3e-16)


@given(st.floats(2**-53, 0.5))
def test_normal_quantile_is_antisymmetric_and_increasing(p: float) -> None:
    q = 1 - p
    assert random.normal_quantile(1 - q) == -random.normal_quantile(q)
    assert random.normal_quantile(min(p * 1.001, 0.75)) >= random.normal_quantile(p)


@given(st.floats(2.3e-308, 1.7e308))
def test_logarithm(x: float) -> None:
    assert math.isclose(random.log_normal_float(x), math.log(x), rel_tol=4e-16, abs_tol=1e-300)


def test_entity_keys() -> None:
    # BLAKE2b with a 4-byte digest of b"abc"
    assert streams.entity_key("abc") == 0x63906248
    assert random.entity_key is streams.entity_key
    assert 0 <= streams.entity_key("line.houston.stations.burn_in") < 2**32


def test_purposes_differ_and_leave_room_for_attempts() -> None:
    purposes = [v for k, v in vars(streams).items() if k.isupper() and k != "PURPOSE_BITS"]
    assert len(purposes) == len(set(purposes)) >= 10
    assert all(0 < p < 2**streams.PURPOSE_BITS for p in purposes)
