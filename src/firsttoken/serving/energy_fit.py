"""Power and speed of deployments fitted to measured points, with intervals.

The logarithms of a GPU's power and of the time of an output token are those of the physics
(`energy_law`, `perf_step`) plus a Gaussian process (Rasmussen and Williams, Gaussian Processes for
Machine Learning, 2006, chapters 2 and 5) over how the deployment runs, and over what points have in
common: architecture, the same on the same GPU, the published model. Joules a token are power times
GPUs times time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import least_squares

from firsttoken.serving import perf_weights as weights
from firsttoken.serving.energy_law import PowerLaw, Use, gpu_power, law_of, use_of_step
from firsttoken.serving.perf_memory import replica_gpus
from firsttoken.serving.perf_step import step_seconds, step_terms
from firsttoken.serving.system import Architecture, Floats, Hardware, Layout

COVERAGE: Final = 0.9
"""Share of the measurements that an interval is to hold."""

SMOOTH: Final = 0.3
LENGTH: Final = 0.5
"""Deviation of the smooth part of what physics leaves, and how far features, in their standard
deviations, may be apart to have it in common."""

LINEAR: Final = 0.05
ARCHITECTURE: Final = 0.2
ON_GPU: Final = 0.2
MODEL: Final = 0.1
NOISE: Final = 0.08
"""Deviations of the linear part in each feature; of what points of an architecture share, those on
the same GPU, and those of one published model; of one measurement.  Round numbers: between half and
twice of each the errors of models that were left out differ by a tenth."""

LAW_START: Final = np.array([np.log(0.3), np.log(0.8), np.log(0.8), np.log(2.0), 0.7])
LAW_LOOSE: Final = np.array([3.0, 3.0, 3.0, 3.0, 0.5])
"""Logarithms of the coefficients of the law of power, its exponent, and how free they are."""


class Points(NamedTuple):
    """Deployments under a steady load; arrays f8[n] but for the names.

    Attributes
    ----------
    architecture, hardware, layout : of arrays [n].
    model, part, gpu : names, U[n]: published model, architecture, GPU.
    batch : sequences that run at the same time in the replica.
    prompt, output : mean tokens of a request.
    power : measured mean power of one GPU, W.
    rate : measured output tokens/s of the replica.
    """

    architecture: Architecture
    hardware: Hardware
    layout: Layout
    model: Any
    part: Any
    gpu: Any
    batch: Floats
    prompt: Floats
    output: Floats
    power: Floats
    rate: Floats

    def subset(self, rows: Any) -> Points:
        """The points of a mask or of indices."""
        structs = (self.architecture, self.hardware, self.layout)
        cut: Any = [type(item)(*(np.asarray(field)[rows] for field in item)) for item in structs]
        return Points(*cut, *(item[rows] for item in self[3:]))


class Prediction(NamedTuple):
    """Medians and 90 % intervals, f8[n, 3] (low, median, high).

    Attributes
    ----------
    power : of one GPU, W.
    token : s of the replica for an output token.
    energy : J of all GPUs for an output token.
    """

    power: Floats
    token: Floats
    energy: Floats


def token_seconds(points: Points) -> Floats:
    """Time of an output token by physics alone, f8[n]: decoding, and its share of prefill."""
    p = points
    models = p.architecture, p.hardware, p.layout
    context = p.batch * (p.prompt + p.output / 2.0)
    decoding = step_seconds(step_terms(*models, p.batch, p.batch, context, 0.0))
    idle = step_seconds(step_terms(*models, 0.0, 0.0, 0.0, 0.0))
    pairs = p.prompt**2 / 2.0
    filling = step_seconds(step_terms(*models, p.prompt, 1.0, 0.0, pairs)) - idle
    return decoding / p.batch + np.maximum(filling, 0.0) / p.output


def use(points: Points, seconds: Floats) -> Use:
    """How busy a rank is while an output token takes the replica `seconds`."""
    p = points
    step = seconds * p.batch
    entering = p.batch / p.output * p.prompt
    context = p.batch * (p.prompt + p.output / 2.0)
    tokens = p.batch + entering
    models = p.architecture, p.hardware, p.layout
    return use_of_step(*models, tokens, p.batch, context, entering * p.prompt / 2.0, step)


def fit_law(points: Points) -> PowerLaw:
    """The law of power fitted to points of one generation, robustly, at their measured rates."""
    busy = use(points, 1.0 / points.rate)

    def off(theta: Floats) -> Floats:
        power = gpu_power(points.hardware, busy, _law(theta))
        return np.concatenate([np.log(power / points.power), (theta - LAW_START) / LAW_LOOSE])

    found = least_squares(off, LAW_START, loss="soft_l1", f_scale=0.1).x
    return _law(found)


def _law(theta: Floats) -> PowerLaw:
    static, read, cache, work = (float(value) for value in np.exp(theta[:4]))
    return PowerLaw(static, read, cache, work, float(theta[4]))


@dataclass(frozen=True)
class Process:
    """A Gaussian process on what the physics leaves.

    Attributes
    ----------
    known, features : points and how they run, scaled, f8[n, k]; centre, scale : of the features.
    mean : of what is left; factor, solved : of the covariance, and covariance^-1 what is left.
    width : half-width of 90 % intervals in deviations, so that they hold nine tenths of the points
        when each is predicted from the others (Barber et al., Predictive inference with the
        jackknife+, Annals of Statistics 49, 2021).
    """

    known: Points
    features: Floats
    centre: Floats
    scale: Floats
    mean: float
    factor: Any
    solved: Floats
    width: float

    def predict(self, points: Points, features: Floats) -> tuple[Floats, Floats]:
        """Mean of what is left and half its 90 % interval, f8[n] each."""
        near = (features - self.centre) / self.scale
        across = _covariance(_common(near, points, self.features, self.known))
        own = SMOOTH**2 + 1.0 + ARCHITECTURE**2 + ON_GPU**2 + MODEL**2 + NOISE**2
        spread = own + LINEAR**2 * (near**2).sum(axis=1)
        explained = (across * cho_solve(self.factor, across.T).T).sum(axis=1)
        deviation = np.sqrt(np.maximum(spread - explained, 1e-6))
        return self.mean + across @ self.solved, self.width * deviation


def fit_process(points: Points, features: Floats, left: Floats) -> Process:
    """Condition the process on what physics left of measured points."""
    centre, scale = features.mean(axis=0), features.std(axis=0) + 1e-9
    scaled = (features - centre) / scale
    mean = float(np.median(left))
    total = _covariance(_common(scaled, points, scaled, points))
    total[np.diag_indices_from(total)] += NOISE**2
    factor = cho_factor(total, lower=True)
    solved = cho_solve(factor, left - mean)
    inverse = np.diag(cho_solve(factor, np.eye(len(left))))
    apart = np.abs(solved) / np.sqrt(inverse)
    width = float(np.quantile(apart, COVERAGE, method="higher"))
    return Process(points, scaled, centre, scale, mean, factor, solved, width)


class _Common(NamedTuple):
    """What two sets of points have in common, f8[n, m] each."""

    apart: Floats
    product: Floats
    part: Floats
    both: Floats
    model: Floats


def _common(a: Floats, of_a: Points, b: Floats, of_b: Points) -> _Common:
    """Compare two sets of points by their scaled features and names."""
    apart = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None] - 2.0 * a @ b.T
    names = (of_a.part, of_b.part), (of_a.gpu, of_b.gpu), (of_a.model, of_b.model)
    part, gpu, model = (_same(*pair) for pair in names)
    return _Common(apart / a.shape[1], a @ b.T, part, part * gpu, model * gpu)


def _same(a: Any, b: Any) -> Floats:
    """1 where two names are equal, f8[n, m]."""
    codes = np.unique(np.concatenate([a, b]), return_inverse=True)[1]
    return np.asarray(codes[: len(a), None] == codes[None, len(a) :], dtype=float)


def _covariance(common: _Common) -> Floats:
    """Covariance of what is left of two sets of points, f8[n, m]."""
    near = np.exp(-0.5 * common.apart / LENGTH**2)
    shared = ARCHITECTURE**2 * common.part + ON_GPU**2 * common.both + MODEL**2 * common.model
    return np.asarray(SMOOTH**2 * near + LINEAR**2 * common.product + 1.0 + shared)


@dataclass(frozen=True)
class Calibration:
    """Laws of power by generation, and processes on what they and the physics of time leave."""

    laws: dict[bool, PowerLaw]
    power: Process
    time: Process

    def predict(self, points: Points, rate: Floats | None = None) -> Prediction:
        """Power, time and energy of deployments; what was measured of `points` is not used.

        Parameters
        ----------
        rate : output tokens/s of each replica where that is known; None: predicted too.
        """
        if rate is None:
            physics = token_seconds(points)
            left, wide = self.time.predict(points, _features(points, physics))
            token = np.log(physics) + left
        else:
            token, wide = -np.log(rate), np.zeros(len(rate))
        seconds = np.exp(token)
        power, own = self._power(points, seconds)
        quick, slow = (self._power(points, seconds * np.exp(sign * wide))[0] for sign in (-1, 1))
        energy = power + token + np.log(replica_gpus(points.layout))
        half = np.hypot(own, (quick - slow) / 2.0)
        less = np.hypot(own, wide + (slow - quick) / 2.0)  # slow tokens take less power
        return Prediction(_interval(power, half), _interval(token, wide), _interval(energy, less))

    def _power(self, points: Points, seconds: Floats) -> tuple[Floats, Floats]:
        """Logarithm of a GPU's power at a time of a token, and half its interval."""
        law = gpu_power(points.hardware, use(points, seconds), _laws(points, self.laws))
        left, half = self.power.predict(points, _features(points, seconds))
        return np.log(law) + left, half


