"""What may stand in a parameter's slot: number, distribution, series, fact, model, signal.

Every value holds SI floats. Reading text is `parse_value`'s job (module `grammar`);
turning values into numbers for an engine is `parameters`'. Times are seconds from
1970-01-01 (UTC) here, so that a twin's start can change without touching its values.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from firsttoken.twin.units import DIMENSIONLESS, Unit

DistributionKind = Literal[
    "uniform",
    "triangular",
    "normal",
    "lognormal",
    "gamma",
    "beta_pert",
    "exponential",
    "weibull",
    "discrete",
    "empirical",
]
SeriesKind = Literal["step", "linear", "s_curve", "learning", "wright"]
Drawn = Literal["once", "each period", "each time"]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a value comes from: the source as a person would cite it."""

    source: str = ""
    known_from: str = ""
    confidence: str = ""
    note: str = ""
    fact: str = ""


@dataclass(frozen=True, slots=True)
class Constant:
    """A fixed value, in SI."""

    value: float
    unit: Unit = DIMENSIONLESS
    provenance: Provenance | None = None


@dataclass(frozen=True, slots=True)
class Distribution:
    """A random value, in SI.

    Attributes
    ----------
    kind : the family; `args` follow `firsttoken.kernel.sampling`: uniform(low, high),
        triangular(low, mode, high), normal(mean, sd), lognormal(mu, sigma of the log),
        gamma(shape, scale), beta_pert(low, mode, high, weight), exponential(mean),
        weibull(shape, scale); discrete and empirical hold `table` instead.
    table : pairs (value, cumulative probability), ascending in probability.
    drawn : "once" a replication, "each period" or "each time" that it is used anew, or None for
        the slot's own habit.
    """

    kind: DistributionKind
    args: tuple[float, ...] = ()
    table: tuple[tuple[float, float], ...] = ()
    unit: Unit = DIMENSIONLESS
    drawn: Drawn | None = None
    provenance: Provenance | None = None


@dataclass(frozen=True, slots=True)
class Fact:
    """A reference to a fact of the library, resolved for the twin's `as_of`."""

    id: str


@dataclass(frozen=True, slots=True)
class ModelPort:
    """A value that another room computes: `model(line.houston.throughput)`."""

    room: str
    name: str
    port: str

    def __str__(self) -> str:
        return f"{self.room}.{self.name}.{self.port}"


@dataclass(frozen=True, slots=True)
class Signal:
    """A value that the real plant reports: `signal(houston/line1/rate)`."""

    topic: str


@dataclass(frozen=True, slots=True)
class Sum:
    """The sum of two scalars, such as a ramp's start and its duration."""

    first: Scalar
    second: Scalar


Scalar = Constant | Distribution | Fact | ModelPort | Signal | Sum


@dataclass(frozen=True, slots=True)
class Series:
    """A value that changes with time.

    Attributes
    ----------
    kind : how the value runs from knot to knot. `step` holds the last knot's value;
        `linear` and `s_curve` (cubic smoothstep) run between knots and are flat outside;
        `learning` has knots (start, first) and (start + halving time, final);
        `wright` has knots (start, first) and (start + time per unit, progress ratio).
    knots : pairs (time, value), each a scalar value; times in seconds from 1970-01-01.
    """

    kind: SeriesKind
    knots: tuple[tuple[Scalar, Scalar], ...]
    unit: Unit = DIMENSIONLESS
    provenance: Provenance | None = None


Value = Scalar | Series


def with_provenance(value: Value, provenance: Provenance) -> Value:
    """Return the value with its provenance set; references keep their own."""
    if isinstance(value, Constant | Distribution | Series):
        return replace(value, provenance=provenance)
    return value
