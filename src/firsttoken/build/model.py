"""What can be declared about a construction programme: activities, crews, phases, references."""

from __future__ import annotations

from typing import Literal

from pydantic import Discriminator, Field, Tag

from firsttoken.twin.calendars import Calendar
from firsttoken.twin.schema import Annotated, Declared, Quantity, Value, default

Duration = Annotated[Value, Quantity("s", at_least=0, series=False)]
DurationByPhase = Annotated[Value, Quantity("s", at_least=0, series=False, drawn="each time")]
Factor = Annotated[Value, Quantity("", at_least=0, series=False)]
Lag = Annotated[Value, Quantity("s", series=False)]
Share = Annotated[Value, Quantity("", at_least=0, at_most=1, series=False)]
Count = Annotated[Value, Quantity("each", at_least=0)]
Number = Annotated[Value, Quantity("each", at_least=0, series=False)]
Power = Annotated[Value, Quantity("W", at_least=0, series=False)]
Money = Annotated[Value, Quantity("USD", at_least=0, series=False)]
MoneyRate = Annotated[Value, Quantity("USD/s", at_least=0, series=False)]
Date = Annotated[Value, Quantity("date", series=False)]


class Link(Declared):
    """A dependency on another activity."""

    activity: str = Field(
        description="The activity before: `name`, or `name.phase` for one phase of it."
    )
    type: Literal["FS", "SS", "FF", "SF"] = Field(
        "FS", description="What waits for what: finish to start, start to start, and so on."
    )
    lag: Lag = default("0 s", description="Time between; below zero: overlap.")
    lag_calendar: str | None = Field(
        None, description="Calendar in which the lag runs; none: all time."
    )


Before = Annotated[
    Annotated[str, Tag("name")] | Annotated[Link, Tag("link")],
    Discriminator(lambda raw: "name" if isinstance(raw, str) else "link"),
]


class Risk(Declared):
    """Something that may happen to an activity."""

    probability: Share = Field(description="Probability that it happens.")
    delay: Duration = Field(description="Time that it adds if it does.")


class RiskDriver(Declared):
    """What makes several activities longer at once, so that they are late together."""

    description: str = Field("", description="What it is.")
    probability: Share = default(1, description="Probability that it acts.")
    factor: Factor = Field(description="Multiplies the durations if it acts; one draw for all.")
    affects: list[str] = Field(
        [], description="Activities, or kinds such as `work`; empty: all of them."
    )


class InPhase(Declared):
    """What differs in one phase of an activity; what is not written is as for all phases."""

    duration: Duration | None = Field(None, description="Working time in its calendar.")
    remaining: Duration | None = Field(None, description="Working time left at `as_of`.")
    earliest: Date | None = Field(None, description="Not before this day.")
    deadline: Date | None = Field(None, description="Day by which it should be done.")
    started: Date | None = Field(None, description="Day on which it was begun.")
    finished: Date | None = Field(None, description="Day on which it was done.")
    cost: Money | None = Field(None, description="Cost, spent evenly over its time.")


class Activity(Declared):
    """One activity of the programme."""

    description: str = Field("", description="What is done.")
    kind: Literal["work", "procurement", "permit", "commissioning"] = Field(
        "work", description="Work on site, a long-lead item, a permit, or commissioning."
    )
    level: int | None = Field(
        None, ge=1, le=5, description="Commissioning level L1 (factory test) to L5 (integrated)."
    )
    duration: DurationByPhase = Field(
        description="Working time in its calendar; 0: a milestone. A distribution is drawn for "
        "each phase anew; one with `drawn: once`, and a fact, is the same in all."
    )
    remaining: DurationByPhase | None = Field(
        None,
        description="Working time left at the twin's `as_of` of what has `started`; none: "
        "what `duration` says of one that is not done by then.",
    )
    calendar: str | None = Field(
        None,
        description="Calendar, or `all` for all time; none: the programme's for work and "
        "commissioning, all time for procurement and permits.",
    )
    after: list[Before] = Field(
        [],
        description="What must be done before: names (finish to start), or links. A name "
        "means the same phase, or all phases if this is done once for all; `name.phase` one.",
    )
    phases: list[str] = Field(
        [], description="Phases for each of which it is done; empty: once for all."
    )
    in_turn: bool = Field(False, description="Phases one after the other, in their order.")
    crew: dict[str, Number] = Field({}, description="Crews needed while it goes on.")
    risks: dict[str, Risk] = Field({}, description="What may happen.")
    earliest: Date | None = Field(None, description="Not before this day.")
    deadline: Date | None = Field(None, description="Day by which it should be done.")
    started: Date | None = Field(None, description="Day on which it was begun.")
    finished: Date | None = Field(None, description="Day on which it was done.")
    cost: Money = default("0 USD", description="Cost of each phase, spent evenly over its time.")
    by_phase: dict[str, InPhase] = Field({}, description="What differs from phase to phase.")


class Crew(Declared):
    """Crews or tools of which there are only so many."""

    description: str = Field("", description="Who or what.")
    count: Count = Field(description="How many.")


class Phase(Declared):
    """A part of the site that goes into operation on its own: a hall, a building."""

    description: str = Field("", description="What it is.")
    racks: Number = default(0, description="Rack positions that it brings.")
    power: Power = default("0 W", description="IT power that it brings.")
    ready: str = Field(description="Activity at whose end it is ready.")


class Reference(Declared):
    """The outside view: how long comparable sites took, those not finished included."""

    file: str | None = Field(
        None,
        description="CSV file of sites: `site, start, end` with an empty `end` for a site "
        "not finished; none: the library's AI data centres.",
    )
    since: Date | None = Field(None, description="Only sites begun since this day.")
    until: Date | None = Field(None, description="Day of the last look at sites not finished.")
    method: Literal["kaplan_meier", "weibull"] = Field(
        "weibull", description="Estimator of the distribution."
    )
    weight: Share = default(0.5, description="Weight of the outside view against the network's.")
    start: str | None = Field(
        None, description="Activity with whose start the sites' durations begin; none: the first."
    )
    end: str | None = Field(
        None, description="Activity with whose end they end; none: the first phase's `ready`."
    )


class Build(Declared):
    """One construction programme."""

    description: str = Field("", description="What is built, and where.")
    begin: Date | None = Field(None, description="First day; none: the twin's start.")
    calendars: dict[str, Calendar] = Field({}, description="Working times.")
    calendar: str | None = Field(None, description="Calendar of work; none: all time.")
    crews: dict[str, Crew] = Field({}, description="Limited crews and tools.")
    phases: dict[str, Phase] = Field({}, description="Parts that go into operation in turn.")
    activities: dict[str, Activity] = Field(description="What is to be done.")
    risks: dict[str, RiskDriver] = Field(
        {}, description="What makes several activities longer at once."
    )
    reference: Reference | None = Field(None, description="How long comparable sites took.")
    due: Date | None = Field(None, description="Day on which the first phase was promised.")
    cost_of_delay: MoneyRate | None = Field(None, description="What each day after `due` costs.")
    report: Literal["week", "month", "quarter"] = Field("month", description="Period of reports.")
