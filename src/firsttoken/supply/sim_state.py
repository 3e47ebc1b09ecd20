"""The state of a simulation between two periods: taken out, kept, and put back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from firsttoken.supply.sim_ops import Pipeline
from firsttoken.supply.sim_rows import STATE, Program
from firsttoken.supply.system import Floats, Ints


@dataclass(frozen=True, slots=True)
class SimulationState:
    """State of R replications before period `period`, from which a simulation continues.

    Attributes
    ----------
    stock, value, home : [R, N], units on hand, their accumulated cost in USD, its domestic part.
    backlog : [R, D], units due and not delivered.
    wip, outstanding, begun : [R, A], runs in process; ordered and not started; started so far.
    goal : [R, G], USD so far; goal_date : [R, G], s from start, NaN if not reached.
    slots : [A]; pipeline : [R, sum(slots)], runs that finish 0, 1, .. ``slots[a] - 1`` periods
        from `period` on, activity after activity; pipeline_value, pipeline_home: their cost in
        USD and its domestic part. Where nothing costs anything, or nothing is domestic, these
        and `value`, `home` are [R, 0].
    """

    period: int
    stock: Floats
    value: Floats
    home: Floats
    backlog: Floats
    wip: Floats
    outstanding: Floats
    begun: Floats
    goal: Floats
    goal_date: Floats
    slots: Ints
    pipeline: Floats
    pipeline_value: Floats
    pipeline_home: Floats


class BlockState(NamedTuple):
    """The state of the lanes of one block, replications first, and their pipeline."""

    rows: dict[str, Floats]
    pipeline: Pipeline


def load_state(
    program: Program, initial: SimulationState | None, low: int, high: int
) -> tuple[Floats, Pipeline]:
    """Return the rows and the pipeline with which a block starts."""
    w = np.zeros((program.count, high - low))
    w[program.rows["goal_date"]] = np.nan
    if initial is None:
        ones = np.ones(len(program.net.kind), np.int64)
        return w, _pipeline(ones, program, high - low)
    for name in STATE:
        rows = program.rows[name]
        w[rows[rows >= 0]] = _lanes(getattr(initial, name), low, high)[rows >= 0]
    slots = np.array(initial.slots, np.int64)
    order = _rotation(slots, initial.period)
    pipeline = _pipeline(slots, program, high - low)
    pipeline.runs[order] = _lanes(initial.pipeline, low, high)
    if program.valued:
        pipeline.value[order] = _lanes(initial.pipeline_value, low, high)
    if program.homed:
        pipeline.home[order] = _lanes(initial.pipeline_home, low, high)
    return w, pipeline


def _lanes(rows: Floats, low: int, high: int) -> Floats:
    """Rows `low` to `high`, or so many copies of a single one, as columns."""
    chosen = np.repeat(rows, high - low, 0) if len(rows) == 1 else rows[low:high]
    return np.asarray(chosen, np.float64).T


def _pipeline(slots: Ints, program: Program, lanes: int) -> Pipeline:
    count, rows = len(slots), int(slots.sum())
    return Pipeline(
        start=np.concatenate([[0], np.cumsum(slots)]).astype(np.int64),
        slots=slots,
        runs=np.zeros((rows, lanes)),
        value=np.zeros((rows if program.valued else 0, lanes)),
        home=np.zeros((rows if program.homed else 0, lanes)),
        lead=np.zeros((count, lanes), np.int64),
        part=np.zeros((count, lanes)),
        fastest=np.zeros(count, np.int64),
        alike=np.ones(count, np.int64),
        needed=np.ones(count, np.int64),
        near=np.zeros(lanes, np.int64),
        far=np.zeros(lanes, np.int64),
    )


def _rotation(slots: Ints, period: int) -> Ints:
    """Pipeline row of each activity's slots, in the order in which they finish."""
    starts = np.cumsum(slots) - slots
    rows = [s + (period + np.arange(c)) % c for s, c in zip(starts, slots, strict=True)]
    return np.concatenate(rows).astype(np.int64) if rows else np.zeros(0, np.int64)


def keep_state(program: Program, w: Floats, pipeline: Pipeline) -> BlockState:
    """Take the state out of the rows of a block."""
    rows: dict[str, Floats] = {}
    for name in STATE:
        places = program.rows[name]
        rows[name] = np.zeros((w.shape[1], len(places)))
        rows[name][:, places >= 0] = w[places[places >= 0]].T
    return BlockState(rows, pipeline)


def join_states(program: Program, period: int, ends: list[BlockState]) -> SimulationState:
    """Join the states of all blocks, with the slots of the longest pipeline."""
    if not ends:
        ends = [keep_state(program, *load_state(program, None, 0, 0))]
    slots = np.max([end.pipeline.slots for end in ends], axis=0, initial=1).astype(np.int64)
    columns: dict[str, list[Floats]] = {"runs": [], "value": [], "home": []}
    for end in ends:
        for name, parts in columns.items():
            parts.append(_widened(end.pipeline, getattr(end.pipeline, name), slots, period))
    return SimulationState(
        period=period,
        **{name: np.concatenate([end.rows[name] for end in ends]) for name in STATE},
        slots=slots,
        pipeline=np.concatenate(columns["runs"]),
        pipeline_value=np.concatenate(columns["value"]),
        pipeline_home=np.concatenate(columns["home"]),
    )


def _widened(pipeline: Pipeline, rows: Floats, slots: Ints, period: int) -> Floats:
    """Rows of a pipeline, the next to finish first, in as many slots as given."""
    if not len(rows):
        return np.zeros((rows.shape[1], 0))
    order = _rotation(pipeline.slots, period)
    within = np.arange(len(order)) - np.repeat(pipeline.start[:-1], pipeline.slots)
    wide = np.zeros((rows.shape[1], int(slots.sum())))
    wide[:, np.repeat(np.cumsum(slots) - slots, pipeline.slots) + within] = rows[order].T
    return wide


def check_state(program: Program, replications: int, state: SimulationState) -> None:
    """Raise ``ValueError`` if a state is not one of so many replications of a system."""
    wanted = {name: len(program.rows[name]) for name in STATE}
    slots = int(np.sum(state.slots))
    wanted["pipeline"] = slots
    wanted["pipeline_value"] = slots if program.valued else 0
    wanted["pipeline_home"] = slots if program.homed else 0
    wrong = [
        f"{name}{list(np.shape(getattr(state, name)))}"
        for name, size in wanted.items()
        if np.shape(getattr(state, name)) not in ((replications, size), (1, size))
    ]
    if np.shape(state.slots) != (len(program.net.kind),) or np.any(np.asarray(state.slots) < 1):
        wrong.append("slots")
    homeless = program.rows["home"] < 0
    if not wrong and np.any(np.asarray(state.home)[:, homeless]):
        wrong.append("home, where nothing is domestic")
    if wrong:
        raise ValueError(
            f"the initial state is not one of {replications} replications of this system: "
            f"{', '.join(wrong)}"
        )
