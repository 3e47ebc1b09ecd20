"""One block of replications from the first to the last period.

The loop over periods is compiled; what happens once a block, or at a loss of stock, is numpy.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from firsttoken.kernel.compiled import compiled_bare, compiled_inner, is_cold
from firsttoken.kernel.parameters import ParameterTable, SeriesTable, draw_replications
from firsttoken.supply.sim_formulas import Formulas
from firsttoken.supply.sim_ops import Pipeline, run_program
from firsttoken.supply.sim_rows import Program
from firsttoken.supply.sim_series import (
    Knots,
    draw_noise,
    evaluate_dynamic,
    evaluate_fixed,
    load_knots,
    move_series,
)
from firsttoken.supply.system import Floats, Ints

Singles = NDArray[np.float32]

TOLERANCE: Final = 1e-9


class Tables(NamedTuple):
    """What the loop over periods reads.

    Attributes
    ----------
    code : [n, 8], the instructions of a period.
    lead_activity, lead_row : activities with a lead time, and its row.
    moving_lead : 1 if any lead time may change from period to period.
    even : 1 if all periods are equally long.
    goal : [G], rows; sums : rows that are cleared after every report period.
    started, begun : [A], rows: runs started are the change of those begun so far.
    """

    parameters: ParameterTable
    series: SeriesTable
    formulas: Formulas
    code: Ints
    lead_activity: Ints
    lead_row: Ints
    moving_lead: int
    even: int
    goal: Ints
    sums: Ints
    started: Ints
    begun: Ints


class Imbalance(NamedTuple):
    """Books that do not balance: what came in, and what left or is there."""

    replication: int
    kind: str
    place: int
    come: float
    gone: float


class Span(NamedTuple):
    """The time of a run: periods `first` to `last` of those between `edges` [T + 1].

    `report` [T] is the report period of each period; `fresh` is 1 for the twin's start; `plan`
    [T + 1, A] counts the runs that should have started before each edge.
    """

    edges: Floats
    report: Ints
    first: int
    last: int
    fresh: int
    plan: Floats


class Output(NamedTuple):
    """Where a run writes; `field` [F, M] rows of F quantities with M members or -1.

    Attributes
    ----------
    activities, nodes, demands : [F, R, Q, A], [1, R, Q, N], [F, R, Q, D].
    ratios : [R, Q, A + resources], used over offered.
    goal : [R, periods, G]; money : [R, Q, 2].
    *_rows : rows of the quantities; -1: not kept, stays zero.
    """

    activities: Singles
    nodes: Singles
    demands: Singles
    ratios: Singles
    goal: Singles
    money: Floats
    activity_rows: Ints
    node_rows: Ints
    demand_rows: Ints
    used_rows: Ints
    offered_rows: Ints
    money_rows: Ints


class Block:
    """Replications `low` to `high` of a simulation, one a lane.

    Attributes
    ----------
    w : [rows, lanes], zero but for the state at the start; the state at the end.
    pipeline : work in process.
    limited : [Q, A, 4], counts.
    """

    def __init__(
        self,
        program: Program,
        tables: Tables,
        span: Span,
        seed: int,
        low: int,
        w: Floats,
        pipeline: Pipeline,
    ) -> None:
        self.program, self.tables, self.span = program, tables, span
        self.seed, self.low, self.w, self.pipeline = seed, low, w, pipeline
        lanes = w.shape[1]
        by_lane = np.empty((lanes, len(tables.parameters.code)))
        draw_replications(tables.parameters, seed, low, by_lane)
        self.drawn = np.ascontiguousarray(by_lane.T)
        self.knots = load_knots(tables.series, tables.formulas, self.drawn, w)
        self.scratch = np.empty(lanes)
        self._open()

    def _open(self) -> None:
        """Set what is known at the start: parameters, fixed expressions, stock, books."""
        w, drawn, rows, net = self.w, self.drawn, self.program.rows, self.program.net
        for parameter, row in self.program.parameter_rows.items():
            w[row] = drawn[parameter]
        evaluate_fixed(self.tables.formulas, self.scratch, w)
        if self.span.fresh:
            w[rows["stock"]] = np.maximum(drawn[net.onhand], 0.0)
            if self.program.valued:
                w[rows["value"]] = w[rows["stock"]] * drawn[net.unit_cost]
        self.opening = w[rows["stock"]]
        w[rows["started"]] = -w[rows["begun"]]
        w[rows["money_in"]] = self._money()

    def _money(self) -> Floats:
        """Dollars, and domestic dollars, in stock and work in process, [2, lanes]."""
        rows, pipeline = self.program.rows, self.pipeline
        held = (("value", pipeline.value), ("home", pipeline.home))
        kept = ((rows[name][rows[name] >= 0], moving) for name, moving in held)
        return np.array([self.w[places].sum(0) + moving.sum(0) for places, moving in kept])

    def run(self, output: Output, limited: Ints) -> None:
        """Run all periods, writing `output` and adding to `limited` [Q, A, 4]."""
        t, span = self.span.first, self.span
        losses = self._losses()
        stops = [*sorted({period for period, _, _ in losses}), span.last]
        for stop in stops:
            while t < stop:
                t = run_periods(
                    t,
                    stop,
                    self.tables,
                    span,
                    self.seed,
                    self.low,
                    self.knots,
                    self.scratch,
                    self.w,
                    self.pipeline,
                    output,
                    limited,
                )
                if t < stop:
                    self.pipeline = grown(self.pipeline, t)
            for period, k, lanes in losses:
                if period == stop:
                    self._scrap(k, lanes)

    def _losses(self) -> list[tuple[int, int, Ints]]:
        """(period, loss, lanes) of the losses that fall into the time of the run."""
        found = []
        edges, first, last = self.span.edges, self.span.first, self.span.last
        for k, parameter in enumerate(self.program.net.loss_time):
            times = self.drawn[parameter]
            periods = np.searchsorted(edges, times, side="right") - 1
            periods[(times < edges[first]) | (times >= edges[last])] = -1
            for period in sorted(set(periods[periods >= 0].tolist())):
                found.append((period, k, np.flatnonzero(periods == period)))
        return found

    def _scrap(self, k: int, lanes: Ints) -> None:
        """Scrap a share of stock and work in process, in those lanes that loss k strikes."""
        net, rows, w, pipeline = self.program.net, self.program.rows, self.w, self.pipeline
        share = np.clip(self.drawn[net.loss_share[k], lanes], 0.0, 1.0)
        nodes = net.loss_node[net.loss_node_start[k] : net.loss_node_start[k + 1]]
        for n in nodes:
            lost = w[rows["stock"][n], lanes] * share
            w[rows["stock"][n], lanes] -= lost
            w[rows["gone"][n], lanes] += lost
            for money, name in enumerate(("value", "home")):
                if len(rows[name]) and rows[name][n] >= 0:
                    lost = w[rows[name][n], lanes] * share
                    w[rows[name][n], lanes] -= lost
                    w[rows["money_out"][money], lanes] += lost
        span = slice(net.loss_activity_start[k], net.loss_activity_start[k + 1])
        for a in net.loss_activity[span]:
            w[rows["wip"][a], lanes] -= w[rows["wip"][a], lanes] * share
            places = np.ix_(np.arange(pipeline.start[a], pipeline.start[a + 1]), lanes)
            pipeline.runs[places] -= pipeline.runs[places] * share
            for money, moving in enumerate((pipeline.value, pipeline.home)):
                if len(moving):
                    lost = moving[places] * share
                    moving[places] -= lost
                    w[rows["money_out"][money], lanes] += lost.sum(0)

    def imbalance(self) -> Imbalance | None:
        """Check the books; return what is wrong with the first bad replication.

        Units of each node: initial + arrived = consumed, delivered or scrapped + in stock.
        Runs of each activity: started - finished - scrapped = the sum over the pipeline.
        Dollars, and domestic dollars: initial + paid = delivered + scrapped + in stock + in
        process. Each to a relative 1e-9.
        """
        w, rows, pipeline = self.w, self.program.rows, self.pipeline
        units = self.opening + w[rows["arrived"]], w[rows["gone"]] + w[rows["stock"]]
        runs = np.zeros((0, w.shape[1]))
        if len(pipeline.slots):
            runs = np.add.reduceat(pipeline.runs, pipeline.start[:-1], axis=0)
        money = w[rows["money_in"]], w[rows["money_out"]] + self._money()
        wip = w[rows["wip"]]
        checks = (
            ("units", *units, units[0]),
            ("runs", wip, runs, np.maximum(w[rows["begun"]], wip)),
            ("money", *money, money[0]),
        )
        for kind, come, gone, scale in checks:
            # Written so that NaN is bad.
            bad = ~(np.abs(come - gone) <= TOLERANCE * np.abs(scale))
            if bad.any():
                lane = int(np.flatnonzero(bad.any(axis=0))[0])
                index = int(np.flatnonzero(bad[:, lane])[0])
                pair = float(come[index, lane]), float(gone[index, lane])
                return Imbalance(self.low + lane, kind, index, *pair)
        return None


def grown(pipeline: Pipeline, t: int) -> Pipeline:
    """Return the pipeline of period `t` with as many slots as are needed."""
    slots = np.maximum(pipeline.slots, pipeline.needed)
    start = np.concatenate([[0], np.cumsum(slots)]).astype(np.int64)
    old: list[int] = []
    new: list[int] = []
    for a, count in enumerate(pipeline.slots):
        ahead = t + np.arange(count)
        old.extend(pipeline.start[a] + ahead % count)
        new.extend(start[a] + ahead % slots[a])
    moved = []
    for rows in (pipeline.runs, pipeline.value, pipeline.home):
        longer = np.zeros((int(start[-1]) if len(rows) else 0, rows.shape[1]))
        if len(rows):
            longer[new] = rows[old]
        moved.append(longer)
    runs, value, home = moved
    return pipeline._replace(start=start, slots=slots, runs=runs, value=value, home=home)


@compiled_bare
def run_periods(
    start: int,
    stop: int,
    tables: Tables,
    span: Span,
    seed: int,
    low: int,
    knots: Knots,
    scratch: Floats,
    w: Floats,
    pipeline: Pipeline,
    output: Output,
    limited: Ints,
) -> int:
    """Run the periods ``start <= t < stop``; return `stop`, or where the pipeline is too short."""
    formulas, series, edges = tables.formulas, tables.series, span.edges
    for t in range(start, stop):
        t0, t1 = edges[t], edges[t + 1]
        move_series(series, formulas.moving, knots, t0, t1, w)
        draw_noise(tables.parameters, series, formulas.noise, seed, low, t, w)
        evaluate_dynamic(formulas, knots.changed, scratch, w)
        if t == span.first or tables.moving_lead or not tables.even:
            _plan_leads(tables.lead_activity, tables.lead_row, tables.even, edges, t, w, pipeline)
        if _is_short(pipeline.needed, pipeline.slots):
            return t
        q = span.report[t]
        run_program(tables.code, w, pipeline, span.plan[t + 1], t, t0, t1 - t0, limited[q])
        for g in range(tables.goal.size):
            for b in range(w.shape[1]):
                output.goal[low + b, t - span.first, g] = w[tables.goal[g], b]
        if t + 1 == span.last or span.report[t + 1] != q:
            _report(tables, output, w, low, q)
    return stop


def must_compile() -> bool:
    """Whether the next simulation waits for the compiler."""
    return is_cold(run_periods)


@compiled_inner
def _is_short(needed: Ints, slots: Ints) -> bool:
    short = False
    for a in range(slots.size):
        short = short or needed[a] > slots[a]
    return short


@compiled_inner
def _plan_leads(
    activities: Ints, rows: Ints, even: int, edges: Floats, t: int, w: Floats, pipeline: Pipeline
) -> None:
    """Split the lead times of what starts in period `t` into periods, see `split_lead`."""
    lead, part = pipeline.lead, pipeline.part
    for i in range(activities.size):
        a, row = activities[i], rows[i]
        if even:
            _split_even(w, row, edges[t + 1] - edges[t], lead, part, a)
        else:
            for b in range(w.shape[1]):
                lead[a, b], part[a, b] = split_lead(edges, t, max(w[row, b], 0.0))
        _summarise(lead, part, a, pipeline.fastest, pipeline.alike, pipeline.needed)


@compiled_inner
def _split_even(w: Floats, row: int, width: float, lead: Ints, part: Floats, a: int) -> None:
    """Split lead times where all periods are equally long."""
    for b in range(w.shape[1]):
        periods = max(w[row, b], 0.0) / width
        whole = np.floor(periods + 1e-9)
        rest = periods - whole
        lead[a, b] = int(whole)
        part[a, b] = rest if rest >= 1e-9 else 0.0


@compiled_inner
def _summarise(lead: Ints, part: Floats, a: int, least: Ints, alike: Ints, needed: Ints) -> None:
    """Set the least lead time of the lanes, the slots needed, and whether all are alike."""
    fastest, longest, other = lead[a, 0], lead[a, 0], 0
    for b in range(lead.shape[1]):
        fastest = min(fastest, lead[a, b])
        longest = max(longest, lead[a, b])
        other += 1 if part[a, b] != part[a, 0] else 0
    least[a] = fastest
    alike[a] = 1 if fastest == longest and other == 0 else 0
    needed[a] = longest + 2


@compiled_bare
def split_lead(edges: Floats, t: int, lead_time: float) -> tuple[int, float]:
    """Return whole periods from period `t` on, and the share that takes one period more.

    A lead time that ends at a share f of period t + k puts 1 - f of the runs into that period
    and f into the next. Beyond the last edge periods are as long as the last one.
    """
    last = edges.size - 2
    time, k = edges[t] + lead_time, t
    while k < last and edges[k + 1] <= time:
        k += 1
    periods = (time - edges[k]) / (edges[k + 1] - edges[k])
    whole = int(np.floor(periods + 1e-9))
    part = periods - whole
    return k - t + whole, part if part >= 1e-9 else 0.0


@compiled_inner
def _report(tables: Tables, output: Output, w: Floats, low: int, q: int) -> None:
    """Write what happened in report period `q`, and begin the next."""
    started, begun = tables.started, tables.begun
    for a in range(started.size):
        for b in range(w.shape[1]):
            w[started[a], b] += w[begun[a], b]
    _write(output, w, low, q)
    for row in tables.sums:
        for b in range(w.shape[1]):
            w[row, b] = 0.0
    for a in range(started.size):
        for b in range(w.shape[1]):
            w[started[a], b] = -w[begun[a], b]


@compiled_inner
def _write(output: Output, w: Floats, low: int, q: int) -> None:
    """Write what happened in report period `q`."""
    for f in range(output.activity_rows.shape[0]):
        _put(output.activity_rows[f], w, low, q, output.activities[f])
    for f in range(output.demand_rows.shape[0]):
        _put(output.demand_rows[f], w, low, q, output.demands[f])
    for f in range(output.node_rows.shape[0]):
        _put(output.node_rows[f], w, low, q, output.nodes[f])
    used, offered = output.used_rows, output.offered_rows
    for b in range(w.shape[1]):
        for i in range(used.size):
            if offered[i] >= 0 and w[offered[i], b] > 0.0:
                output.ratios[low + b, q, i] = w[used[i], b] / w[offered[i], b]
        for i in range(output.money_rows.size):
            output.money[low + b, q, i] = w[output.money_rows[i], b]


@compiled_inner
def _put(rows: Ints, w: Floats, low: int, q: int, out: Singles) -> None:
    """Write rows [row, lane] as [replication, report period, member]."""
    for b in range(w.shape[1]):
        for i in range(rows.size):
            if rows[i] >= 0:
                out[low + b, q, i] = w[rows[i], b]
