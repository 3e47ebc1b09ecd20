"""Calibrated predictions of serving performance, each with a 90 % interval.

Physics comes first, then the residuals of measured points (`calibration_process`), then the width
of the intervals, from points left out (conformal prediction: Vovk, Gammerman and Shafer,
Algorithmic Learning in a Random World, 2005; jackknife: Barber et al., Annals of Statistics 49
(2021) 486).  A point whose GPU or model was never measured is predicted by a process that carries
over only what engines, layouts and precisions share.

`shipped()` is the calibration of the library: its points (`serving_points.csv`) are 10 % of the
public ones, chosen without a look at their results.
`recalibrate` adds points of one's own.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from firsttoken.serving.calibration_points import Observation, PointsError, read_points
from firsttoken.serving.calibration_prior import SHIPPED, Constants, Prior, prior
from firsttoken.serving.calibration_process import FAR, TPOT, TTFT, Features, Process, features
from firsttoken.serving.system import Floats

COVERAGE: Final = 0.90
"""Share of measurements that an interval is to hold."""

LENT: Final = 0.3
"""Weight of a point of another GPU where the width of a GPU's intervals is found."""

LEAST: Final = 10
"""Points without which nothing is calibrated (a 90 % interval needs nine beside the one)."""

CLIPPED: Final = 0.35
"""Largest log residual that is carried over to other GPUs and models: beyond it (40 %) a run says
something about itself (undeclared speculative decoding, a cold engine), not about others."""

FIRST: Final[dict[str, tuple[float, float]]] = {
    "own": (1.5, 0.5),
    "queue": (0.05, 0.7),
    "tpot": (2.0, 0.7),
    "request": (0.02, 0.7),
    "held": (0.3, 1.0),
}
"""Time to first token of an engine as a sum: factors of one's own prefill, of all prefills of the
first wave (half of them, in a tenth of the requests: 0.05), of a decoding step, of 1 s, and of the
wait for memory; beside each the log standard deviation it is given."""

_HEAVY: Final = 0.3
"""Log residual of a time to first token from which it counts less in the fit of `FIRST`."""

LIBRARY: Final = Path(__file__).parent.parent / "library" / "ai-models"


class Prediction(NamedTuple):
    """Median and 90 % interval of a latency, s; each f8[n]."""

    median: Floats
    low: Floats
    high: Floats


class Predictions(NamedTuple):
    """Predictions of n points.

    Attributes
    ----------
    ttft, tpot, e2e : latencies; e2e = ttft + tpot x (osl - 1).
    known : bool[n]: whether both GPU and model of the point were calibrated on.
    """

    ttft: Prediction
    tpot: Prediction
    e2e: Prediction
    known: Any


class _Pair(NamedTuple):
    """Processes of both latencies."""

    ttft: Process
    tpot: Process


