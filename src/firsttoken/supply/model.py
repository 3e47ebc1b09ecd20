"""What can be declared about a supply network, in frePPLe's vocabulary.

Items are made and moved by *operations* (bill of materials in and out), *purchases* from
suppliers and *lanes* between locations, within *resources*, to meet *demands*.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from firsttoken.twin.schema import Annotated, Declared, Quantity, Value, default

Amount = Annotated[Value, Quantity("each", at_least=0)]
Rate = Annotated[Value, Quantity("each/s", at_least=0)]
Duration = Annotated[Value, Quantity("s", at_least=0)]
Money = Annotated[Value, Quantity("USD", at_least=0)]
Share = Annotated[Value, Quantity("", at_least=0, at_most=1)]
Factor = Annotated[Value, Quantity("", at_least=0)]
Date = Annotated[Value, Quantity("date", series=False)]


class Location(Declared):
    """A site: a fab, a packaging house, a rack plant, a port."""

    country: str = Field(description="ISO 3166 two-letter country code; tariffs depend on it.")
    description: str = Field("", description="What stands there.")
    available: str | None = Field(None, description="Calendar of the site's working time.")


class Item(Declared):
    """A thing that is made, moved or sold."""

    description: str = Field("", description="What it is.")
    unit: str = Field("each", description="Unit in which it is counted, weighed or measured.")
    value: Money = default("0 USD", description="Value of one unit: for customs and goals.")
    holding_cost: Annotated[Value, Quantity("1/s", at_least=0)] = default(
        "0 1/year", description="Cost of holding stock, as a share of its value per time."
    )


class Buffer(Declared):
    """Stock of one item at one location."""

    item: str = Field(description="Item.")
    location: str = Field(description="Location.")
    onhand: Annotated[Value, Quantity("each", at_least=0, series=False)] = default(
        0, description="Stock at the twin's start."
    )
    minimum: Amount | None = Field(None, description="Safety stock; falling below costs, in plans.")
    maximum: Amount | None = Field(None, description="Largest stock that fits.")
    base_stock: Amount | None = Field(
        None, description="Order-up-to level of the inventory position, for pull policies."
    )
    holding_cost: Annotated[Value, Quantity("USD/each/s", at_least=0)] | None = Field(
        None, description="Cost of holding one unit per time; instead of the item's rate."
    )


class Activity(Declared):
    """What operations, purchases and lanes have in common."""

    description: str = Field("", description="What happens.")
    lead_time: Annotated[Value, Quantity("s", at_least=0, drawn="each period")] = default(
        "0 week", description="Time from start to availability of the output."
    )
    capacity: Rate | None = Field(None, description="Most runs started per time; none: no limit.")
    efficiency: Factor = default(1, description="Factor on the capacity.")
    cost: Money = default("0 USD", description="Value added (paid) per run.")
    setup_cost: Money = default(
        "0 USD", description="Cost of each period in which there are any runs (plans)."
    )
    uses: dict[str, Amount] = Field({}, description="Resources used, units of each per run.")
    start: Date | None = Field(None, description="First day of operation.")
    end: Date | None = Field(None, description="First day after the last day of operation.")
    available: str | None = Field(None, description="Calendar of the working time.")
    priority: int = Field(
        10, ge=0, description="Who is served first when material is short; 0 before 10."
    )
    share: Annotated[Value, Quantity("", at_least=0, series=False)] | None = Field(
        None,
        description="Weight in sharing short material and demand among activities of equal "
        "priority; none: in proportion to capacity.",
    )
    lot_minimum: Annotated[Value, Quantity("each", at_least=0, series=False)] | None = Field(
        None, description="Smallest number of runs in a period in which there are any (plans)."
    )
    lot_multiple: Annotated[Value, Quantity("each", above=0, series=False)] | None = Field(
        None, description="Runs per period come in multiples of this (plans)."
    )
    stage: str = Field("", description="Stage of the chain in reports; empty: its own name.")


class Operation(Activity):
    """A transformation at one location: so much in, so much out, per run."""

    at: str = Field(description="Location.")
    consumes: dict[str, Amount] = Field({}, description="Items in, units per run.")
    produces: dict[str, Amount] = Field(description="Items out, units per run before yield.")
    yield_: Annotated[Value, Quantity("", above=0, at_most=1, drawn="each period")] = default(
        1, alias="yield", description="Good share of the output."
    )
    energy: Annotated[Value, Quantity("J", at_least=0)] = default(
        "0 kWh", description="Electric energy per run."
    )


class Lane(Activity):
    """Transport of items from one location to another; a run moves one unit."""

    items: list[str] = Field(description="Items that may be moved.")
    origin: str = Field(description="Location from which.")
    destination: str = Field(description="Location to which.")


class Supplier(Declared):
    """Somebody outside the model who sells to it."""

    country: str = Field("", description="ISO 3166 code of the origin of the goods.")
    description: str = Field("", description="Who it is.")


class Purchase(Activity):
    """Buying an item from a supplier; a run buys one unit."""

    supplier: str = Field(description="Supplier.")
    item: str = Field(description="Item.")
    location: str = Field(description="Location where it arrives.")


class Resource(Declared):
    """Capacity that several activities share: a line, a tool group, a workforce."""

    at: str = Field(description="Location.")
    capacity: Rate = Field(description="Units of the resource available per time.")
    efficiency: Factor = default(1, description="Factor on the capacity: share, availability.")
    available: str | None = Field(None, description="Calendar of the working time.")
    stage: str = Field("", description="Stage of the chain in reports; empty: its own name.")
    description: str = Field("", description="What it is.")


class Demand(Declared):
    """What customers want: an order (`quantity` with `due`) or a stream (`rate`)."""

    item: str = Field(description="Item.")
    location: str = Field(description="Location of delivery.")
    customer: str = Field("", description="Who wants it.")
    quantity: Annotated[Value, Quantity("each", above=0, series=False)] | None = Field(
        None, description="Ordered quantity."
    )
    due: Date | None = Field(None, description="Due date of the order.")
    rate: Annotated[Value, Quantity("each/s", at_least=0, drawn="each period")] | None = Field(
        None, description="Demand per time."
    )
    priority: int = Field(10, ge=0, description="Who is served first; 0 before 10.")
    price: Money | None = Field(None, description="Price of a unit; none: the item's value.")
    late_cost: Annotated[Value, Quantity("USD/each/s", at_least=0)] | None = Field(
        None, description="Penalty for a unit late, per time; none: 0.5 % of its price a week."
    )
    lost: bool = Field(False, description="Unmet demand is lost instead of waiting.")


class Tariff(Declared):
    """A duty on goods that cross a border, by origin and date."""

    items: list[str] = Field(description="Items on which it is levied.")
    origins: list[str] = Field(description="Country codes of origin.")
    destination: str = Field(description="Country code of entry.")
    rate: Annotated[Value, Quantity("", at_least=0)] = Field(
        description="Duty as a share of the item's value."
    )
    exempt: Share = default(0, description="Share of the goods that is exempt.")
    description: str = Field("", description="Legal basis.")


class Investment(Declared):
    """An option to buy capacity at a date for a cost; plans decide whether and when."""

    target: str = Field(description="Resource, operation, purchase or lane that it adds to.")
    adds: Annotated[Value, Quantity("each/s", above=0, series=False)] = Field(
        description="Capacity added by one unit of the investment."
    )
    cost: Annotated[Value, Quantity("USD", at_least=0, series=False)] = Field(
        description="Cost of one unit of the investment."
    )
    earliest: Date | None = Field(None, description="Earliest date of the decision.")
    latest: Date | None = Field(None, description="Latest date of the decision.")
    lead_time: Annotated[Value, Quantity("s", at_least=0, series=False)] = default(
        "0 week", description="Time from the decision to the capacity."
    )
    maximum: int = Field(1, ge=1, description="Most units that can be bought.")


class Goal(Declared):
    """A cumulative value to reach, and the question when: US$500 B made in the US."""

    stage: str = Field(description="Stage whose output counts.")
    country: str = Field(description="Country code where it must be made.")
    target: Money = Field(description="Cumulative value of the output, at the items' values.")
    description: str = Field("", description="Who set it.")


class Observation(Declared):
    """What really happened, by quarter: compared with the simulation, never fed into it."""

    stage: str = Field(description="Stage whose completed output is compared.")
    values: dict[str, Amount] = Field(description="First day of the quarter: units observed.")
    unit: str = Field("each", description="Unit in reports.")
    description: str = Field("", description="Who reported it.")


class CalendarBucket(Declared):
    """A span of a calendar with its own value."""

    start: Date = Field(description="First day.")
    end: Date = Field(description="First day after.")
    value: Factor = Field(description="Factor on capacity within the span.")


class Calendar(Declared):
    """A factor on capacity that changes with time: holidays, shut-downs."""

    default: Factor = default(1, description="Factor outside the buckets.")
    buckets: list[CalendarBucket] = Field(
        [],
        description="Spans; later ones win. With uncertain dates: in order, without overlap.",
    )


class Plan(Declared):
    """How a plan is made."""

    objectives: list[Literal["value", "cost", "earliest"]] = Field(
        ["value", "cost"],
        description="In order of rank: most value delivered, least cost, earliest completion.",
    )
    uncertain: Literal["median", "mean"] = Field(
        "median", description="What a plan takes for an uncertain input."
    )
    bucket: Literal["day", "week", "month", "quarter"] | None = Field(
        None, description="Period of the plan; none: the network's bucket."
    )


class Network(Declared):
    """One supply network."""

    bucket: Literal["day", "week", "month", "quarter"] = Field("week", description="Period.")
    report: Literal["week", "month", "quarter", "year"] = Field(
        "quarter", description="Period of reports."
    )
    release: Literal["plan", "push", "pull"] = Field(
        "plan",
        description="What starts an activity in the simulation: the plan's quantities (plan), "
        "material and capacity (push), or base-stock levels (pull).",
    )
    home: list[str] = Field([], description="Countries whose value added is domestic content.")
    plan: Plan = Field(default_factory=lambda: Plan(), description="How plans are made.")
    locations: dict[str, Location] = Field(description="Sites.")
    items: dict[str, Item] = Field(description="Things.")
    operations: dict[str, Operation] = Field({}, description="Transformations.")
    resources: dict[str, Resource] = Field({}, description="Shared capacities.")
    lanes: dict[str, Lane] = Field({}, description="Transport.")
    suppliers: dict[str, Supplier] = Field({}, description="Sellers outside the model.")
    purchases: dict[str, Purchase] = Field({}, description="What is bought from whom.")
    buffers: dict[str, Buffer] = Field({}, description="Stocks with an initial value or limits.")
    demands: dict[str, Demand] = Field(description="What is wanted.")
    calendars: dict[str, Calendar] = Field({}, description="Working times.")
    tariffs: dict[str, Tariff] = Field({}, description="Duties.")
    investments: dict[str, Investment] = Field({}, description="Options to buy capacity.")
    goals: dict[str, Goal] = Field({}, description="Cumulative values to reach.")
    observations: dict[str, Observation] = Field({}, description="What really happened.")
