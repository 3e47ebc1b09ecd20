"""What a plan reads from a `System`: one value of every expression in every plan period.

Uncertain inputs are fixed at their median or mean. A plan period may span several periods
of the system: its values are then time-weighted means of products, not products of means.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firsttoken.kernel.expressions import evaluate_expressions
from firsttoken.kernel.parameters import evaluate_series, fixed_parameters
from firsttoken.supply.system import Floats, Ints, Network, System
from firsttoken.twin.findings import UsageError


@dataclass(frozen=True, slots=True)
class PlanInputs:
    """Arrays over P periods, of which the first `reported` are the plan's own.

    Attributes
    ----------
    edges : float64[P + 1], s from start.
    reported : periods that the result shows; the others are the continuation.
    parameters : float64, the fixed value of every parameter.
    onhand, standard_cost : [N], units; USD a unit.
    stock_minimum, stock_maximum : [P, N] units; 0 and inf where there is none.
    holding : [P, N] USD for a unit in stock at the end of the period.
    keep : [P, N] share of the stock that survives the beginning of the period.
    input_quantity : [P, KI]; output_quantity : [P, KO], good units per run.
    lead_time : [P, A] s.
    capacity : [P, A] runs in the period, inf without limit, 0 where closed.
    available : [P, A] 0 closed .. 1 open.
    cost, duty, setup_cost : [P, A] USD; energy : [P, A] J per run.
    use_quantity : [P, KU]; resource_capacity : [P, R] units in the period.
    due : [P, D] units; price : [P, D] USD; late : [P, D] USD for a unit waiting at the end.
    """

    edges: Floats
    reported: int
    parameters: Floats
    onhand: Floats
    standard_cost: Floats
    stock_minimum: Floats
    stock_maximum: Floats
    holding: Floats
    keep: Floats
    input_quantity: Floats
    output_quantity: Floats
    lead_time: Floats
    capacity: Floats
    available: Floats
    cost: Floats
    duty: Floats
    setup_cost: Floats
    energy: Floats
    use_quantity: Floats
    resource_capacity: Floats
    due: Floats
    price: Floats
    late: Floats

    @property
    def lengths(self) -> Floats:
        """Length of each period [P], s."""
        return np.diff(self.edges)


@dataclass(frozen=True, slots=True)
class Arrivals:
    """When the output of runs arrives: entry by entry, sparse.

    Runs start evenly over their period and each arrives its lead time later, so a period's
    output arrives evenly over the period shifted by the lead time: in proportion to the
    overlap with each period, and nothing is rounded. What arrives after the last edge has no
    entry.

    Attributes
    ----------
    output : index into the list of outputs [KO].
    start, end : period of the start and of the arrival.
    units : units that arrive per run, losses deducted; `lost` : units scrapped on the way.
    """

    output: Ints
    start: Ints
    end: Ints
    units: Floats
    lost: Floats


def owners(starts: Ints) -> Ints:
    """Owner of each entry of lists laid end to end: [0, 2, 3] gives 0, 0, 1."""
    return np.repeat(np.arange(starts.size - 1), np.diff(starts))


def evaluate(system: System, parameters: Floats, edges: Floats) -> Floats:
    """All expressions as means over the periods [P, E]; products within the system's own."""
    own = system.edges[(system.edges > edges[0]) & (system.edges < edges[-1])]
    fine = np.union1d(edges, own)
    series = np.empty((len(system.series.kind), fine.size - 1))
    evaluate_series(system.series, system.parameters, parameters, fine, 0, -1, series)
    values = np.empty((len(system.expressions.term) - 1, fine.size - 1))
    evaluate_expressions(system.expressions, series, values)
    first = np.searchsorted(fine, edges[:-1])
    weight = np.diff(fine)
    sums = np.add.reduceat(values * weight, first, axis=1) if values.size else values[:, first]
    return np.ascontiguousarray((sums / np.diff(edges)).T)


