"""Calibrated predictions of serving performance, each with a 90 % interval.

Physics comes first, then the residuals of measured points (`calibration_process`), then the width
of the intervals, from points left out (`interval_width`).  A point whose GPU or model was never
measured is predicted by a process that carries over only what GPU generations, engines, layouts
and precisions share.

`shipped()` is the calibration of the library: its points (`serving_points.csv`) are 10 % of the
public ones, chosen without a look at their results.
`recalibrate` adds points of one's own.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from firsttoken.serving.calibration_points import Observation, PointsError, read_points
from firsttoken.serving.calibration_prior import SHIPPED, Constants, Prior, prior
from firsttoken.serving.calibration_process import FAR, TPOT, TTFT, Kernel, features
from firsttoken.serving.gaussian_process import Features, Process
from firsttoken.serving.interval_width import Widths, fit_widths
from firsttoken.serving.system import Floats

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

LATENCIES: Final = ("ttft", "tpot", "e2e")

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
    """Processes of both latencies, and what they are made of."""

    kernels: tuple[Kernel, Kernel]
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
        self._first = fit_first(points, physics)
        seen = features(points, physics)
        ttft = np.log([p.ttft for p in points]) - np.log(self._entry(points, physics))
        tpot = np.log([p.tpot for p in points]) - np.log(physics.tpot)
        self._near = _pair((TTFT, TPOT), seen, ttft, tpot)
        self._far = _pair((FAR, FAR), seen, clipped(ttft), clipped(tpot))
        self._near_width, self._far_width = self._widths(ttft, tpot)

    def predict(self, points: Sequence[Observation]) -> Predictions:
        """Latencies of points (their `ttft` and `tpot` are not looked at)."""
        physics = prior(points, self.constants)
        asked, entry = features(points, physics), self._entry(points, physics)
        known = self._known(points)
        near = self._latencies(self._near, asked, physics, entry, points)
        far = self._latencies(self._far, asked, physics, entry, points)
        gpus = [p.gpu for p in points]
        found = []
        for name, (middle, spread), (other, loose) in zip(LATENCIES, near, far, strict=True):
            own, new = self._near_width[name].half(spread, gpus), self._far_width[name].half(loose)
            width, median = np.where(known, own, new), np.where(known, middle, other)
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
        (late, a), (slow, b) = (
            process.predict(asked, kernel.noise(asked))
            for kernel, process in zip(pair.kernels, (pair.ttft, pair.tpot), strict=True)
        )
        return _three(entry * np.exp(late), a, physics.tpot * np.exp(slow), b, points)

    def _entry(self, points: Sequence[Observation], physics: Prior) -> Floats:
        """Time to first token before its process, s."""
        common = np.array([v for v, _ in FIRST.values()])
        factors = np.array([self._first.get(p.engine, common) for p in points])
        return np.asarray((factors * causes(physics)).sum(axis=1))

    def _known(self, points: Sequence[Observation]) -> Any:
        gpus, models = ({getattr(p, k) for p in self.points} for k in ("gpu", "model"))
        return np.array([p.gpu in gpus and p.model in models for p in points], dtype=bool)

    def _widths(self, ttft: Floats, tpot: Floats) -> tuple[dict[str, Widths], dict[str, Widths]]:
        """Widths of intervals by latency: near, by GPU, and of GPUs and models never measured.

        Found on the points that were drawn, each left out (with all of its GPU or of its model):
        one that was chosen for being unlike all others lies farther off than what is asked for.
        """
        drawn = np.flatnonzero([p.drawn > 0 for p in self.points])
        drawn = drawn if len(drawn) >= LEAST else np.arange(len(self.points))
        points = [self.points[k] for k in drawn]

        def left(pair: _Pair, groups: Any = None, more: tuple[Floats, ...] = ()) -> Any:
            both = [process.left_out(groups) for process in (pair.ttft, pair.tpot)]
            cut = more or (np.zeros(len(ttft)), np.zeros(len(tpot)))
            some = [((e + c)[drawn], d[drawn]) for (e, d), c in zip(both, cut, strict=True)]
            return _missed(points, some[0], some[1])

        near = {
            name: fit_widths(value[0], value[1], [p.gpu for p in points])
            for name, value in left(self._near).items()
        }
        cut = ttft - clipped(ttft), tpot - clipped(tpot)
        fields = "gpu", "model"
        each = [left(self._far, [getattr(p, k) for p in self.points], cut) for k in fields]
        out = [f"without {getattr(p, k)}" for k in fields for p in points]
        far = {}
        for name in LATENCIES:
            error, deviation = (np.concatenate([e[name][k] for e in each]) for k in (0, 1))
            far[name] = fit_widths(error, deviation, out)
        return near, far


def _pair(kernels: tuple[Kernel, Kernel], seen: Features, ttft: Floats, tpot: Floats) -> _Pair:
    return _Pair(kernels, kernels[0].process(seen, ttft), kernels[1].process(seen, tpot))


def clipped(residual: Floats) -> Floats:
    """Log residuals, of `CLIPPED` at most, f8[n]."""
    return np.clip(residual, -CLIPPED, CLIPPED)


def _three(
    ttft: Floats, a: Floats, tpot: Floats, b: Floats, points: Sequence[Observation]
) -> list[tuple[Floats, Floats]]:
    """TTFT, TPOT and E2E with their log deviations (first order, the two independent)."""
    rest = tpot * (np.array([p.osl for p in points]) - 1.0)
    whole = ttft + rest
    return [(ttft, a), (tpot, b), (whole, np.hypot(a * ttft, b * rest) / whole)]


def _missed(
    points: Sequence[Observation], late: tuple[Floats, Floats], slow: tuple[Floats, Floats]
) -> dict[str, tuple[Floats, Floats]]:
    """Log errors of points left out and their predicted deviations, by latency."""
    ttft, tpot = (np.array([getattr(p, k) for p in points]) for k in ("ttft", "tpot"))
    missed = _three(ttft * np.exp(-late[0]), late[1], tpot * np.exp(-slow[0]), slow[1], points)
    whole = np.log([p.e2e for p in points]) - np.log(missed[2][0])
    errors = (late[0], slow[0], whole)
    return {n: (e, d) for n, e, (_, d) in zip(LATENCIES, errors, missed, strict=True)}


def causes(physics: Prior) -> Floats:
    """What a time to first token is made of, f8[n, 5], in the order of `FIRST`."""
    one = np.ones(len(physics.own))
    return np.stack([physics.own, physics.queue, physics.tpot, one, physics.held], axis=1)


def fit_first(points: Sequence[Observation], physics: Prior) -> dict[str, Floats]:
    """Factors of `FIRST` by engine: robust, and held near the common ones."""
    from scipy.optimize import minimize

    names = sorted({p.engine for p in points})
    code = np.array([names.index(p.engine) for p in points])
    mean, spread = np.log([v for v, _ in FIRST.values()]), np.array([s for _, s in FIRST.values()])
    parts, found = causes(physics), np.log([p.ttft for p in points])

    def loss(theta: Floats) -> tuple[float, Floats]:
        log = theta.reshape(len(names), -1)
        each = parts * np.exp(log)[code]
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
