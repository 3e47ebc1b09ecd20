"""One block of replications from the first to the last period."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from firsttoken.kernel.compiled import compiled, compiled_bare
from firsttoken.kernel.parameters import ParameterTable, SeriesTable
from firsttoken.supply.sim_formulas import Formulas
from firsttoken.supply.sim_ops import Pipeline, run_program
from firsttoken.supply.sim_series import (
    Knots,
    draw_block,
    draw_noise,
    evaluate_dynamic,
    evaluate_fixed,
    load_knots,
    move_series,
)
from firsttoken.supply.system import Floats, Ints

Singles = NDArray[np.float32]

TOLERANCE: Final = 1e-9
UNITS: Final = 0
RUNS: Final = 1
MONEY: Final = 2


class Tables(NamedTuple):
    """A program as arrays.

    Attributes
    ----------
    code : [n, 8], the instructions of a period.
    parameter_row, row_parameter : which drawn parameters are copied to which rows.
    uncertain : [U], parameters to report.
    lead_activity, lead_row : activities with a lead time, and its row.
    moving_lead : 1 if any lead time may change from period to period.
    even : 1 if all periods are equally long.
    stock, value, home : [N], rows; value and home are empty if nothing costs anything.
    arrived, gone : [N], rows of units that came into and left each node.
    wip, begun : [A], rows; goal : [G], rows; money_in, money_out : [2], rows.
    onhand, unit_cost : [N], parameters.
    sums : rows that are cleared after every report period.
    """

    parameters: ParameterTable
    series: SeriesTable
    formulas: Formulas
    code: Ints
    row_parameter: Ints
    parameter_row: Ints
    uncertain: Ints
    lead_activity: Ints
    lead_row: Ints
    moving_lead: int
    even: int
    stock: Ints
    value: Ints
    home: Ints
    arrived: Ints
    gone: Ints
    wip: Ints
    begun: Ints
    goal: Ints
    money_in: Ints
    money_out: Ints
    onhand: Ints
    unit_cost: Ints
    sums: Ints


class Losses(NamedTuple):
    """Losses of stock and work in process, see `Network`."""

    loss_time: Ints
    loss_share: Ints
    loss_node_start: Ints
    loss_node: Ints
    loss_activity_start: Ints
    loss_activity: Ints


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
    goal : [R, periods, G]; money : [R, Q, 2]; parameters : [R, U]; limited : [Q, A, 4].
    *_rows : rows of the quantities; -1: not kept, stays zero.
    """

    activities: Singles
    nodes: Singles
    demands: Singles
    ratios: Singles
    goal: Singles
    money: Floats
    parameters: Floats
    activity_rows: Ints
    node_rows: Ints
    demand_rows: Ints
    used_rows: Ints
    offered_rows: Ints
    money_rows: Ints


@compiled
def run_block(
    tables: Tables,
    losses: Losses,
    span: Span,
    seed: int,
    low: int,
    w: Floats,
    pipeline: Pipeline,
    output: Output,
    limited: Ints,
    failure: Floats,
) -> Pipeline:
    """Simulate the replications from `low` on, one a lane.

    Parameters
    ----------
    w : [rows, lanes], zero but for the state at the start; holds the state at the end.
    pipeline : work in process at the start; is changed.
    output : rows of these replications are written.
    limited : [Q, A, 4], counts are added.
    failure : [5], set to replication, kind, index, expected and found amount if the books of
        a replication do not balance.

    Returns
    -------
    Pipeline
        The work in process at the end: the same, or a longer one.
    """
    lanes = w.shape[1]
    drawn = np.empty((tables.parameters.code.size, lanes))
    draw_block(tables.parameters, seed, low, drawn)
    _place_parameters(tables, drawn, w, low, output.parameters)
    series_values = np.zeros((tables.series.kind.size, lanes))
    scratch = np.empty(lanes)
    knots = load_knots(tables.series, tables.formulas, drawn, series_values)
    evaluate_fixed(tables.formulas, series_values, scratch, w)
    if span.fresh:
        _open_stock(tables, drawn, w)
    opening = _open_books(tables, pipeline, w)
    t = span.first
    while t < span.last:
        t = _run_periods(
            t,
            tables,
            losses,
            span,
            seed,
            low,
            drawn,
            knots,
            series_values,
            scratch,
            w,
            pipeline,
            output,
            limited,
        )
        if t < span.last:
            pipeline = grow_pipeline(pipeline, t)
    _check_books(tables, low, opening, pipeline, w, failure)
    return pipeline