class Calibration:
    """What measured points taught.

    Parameters
    ----------
    points : measured points.
    constants : of the physics.

    Raises
    ------
    PointsError
        If there are fewer than `LEAST` points, or one was not measured.
    """

    def __init__(self, points: Sequence[Observation], constants: Constants = SHIPPED) -> None:
        if len(points) < LEAST:
            raise PointsError(f"{len(points)} points are too few: calibrate on {LEAST} or more")
        lacking = [p.id for p in points if not (p.ttft > 0 and p.tpot > 0)]
        if lacking:
            raise PointsError(f"{lacking[0]}: ttft and tpot must be measured to calibrate on them")
        self.points, self.constants = tuple(points), constants
        physics = prior(points, constants)
        self._first = _fit_first(points, physics)
        seen = features(points, physics)
        ttft = np.log([p.ttft for p in points]) - np.log(self._entry(points, physics))
        tpot = np.log([p.tpot for p in points]) - np.log(physics.tpot)
        self._near = _Pair(Process(TTFT, seen, ttft), Process(TPOT, seen, tpot))
        self._far = _Pair(*(Process(FAR, seen, _clipped(r)) for r in (ttft, tpot)))
        self._widths(seen, ttft, tpot)

    def predict(self, points: Sequence[Observation]) -> Predictions:
        """Latencies of points (their `ttft` and `tpot` are not looked at)."""
        physics = prior(points, self.constants)
        asked, entry = features(points, physics), self._entry(points, physics)
        known = self._known(points)
        near = self._latencies(self._near, asked, physics, entry, points)
        far = self._latencies(self._far, asked, physics, entry, points)
        wide = {
            name: np.array([self._near_width[name].get(p.gpu, math.nan) for p in points])
            for name in ("ttft", "tpot", "e2e")
        }
        found = []
        for name, (middle, spread), (other, loose) in zip(wide, near, far, strict=True):
            width = np.where(known, wide[name] * spread, self._far_width[name] * loose)
            median = np.where(known, middle, other)
            found.append(Prediction(median, median * np.exp(-width), median * np.exp(width)))
        return Predictions(found[0], found[1], found[2], known)

    def factor(self, points: Sequence[Observation]) -> Prediction:
        """How much longer than by physics a token takes at points; without unit.

        Simulations take it as a factor on every term of a step: their `speed` is 1 / factor.
        """
        found, physics = self.predict(points).tpot, prior(points, self.constants)
        return Prediction(*(np.asarray(value / physics.tpot) for value in found))

    def _latencies(
        self, pair: _Pair, asked: Features, physics: Prior, entry: Floats, points: Any
    ) -> list[tuple[Floats, Floats]]:
        """Medians and log deviations of TTFT, TPOT and E2E."""
        (late, a), (slow, b) = pair.ttft.predict(asked), pair.tpot.predict(asked)
        return _three(entry * np.exp(late), a, physics.tpot * np.exp(slow), b, points)

    def _entry(self, points: Sequence[Observation], physics: Prior) -> Floats:
        """Time to first token before its process, s."""
        common = np.array([v for v, _ in FIRST.values()])
        factors = np.array([self._first.get(p.engine, common) for p in points])
        return np.asarray((factors * _causes(physics)).sum(axis=1))

    def _known(self, points: Sequence[Observation]) -> Any:
        gpus, models = ({getattr(p, k) for p in self.points} for k in ("gpu", "model"))
        return np.array([p.gpu in gpus and p.model in models for p in points], dtype=bool)

    def _widths(self, seen: Features, ttft: Floats, tpot: Floats) -> None:
        """Widths of intervals in deviations: by GPU, and for GPUs and models never measured.

        Found on the points that were drawn, among themselves: one that was chosen for being
        unlike all others lies farther off than what is asked for.
        """
        drawn = np.flatnonzero([p.drawn > 0 for p in self.points])
        drawn = drawn if len(drawn) >= LEAST else np.arange(len(self.points))
        points, seen = [self.points[k] for k in drawn], seen.rows(drawn)
        late, slow = ttft[drawn], tpot[drawn]
        gpu, model = (np.array([getattr(p, k) for p in points]) for k in ("gpu", "model"))
        known = Process(TTFT, seen, late), Process(TPOT, seen, slow)
        near = _normed(points, *((p.error, p.deviation) for p in known))
        self._near_width = {
            name: {
                g: _quantile(values, np.where(gpu == g, 1.0, LENT))
                for g in sorted({p.gpu for p in self.points})
            }
            for name, values in near.items()
        }
        fresh = Process(FAR, seen, _clipped(late)), Process(FAR, seen, _clipped(slow))
        cut = late - _clipped(late), slow - _clipped(slow)
        far: dict[str, list[Floats]] = {name: [] for name in near}
        for groups in (gpu, model):
            left = [process.left_out(groups) for process in fresh]
            both = [(error + more, d) for (error, d), more in zip(left, cut, strict=True)]
            for name, values in _normed(points, both[0], both[1]).items():
                far[name].append(values)
        self._far_width = {
            name: _quantile(np.concatenate(v), np.ones(2 * len(points))) for name, v in far.items()
        }


