"""Rates of training steps fitted to measured ones, what is left over, and how sure all of it is.

The logarithm of a step's time is that of the physics (`training_step`) with uncertain rates, plus
what jobs have in common that the physics does not see: a Gaussian process (`gaussian_process`)
whose parts are what two jobs may share (model, accelerator, format, layout, software).  Rates are
found by least squares whitened by it, with priors (an empirical Bayes fit; Rasmussen and Williams,
Gaussian Processes for Machine Learning, 2006, section 2.7); predictions carry the uncertainty of
both.  The width of intervals is that of jobs that were left out (`interval_width`).
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final, NamedTuple
from zlib import crc32

import numpy as np

from firsttoken.serving.gaussian_process import (
    Alike,
    Factor,
    Features,
    Near,
    Part,
    Process,
    Product,
    covariance,
    likeliest,
)
from firsttoken.serving.interval_width import fit_widths
from firsttoken.serving.system import Floats
from firsttoken.serving.training_points import Points, joined, packaged
from firsttoken.serving.training_step import SIGNED, Job, Rates, step_seconds, step_terms
from firsttoken.twin.library import SHIPPED

FITTED: Final = SHIPPED / "ai-models" / "training_rates.csv"
"""Rates and deviations fitted to `training_steps.csv`."""

_NORMAL: Final = 1.6448536269514722

PRIOR: Final = Rates(
    bf16=1.4,
    power=-0.6,
    attention=1.3,
    passes=120.0,
    expert_passes=20.0,
    release=-0.03,
    release_expert=-0.12,
)
"""Rates expected before any measurement: products at 50-70 % of the peak (dense, 16 to 4 bits), the
rest from the order of magnitude of each term."""

SPREAD: Final = Rates(
    **dict.fromkeys(("bf16", "fp8", "mxfp8", "hopper"), 0.08),
    fp4=0.15,
    host=0.2,
    **dict.fromkeys(("power", "attention", "tensor_call", "chunk_call"), 0.3),
    **dict.fromkeys(("grouped", "exponent", "expert_passes", "gradients"), 0.4),
    passes=0.25,
    **dict.fromkeys(("scale", "block", "optimizer", "tensor", "exchange", "exchange_out"), 0.5),
    **dict.fromkeys(("context", "chunk", "launch", "launch_expert", "capacity"), 0.5),
    **dict.fromkeys(("rows", "sharded", "reduce", "graphs"), 0.7),
    fused=0.15,
    release=0.04,
    release_expert=0.06,
)
"""Standard deviations of the logarithms of rates (of the rates themselves for `SIGNED`)."""

MEMORY: Final = 0.35
"""Years of software after which what releases share has fallen to 1 / e."""

_MODEL, _ACCELERATOR, _KIND, _FORMAT, _SETUP = (
    Alike(name) for name in ("model", "accelerator", "kind", "format", "setup")
)
_RELEASE, _LAYOUT = Near(("release",), (MEMORY,), rough=True), Near(("layout",), (1.0,))

SHARED: Final[dict[str, tuple[Factor, ...]]] = {
    "model": (_MODEL,),
    "model_format": (_MODEL, _FORMAT),
    "accelerator": (_ACCELERATOR,),
    "accelerator_kind": (_ACCELERATOR, _KIND),
    "model_accelerator": (_MODEL, _ACCELERATOR),
    "setup": (_SETUP, _MODEL, _ACCELERATOR),
    "kind_format_release": (_KIND, _FORMAT, _RELEASE),
    "model_release": (_MODEL, _RELEASE),
    "model_layout": (_MODEL, _LAYOUT),
    "model_accelerator_layout": (_MODEL, _ACCELERATOR, _LAYOUT),
}
"""What two jobs may have in common."""

START: Final = np.array([0.05, 0.04, 0.05, 0.05, 0.05, 0.06, 0.05, 0.04, 0.08, 0.05, 0.015])
"""Deviations of each of `SHARED` expected before the fit, and of a repeated measurement."""

LOOSE: Final = 0.7
"""Deviation of the logarithm of a deviation around `START`."""


class Steps(NamedTuple):
    """Predicted times of steps, s, each f8[n]: median, and the ends of the 90 % interval."""

    median: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Calibration:
    """Fitted rates.

    Attributes
    ----------
    points : measured steps that it knows.
    theta : rates as fitted, logarithms but for `SIGNED`, f8[p].
    deviations : of each of `SHARED`, and of a repeated measurement, f8[len(SHARED) + 1].
    width : half-width of the 90 % interval in predicted standard deviations.
    """

    points: Points
    theta: Floats
    deviations: Floats
    width: float

    @property
    def rates(self) -> Rates:
        """The fitted rates."""
        return decoded(self.theta)

    @cached_property
    def process(self) -> Process:
        """The process that has seen the known steps, rates among its parts."""
        base, seen = _seen(self.points, self.theta)
        parts = [*_parts(self.deviations), Part(1.0, (Product("rates"),))]
        left = np.log(self.points.seconds) - base
        return Process(parts, seen, left, np.full(self.points.size, self.deviations[-1] ** 2))

    def logarithms(self, points: Points) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the logarithm of the time, f8[n] each."""
        base, asked = _seen(points, self.theta)
        mean, deviation = self.process.predict(
            asked, np.full(points.size, self.deviations[-1] ** 2)
        )
        return base + mean, deviation

    def predict(self, points: Points) -> Steps:
        """Times of steps with 90 % intervals."""
        mean, deviation = self.logarithms(points)
        half = self.width * deviation
        return Steps(np.exp(mean), np.exp(mean - half), np.exp(mean + half))

    def updated(self, points: Points) -> Calibration:
        """The same rates, but knowing more measured steps: a site's own."""
        return Calibration(joined(self.points, points), self.theta, self.deviations, self.width)


