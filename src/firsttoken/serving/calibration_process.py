"""A Gaussian process of log residuals: what measurements say beyond physics.

The residual of a point is a sum of independent parts: effects of its GPU, model, engine, release,
precision and of their combinations (a hierarchy: what is common is learned first), effects that
change smoothly along the load, factors on the terms of a step (linear in their shares), and a
smooth rest.  All are Gaussian with a scale each, so that the sum is a Gaussian process (Rasmussen
and Williams, Gaussian Processes for Machine Learning, MIT Press 2006, chapter 2).  The scales are
set, not learned: on the few points that one calibrates on, scales of greatest likelihood predict
worse (docs/explanation/serving-calibration.md).  Noise is Student's t, as reweighted variances: a
run with undeclared speculative decoding gets a small weight, and is not dropped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from zlib import crc32

import numpy as np

from firsttoken.serving.calibration_points import Observation
from firsttoken.serving.calibration_prior import Prior
from firsttoken.serving.system import Floats

EFFECTS: Final[dict[str, tuple[str, ...]]] = {
    "gpu": ("gpu",),
    "model": ("model",),
    "engine": ("engine",),
    "release": ("engine", "release"),
    "precision": ("precision",),
    "gpu_model": ("gpu", "model"),
    "model_engine": ("model", "engine"),
    "gpu_engine": ("gpu", "engine"),
    "setup": ("gpu", "model", "engine", "precision", "release"),
    "layout": ("gpu", "model", "engine", "precision", "release", "tensor", "data", "expert"),
    "model_layout": ("model", "engine", "tensor", "data", "expert"),
    "model_precision": ("model", "precision", "engine"),
    "attention": ("engine", "data_parallel"),
    "model_attention": ("model", "engine", "data_parallel"),
}
"""Effects by name, and the attributes whose combination each belongs to."""

AXES: Final[dict[str, tuple[float, float]]] = {
    "concurrency": (32.0, 1.35),
    "isl": (2500.0, 0.95),
    "osl": (1000.0, 1.15),
    "tensor": (4.0, 0.85),
    "data": (1.0, 0.85),
    "expert": (1.0, 1.2),
    "tpot": (0.018, 0.7),
    "own": (0.15, 1.0),
    "pressure": (0.1, 1.2),
}
"""Axes of the smooth parts: a value near the middle, and the log distance that counts as one."""

SHARES: Final = np.array([0.20, 0.30, 0.12, 0.02, 0.10, 0.05, 0.30, 0.10, 0.25])
"""Shares of the terms of a step that count as one (see `Prior`)."""

FREEDOM: Final = 4.0
"""Degrees of freedom of the noise."""

LIGHTEST: Final = 0.02
"""Least weight that an outlying point keeps."""


class Features(NamedTuple):
    """What the process knows of n points.

    Attributes
    ----------
    codes : i8[n] by effect: equal where the point has the same attributes.
    axes : f8[n] by axis.
    shares : f8[n, 9].
    unstated : f8[n], 1 where the split of the deployment into engines is not stated.
    """

    codes: Mapping[str, Any]
    axes: Mapping[str, Floats]
    shares: Floats
    unstated: Floats

    def rows(self, rows: Any) -> Features:
        """Features of some of the points."""
        codes = {name: v[rows] for name, v in self.codes.items()}
        axes = {name: v[rows] for name, v in self.axes.items()}
        return Features(codes, axes, self.shares[rows], self.unstated[rows])


DEFAULTS: Final = {
    "noise": 0.06,
    "common": 0.3,
    "smooth": 0.15,
    "linear": 0.05,
    "effect": 0.10,
    "varying": 0.07,
    "shares": 0.06,
    "length": 2.0,
    "along": 1.5,
    "unstated": 0.8,
    "rough": 0.4,
}
"""Scales by kind of part, log; lengths in units of `AXES`."""


class Kernel(NamedTuple):
    """Parts of a process.

    Attributes
    ----------
    linear : axes with a slope; smooth : axes of the smooth rest.
    effects : effects; varying : effects that change smoothly along `along`.
    shares : effects that have factors on the terms of a step of their own (`all`: common ones).
    scales : scales and lengths (and those of `unstated` splits), where they differ from `DEFAULTS`.
    """

    linear: tuple[str, ...]
    smooth: tuple[str, ...]
    effects: tuple[str, ...]
    varying: tuple[str, ...]
    along: tuple[str, ...]
    shares: tuple[str, ...]
    scales: Mapping[str, float]

    def size(self, part: str) -> float:
        """Scale of a part, or length of an axis."""
        return self.scales.get(part, DEFAULTS[part.split(".")[0]])


_LOAD = ("concurrency", "isl", "osl", "tensor")
_REST = (*_LOAD, "data", "expert", "tpot", "own")
_ALL = (
    "gpu",
    "model",
    "engine",
    "release",
    "precision",
    "gpu_model",
    "model_engine",
    "gpu_engine",
    "setup",
    "layout",
    "model_layout",
)
_VARYING = ("model", "engine", "setup", "layout", "gpu")

TPOT: Final = Kernel(
    _LOAD,
    _REST,
    _ALL,
    _VARYING,
    _LOAD,
    ("all", "engine", "gpu", "model", "precision"),
    {
        "noise": 0.05,
        "effect.release": 0.15,
        "effect.model_engine": 0.12,
        "effect.setup": 0.15,
        "effect.layout": 0.07,
        "varying.setup": 0.12,
    },
)
"""Parts of the log residual of the time per output token."""

TTFT: Final = Kernel(
    (*_LOAD, "pressure"),
    (*_REST, "pressure"),
    _ALL,
    _VARYING,
    _LOAD,
    (),
    {
        "noise": 0.20,
        "unstated": 1.2,
        "rough": 0.6,
        "common": 0.5,
        "smooth": 0.4,
        "effect.release": 0.3,
        "varying.engine": 0.2,
        "varying.setup": 0.2,
        "varying.layout": 0.2,
    },
)
"""Parts of the log residual of the time to first token: wider, for queues."""

FAR: Final = Kernel(
    (),
    (),
    (
        "model",
        "engine",
        "precision",
        "model_engine",
        "model_precision",
        "attention",
        "model_attention",
        "setup",
        "layout",
    ),
    ("model", "model_engine"),
    ("concurrency", "tensor"),
    (),
    {
        "noise": 0.15,
        "common": 0.03,
        "effect.model": 0.07,
        "effect.engine": 0.05,
        "effect.model_engine": 0.12,
        "effect.model_precision": 0.10,
        "effect.attention": 0.15,
        "effect.model_attention": 0.15,
        "effect.precision": 0.04,
        "effect.setup": 0.12,
        "effect.layout": 0.08,
        "varying.model": 0.07,
        "varying.model_engine": 0.10,
    },
)
"""What is carried over to a GPU or a model of which nothing was measured: no effects of
GPUs, no smooth rest."""


def features(points: Sequence[Observation], physics: Prior) -> Features:
    """Features of points and their physics."""
    attributes = [{**p._asdict(), "data_parallel": (p.data > 1.0, p.pools)} for p in points]

    def code(names: tuple[str, ...]) -> Any:
        texts = ["|".join(str(a[n]) for n in names) for a in attributes]
        return np.array([crc32(t.encode()) for t in texts], dtype=np.int64)

    raw: dict[str, Any] = {
        name: np.array([a[name] for a in attributes], dtype=float)
        for name in ("concurrency", "isl", "osl", "tensor", "data", "expert")
    }
    raw |= {"tpot": physics.tpot, "own": physics.own, "pressure": np.exp(physics.pressure)}
    return Features(
        {name: code(names) for name, names in EFFECTS.items()},
        {name: np.log(raw[name] / middle) / unit for name, (middle, unit) in AXES.items()},
        physics.shares / SHARES,
        np.array([float(p.pools > 0) for p in points]),
    )


class Process:
    """A process, and what it has seen.

    Parameters
    ----------
    kernel : its parts.
    seen : points; residual : f8[n], their log residuals.
    rounds : of reweighting.

    Attributes
    ----------
    error, deviation : f8[n], leave-one-out residuals and their predicted standard deviations,
        noise included.
    weight : f8[n], 1 a usual point, down to `LIGHTEST` an outlier.
    """

    def __init__(self, kernel: Kernel, seen: Features, residual: Floats, rounds: int = 4) -> None:
        self.kernel, self.seen = kernel, seen
        self.weight = np.ones(len(residual))
        parts, noise = covariance(kernel, seen, seen), _noise(kernel, seen)
        for turn in range(rounds):
            self.root = np.linalg.cholesky(parts + np.diag(noise / self.weight))
            inverse = np.linalg.inv(self.root)
            self.inverse = inverse.T @ inverse
            self.pull = self.inverse @ residual
            if turn < rounds - 1:
                left = (noise / self.weight * self.pull) ** 2 / noise
                self.weight = np.clip((FREEDOM + 1.0) / (FREEDOM + left), LIGHTEST, 1.2)
        precision = np.diag(self.inverse)
        self.error = self.pull / precision
        self.deviation = np.sqrt(1.0 / precision - noise / self.weight + noise)

    def predict(self, asked: Features) -> tuple[Floats, Floats]:
        """Mean and standard deviation (noise included) of the residuals of points, f8[n]."""
        cross = covariance(self.kernel, asked, self.seen)
        explained = np.linalg.solve(self.root, cross.T)
        left = np.maximum(_variance(self.kernel, asked) - (explained**2).sum(axis=0), 1e-9)
        return cross @ self.pull, np.sqrt(left + _noise(self.kernel, asked))

    def left_out(self, groups: Any) -> tuple[Floats, Floats]:
        """Residuals, and their deviations, of points predicted without any of their group.

        With A the block of the inverse covariance of a group, residuals are A^-1 (K^-1 y) and
        their covariance is A^-1 (Rasmussen and Williams, section 5.4.2, for blocks).
        """
        error, deviation = np.empty(len(self.pull)), np.empty(len(self.pull))
        for group in np.unique(groups):
            rows = np.flatnonzero(groups == group)
            block = np.linalg.inv(self.inverse[np.ix_(rows, rows)])
            error[rows] = block @ self.pull[rows]
            deviation[rows] = np.sqrt(np.diag(block))
        return error, deviation


def covariance(kernel: Kernel, one: Features, other: Features) -> Floats:
    """Covariances of the residuals of two sets of points, noise left out, f8[n, m]."""

    def same(name: str) -> Any:
        return name == "all" or one.codes[name][:, None] == other.codes[name][None, :]

    def near(kind: str, axes: tuple[str, ...]) -> Any:
        squares = (
            ((one.axes[a][:, None] - other.axes[a][None, :]) / kernel.size(f"{kind}.{a}")) ** 2
            for a in axes
        )
        return np.exp(-0.5 * np.sum(list(squares), axis=0))

    total: Floats = np.full((len(one.shares), len(other.shares)), kernel.size("common") ** 2)
    for axis in kernel.linear:
        slope = kernel.size(f"linear.{axis}") ** 2
        total += slope * np.outer(one.axes[axis], other.axes[axis])
    for name in kernel.effects:
        total += kernel.size(f"effect.{name}") ** 2 * same(name)
    if kernel.smooth:
        total += kernel.size("smooth") ** 2 * near("length", kernel.smooth)
    both = np.outer(one.unstated, other.unstated) * same("setup")
    total += kernel.size("unstated") ** 2 * both * near("along", kernel.along)
    for names, kind, product in (
        (kernel.varying, "varying", near("along", kernel.along)),
        (kernel.shares, "shares", one.shares @ other.shares.T),
    ):
        for name in names:
            total += kernel.size(f"{kind}.{name}") ** 2 * same(name) * product
    return total


def _variance(kernel: Kernel, asked: Features) -> Floats:
    """Variance of each point before anything is seen, noise left out, f8[n]."""

    def sum_of(kind: str, names: tuple[str, ...]) -> float:
        return sum(kernel.size(f"{kind}.{name}") ** 2 for name in names)

    fixed = kernel.size("common") ** 2 + sum_of("effect", kernel.effects)
    fixed += sum_of("varying", kernel.varying)
    fixed += kernel.size("smooth") ** 2 if kernel.smooth else 0.0
    total = fixed + sum_of("shares", kernel.shares) * (asked.shares**2).sum(axis=1)
    for axis in kernel.linear:
        total += kernel.size(f"linear.{axis}") ** 2 * asked.axes[axis] ** 2
    return np.asarray(total + kernel.size("unstated") ** 2 * asked.unstated)


def _noise(kernel: Kernel, asked: Features) -> Floats:
    """Variance of the noise of each point, f8[n]."""
    return np.asarray(kernel.size("noise") ** 2 + kernel.size("rough") ** 2 * asked.unstated)


def design(
    kernel: Kernel,
    asked: Features,
    count: int,
    chosen: Sequence[int] = (),
) -> list[int]:
    """Which points to measure: those that leave the least variance of the process over all.

    Greedy and blind to results (A-optimal, Krause, Singh and Guestrin, Near-optimal sensor
    placements in Gaussian processes, JMLR 9 (2008) 235): each next point is the one whose
    measurement takes off most of the summed variance.

    Parameters
    ----------
    asked : all points, `chosen` of which are measured already.
    count : points to have in the end.
    """
    rows, noise = list(chosen), _noise(kernel, asked)
    left = covariance(kernel, asked, asked)
    for step in range(max(count, len(rows))):
        if step >= len(rows):
            gain = (left**2).sum(axis=0) / (np.diag(left) + noise)
            gain[rows] = -1.0
            rows.append(int(np.argmax(gain)))
        column = left[:, rows[step]].copy()
        left -= np.outer(column, column / (column[rows[step]] + noise[rows[step]]))
    return rows