@compiled_bare
def _run_periods(
    start: int,
    tables: Tables,
    losses: Losses,
    span: Span,
    seed: int,
    low: int,
    drawn: Floats,
    knots: Knots,
    series_values: Floats,
    scratch: Floats,
    w: Floats,
    pipeline: Pipeline,
    output: Output,
    limited: Ints,
) -> int:
    """Run periods from `start` on; return that in which the pipeline is too short, or the last."""
    formulas, series, edges = tables.formulas, tables.series, span.edges
    for t in range(start, span.last):
        t0, t1 = edges[t], edges[t + 1]
        move_series(series, formulas.moving, knots, t0, t1, series_values)
        draw_noise(tables.parameters, series, formulas.noise, seed, low, t, series_values)
        evaluate_dynamic(formulas, knots.changed, series_values, scratch, w)
        if t == span.first or tables.moving_lead or not tables.even:
            _plan_leads(tables.lead_activity, tables.lead_row, tables.even, edges, t, w, pipeline)
        if _is_short(pipeline.needed, pipeline.slots):
            return t
        for k in range(losses.loss_time.size):
            _scrap(k, tables, losses, t0, t1, drawn, w, pipeline)
        q = span.report[t]
        run_program(tables.code, w, pipeline, span.plan[t + 1], t, t0, t1 - t0, limited[q])
        for g in range(tables.goal.size):
            for b in range(w.shape[1]):
                output.goal[low + b, t - span.first, g] = w[tables.goal[g], b]
        if t + 1 == span.last or span.report[t + 1] != q:
            _write(output, w, low, q)
            for row in tables.sums:
                for b in range(w.shape[1]):
                    w[row, b] = 0.0
    return span.last


@compiled_bare
def _is_short(needed: Ints, slots: Ints) -> bool:
    short = False
    for a in range(slots.size):
        short = short or needed[a] > slots[a]
    return short


@compiled_bare
def _place_parameters(tables: Tables, drawn: Floats, w: Floats, low: int, out: Floats) -> None:
    for i in range(tables.parameter_row.size):
        for b in range(w.shape[1]):
            w[tables.parameter_row[i], b] = drawn[tables.row_parameter[i], b]
    for b in range(w.shape[1]):
        for u in range(tables.uncertain.size):
            out[low + b, u] = drawn[tables.uncertain[u], b]


@compiled_bare
def _open_stock(tables: Tables, drawn: Floats, w: Floats) -> None:
    """Set the stock of the twin's start."""
    for n in range(tables.stock.size):
        for b in range(w.shape[1]):
            units = max(drawn[tables.onhand[n], b], 0.0)
            w[tables.stock[n], b] = units
            if tables.value.size:
                w[tables.value[n], b] = units * drawn[tables.unit_cost[n], b]


@compiled
def _open_books(tables: Tables, pipeline: Pipeline, w: Floats) -> Floats:
    """Return the stock [N, lanes] at the start; count its value, and work's, as paid in."""
    opening = np.empty((tables.stock.size, w.shape[1]))
    for n in range(tables.stock.size):
        opening[n] = w[tables.stock[n]]
    for b in range(w.shape[1]):
        w[tables.money_in[0], b] = _held(tables.value, w, pipeline.value, b)
        w[tables.money_in[1], b] = _held(tables.home, w, pipeline.home, b)
    return opening


@compiled_bare
def _held(rows: Ints, w: Floats, moving: Floats, b: int) -> float:
    total = 0.0
    for row in rows:
        total += w[row, b]
    for row in range(moving.shape[0]):
        total += moving[row, b]
    return total


@compiled
def grow_pipeline(pipeline: Pipeline, t: int) -> Pipeline:
    """Return the pipeline of period `t` with as many slots as are needed, and some to spare."""
    count, lanes = pipeline.slots.size, pipeline.runs.shape[1]
    slots = np.maximum(pipeline.slots, pipeline.needed)
    start = np.zeros(count + 1, np.int64)
    for a in range(count):
        start[a + 1] = start[a] + slots[a]
    runs = np.zeros((start[count], lanes))
    value = np.zeros((start[count] if pipeline.value.shape[0] else 0, lanes))
    home = np.zeros((start[count] if pipeline.home.shape[0] else 0, lanes))
    for a in range(count):
        for j in range(pipeline.slots[a]):
            old = pipeline.start[a] + (t + j) % pipeline.slots[a]
            new = start[a] + (t + j) % slots[a]
            runs[new] = pipeline.runs[old]
            if value.shape[0]:
                value[new] = pipeline.value[old]
                home[new] = pipeline.home[old]
    return Pipeline(
        start,
        slots,
        runs,
        value,
        home,
        pipeline.lead,
        pipeline.part,
        pipeline.fastest,
        pipeline.alike,
        pipeline.needed,
    )


@compiled_bare
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