def fit(points: Points, deviations: Floats | None = None, rounds: int = 3) -> Calibration:
    """Fit rates, and the deviations unless they are given, to measured steps.

    Parameters
    ----------
    rounds : times that the rates are fitted; in between the deviations are.
    """
    theta = encoded(PRIOR)
    found = START if deviations is None else deviations
    for turn in range(rounds):
        theta = _fit_rates(points, theta, found)
        if deviations is None and turn + 1 < rounds:
            found = _fit_deviations(points, theta)
    return _with_width(Calibration(points, theta, found, _NORMAL))


@lru_cache(maxsize=1)
def shipped() -> Calibration:
    """The calibration of the package: `training_rates.csv` with `training_steps.csv`."""
    with FITTED.open(encoding="utf-8", newline="") as file:
        read = {row["rate"]: float(row["value"]) for row in csv.DictReader(file)}
    rates = Rates(**{name: read[name] for name in Rates._fields})
    deviations = np.array([read[f"deviation_{name}"] for name in (*SHARED, "repeated")])
    return Calibration(packaged(), encoded(rates), deviations, read["width"])


def table(calibration: Calibration) -> list[tuple[str, float]]:
    """The rows (rate, value) of `training_rates.csv`."""
    names = (*SHARED, "repeated")
    return [
        *((name, float(value)) for name, value in calibration.rates._asdict().items()),
        *((f"deviation_{n}", float(v)) for n, v in zip(names, calibration.deviations, strict=True)),
        ("width", calibration.width),
    ]


def encoded(rates: Rates) -> Floats:
    """Rates as the fit sees them, f8[p]: logarithms but for `SIGNED`."""
    return np.array(
        [
            value if name in SIGNED else math.log(float(value))
            for name, value in rates._asdict().items()
        ],
        dtype=float,
    )


def decoded(theta: Floats) -> Rates:
    """The rates of `encoded`; of several, f8[k, p], rates of shape [k, 1]."""
    columns = np.moveaxis(np.asarray(theta), -1, 0)
    if columns.ndim > 1:
        columns = columns[..., None]
    pairs = zip(Rates._fields, columns, strict=True)
    return Rates(*(value if name in SIGNED else np.exp(value) for name, value in pairs))


def _spread() -> Floats:
    return np.array(SPREAD, dtype=float)


def physics(points: Points, theta: Floats) -> Floats:
    """Logarithm of the time of steps by their physics alone, f8[n]; f8[k, n] of several rates."""
    rates = decoded(theta)
    terms = step_terms(points.architecture, points.hardware, points.job, rates)
    return np.log(step_seconds(points.architecture, points.job, rates, terms))


def _linear(points: Points, theta: Floats) -> tuple[Floats, Floats]:
    """Physics at the prior, seen from `theta` (f8[n]), and its slopes (f8[n, p])."""
    found = physics(points, np.vstack([theta, theta + 1e-4 * np.eye(len(theta))]))
    slope = (found[1:] - found[0]).T / 1e-4
    return found[0] + slope @ (encoded(PRIOR) - theta), slope