def checked_edges(system: System, edges: NDArray[np.float64] | None) -> Floats:
    """The plan's period edges.

    Raises
    ------
    UsageError
        If they do not ascend, or do not begin at the start and lie within the horizon.
    """
    if edges is None:
        return system.edges
    wanted = np.asarray(edges, np.float64)
    if wanted.ndim != 1 or wanted.size < 2 or not np.all(np.diff(wanted) > 0):
        raise UsageError("the edges of a plan's periods must ascend")
    if wanted[0] != system.edges[0] or wanted[-1] > system.edges[-1] * (1 + 1e-9):
        raise UsageError("a plan's periods must begin at the twin's start and end in its horizon")
    return wanted


def read_inputs(system: System, uncertain: str, edges: Floats, beyond: float | None) -> PlanInputs:
    """Evaluate everything a plan needs.

    Parameters
    ----------
    beyond : s of continuation after the last edge; None: the longest chain of lead times.
    """
    parameters = fixed_parameters(system.parameters, uncertain)
    reported = edges.size - 1
    if beyond is None:
        beyond = _longest_chain(system, evaluate(system, parameters, edges[-2:])[0])
    width = edges[-1] - edges[-2]
    more = int(np.ceil(beyond / width - 1e-9))
    if more > 0:
        edges = np.concatenate([edges, edges[-1] + width * np.arange(1, more + 1)])
    return _inputs(system, parameters, edges, reported)


def _inputs(system: System, parameters: Floats, edges: Floats, reported: int) -> PlanInputs:
    net = system.network
    values = evaluate(system, parameters, edges)
    lengths = np.diff(edges)[:, None]

    def rows(index: Ints, default: float) -> Floats:
        found = np.full((edges.size - 1, index.size), default)
        known = index >= 0
        found[:, known] = values[:, index[known]]
        return found

    def fixed(index: Ints) -> Floats:
        return np.where(index >= 0, parameters[np.maximum(index, 0)], 0.0)

    available = rows(net.available, 1.0)
    closed = available <= 0.0
    yields = rows(net.yield_, 1.0)
    cost, duty = rows(net.cost, 0.0), rows(net.duty, 0.0)
    inputs = rows(net.input_quantity, 0.0)
    outputs = rows(net.output_quantity, 0.0) * yields[:, owners(net.output_start)]
    unit_cost = fixed(net.unit_cost)
    return PlanInputs(
        edges=edges,
        reported=reported,
        parameters=parameters,
        onhand=fixed(net.onhand),
        standard_cost=_standard_cost(net, cost[0] + duty[0], inputs[0], outputs[0], unit_cost),
        stock_minimum=rows(net.stock_minimum, 0.0),
        stock_maximum=rows(net.stock_maximum, np.inf),
        holding=rows(net.holding_cost, 0.0) * lengths,
        keep=_kept(net, parameters, edges),
        input_quantity=inputs,
        output_quantity=outputs,
        lead_time=rows(net.lead_time, 0.0),
        capacity=np.where(closed, 0.0, np.maximum(rows(net.capacity, np.inf), 0.0) * lengths),
        available=available,
        cost=cost,
        duty=duty,
        setup_cost=rows(net.setup_cost, 0.0),
        energy=rows(net.energy, 0.0),
        use_quantity=rows(net.use_quantity, 0.0),
        resource_capacity=np.maximum(rows(net.resource_capacity, np.inf), 0.0) * lengths,
        due=np.maximum(rows(net.demand_rate, 0.0), 0.0) * lengths,
        price=rows(net.price, 0.0),
        late=rows(net.late_cost, 0.0) * lengths,
    )


def _longest_chain(system: System, values: Floats) -> float:
    """Longest sum of lead times along the flow of material, s."""
    net = system.network
    ready = np.zeros(net.onhand.size)
    for a in range(net.kind.size):
        inputs = net.input_node[net.input_start[a] : net.input_start[a + 1]]
        lead = values[net.lead_time[a]] if net.lead_time[a] >= 0 else 0.0
        done = lead + (ready[inputs].max() if inputs.size else 0.0)
        outputs = net.output_node[net.output_start[a] : net.output_start[a + 1]]
        ready[outputs] = np.maximum(ready[outputs], done)
    return float(ready[net.demand_node].max()) if net.demand_node.size else 0.0


