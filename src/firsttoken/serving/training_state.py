"""Numbers of a training job on their way through time, and what is counted of it."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# What a job does
IDLE: Final = 0
TRAIN: Final = 1
PAUSE: Final = 2
DETECT: Final = 3
RESTART: Final = 4
WAIT: Final = 5

# Counts of a period: GPU-seconds by what GPUs do
TRAINING: Final = 0
SAVING: Final = 1
DETECTING: Final = 2
RESTARTING: Final = 3
WAITING: Final = 4
SPARE: Final = 5
REPAIR: Final = 6
FREE: Final = 7
STATES: Final = 8
# ... and what happens
LOST: Final = 8
TOKENS: Final = 9
LOST_TOKENS: Final = 10
FAILURES: Final = 11
REPLACED: Final = 12
SAVED: Final = 13
ENERGY: Final = 14
OFFERED: Final = 15
SECONDS: Final = 16
COUNTS: Final = 17
"""`TRAINING` to `FREE`: GPU-s. `LOST`: GPU-s of training done again after failures, when they
happen. `TOKENS`, `LOST_TOKENS`: trained, and of them lost. `FAILURES`, `REPLACED`, `SAVED`:
failures, nodes replaced, checkpoints begun. `ENERGY`: J of GPUs and hosts. `OFFERED`: GPU-s held.
`SECONDS`: time."""

# State of a replication
TIME: Final = 0
PHASE: Final = 1
UNTIL: Final = 2
DONE: Final = 3
KEPT: Final = 4
WRITTEN: Final = 5
WRITE_END: Final = 6
SINCE: Final = 7
HAZARD: Final = 8
EVENTS: Final = 9
REPLICAS: Final = 10
FINISHED: Final = 11
WORK: Final = 12
WORK_KEPT: Final = 13
WORK_WRITTEN: Final = 14
BROKEN: Final = 15
STATE: Final = 16
"""`DONE`, `KEPT`, `WRITTEN`: tokens trained, in the last whole checkpoint, and in the one being
written until `WRITE_END`; `WORK*`: GPU-s behind them. `SINCE`: s trained since the last checkpoint.
`HAZARD`: failures that are still due, as an exponential number of mean 1. `EVENTS`: numbers drawn
so far. `BROKEN`: nodes in repair."""


EXPONENT: Final = 2.5
"""Power of a GPU above idle goes with its speed to this power (prior, as in the fluid mode: clocks
and voltage fall together; Patel et al., POLCA, arXiv:2308.12908: 20 % less power costs LLM training
about 7-10 % of its speed)."""


class Draws(NamedTuple):
    """Distributions that are drawn anew at each use, one a row.

    Attributes
    ----------
    code : i8[n], see `kernel.codes`; args : f8[n, 4]; entity : u4[n], keys of their streams.
    """

    code: Ints
    args: Floats
    entity: NDArray[np.uint32]


class Work(NamedTuple):
    """A training job in one replication, all numbers drawn.

    Attributes
    ----------
    rate : tokens/s at full size and speed.
    target : tokens after which it is finished; inf: never.
    begin : s from the twin's start.
    replica, replicas : GPUs of a data-parallel replica, and how many there are.
    node, spares : GPUs of a node, and nodes held ready beside the job's.
    elastic : whether it goes on with fewer replicas.
    interval, pause, write : s of training between checkpoints, s that each stops it, s until
        it is safe.
    table : rows of `DISCRETE` and `EMPIRICAL` distributions, f8[n, 2].
    start, load, repair : rows of `draws`: s until a job runs, s to read a checkpoint, and until a
        node is repaired.
    mtbf, replace, keeps, detect : by kind of failure: s between failures of a GPU; share that
        takes a node away; whether a checkpoint is written before (planned stops); row of `draws`.
    watts : W of a GPU and its host by state, f8[STATES]; at full speed.
    base : W of a GPU and its host without work.
    """

    rate: float
    target: float
    begin: float
    replica: float
    replicas: float
    node: float
    spares: float
    elastic: bool
    interval: float
    pause: float
    write: float
    table: Floats
    draws: Draws
    start: int
    load: int
    repair: int
    mtbf: Floats
    replace: Floats
    keeps: NDArray[np.bool_]
    detect: Ints
    watts: Floats
    base: float


class Course(NamedTuple):
    """What changes with time, constant between edges.

    Attributes
    ----------
    edges : s, f8[M + 1]; gpus : GPUs there are, f8[M]; speed : share of full speed, f8[M].
    """

    edges: Floats
    gpus: Floats
    speed: Floats