def setups(points: Points) -> list[str]:
    """A name for each job that equal jobs share, whatever their software, [n]."""
    fields = [np.asarray(x) for n, x in points.job._asdict().items() if n != "release"]
    columns = zip(*fields, strict=True)
    models = zip(points.model, points.accelerator, columns, strict=True)
    return [f"{m} {g} {' '.join(f'{x:g}' for x in job)}" for m, g, job in models]


def _code(names: Iterable[str]) -> Any:
    """Codes of names, i8[n]; that of no name is like no other."""
    return np.array([crc32(name.encode()) + 1 if name else 0 for name in names], dtype=np.int64)


def _features(points: Points) -> Features:
    """What of a job may be like that of others."""
    job = points.job
    form = np.asarray(job.bits) * 10.0 + np.asarray(job.block)
    codes = {
        "model": _code(map(str, points.model)),
        "accelerator": _code(map(str, points.accelerator)),
        "kind": 1 + (np.asarray(points.architecture.experts) > 0),
        "format": _code(map(str, form)),
        "setup": _code(setups(points)),
    }
    release = np.asarray(job.release, dtype=float)
    return Features(codes, {"release": release, "layout": _places(job)})


def _seen(points: Points, theta: Floats) -> tuple[Floats, Features]:
    """Physics at the prior, seen from `theta`, f8[n], and features, with the pull of rates."""
    base, slope = _linear(points, theta)
    found = _features(points)
    found = Features(found.codes, {**found.axes, "rates": slope * _spread()})
    return base, found


def _places(job: Job) -> Floats:
    """Layouts as points whose distance says how different they are, f8[n, 10]."""
    columns = [
        np.log2(job.micro),
        np.log2(job.tensor),
        np.log2(job.pipeline),
        np.log2(job.chunks) / 2.0,
        np.log2(job.expert) / 2.0,
        job.shard,
        np.log2(job.gpus) / 2.0,
        np.log2(job.batch) / 4.0,
        2.0 * np.asarray(job.dropped),
        1.0 - np.asarray(job.trained),
    ]
    return np.stack([np.asarray(column, dtype=float) for column in columns], axis=1)


def _parts(deviations: Floats) -> list[Part]:
    """Parts of what the physics does not see."""
    pairs = zip(deviations[:-1], SHARED.values(), strict=True)
    return [Part(float(deviation), factors) for deviation, factors in pairs]


def alike(points: Points, deviations: Floats, others: Points | None = None) -> Floats:
    """Covariance of what the physics does not see of jobs and others (themselves), f8[n, m]."""
    two = points if others is None else others
    return covariance(_parts(deviations), _features(points), _features(two))


def _fit_rates(points: Points, theta: Floats, deviations: Floats) -> Floats:
    from scipy.linalg import solve_triangular
    from scipy.optimize import least_squares

    seen, spread, prior = np.log(points.seconds), _spread(), encoded(PRIOR)
    noise = deviations[-1] ** 2 * np.eye(points.size)
    factor = np.linalg.cholesky(alike(points, deviations) + noise)

    def misfit(x: Floats) -> Floats:
        white = solve_triangular(factor, physics(points, x) - seen, lower=True)
        return np.append(white, (x - prior) / spread)

    def slopes(x: Floats) -> Floats:
        white = solve_triangular(factor, _linear(points, x)[1], lower=True)
        return np.vstack([white, np.diag(1.0 / spread)])

    found: Floats = least_squares(misfit, theta, slopes, x_scale=spread, max_nfev=15).x
    return found


def _fit_deviations(points: Points, theta: Floats) -> Floats:
    """Deviations of the highest marginal likelihood, rates integrated out linearly."""
    base, slope = _linear(points, theta)
    known = _features(points)
    each = [covariance([Part(1.0, factors)], known, known) for factors in SHARED.values()]
    fixed = (slope * _spread() ** 2) @ slope.T
    left = np.log(points.seconds) - base
    return likeliest([*each, np.eye(points.size)], fixed, left, START, LOOSE)


def left_out(calibration: Calibration, groups: Any) -> tuple[Floats, Floats]:
    """Errors and predicted deviations of the logarithm of known steps, each group left out.

    The rates move with what is left, to first order; the deviations stay.

    Parameters
    ----------
    groups : a name for each known step; those of a name are left out together, [n].
    """
    error, deviation = calibration.process.left_out(groups)
    return -error, deviation


def _with_width(calibration: Calibration) -> Calibration:
    """The calibration with the width that holds 90 % of the setups left out."""
    error, deviation = left_out(calibration, setups(calibration.points))
    width = float(fit_widths(error, deviation, bend=0.0).half(np.ones(1))[0])
    return Calibration(calibration.points, calibration.theta, calibration.deviations, width)
