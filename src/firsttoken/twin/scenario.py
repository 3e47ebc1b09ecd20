"""Scenarios: named changes of a twin, by overrides of its parameters and by disruptions.

A disruption is written with its kind as the key of its target::

    disruptions:
      - {close: supply.network.locations.tsmc_taiwan, from: 2026-09-01, for: 90 day}
      - {capacity: supply.network.resources.cowos, factor: 0.6, from: 2026-09, for: 8 week}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Discriminator, Field, Tag, model_validator

from firsttoken.twin.grammar import ValueSyntaxError
from firsttoken.twin.schema import Declared, Quantity, Value, default
from firsttoken.twin.values import Constant

Date = Annotated[Value, Quantity("date", series=False)]
Duration = Annotated[Value, Quantity("s", at_least=0, series=False)]
Multiplier = Annotated[Value, Quantity("", at_least=0, series=False)]


class Disruption(Declared):
    """What all disruptions have in common: a target, given as a path of the twin."""

    kind: ClassVar[str]
    target: str

    @property
    def path(self) -> str:
        """Path of the disrupted part of the twin."""
        return self.target


class Timed(Disruption):
    """A disruption that lasts from a date for a time, until a date, or for good."""

    start: Date = Field(alias="from", description="First day.")
    duration: Annotated[Value, Quantity("s", above=0, series=False)] | None = Field(
        None, alias="for", description="How long; none: `until`, or to the end."
    )
    until: Date | None = Field(None, description="First day after; none: `for`, or to the end.")

    @model_validator(mode="after")
    def _ordered(self) -> Timed:
        if self.duration is not None and self.until is not None:
            raise ValueSyntaxError("both 'for' and 'until' are given", "give one of them")
        start, until = self.start, self.until
        fixed = isinstance(start, Constant) and isinstance(until, Constant)
        if fixed and until.value <= start.value:  # type: ignore[union-attr]
            raise ValueSyntaxError("'until' is not after 'from'", "reverse the dates")
        return self


class Closure(Timed):
    """A site, resource or activity is closed."""

    kind: ClassVar[str] = "close"
    target: str = Field(alias="close", description="What is closed.")


class CapacityChange(Timed):
    """Capacity is multiplied by a factor, and recovers."""

    kind: ClassVar[str] = "capacity"
    target: str = Field(alias="capacity", description="Whose capacity changes.")
    factor: Multiplier = Field(description="Share of the capacity that is left.")
    recovery: Duration = default(
        "0 day", description="Time after the end in which it returns linearly to the full."
    )


class LeadTimeChange(Timed):
    """Lead times are multiplied by a factor or lengthened by a time."""

    kind: ClassVar[str] = "lead_time"
    target: str = Field(alias="lead_time", description="Whose lead time changes.")
    factor: Multiplier | None = Field(None, description="Factor on the lead time.")
    add: Duration | None = Field(None, description="Time that is added.")

    @model_validator(mode="after")
    def _one(self) -> LeadTimeChange:
        if (self.factor is None) == (self.add is None):
            raise ValueSyntaxError(
                "a lead time changes by 'factor' or by 'add'", "give exactly one of them"
            )
        return self


class TariffChange(Timed):
    """A tariff has another rate."""

    kind: ClassVar[str] = "tariff"
    target: str = Field(alias="tariff", description="Tariff that changes.")
    rate: Annotated[Value, Quantity("", at_least=0, series=False)] = Field(
        description="Its rate within the time."
    )


class YieldChange(Timed):
    """Yields are multiplied by a factor."""

    kind: ClassVar[str] = "yield"
    target: str = Field(alias="yield", description="Whose yield changes.")
    factor: Multiplier = Field(description="Factor on the yield.")


class Slip(Disruption):
    """Dates move: a plant that is ready later than planned."""

    kind: ClassVar[str] = "slip"
    target: str = Field(alias="slip", description="Whose dates move.")
    by: Annotated[Value, Quantity("s", series=False)] = Field(
        description="How far every date moves; negative is earlier."
    )
    start: Date | None = Field(
        None, alias="from", description="Only dates after this one move; none: all."
    )


class Loss(Disruption):
    """Stock and work in process are scrapped."""

    kind: ClassVar[str] = "lose"
    target: str = Field(alias="lose", description="Location whose stock is lost.")
    share: Annotated[Value, Quantity("", at_least=0, at_most=1, series=False)] = Field(
        description="Share of the stock and work in process that is lost."
    )
    at: Date = Field(description="When.")


KINDS: Mapping[str, type[Disruption]] = {
    model.kind: model
    for model in (
        Closure,
        CapacityChange,
        LeadTimeChange,
        TariffChange,
        YieldChange,
        Slip,
        Loss,
    )
}


def kind_of(raw: object) -> str | None:
    """The kind of a disruption as written: the one key that names a kind."""
    if isinstance(raw, Disruption):
        return raw.kind
    if not isinstance(raw, Mapping):
        return None
    kinds = [key for key in raw if key in KINDS]
    return str(kinds[0]) if len(kinds) == 1 else None


AnyDisruption = Annotated[
    Annotated[Closure, Tag("close")]
    | Annotated[CapacityChange, Tag("capacity")]
    | Annotated[LeadTimeChange, Tag("lead_time")]
    | Annotated[TariffChange, Tag("tariff")]
    | Annotated[YieldChange, Tag("yield")]
    | Annotated[Slip, Tag("slip")]
    | Annotated[Loss, Tag("lose")],
    Discriminator(
        kind_of,
        custom_error_type="disruption_kind",
        custom_error_message="a disruption has exactly one kind",
    ),
]


class Scenario(Declared):
    """A named change of the twin."""

    title: str = Field("", description="Name in reports.")
    description: str = Field("", description="What happens, and why it is asked.")
    extends: str | list[str] = Field(
        [], description="Scenarios on which this one builds, in order; the later wins."
    )
    as_of: Date | None = Field(None, description="Another day of knowledge.")
    seed: int | None = Field(None, ge=0, description="Another seed.")
    overrides: dict[str, Any] = Field(
        {}, description="New values by path: `supply.network.resources.cowos.capacity: ...`."
    )
    disruptions: list[AnyDisruption] = Field([], description="What happens, in any order.")

    @property
    def bases(self) -> tuple[str, ...]:
        """Names of the scenarios that this one extends."""
        return (self.extends,) if isinstance(self.extends, str) else tuple(self.extends)


def lineage(name: str, scenarios: Mapping[str, Scenario]) -> tuple[str, ...]:
    """A scenario with all that it extends, bases first, each once.

    Raises
    ------
    ValueSyntaxError
        If a scenario is unknown, or extends itself.
    """
    order: dict[str, None] = {}
    _visit(name, scenarios, (), order)
    return tuple(order)


def _visit(
    name: str,
    scenarios: Mapping[str, Scenario],
    trail: tuple[str, ...],
    order: dict[str, None],
) -> None:
    if name in trail:
        circle = " -> ".join((*trail[trail.index(name) :], name))
        raise ValueSyntaxError(f"scenarios extend each other in a circle: {circle}")
    if name not in scenarios:
        from firsttoken.twin.slots import nearest

        raise ValueSyntaxError(f"scenario {name!r} is unknown", nearest(name, list(scenarios)))
    for base in scenarios[name].bases:
        _visit(base, scenarios, (*trail, name), order)
    order[name] = None
