"""What can be declared about a production line or a fab.

Lots of *products* follow *routes* of steps over *stations* of parallel servers.  Stations need
people and robots (*pools*) and draw on shared *budgets* such as test power while they work.  What
a step does may be written at its station, which then holds for every step there.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from firsttoken.twin.calendars import Calendar
from firsttoken.twin.schema import Annotated, Declared, Quantity, Value, default

BUDGET_UNITS = ("W", "m**3/s", "each")
"""What a budget may be measured in: a power, a flow, or a plain count."""

Time = Annotated[Value, Quantity("s", at_least=0, drawn="each time", series=False)]
Interval = Annotated[Value, Quantity("s", above=0, drawn="each time", series=False)]
Duration = Annotated[Value, Quantity("s", at_least=0, series=False)]
Share = Annotated[Value, Quantity("", at_least=0, at_most=1, series=False)]
DrawnShare = Annotated[Value, Quantity("", at_least=0, at_most=1, drawn="each time", series=False)]
Count = Annotated[Value, Quantity("each", at_least=0)]
Number = Annotated[Value, Quantity("each", at_least=0, series=False)]
Positive = Annotated[Value, Quantity("each", above=0, series=False)]
Date = Annotated[Value, Quantity("date", series=False)]
Level = Annotated[Value, Quantity("W", at_least=0, units=BUDGET_UNITS)]
Draw = Annotated[Value, Quantity("W", at_least=0, series=False, units=BUDGET_UNITS)]

Rule = str
"""`fifo`, `edd`, `spt`, `cr`, `setup`, or `file.py:function` for a rule of one's own."""


class Tasks(Declared):
    """Many equal manual or robotic tasks within one operation: connections, screws, DIMMs."""

    count: Positive = Field(description="Tasks in one lot.")
    time: Duration = Field(description="Time of one task.")
    success: Share = default(1, description="Probability that a task succeeds at once.")
    recovery: Duration = default("0 s", description="Extra time for each task that did not.")


class Batch(Declared):
    """Loads of several lots processed together."""

    minimum: int = Field(1, ge=1, description="Fewest pieces that start.")
    maximum: int = Field(ge=1, description="Most pieces that fit.")
    wait: Duration | None = Field(
        None, description="After this wait of its first lot a load starts with fewer; none: never."
    )
    family: str = Field("", description="Lots of one family may share a load; empty: of one step.")


class Inspection(Declared):
    """Looking for the defects that earlier work may have left."""

    share: Share = default(1, description="Share of the lots inspected.")
    escape: Share = default(0, description="Probability that a defect is not seen.")
    false_call: Share = default(0, description="Probability that a good lot is called bad.")


class Work(Declared):
    """What is done to a lot: given at a station, for all its steps, or at a step."""

    time: Time | None = Field(None, description="Processing time.")
    per: Literal["load", "piece"] | None = Field(
        None, description="Whether `time` counts for the whole load or for each piece."
    )
    load: Duration | None = Field(None, description="Time to load, before processing.")
    unload: Duration | None = Field(None, description="Time to unload, after processing.")
    tasks: Tasks | None = Field(None, description="Repeated tasks whose time is added.")
    interval: Time | None = Field(
        None, description="Cascade tool: time after which the next load may enter."
    )
    interval_per: Literal["load", "piece"] | None = Field(
        None, description="Whether `interval` counts for the load or for each piece."
    )
    setup: str | None = Field(None, description="Set-up that the server must have.")
    batch: Batch | None = Field(None, description="Batching.")
    crew: dict[str, Number] | None = Field(
        None, description="People or robots needed while working, by pool or skill."
    )
    draws: dict[str, Draw] | None = Field(None, description="Drawn from budgets while working.")
    pass_: Share | None = Field(
        None, alias="pass", description="Probability that the work succeeds: of a whole load."
    )
    on_fail: str | None = Field(
        None, description="What follows a failure: `restart`, `scrap`, or a step's name."
    )
    fail_after: DrawnShare | None = Field(
        None, description="Share of the time after which a failure shows; none: at the end."
    )
    repair: Time | None = Field(
        None, description="Repair on the spot before a `restart`; the server stays occupied."
    )
    attempts: int | None = Field(
        None, ge=1, description="Attempts at this step after which a lot is scrapped."
    )
    defects: Share | None = Field(
        None, description="Probability that the work leaves a defect not seen at once."
    )
    inspect: Inspection | None = Field(None, description="Inspection at the end of the work.")
    consumes: dict[str, Number] | None = Field(
        None, description="Assembly: pieces of other products joined into one lot."
    )
    produces: dict[str, Number] | None = Field(
        None, description="Disassembly: pieces of other products that one lot releases."
    )


