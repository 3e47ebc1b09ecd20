"""What measured points say of pools that prefill and decode apart.

Measured points are of replicas that do both.  A pool does half of that work, so the calibration is
asked where a replica's work is the pool's: decoding with the same context and hardly any prompt,
prompts with hardly any answer.  What its prediction is there over the physics corrects the pool.

On 248 public runs with pools apart (InferenceX in the silicon sample of aisimulate 0.13: GB200,
GB300, B200, H200, H100), none of them calibrated on, the time per output token is then off by
11 % in the median (physics alone: 14 %), that of a request by 12 % (17 %); 99 % and 96 % of the
runs lie in the 90 % interval, which is the wide one of replicas that do both
(`benchmarks/serving_pools.py`).  Times to first token are off by half, as by physics, and 35 % lie
in theirs: they are mostly those of prompts that queue in ways that the points do not tell, so no
interval of them is shown.  The speed of prefill shows in 14 runs only; it stays near the physics.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from firsttoken.serving.calibration import Calibration, Prediction, shipped
from firsttoken.serving.calibration_points import Observation
from firsttoken.serving.calibration_prior import prior
from firsttoken.serving.perf_efficiency import Corrections
from firsttoken.serving.system import Floats, Numbers

LITTLE: Final = 1.0
"""Tokens of the prompts of a pool that only decodes."""

SHORT: Final = 2.0
"""Tokens of the answers of a pool that only prefills: one gap in which others are prefilled."""

CROWD: Final = 8.0
"""Prompts of a data rank that wait for each other where prefill is looked at."""


class PoolFactors(NamedTuple):
    """How much longer than by physics steps of both pools take, each f8[n].

    Attributes
    ----------
    prefill, decode : factors with their 90 % intervals.
    known : bool[n]: whether GPU and model were both calibrated on.
    """

    prefill: Prediction
    decode: Prediction
    known: Any


def pool_factors(
    prefill: Sequence[Observation],
    decode: Sequence[Observation],
    calibration: Calibration | None = None,
) -> PoolFactors:
    """Factors on the steps of pools.

    Parameters
    ----------
    prefill, decode : n points each, with the layout of the pool and the lengths of the requests;
        `concurrency` of a decoding replica: sequences in flight of it.
    calibration : None: that of the library.
    """
    known = calibration or shipped()
    before = [_prompts_only(point) for point in prefill]
    after = [_decoding_only(point) for point in decode]
    found, told = known.predict(before), known.predict(after)
    return PoolFactors(
        _over(found.tpot, prior(before, known.constants).tpot),
        _over(told.tpot, prior(after, known.constants).tpot),
        found.known & told.known,
    )


def corrections_of(factor: Numbers) -> Corrections:
    """Every term of a step longer by a factor; requests wait as ever."""
    return Corrections(*(factor for _ in Corrections._fields))._replace(wait=1.0)


def _decoding_only(point: Observation) -> Observation:
    """The same context, reached by an answer: prompts hold nothing up."""
    context = point.isl + point.osl / 2.0
    return point._replace(isl=LITTLE, osl=max(2.0 * (context - LITTLE), SHORT), pools=0.0)


def _prompts_only(point: Observation) -> Observation:
    """Prompts that only wait for other prompts."""
    return point._replace(osl=SHORT, concurrency=CROWD * point.data, pools=0.0)


def _over(found: Prediction, physics: Floats) -> Prediction:
    return Prediction(*(np.asarray(value) / physics for value in found))