def _interval(middle: Floats, half: Floats) -> Floats:
    return np.asarray(np.exp(middle[:, None] + half[:, None] * np.array([-1.0, 0.0, 1.0])))


def fit(points: Points) -> Calibration:
    """Fit laws and processes to measured points.

    Raises
    ------
    ValueError
        If there are fewer than three points.
    """
    if len(points.power) < 3:
        raise ValueError("at least three measured points are needed")
    young = np.asarray(points.hardware.fp4) > 0
    laws = {bool(new): fit_law(points.subset(young == new)) for new in np.unique(young)}
    physics, measured = token_seconds(points), 1.0 / points.rate
    law = gpu_power(points.hardware, use(points, measured), _laws(points, laws))
    power = fit_process(points, _features(points, measured), np.log(points.power / law))
    time = fit_process(points, _features(points, physics), np.log(measured / physics))
    return Calibration(laws, power, time)


def _laws(points: Points, laws: dict[bool, PowerLaw]) -> PowerLaw:
    """The law of each point's generation; that of the literature where none was fitted."""
    known = law_of(points.hardware)
    young = np.asarray(points.hardware.fp4) > 0
    which = [young == new for new in laws]
    chosen: Any = (
        np.select(which, [law[k] for law in laws.values()], value) for k, value in enumerate(known)
    )
    return PowerLaw(*chosen)


def _features(points: Points, seconds: Floats) -> Floats:
    """How a deployment runs, by physics: f8[n, 14]."""
    p = points
    busy = use(points, seconds)
    gpus = replica_gpus(p.layout)
    young = np.asarray(p.hardware.fp4) > 0
    sparse = np.asarray(p.architecture.experts) > 0
    active = weights.counts(p.architecture).active
    columns = (
        np.log(busy.work),
        np.log(busy.weights + busy.cache),
        np.log(gpus),
        np.log(p.batch),
        np.log(seconds * p.batch),
        np.log(p.output),
        np.log(p.prompt / p.output),
        np.log(active / gpus),
        young,
        sparse,
        young * np.log(gpus),
        sparse * np.log(gpus),
        young * np.log(busy.work),
        np.asarray(p.layout.weight_bits) < 16,
    )
    return np.array([np.broadcast_to(column, p.batch.shape) for column in columns], dtype=float).T