class Setup(Declared):
    """Changing a server over."""

    from_: str | None = Field(None, alias="from", description="Set-up before; none: any other.")
    to: str = Field(description="Set-up after.")
    time: Time = Field(description="Time of the change.")


class Failure(Declared):
    """Breakdowns of a station's servers, each server on its own."""

    mtbf: Interval = Field(description="Time between the end of a repair and the next failure.")
    mttr: Time = Field(description="Time to repair.")
    counts: Literal["time", "operation"] = Field(
        "time", description="Clock of `mtbf`: all time, or working time only."
    )
    first: Time | None = Field(None, description="Time to the first failure; none: `mtbf`.")
    crew: dict[str, Number] = Field({}, description="People needed for the repair.")


class Maintenance(Declared):
    """Planned work on a station's servers, begun when the server is idle."""

    every: Interval | None = Field(None, description="Calendar time between due dates.")
    every_pieces: Positive | None = Field(None, description="Pieces between due dates.")
    every_loads: Positive | None = Field(None, description="Loads between due dates.")
    takes: Time = Field(description="Duration.")
    first: Time | None = Field(None, description="Time to the first due date; none: as `every`.")
    first_pieces: Positive | None = Field(
        None, description="Pieces to the first due date; none: as `every_pieces`."
    )
    stagger: bool = Field(
        False,
        description="Spread the first due dates of the servers evenly over one interval.",
    )
    alone: bool = Field(
        True,
        description="Wait for the end of repairs and other maintenance; no: do it meanwhile.",
    )
    crew: dict[str, Number] = Field({}, description="People needed.")


class Station(Work):
    """A group of equal servers: benches, testers, tools, robot cells."""

    description: str = Field("", description="What it is.")
    servers: Count = default(1, description="Servers.")
    available: str | None = Field(None, description="Calendar of its shifts.")
    shift_end: Literal["finish", "pause"] = Field(
        "finish", description="What happens to work in hand when the shift ends."
    )
    buffer: int | None = Field(
        None,
        ge=0,
        description="Lots that may wait in front; none: no limit. When it is full, "
        "lots that are done stay on the server before (blocking after service).",
    )
    dispatch: Rule | None = Field(
        None,
        description="Who is next among equal priorities: fifo, edd, spt, cr, setup, or "
        "`file.py:function`; none: the line's rule.",
    )
    setups: list[Setup] = Field([], description="Times of change-over; none stated: no time.")
    min_run: dict[str, int] = Field(
        {}, description="Loads to run in a set-up before it is changed."
    )
    failures: dict[str, Failure] = Field({}, description="Breakdowns.")
    maintenance: dict[str, Maintenance] = Field({}, description="Planned maintenance.")
    transport: Time | None = Field(None, description="Time to bring a lot here.")


class QueueLimit(Declared):
    """The longest time that may pass between the end of one step and the start of another."""

    after: str = Field(description="Step at whose end the clock starts.")
    within: Duration = Field(description="Longest time.")
    on_miss: str = Field(
        "count", description="What follows: `count` (only), `scrap`, or a step's name."
    )


class Hold(Declared):
    """Something kept from the start of one step to the end of another: a slot, a cart, a card."""

    count: Number = default(1, description="Units of the pool.")
    until: str = Field(description="Step at whose end it is given back.")