@compiled_bare
def _split_even(w: Floats, row: int, width: float, lead: Ints, part: Floats, a: int) -> None:
    """Split lead times where all periods are equally long."""
    for b in range(w.shape[1]):
        periods = max(w[row, b], 0.0) / width
        whole = np.floor(periods + 1e-9)
        rest = periods - whole
        lead[a, b] = int(whole)
        part[a, b] = rest if rest >= 1e-9 else 0.0


@compiled_bare
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


@compiled_bare
def _scrap(
    k: int,
    tables: Tables,
    losses: Losses,
    t0: float,
    t1: float,
    drawn: Floats,
    w: Floats,
    pipeline: Pipeline,
) -> None:
    """Scrap shares of stock and work in process, in the lanes whose loss falls into [t0, t1)."""
    for b in range(w.shape[1]):
        time, share = drawn[losses.loss_time[k], b], drawn[losses.loss_share[k], b]
        share = min(max(share, 0.0), 1.0)
        if t0 <= time < t1 and share > 0.0:
            for i in range(losses.loss_node_start[k], losses.loss_node_start[k + 1]):
                _scrap_stock(tables, losses.loss_node[i], b, share, w)
            for i in range(losses.loss_activity_start[k], losses.loss_activity_start[k + 1]):
                _scrap_work(tables, losses.loss_activity[i], b, share, w, pipeline)


@compiled_bare
def _scrap_stock(tables: Tables, n: int, b: int, share: float, w: Floats) -> None:
    _lose(w, tables.stock[n], b, share, tables.gone[n])
    if tables.value.size:
        _lose(w, tables.value[n], b, share, tables.money_out[0])
        _lose(w, tables.home[n], b, share, tables.money_out[1])


@compiled_bare
def _lose(w: Floats, row: int, b: int, share: float, out: int) -> None:
    lost = w[row, b] * share
    w[row, b] -= lost
    w[out, b] += lost


@compiled_bare
def _scrap_work(
    tables: Tables, a: int, b: int, share: float, w: Floats, pipeline: Pipeline
) -> None:
    w[tables.wip[a], b] -= w[tables.wip[a], b] * share
    for row in range(pipeline.start[a], pipeline.start[a + 1]):
        pipeline.runs[row, b] -= pipeline.runs[row, b] * share
        if pipeline.value.shape[0]:
            lost, lost_home = pipeline.value[row, b] * share, pipeline.home[row, b] * share
            pipeline.value[row, b] -= lost
            pipeline.home[row, b] -= lost_home
            w[tables.money_out[0], b] += lost
            w[tables.money_out[1], b] += lost_home


@compiled_bare
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


@compiled_bare
def _put(rows: Ints, w: Floats, low: int, q: int, out: Singles) -> None:
    """Write rows [row, lane] as [replication, report period, member]."""
    for b in range(w.shape[1]):
        for i in range(rows.size):
            if rows[i] >= 0:
                out[low + b, q, i] = w[rows[i], b]


@compiled_bare
def _check_books(
    tables: Tables, low: int, opening: Floats, pipeline: Pipeline, w: Floats, failure: Floats
) -> None:
    """Note in `failure` the first place whose books do not balance to a relative 1e-9.

    Units of each node: initial + arrived = consumed, delivered or scrapped + in stock. Runs of
    each activity: started - finished - scrapped = the sum over the pipeline. Dollars, and
    domestic dollars: initial + paid = delivered + scrapped + in stock + in process.
    """
    for b in range(w.shape[1]):
        for n in range(tables.stock.size):
            come = opening[n, b] + w[tables.arrived[n], b]
            gone = w[tables.gone[n], b] + w[tables.stock[n], b]
            _compare(low + b, UNITS, n, come, gone, come, failure)
        for a in range(tables.wip.size):
            inside = 0.0
            for row in range(pipeline.start[a], pipeline.start[a + 1]):
                inside += pipeline.runs[row, b]
            wip, begun = w[tables.wip[a], b], w[tables.begun[a], b]
            _compare(low + b, RUNS, a, wip, inside, max(begun, wip), failure)
        for money in range(2):
            rows = tables.value if money == 0 else tables.home
            moving = pipeline.value if money == 0 else pipeline.home
            come = w[tables.money_in[money], b]
            gone = w[tables.money_out[money], b] + _held(rows, w, moving, b)
            _compare(low + b, MONEY, money, come, gone, come, failure)


@compiled_bare
def _compare(
    replication: int,
    kind: int,
    index: int,
    come: float,
    gone: float,
    scale: float,
    failure: Floats,
) -> None:
    balanced = abs(come - gone) <= TOLERANCE * abs(scale)  # written so that NaN fails
    if not balanced and failure[0] < 0.0:
        failure[0], failure[1], failure[2] = replication, kind, index
        failure[3], failure[4] = come, gone
