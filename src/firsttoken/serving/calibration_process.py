"""What log residuals of serving points are made of: the parts of their Gaussian process.

The residual of a point is a sum of independent parts: effects of its GPU, model, engine, release,
precision and of their combinations (a hierarchy: what is common is learned first), effects that
change smoothly along the load, factors on the terms of a step (linear in their shares), and a
smooth rest (`gaussian_process` has the mathematics).  The scales are set, not learned: on the few
points that one calibrates on, scales of greatest likelihood predict worse
(docs/explanation/serving-calibration.md).  Noise is Student's t: a run with undeclared speculative
decoding gets a small weight, and is not dropped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from zlib import crc32

import numpy as np

from firsttoken.serving.calibration_points import Observation
from firsttoken.serving.calibration_prior import Prior
from firsttoken.serving.gaussian_process import (
    Alike,
    Factor,
    Features,
    Near,
    Part,
    Process,
    Product,
)
from firsttoken.serving.parts import library_hardware
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
    "generation_engine": ("generation", "engine"),
    "generation_model": ("generation", "model", "engine"),
    "generation_setup": ("generation", "model", "engine", "precision", "release"),
    "generation_layout": (
        *("generation", "model", "engine", "precision", "release"),
        *("tensor", "data", "expert"),
    ),
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

    def parts(self) -> list[Part]:
        """Parts of the covariance.

        Splits of deployments that are not stated are an effect of the setup that changes along the
        load, too.
        """
        along = self._near("along", self.along)
        parts = [Part(self.size("common"))]
        parts += [Part(self.size(f"linear.{a}"), (Product(a),)) for a in self.linear]
        parts += self._each("effect", self.effects)
        if self.smooth:
            parts.append(Part(self.size("smooth"), (self._near("length", self.smooth),)))
        parts += self._each("varying", self.varying, along)
        parts += self._each("shares", self.shares, Product("shares"))
        hidden = Product("unstated"), Alike("setup"), along
        return [*parts, Part(self.size("unstated"), hidden)]

    def noise(self, asked: Features) -> Floats:
        """Variance of the noise of each point, f8[n]."""
        rough = self.size("rough") ** 2 * asked.axes["unstated"]
        return np.asarray(self.size("noise") ** 2 + rough)

    def process(self, seen: Features, residual: Floats, rounds: int = 4) -> Process:
        """The process that has seen points."""
        return Process(self.parts(), seen, residual, self.noise(seen), FREEDOM, rounds)

    def _near(self, kind: str, axes: tuple[str, ...]) -> Near:
        return Near(axes, tuple(self.size(f"{kind}.{a}") for a in axes))

    def _each(self, kind: str, names: tuple[str, ...], *more: Factor) -> list[Part]:
        same = {name: () if name == "all" else (Alike(name),) for name in names}
        return [Part(self.size(f"{kind}.{name}"), (*same[name], *more)) for name in names]


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
        "generation_engine",
        "generation_model",
        "generation_setup",
        "generation_layout",
        "setup",
        "layout",
    ),
    ("model", "model_engine", "generation_model"),
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
        "effect.generation_engine": 0.10,
        "effect.generation_model": 0.20,
        "effect.generation_setup": 0.20,
        "effect.generation_layout": 0.16,
        "effect.setup": 0.12,
        "effect.layout": 0.08,
        "varying.model": 0.07,
        "varying.model_engine": 0.10,
        "varying.generation_model": 0.14,
    },
)
"""What is carried over to a GPU or a model of which nothing was measured: no effects of
GPUs, no smooth rest.

Most is carried over within a generation, whose kernels are the same, and little from one to
another: engines write the kernels of attention, experts and narrow numbers anew for each.  How much
was chosen among 20 processes, by GPUs left out (docs/explanation/serving-calibration.md)."""


def features(points: Sequence[Observation], physics: Prior) -> Features:
    """Features of points and their physics.

    Codes of `EFFECTS`; `AXES`, shares of terms (f8[n, 9]), and `unstated`, 1 where the split of
    the deployment into engines is not stated.
    """
    attributes = [
        {
            **p._asdict(),
            "data_parallel": (p.data > 1.0, p.pools),
            "generation": generation(p.gpu),
        }
        for p in points
    ]

    def code(names: tuple[str, ...]) -> Any:
        texts = ["|".join(str(a[n]) for n in names) for a in attributes]
        return np.array([crc32(t.encode()) + 1 for t in texts], dtype=np.int64)

    raw: dict[str, Any] = {
        name: np.array([a[name] for a in attributes], dtype=float)
        for name in ("concurrency", "isl", "osl", "tensor", "data", "expert")
    }
    raw |= {"tpot": physics.tpot, "own": physics.own, "pressure": np.exp(physics.pressure)}
    axes = {name: np.log(raw[name] / middle) / unit for name, (middle, unit) in AXES.items()}
    axes["shares"] = physics.shares / SHARES
    axes["unstated"] = np.array([float(p.pools > 0) for p in points])
    return Features({name: code(names) for name, names in EFFECTS.items()}, axes)


def generation(gpu: str) -> str:
    """Generation of tensor cores that kernels are written for: the narrowest numbers they take."""
    hardware = library_hardware(gpu)
    return "fp4" if hardware.fp4 > 0 else "fp8" if hardware.fp8 > 0 else "bf16"
