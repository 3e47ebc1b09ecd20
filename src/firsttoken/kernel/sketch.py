"""A quantile sketch: counts in buckets whose width grows with the value.

Each octave from :data:`LOWEST` to :data:`HIGHEST` is cut into :data:`PER_OCTAVE` buckets of equal
width, so the bucket of a number is read off the first bits of its float64: no logarithm, no
search.  Whatever the sample, a quantile lies within 1 / PER_OCTAVE of the exact one, relative to
it; samples merge by the addition of their counts, in any order, to the same bits.

Sources: Masson, Rim, Lee: DDSketch: a fast and fully-mergeable quantile sketch with relative-error
guarantees, PVLDB 12 (2019) 2195-2205 (guarantee, merging); Tene: HdrHistogram, 2012 (octaves cut
linearly).  The layout is fixed rather than grown, hence the same for every sample of every run.
"""

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from firsttoken.kernel.compiled import compiled, compiled_inline

Floats = NDArray[np.float64]

LOWEST: Final = 2.0**-10
"""Values below count as 0: of seconds, a millisecond."""
HIGHEST: Final = 2.0**34
"""Values from here on count into the last bucket: of seconds, 544 years."""
OCTAVES: Final = 44
PER_OCTAVE: Final = 128
BUCKETS: Final = 1 + OCTAVES * PER_OCTAVE
"""Length of the counts: bucket 0 holds what is below LOWEST."""

SHIFT: Final = 52 - 7  # leaves the exponent and as many bits of the mantissa as cut an octave
OFFSET: Final = (1023 - 10) * PER_OCTAVE - 1  # the first bits of LOWEST belong to bucket 1


@compiled_inline
def bucket(value: float) -> int:
    """Return the bucket of a value, in ``[0, BUCKETS)``; NaN belongs to bucket 0."""
    if not value >= LOWEST:
        return 0
    bits = int(np.float64(value).view(np.int64))
    return min((bits >> SHIFT) - OFFSET, BUCKETS - 1)


@compiled_inline
def _lower_edge(index: int) -> float:
    """Return the lower edge of bucket ``index`` >= 1."""
    return float(np.int64((index + OFFSET) << SHIFT).view(np.float64))


@compiled_inline
def _value(index: int, share: float) -> float:
    """Return the value at ``share`` of the width of a bucket; 0 in bucket 0."""
    if index == 0:
        return 0.0
    low = _lower_edge(index)
    return low + share * (_lower_edge(index + 1) - low)


def bucket_edges() -> Floats:
    """Return the edges of the buckets, shape [BUCKETS + 1]: 0, LOWEST, ..., HIGHEST."""
    octaves = np.ldexp(LOWEST, np.arange(OCTAVES))[:, None]
    inner = octaves * (1 + np.arange(PER_OCTAVE) / PER_OCTAVE)
    return np.concatenate([[0.0], inner.ravel(), [HIGHEST]])


@compiled
def fill_quantiles(counts: NDArray[Any], probabilities: Floats, out: Floats) -> None:
    """Fill ``out`` with the quantiles of a sample, in one pass if the probabilities ascend.

    The values of a bucket are taken to lie evenly in it, each in the middle of its part.  Between
    them the quantile is that of :func:`firsttoken.kernel.statistics.quantiles` (definition 7 of
    Hyndman and Fan 1996): linear at position ``p (n - 1)`` of the ordered sample.

    Parameters
    ----------
    counts
        Integers, shape [BUCKETS]: values counted into their :func:`bucket`.
    probabilities
        Shape [Q], in [0, 1].
    out
        Receives the quantiles, shape [Q]; NaN if the sample is empty.

    Raises
    ------
    ValueError
        If a probability lies outside [0, 1].
    """
    total = 0
    for index in range(BUCKETS):
        total += counts[index]
    here = 0
    before = 0  # values in the buckets before `here`
    for q in range(len(probabilities)):
        if not 0.0 <= probabilities[q] <= 1.0:
            raise ValueError("probabilities must lie in [0, 1]")
        if total == 0:
            out[q] = math.nan
            continue
        position = probabilities[q] * (total - 1)
        rank = int(position)
        if rank < before:
            here = 0
            before = 0
        while before + counts[here] <= rank:
            before += counts[here]
            here += 1
        inside = rank - before + 0.5
        low = _value(here, inside / counts[here])
        high = low
        if rank < total - 1:
            if inside + 1.0 < counts[here]:
                high = _value(here, (inside + 1.0) / counts[here])
            else:
                other = here + 1
                while counts[other] == 0:
                    other += 1
                high = _value(other, 0.5 / counts[other])
        out[q] = low + (position - rank) * (high - low)


@compiled
def quantile(counts: NDArray[Any], probability: float) -> float:
    """Return one quantile of a sample, see :func:`fill_quantiles`; NaN if it is empty."""
    both = np.empty(2)
    both[0] = probability
    fill_quantiles(counts, both[:1], both[1:])
    return float(both[1])
