"""Power and speed of deployments fitted to measured points, with intervals.

The logarithms of a GPU's power and of the time of an output token are those of the physics
(`energy_law`, `perf_step`) plus a Gaussian process (`gaussian_process`) over how the deployment
runs, and over what points have in common: architecture, the same on the same GPU, the published
model. Joules a token are power times GPUs times time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from zlib import crc32

import numpy as np
from scipy.optimize import least_squares

from firsttoken.serving import perf_weights as weights
from firsttoken.serving.energy_law import PowerLaw, Use, gpu_power, law_of, use_of_step
from firsttoken.serving.gaussian_process import Alike, Features, Near, Part, Process, Product
from firsttoken.serving.interval_width import Widths, fit_widths
from firsttoken.serving.perf_memory import replica_gpus
from firsttoken.serving.perf_step import step_seconds, step_terms
from firsttoken.serving.system import Architecture, Floats, Hardware, Layout

COLUMNS: Final = 14
"""Features of how a deployment runs."""


class Scales(NamedTuple):
    """Deviations of the parts of what physics leaves.

    Attributes
    ----------
    common : of all points.
    smooth : of the smooth part; length : how far features, in their standard deviations, may be
        apart to have it in common.
    linear : of the linear part in each feature.
    architecture, on_gpu, model : of what points of an architecture share, those on the same GPU,
        and those of one published model on one.
    noise : of one measurement.
    """

    common: float = 1.0
    smooth: float = 0.3
    length: float = 0.5
    linear: float = 0.05
    architecture: float = 0.2
    on_gpu: float = 0.2
    model: float = 0.1
    noise: float = 0.08

    def parts(self) -> tuple[Part, ...]:
        """Parts of the process."""
        near = Near(("run",), (self.length * COLUMNS**0.5,))
        part, gpu, model = Alike("part"), Alike("gpu"), Alike("model")
        return (
            Part(self.common),
            Part(self.smooth, (near,)),
            Part(self.linear, (Product("run"),)),
            Part(self.architecture, (part,)),
            Part(self.on_gpu, (part, gpu)),
            Part(self.model, (model, gpu)),
        )


POWER: Final = Scales(linear=0.1, model=0.05)
TIME: Final = Scales(length=0.25, model=0.05, noise=0.16)
"""Round numbers, halves and doubles of which were chosen by models left out of those that a model
left out was not among (docs/explanation/serving-energy.md)."""

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
class Residual:
    """What the physics leaves.

    Attributes
    ----------
    scales : of its parts.
    process : that has seen points; mean : of what is left of them.
    centre, scale : of how they run, f8[k].
    models : their published models.
    widths, strange : of intervals of their models, from each of them when predicted from the
        others; and of other models, from each when predicted from those of other models.
    """

    scales: Scales
    process: Process
    mean: float
    centre: Floats
    scale: Floats
    models: tuple[str, ...]
    widths: Widths
    strange: Widths

    def predict(self, points: Points, run: Floats) -> tuple[Floats, Floats]:
        """Mean of what is left and half its 90 % interval, f8[n] each."""
        asked = _features(points, (run - self.centre) / self.scale)
        mean, deviation = self.process.predict(asked, _noise(run, self.scales))
        known = np.isin(points.model, self.models)
        half = np.where(known, self.widths.half(deviation), self.strange.half(deviation))
        return self.mean + mean, half


def fit_residual(points: Points, run: Floats, left: Floats, scales: Scales) -> Residual:
    """Condition the process on what physics left of measured points."""
    centre, scale = run.mean(axis=0), run.std(axis=0) + 1e-9
    mean = float(np.median(left))
    known = _features(points, (run - centre) / scale)
    process = Process(scales.parts(), known, left - mean, _noise(run, scales))
    names = [str(name) for name in points.model]
    near, far = process.left_out(), process.left_out(names)
    widths, strange = fit_widths(*near, bend=0.0), fit_widths(*far, names, bend=0.0)
    return Residual(
        scales, process, mean, centre, scale, tuple(sorted(set(names))), widths, strange
    )


def _features(points: Points, run: Floats) -> Features:
    """Names, and how deployments run, scaled."""

    def code(names: Any) -> Any:
        return np.array([crc32(str(name).encode()) + 1 for name in names], dtype=np.int64)

    codes = {"part": code(points.part), "gpu": code(points.gpu), "model": code(points.model)}
    return Features(codes, {"run": run})


def _noise(run: Floats, scales: Scales) -> Floats:
    return np.full(len(run), scales.noise**2)


@dataclass(frozen=True)
class Calibration:
    """Laws of power by generation, and processes on what they and the physics of time leave."""

    laws: dict[bool, PowerLaw]
    power: Residual
    time: Residual

    def predict(self, points: Points, rate: Floats | None = None) -> Prediction:
        """Power, time and energy of deployments; what was measured of `points` is not used.

        Parameters
        ----------
        rate : output tokens/s of each replica where that is known; None: predicted too.
        """
        if rate is None:
            physics = token_seconds(points)
            left, wide = self.time.predict(points, _run(points, physics))
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
        left, half = self.power.predict(points, _run(points, seconds))
        return np.log(law) + left, half


def _interval(middle: Floats, half: Floats) -> Floats:
    return np.asarray(np.exp(middle[:, None] + half[:, None] * np.array([-1.0, 0.0, 1.0])))


def fit(points: Points, power: Scales = POWER, time: Scales = TIME) -> Calibration:
    """Fit laws and processes to measured points.

    Parameters
    ----------
    power, time : scales of the processes of both.

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
    return Calibration(
        laws,
        fit_residual(points, _run(points, measured), np.log(points.power / law), power),
        fit_residual(points, _run(points, physics), np.log(measured / physics), time),
    )


def _laws(points: Points, laws: dict[bool, PowerLaw]) -> PowerLaw:
    """The law of each point's generation; that of the literature where none was fitted."""
    known = law_of(points.hardware)
    young = np.asarray(points.hardware.fp4) > 0
    which = [young == new for new in laws]
    chosen: Any = (
        np.select(which, [law[k] for law in laws.values()], value) for k, value in enumerate(known)
    )
    return PowerLaw(*chosen)


def _run(points: Points, seconds: Floats) -> Floats:
    """How a deployment runs, by physics: f8[n, `COLUMNS`]."""
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
