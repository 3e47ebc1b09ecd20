"""The frozen arrays that every supply engine works on.

`compile.py` is the only place that makes a `System` and the only place where names become
integers. Engines read *expressions*: a sum of products of series, evaluated for every
period, so that calendars, efficiencies, ramps, disruptions and tariffs are factors and
terms rather than special cases.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from firsttoken.kernel.expressions import Expressions
from firsttoken.kernel.parameters import ParameterTable, SeriesTable
from firsttoken.twin.parameters import Input

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

OPERATION, PURCHASE, LANE = 0, 1, 2
PUSH, PLAN, PULL = 0, 1, 2


class Network(NamedTuple):
    """Structure and expression indices; -1 means "none".

    Shapes: N nodes (item at location), A activities, R resources, D demands, G goals,
    L losses, K* list lengths.
    Runs are counted in `each`; rates are per second, durations in s, money in USD.
    """

    # Stock nodes.
    onhand: Ints  # [N] parameter: units at start
    unit_cost: Ints  # [N] parameter: USD a unit at start
    stock_minimum: Ints  # [N] expression: units
    stock_maximum: Ints  # [N] expression: units
    base_stock: Ints  # [N] expression: units of inventory position
    holding_cost: Ints  # [N] expression: USD / each / s
    # Activities, in an order in which material flows (purchases first, racks last).
    kind: Ints  # [A] OPERATION, PURCHASE, LANE
    input_start: Ints  # [A + 1]
    input_node: Ints  # [KI]
    input_quantity: Ints  # [KI] expression: units per run
    output_start: Ints  # [A + 1]
    output_node: Ints  # [KO]
    output_quantity: Ints  # [KO] expression: units per run, before yield
    yield_: Ints  # [A] expression: good share of the output
    lead_time: Ints  # [A] expression: s
    capacity: Ints  # [A] expression: runs / s, availability included
    available: Ints  # [A] expression: 0 closed .. 1 open
    cost: Ints  # [A] expression: USD per run (value added, freight), without duty
    setup_cost: Ints  # [A] expression: USD per period in which there are any runs
    duty: Ints  # [A] expression: USD per run
    energy: Ints  # [A] expression: J per run
    priority: Ints  # [A] lower is served first
    share: Ints  # [A] parameter: weight among equals
    release: Ints  # [A] PUSH, PLAN, PULL
    domestic: Ints  # [A] 1 if its value added is domestic content
    lot_minimum: Ints  # [A] parameter: runs
    lot_multiple: Ints  # [A] parameter: runs
    use_start: Ints  # [A + 1]
    use_resource: Ints  # [KU]
    use_quantity: Ints  # [KU] expression: units of the resource per run
    # Resources.
    resource_capacity: Ints  # [R] expression: units / s, availability included
    # Demands, in order of priority.
    demand_node: Ints  # [D]
    demand_rate: Ints  # [D] expression: units / s
    price: Ints  # [D] expression: USD / each
    late_cost: Ints  # [D] expression: USD / each / s
    lost: Ints  # [D] 1 if unmet demand is lost
    # Goals: cumulative value of the output of some activities.
    goal_target: Ints  # [G] parameter: USD
    goal_start: Ints  # [G + 1]
    goal_activity: Ints  # [KG]
    goal_value: Ints  # [KG] expression: USD per run at the items' values, before yield
    # Losses: a share of the stock and work in process is scrapped at a date.
    loss_time: Ints  # [L] parameter: s from start
    loss_share: Ints  # [L] parameter
    loss_node_start: Ints  # [L + 1]
    loss_node: Ints  # [KLN]
    loss_activity_start: Ints  # [L + 1]
    loss_activity: Ints  # [KLA]


class Investments(NamedTuple):
    """Options to buy capacity, I of them; for plans only."""

    resource: Ints  # [I] resource index or -1
    activity: Ints  # [I] activity index or -1
    adds: Ints  # [I] parameter: units / s
    cost: Ints  # [I] parameter: USD
    earliest: Ints  # [I] parameter: s from start
    latest: Ints  # [I] parameter: s from start
    lead_time: Ints  # [I] parameter: s
    maximum: Ints  # [I] units


@dataclass(frozen=True, slots=True)
class Names:
    """Index to name; positions agree with `Network`."""

    nodes: tuple[str, ...]  # item@location
    node_item: tuple[str, ...]
    node_location: tuple[str, ...]
    activities: tuple[str, ...]
    activity_stage: tuple[str, ...]
    activity_location: tuple[str, ...]
    activity_country: tuple[str, ...]
    resources: tuple[str, ...]
    resource_stage: tuple[str, ...]
    resource_location: tuple[str, ...]
    demands: tuple[str, ...]
    goals: tuple[str, ...]
    investments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class System:
    """A compiled supply network under one scenario.

    Attributes
    ----------
    start : twin start, seconds from 1970-01-01.
    edges : float64[T + 1], period edges in seconds from `start`.
    report : int64[T], report period of each period.
    report_edges : float64[Q + 1], edges of the report periods in seconds from `start`.
    uncertain : int64[U], indices of the parameters that are drawn once a replication.
    inputs : what a user would recognise in the parameter table, with its source.
    users : paths of the slots that use a fact or port, by the path of its inputs.
    """

    name: str
    start: float
    edges: Floats
    report: Ints
    report_edges: Floats
    names: Names
    parameters: ParameterTable
    series: SeriesTable
    expressions: Expressions
    network: Network
    investments: Investments
    uncertain: Ints
    inputs: tuple[Input, ...]
    users: dict[str, tuple[str, ...]] = field(default_factory=dict)