def _standard_cost(
    net: Network, paid: Floats, inputs: Floats, outputs: Floats, unit_cost: Floats
) -> Floats:
    """Cost of replacing a unit of each node from its cheapest source at the start, USD [N].

    It is the declared value where nothing in the network makes it.
    """
    found = np.full(unit_cost.size, np.inf)
    for a in range(net.kind.size):
        into = slice(net.input_start[a], net.input_start[a + 1])
        out = slice(net.output_start[a], net.output_start[a + 1])
        known = np.where(np.isfinite(found), found, unit_cost)
        total = paid[a] + float(inputs[into] @ known[net.input_node[into]])
        made = float(outputs[out].sum())
        if made > 0:
            nodes = net.output_node[out]
            found[nodes] = np.minimum(found[nodes], total / made)
    return np.where(np.isfinite(found), found, unit_cost)


def _kept(net: Network, parameters: Floats, edges: Floats) -> Floats:
    """Share of the stock that survives the beginning of each period [P, N]."""
    keep = np.ones((edges.size - 1, net.onhand.size))
    for period, share, nodes, _ in losses(net, parameters, edges):
        keep[period, nodes] *= 1.0 - share
    return keep


def losses(net: Network, parameters: Floats, edges: Floats) -> list[tuple[int, float, Ints, Ints]]:
    """(period, share, nodes, activities) of each loss; it strikes as its period begins."""
    found = []
    for k in range(net.loss_time.size):
        period = int(np.searchsorted(edges, parameters[net.loss_time[k]], "right")) - 1
        if 0 <= period < edges.size - 1:
            nodes = net.loss_node[net.loss_node_start[k] : net.loss_node_start[k + 1]]
            first, last = net.loss_activity_start[k], net.loss_activity_start[k + 1]
            share = min(max(float(parameters[net.loss_share[k]]), 0.0), 1.0)
            found.append((period, share, nodes, net.loss_activity[first:last]))
    return found


def arrivals(net: Network, given: PlanInputs) -> Arrivals:
    """Where the output of every run arrives, see `Arrivals`."""
    edges, periods = given.edges, given.edges.size - 1
    begin = edges[:-1, None] + given.lead_time
    end = edges[1:, None] + given.lead_time
    first = np.searchsorted(edges, begin, "right") - 1
    last = np.searchsorted(edges, end, "left") - 1
    survive = _surviving(net, given)
    owner = owners(net.output_start)
    parts: list[tuple[Ints, Ints, Ints, Floats, Floats]] = []
    for step in range(int((np.minimum(last, periods - 1) - first).max(initial=-1)) + 1):
        arrive = first + step
        inside = np.minimum(arrive, periods - 1)
        overlap = np.minimum(end, edges[inside + 1]) - np.maximum(begin, edges[inside])
        share = overlap / given.lengths[:, None]
        valid = (arrive <= last) & (arrive < periods) & (share > 1e-12)
        start, output = np.nonzero(valid[:, owner])
        activity = owner[output]
        units = given.output_quantity[start, output] * share[start, activity]
        to = arrive[start, activity]
        left = survive(start, to, activity) if survive is not None else np.ones(start.size)
        parts.append((output, start, to, units * left, units * (1.0 - left)))
    if not parts:
        none, zero = np.empty(0, np.int64), np.empty(0)
        return Arrivals(none, none, none, zero, zero)
    return Arrivals(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _surviving(net: Network, given: PlanInputs) -> Callable[[Ints, Ints, Ints], Floats] | None:
    """Share of work in process that outlives the losses between start and arrival."""
    struck = losses(net, given.parameters, given.edges)
    if not struck:
        return None

    def survive(start: Ints, arrive: Ints, activity: Ints) -> Floats:
        left = np.ones(start.size)
        for period, share, _, activities in struck:
            hit = (start < period) & (arrive >= period) & np.isin(activity, activities)
            left[hit] *= 1.0 - share
        return left

    return survive
