"""A compiled token factory: pools of GPUs, services and traffic as indices into two tables.

Parameters and series are rows of the tables; NONE where nothing is declared.  What engines work
with (`Architecture`, `Hardware`, `StepLaw`) is made from one replication's parameters by `physics`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from firsttoken.kernel.parameters import ParameterTable, SeriesTable
from firsttoken.serving.requests_system import Requests
from firsttoken.serving.system import Layout
from firsttoken.serving.tables import Tables
from firsttoken.twin.parameters import Input

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NONE: Final = -1
BYTES: Final = ("memory", "bandwidth", "link", "network")
"""Fields of hardware that are declared in bytes; the tables hold bits, the SI's count."""

BITS: Final[Mapping[str, float]] = {
    "bf16": 16.0,
    "fp16": 16.0,
    "fp8": 8.0,
    "int8": 8.0,
    "fp4": 4.5,
    "nvfp4": 4.5,
    "mxfp4": 4.25,
    "int4": 4.25,
}
"""Bits of an element with its share of the scale: NVFP4 has one of 8 bits for 16 elements, MXFP4
for 32 (OCP Microscaling Formats 1.0); INT4 one of 16 bits for 64 or 128."""

REPLICAS: Final = 0
GPUS: Final = 1
SHARE: Final = 2
REST: Final = 3
"""How the size of a pool of replicas is told; REST: all that nothing else uses."""


@dataclass(frozen=True)
class Accelerators:
    """A pool of equal GPUs.

    Attributes
    ----------
    hardware : parameters of the fields of `Hardware`.
    number : series of GPUs, or of racks.
    per_rack : parameter of the GPUs of a rack; NONE: `number` counts GPUs.
    factors : series to multiply the number with (closures).
    rent : series, USD/s of a GPU; mtbf, mttr : parameters, s.
    """

    name: str
    hardware: Mapping[str, int]
    number: int
    per_rack: int
    factors: tuple[int, ...]
    rent: int
    mtbf: int
    mttr: int


@dataclass(frozen=True)
class Scaling:
    """Replicas that follow the load; parameters, s and shares."""

    least: int
    most: int | None
    target: int
    interval: int
    startup: int
    cooldown: int


@dataclass(frozen=True)
class Replicas:
    """Replicas of one kind.

    Attributes
    ----------
    role : `serve`, `prefill` or `decode`.
    on : row of the pool of GPUs.
    layout : of a replica, with bits of weights and KV; None: still to be found.
    bits : bits of weights, experts, KV and operands.
    kind, number : how many, and the series that tells it.
    tables : measured operators in place of the physics; None: physics.
    """

    role: str
    on: int
    layout: Layout | None
    bits: tuple[float, float, float, float]
    kind: int
    number: int
    scaling: Scaling | None
    tables: Tables | None = None


@dataclass(frozen=True)
class Calibrated:
    """What measured points say of a service's speed.

    Attributes
    ----------
    speed : factor on the speed of the physics; spread : standard deviation of its logarithm.
    ttft, tpot : median and ends of the 90 % interval at the point looked at, s; NaN: not known.
    concurrency : requests in flight of a replica there.
    known : whether GPU and model were both calibrated on.
    prefill : speed and spread of replicas that only prefill; None: there are none.
    entry : s of the front end, that a request is not in a replica; None: as the physics has it.
    """

    speed: float
    spread: float
    ttft: tuple[float, float, float]
    tpot: tuple[float, float, float]
    concurrency: float
    known: bool
    prefill: tuple[float, float] | None = None
    entry: float | None = None


@dataclass(frozen=True)
class Engine:
    """Serving software and its settings.

    Attributes
    ----------
    speed, memory, acceptance : parameters; error : of how many standard deviations the speed is off
        its calibration; NONE: measured points are not looked at.
    tables : whose measured operators stand in place of the physics; empty: nobody's.
    """

    name: str
    release: str
    speed: int
    error: int
    memory: int
    sequences: int
    chunk: int
    block: int
    prefix_cache: bool
    overlap: float
    drafted: int
    acceptance: int
    tables: str = ""


@dataclass(frozen=True)
class Trace:
    """Requests as they were recorded.

    Attributes
    ----------
    requests : in order of arrival, s from the start of the twin.
    hash_block : tokens of a block of hashes.
    period : s after which it begins again; 0: it ends.
    """

    requests: Requests
    hash_block: int
    period: float


@dataclass(frozen=True)
class Stream:
    """Requests of one tenant: a trace, or a rate and lengths.

    Attributes
    ----------
    rate : series, requests/s; NONE: a trace.  scale : series.
    hours : factors on the rate by hour of the week from Monday, [168].
    burstiness, prompt, output, cached : parameters; lengths are drawn for each request.
    mean : requests/s in the mean of the time, with every parameter at its mean: how much the stream
        counts where lengths of several are averaged.
    """

    name: str
    trace: Trace | None
    rate: int
    scale: int
    hours: Floats
    burstiness: int
    prompt: int
    output: int
    cached: int
    priority: int
    entity: int
    mean: float = 1.0


@dataclass(frozen=True)
class Goals:
    """Parameters of the goals, s; NONE: no such goal."""

    ttft: int
    tpot: int
    e2e: int
    share: int


@dataclass(frozen=True)
class Choices:
    """What the search may choose from; `gpus`, `power`, `rate` are parameters or NONE.

    Attributes
    ----------
    bits : of weights, experts, KV and operands of each format, by its name.
    apart, together : whether prefill may, and must not, have GPUs of its own.
    """

    gpus: int
    power: int
    rate: int
    bits: Mapping[str, tuple[float, float, float, float]]
    apart: bool
    together: bool
    objective: str


@dataclass(frozen=True)
class Service:
    """A model that answers requests.

    Attributes
    ----------
    architecture : parameters of the fields of `Architecture`.
    model : part of the library, or name of a declared model.
    pool : replicas that decode, and prefill unless `prefill` is given.
    choices : of the search; asked : whether a plan is asked for.
    calibrated : what measured points say of it; None: nothing.
    """

    name: str
    model: str
    architecture: Mapping[str, int]
    engine: Engine
    pool: Replicas
    prefill: Replicas | None
    streams: tuple[Stream, ...]
    goals: Goals
    routing: str
    mode: str
    sample: int
    choices: Choices
    asked: bool
    calibrated: Calibrated | None = None


@dataclass(frozen=True)
class System:
    """One token factory.

    Attributes
    ----------
    training : names of the training jobs, which are compiled by themselves.
    power_cap, throttle, pue, energy_price : series; power_cap NONE: no cap.
    start : of the twin, s from 1970-01-01; horizon : s.
    step : s of a tick; edges : of the report periods, s from the start, [B + 1].
    port_edges : of the steps of power in ports, s from the start, [Q + 1].
    """

    name: str
    accelerators: tuple[Accelerators, ...]
    services: tuple[Service, ...]
    training: tuple[str, ...]
    parameters: ParameterTable
    series: SeriesTable
    power_cap: int
    throttle: int
    pue: int
    energy_price: int
    start: float
    horizon: float
    step: float
    edges: Floats
    port_edges: Floats
    inputs: tuple[Input, ...] = ()
    users: Mapping[str, list[str]] = field(default_factory=dict)