def _clipped(residual: Floats) -> Floats:
    """Residuals, of `CLIPPED` at most."""
    return np.clip(residual, -CLIPPED, CLIPPED)


def _three(
    ttft: Floats, a: Floats, tpot: Floats, b: Floats, points: Sequence[Observation]
) -> list[tuple[Floats, Floats]]:
    """TTFT, TPOT and E2E with their log deviations (first order, the two independent)."""
    rest = tpot * (np.array([p.osl for p in points]) - 1.0)
    whole = ttft + rest
    return [(ttft, a), (tpot, b), (whole, np.hypot(a * ttft, b * rest) / whole)]


def _normed(
    points: Sequence[Observation], late: tuple[Floats, Floats], slow: tuple[Floats, Floats]
) -> dict[str, Floats]:
    """Sizes of log errors of points left out, in their predicted deviations."""
    ttft, tpot = (np.array([getattr(p, k) for p in points]) for k in ("ttft", "tpot"))
    missed = _three(ttft * np.exp(-late[0]), late[1], tpot * np.exp(-slow[0]), slow[1], points)
    whole = np.log([p.e2e for p in points]) - np.log(missed[2][0])
    errors = (late[0], slow[0], whole)
    names = ("ttft", "tpot", "e2e")
    return {n: np.abs(e) / d for n, e, (_, d) in zip(names, errors, missed, strict=True)}


def _quantile(values: Floats, weights: Floats) -> float:
    """Weighted quantile at `COVERAGE`, with one more value beyond all others (conformal)."""
    order = np.argsort(values)
    passed = np.cumsum(weights[order]) / (weights.sum() + weights.max())
    place = min(int(np.searchsorted(passed, COVERAGE)), len(values) - 1)
    return float(values[order][place])


def _causes(physics: Prior) -> Floats:
    """What a time to first token is made of, f8[n, 5], in the order of `FIRST`."""
    one = np.ones(len(physics.own))
    return np.stack([physics.own, physics.queue, physics.tpot, one, physics.held], axis=1)


def _fit_first(points: Sequence[Observation], physics: Prior) -> dict[str, Floats]:
    """Factors of `FIRST` by engine: robust, and held near the common ones."""
    from scipy.optimize import minimize

    names = sorted({p.engine for p in points})
    code = np.array([names.index(p.engine) for p in points])
    mean, spread = np.log([v for v, _ in FIRST.values()]), np.array([s for _, s in FIRST.values()])
    causes, found = _causes(physics), np.log([p.ttft for p in points])

    def loss(theta: Floats) -> tuple[float, Floats]:
        log = theta.reshape(len(names), -1)
        each = causes * np.exp(log)[code]
        total = each.sum(axis=1)
        residual = (np.log(total) - found) / _HEAVY
        root = np.sqrt(1.0 + residual**2)
        push = 2.0 * (residual / root / _HEAVY / total)[:, None] * each
        slope = np.stack([push[code == k].sum(axis=0) for k in range(len(names))])
        far = (log - mean) / spread
        value = 2.0 * (root - 1.0).sum() + 0.5 * (far**2).sum()
        return float(value), (slope + far / spread).ravel()

    start = np.tile(mean, len(names))
    best = np.exp(minimize(loss, start, jac=True, method="L-BFGS-B").x.reshape(len(names), -1))
    return dict(zip(names, best, strict=True))


def recalibrate(points: Sequence[Observation], base: Calibration | None = None) -> Calibration:
    """The calibration of `base` (None: that of the library) with more points.

    A point of the same id replaces the older one.
    """
    base = base or shipped()
    held = {p.id: p for p in (*base.points, *points)}
    return Calibration(list(held.values()), base.constants)


@functools.cache
def shipped() -> Calibration:
    """The calibration of the library."""
    return Calibration(read_points(LIBRARY / "serving_points.csv"))


def predict(points: Sequence[Observation]) -> Predictions:
    """Latencies of points by the calibration of the library."""
    return shipped().predict(points)
