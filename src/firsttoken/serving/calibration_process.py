"""A Gaussian process of log residuals: what measurements say beyond physics.

The residual of a point is a sum of independent parts: effects of its GPU, model, engine, release,
precision and of their combinations (a hierarchy: what is common is learned first), effects that
change smoothly along the load, factors on the terms of a step (linear in their shares), and a
smooth rest.  All are Gaussian with a scale each, so that the sum is a Gaussian process (Rasmussen
and Williams, Gaussian Processes for Machine Learning, MIT Press 2006, chapters 2 and 5).  Scales
maximise the marginal likelihood under a log-normal prior.  Noise is Student's t, as reweighted
variances (a run with undeclared speculative decoding gets a small weight, and is not dropped).
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
    """

    codes: Mapping[str, Any]
    axes: Mapping[str, Floats]
    shares: Floats


class Kernel(NamedTuple):
    """Parts of a process.

    Attributes
    ----------
    linear : axes with a slope; smooth : axes of the smooth rest.
    effects : effects; varying : effects that change smoothly along `along`.
    shares : effects that have factors on the terms of a step of their own (`all`: common ones).
    scales : log-normal means of scales and lengths, where they differ from the defaults.
    """

    linear: tuple[str, ...]
    smooth: tuple[str, ...]
    effects: tuple[str, ...]
    varying: tuple[str, ...]
    along: tuple[str, ...]
    shares: tuple[str, ...]
    scales: Mapping[str, float]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the scales, in order."""
        return (
            "noise",
            "common",
            *(f"linear.{a}" for a in self.linear),
            *(["smooth"] if self.smooth else []),
            *(f"effect.{e}" for e in self.effects),
            *(f"varying.{e}" for e in self.varying),
            *(f"shares.{e}" for e in self.shares),
            *(f"length.{a}" for a in self.smooth),
            *(f"along.{a}" for a in self.along),
        )

    @property
    def spread(self) -> Floats:
        """Standard deviations of that prior: lengths may move farther than scales."""
        wide = [n.startswith(("length", "along")) for n in self.names]
        return np.where(wide, 1.2, 0.6)

    @property
    def start(self) -> Floats:
        """Logs of the means of the prior."""
        defaults = {"noise": 0.06, "common": 0.3, "smooth": 0.15}
        kinds = {"linear": 0.05, "effect": 0.1, "varying": 0.07, "shares": 0.06, "length": 2.0}
        return np.log(
            [
                self.scales.get(n, defaults.get(n, kinds.get(n.split(".")[0], 1.5)))
                for n in self.names
            ]
        )


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
    _LOAD, _REST, _ALL, _VARYING, _LOAD, ("all", "engine", "gpu", "model", "precision"), {}
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
        "noise": 0.15,
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
"""What is carried over to a GPU or a model of which nothing was measured: nothing of GPUs or
lengths, no smooth rest; scales fixed in advance (few GPUs and models could teach them)."""


def features(points: Sequence[Observation], physics: Prior) -> Features:
    """Features of points and their physics."""
    attributes = [{**p._asdict(), "data_parallel": p.data > 1.0} for p in points]

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
    )


class Process:
    """A process with its scales, and what it has seen.

    Parameters
    ----------
    kernel : its parts.
    scales : logs of the scales; None: the prior's means.
    """

    def __init__(self, kernel: Kernel, scales: Floats | None = None) -> None:
        self.kernel = kernel
        self.scales = kernel.start if scales is None else np.asarray(scales, dtype=float)
        self.place = {name: k for k, name in enumerate(kernel.names)}

    def condition(
        self, seen: Features, residual: Floats, *, learn: bool = True, rounds: int = 3
    ) -> Process:
        """Take in the residuals of the points `seen`; `learn`: and move the scales.

        Attributes set: `error`, `deviation` (f8[n]: leave-one-out residuals and their predicted
        standard deviations, noise included) and `weight` (f8[n]: 1 a usual point, down to
        `LIGHTEST` an outlier).
        """
        self.seen, parts = seen, _Parts(self.kernel, seen, seen)
        self.weight = np.ones(len(residual))
        for turn in range(rounds):
            if learn:
                self._learn(parts, residual, 50 if turn == 0 else 12)
            noise = np.exp(2.0 * self.scales[0])
            matrix = parts.covariance(self.scales) + np.diag(noise / self.weight)
            self.root = np.linalg.cholesky(matrix)
            inverse = np.linalg.inv(self.root)
            self.pull = inverse.T @ (inverse @ residual)
            precision = (inverse**2).sum(axis=0)
            self.error = self.pull / precision
            self.deviation = np.sqrt(1.0 / precision - noise / self.weight + noise)
            if turn < rounds - 1:
                left = (noise / self.weight * self.pull) ** 2 / noise
                self.weight = np.clip((FREEDOM + 1.0) / (FREEDOM + left), LIGHTEST, 1.2)
        return self

    def predict(self, asked: Features) -> tuple[Floats, Floats]:
        """Mean and standard deviation (noise included) of the residuals of points, f8[n]."""
        cross = _Parts(self.kernel, asked, self.seen).covariance(self.scales)
        explained = np.linalg.solve(self.root, cross.T)
        own = _variance(self.kernel, asked, self.scales, self.place)
        variance = np.maximum(own - (explained**2).sum(axis=0), 1e-9)
        return cross @ self.pull, np.sqrt(variance + np.exp(2.0 * self.scales[0]))

    def left_out(self, residual: Floats, groups: Any) -> tuple[Floats, Floats]:
        """Residuals, and their deviations, of points predicted without any of their group.

        With A the block of the inverse covariance of a group, residuals are A^-1 (K^-1 y) and
        their covariance is A^-1 (Rasmussen and Williams, section 5.4.2, for blocks).
        """
        inverse = np.linalg.inv(self.root)
        inverse = inverse.T @ inverse
        error, deviation = np.empty(len(residual)), np.empty(len(residual))
        for group in np.unique(groups):
            rows = np.flatnonzero(groups == group)
            block = np.linalg.inv(inverse[np.ix_(rows, rows)])
            error[rows] = block @ self.pull[rows]
            deviation[rows] = np.sqrt(np.diag(block))
        return error, deviation

    def _learn(self, parts: _Parts, residual: Floats, steps: int) -> None:
        from scipy.optimize import minimize

        start, spread = self.kernel.start, self.kernel.spread

        def loss(scales: Floats) -> tuple[float, Floats]:
            value, slope = parts.likelihood(scales, residual, self.weight)
            far = (scales - start) / spread
            return value + 0.5 * float(far @ far), slope + far / spread

        options = {"maxiter": steps}
        self.scales = minimize(loss, self.scales, jac=True, method="L-BFGS-B", options=options).x


def design(process: Process, asked: Features, count: int, chosen: Sequence[int] = ()) -> list[int]:
    """Which points to measure: those that leave the least variance of the process over all.

    Greedy and blind to results (A-optimal, Krause, Singh and Guestrin, Near-optimal sensor
    placements in Gaussian processes, JMLR 9 (2008) 235): each next point is the one whose
    measurement takes off most of the summed variance.

    Parameters
    ----------
    asked : all points, `chosen` of which are measured already.
    count : points to have in the end.
    """
    rows, noise = list(chosen), float(np.exp(2.0 * process.scales[0]))
    left = _Parts(process.kernel, asked, asked).covariance(process.scales)
    for step in range(max(count, len(rows))):
        if step >= len(rows):
            gain = (left**2).sum(axis=0) / (np.diag(left) + noise)
            gain[rows] = -1.0
            rows.append(int(np.argmax(gain)))
        column = left[:, rows[step]].copy()
        left -= np.outer(column, column / (column[rows[step]] + noise))
    return rows


class _Parts:
    """Covariances of two sets of points, part by part, as functions of the scales."""

    def __init__(self, kernel: Kernel, one: Features, other: Features) -> None:
        self.kernel = kernel
        self.place = {name: k for k, name in enumerate(kernel.names)}
        shape = (len(one.shares), len(other.shares))

        def same(name: str) -> Any:
            if name == "all":
                return np.ones(shape)
            return (one.codes[name][:, None] == other.codes[name][None, :]).astype(float)

        self.fixed = {"common": np.ones(shape)}
        for axis in kernel.linear:
            self.fixed[f"linear.{axis}"] = np.outer(one.axes[axis], other.axes[axis])
        for name in kernel.effects:
            self.fixed[f"effect.{name}"] = same(name)
        if kernel.shares:
            product = one.shares @ other.shares.T
            for name in kernel.shares:
                self.fixed[f"shares.{name}"] = product * same(name)
        self.alike = {name: same(name) for name in kernel.varying}
        self.far = {
            axis: (one.axes[axis][:, None] - other.axes[axis][None, :]) ** 2
            for axis in {*kernel.smooth, *kernel.along}
        }

    def parts(self, scales: Floats) -> dict[str, Any]:
        """Covariance of each part."""
        found = {name: np.exp(2.0 * scales[self.place[name]]) * v for name, v in self.fixed.items()}
        if self.kernel.smooth:
            bell = self._bell("length", self.kernel.smooth, scales)
            found["smooth"] = np.exp(2.0 * scales[self.place["smooth"]]) * bell
        if self.kernel.varying:
            bell = self._bell("along", self.kernel.along, scales)
            for name in self.kernel.varying:
                size = np.exp(2.0 * scales[self.place[f"varying.{name}"]])
                found[f"varying.{name}"] = size * self.alike[name] * bell
        return found

    def covariance(self, scales: Floats) -> Any:
        """Covariance of all parts together, noise left out."""
        return sum(self.parts(scales).values())

    def likelihood(self, scales: Floats, residual: Floats, weight: Floats) -> tuple[float, Floats]:
        """Negative log marginal likelihood and its slope (Rasmussen and Williams, 5.8 and 5.9)."""
        parts, noise = self.parts(scales), np.exp(2.0 * scales[0]) / weight
        try:
            root = np.linalg.cholesky(sum(parts.values()) + np.diag(noise))
        except np.linalg.LinAlgError:
            return 1e9, np.zeros_like(scales)
        inverse = np.linalg.inv(root)
        inverse = inverse.T @ inverse
        pull = inverse @ residual
        value = 0.5 * residual @ pull + np.log(np.diag(root)).sum()
        pushed, slope = inverse - np.outer(pull, pull), np.zeros_like(scales)
        slope[0] = np.diag(pushed) @ noise
        for name, part in parts.items():
            slope[self.place[name]] = np.vdot(pushed, part)
        varying = [parts[f"varying.{name}"] for name in self.kernel.varying]
        for kind, axes, whole in (
            ("length", self.kernel.smooth, parts.get("smooth", 0.0)),
            ("along", self.kernel.along, sum(varying)),
        ):
            moved = 0.5 * pushed * whole
            for axis in axes:
                place = self.place[f"{kind}.{axis}"]
                slope[place] = np.vdot(moved, self.far[axis]) * np.exp(-2.0 * scales[place])
        return float(value), slope

    def _bell(self, kind: str, axes: tuple[str, ...], scales: Floats) -> Any:
        total = sum(self.far[a] * np.exp(-2.0 * scales[self.place[f"{kind}.{a}"]]) for a in axes)
        return np.exp(-0.5 * total)


def _variance(kernel: Kernel, asked: Features, scales: Floats, place: Mapping[str, int]) -> Floats:
    """Variance of each point before anything is seen, noise left out, f8[n]."""
    size = {name: float(np.exp(2.0 * scales[k])) for name, k in place.items()}
    total = np.full(len(asked.shares), size["common"] + size.get("smooth", 0.0))
    total += sum(size[f"effect.{e}"] for e in kernel.effects)
    total += sum(size[f"varying.{e}"] for e in kernel.varying)
    total += sum(size[f"shares.{e}"] for e in kernel.shares) * (asked.shares**2).sum(axis=1)
    for axis in kernel.linear:
        total += size[f"linear.{axis}"] * asked.axes[axis] ** 2
    return total