class Step(Work):
    """One step of a route."""

    name: str = Field("", description="Name within the route; none: the station's.")
    station: str = Field(description="Station.")
    share: Share | None = Field(
        None, description="Share of the lots that need the step; the others skip it."
    )
    transport: Time | None = Field(None, description="Time to bring a lot here.")
    then: str | dict[str, Share] | None = Field(
        None,
        description="Next step if not the next in the list: a name, `ship`, or probabilities by "
        "name; what they leave of 1 goes to the next in the list.",
    )
    same_tool: str | None = Field(
        None, description="Earlier step whose server must also do this one."
    )
    queue_limit: QueueLimit | None = Field(None, description="Limit on the time in between.")
    holds: dict[str, Hold] = Field({}, description="Units of pools kept over several steps.")


class Release(Declared):
    """How lots of one class start.  Give one of `every`, `wip`, `stock` and `backlog`."""

    every: Interval | None = Field(None, description="Time between releases.")
    wip: Count | None = Field(
        None, description="CONWIP: release whenever fewer lots of the class are in the line."
    )
    stock: Count | None = Field(
        None, description="Kanban: release whenever stock and lots in the line are fewer pieces."
    )
    backlog: Count | None = Field(
        None, description="Keep this many lots waiting at the first step (1: a saturated line)."
    )
    lots: int = Field(1, ge=1, description="Lots a release.")
    first: Duration = default("0 s", description="Time of the first release from the start.")
    until: Date | None = Field(None, description="No release from this day on.")
    limit: int | None = Field(None, ge=0, description="Lots in all; none: no limit.")
    priority: float = Field(10, description="Higher goes first: hot lots.")
    due: Duration | None = Field(None, description="Time allowed from release to due date.")


class Product(Declared):
    """What goes through the line, in lots."""

    description: str = Field("", description="What it is.")
    pieces: int = Field(1, ge=1, description="Pieces in a lot: wafers, trays.")
    route: list[Step] | None = Field(
        None, description="Steps; none: every station once, in the order of the file."
    )
    releases: dict[str, Release] = Field({}, description="How lots start, by lot class.")
    stock: Number = default(0, description="Pieces in stock at the start, for assembly.")
    supplied: bool = Field(False, description="Bought in: never short.")


class Pool(Declared):
    """People, robots, carriers, slots or cards, of which work seizes some."""

    description: str = Field("", description="Who or what.")
    count: Count = Field(description="How many.")
    available: str | None = Field(None, description="Calendar of their shifts.")
    skills: list[str] = Field([], description="Skills that they have, besides the pool's name.")


class Order(Declared):
    """An order with a due date."""

    product: str = Field(description="Product.")
    lots: int = Field(1, ge=1, description="Lots.")
    release: Date | None = Field(None, description="Day of release; none: at the start.")
    due: Date = Field(description="Due date.")
    priority: float = Field(10, description="Higher goes first.")
    customer: str = Field("", description="For whom.")


class Wip(Declared):
    """Lots that are in the line at the start."""

    product: str = Field(description="Product.")
    lot_class: str | None = Field(None, description="Release whose class they have.")
    step: str = Field(description="Step at which they wait.")
    lots: int = Field(1, ge=1, description="Lots.")
    priority: float = Field(10, description="Higher goes first.")
    due: Date | None = Field(None, description="Due date.")
    released: Date | None = Field(None, description="Day of release; none: the start.")


class Line(Declared):
    """One production line."""

    description: str = Field("", description="What it makes, and where.")
    unit: str = Field("lot", description="What a finished lot is called: rack, tray, lot.")
    stations: dict[str, Station] = Field(description="Groups of servers, in order of flow.")
    products: dict[str, Product] = Field(description="What is made.")
    pools: dict[str, Pool] = Field({}, description="People, robots, carriers, slots, cards.")
    budgets: dict[str, Level] = Field(
        {}, description="What all stations share while working: test power, coolant flow."
    )
    calendars: dict[str, Calendar] = Field({}, description="Working times.")
    orders: dict[str, Order] = Field({}, description="Orders with due dates.")
    wip: list[Wip] = Field([], description="Lots in the line at the start.")
    dispatch: Rule = Field("fifo", description="Rule of stations that name none.")
    warmup: Duration = default(
        "0 s", description="Time at the start that does not count in statistics."
    )
    report: Literal["day", "week", "month", "quarter"] = Field(
        "week", description="Period of reports."
    )
