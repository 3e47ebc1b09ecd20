"""Rows of racks: what the compilers of power, cooling and time number alike."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from firsttoken.twin.findings import Finding, TwinError
from firsttoken.twin.schema import support
from firsttoken.twin.values import Constant, Distribution, Fact, ModelPort, Series, Signal, Sum

if TYPE_CHECKING:
    from firsttoken.facility.slots import Sheet, Slots
    from firsttoken.twin.values import Value

Detail = Literal["group", "unit"]
WHOLE = -1
"""`unit` of a row that stands for its whole group."""
MOST_UNITS = 100_000
"""Most units of a group that are told apart."""


@dataclass(frozen=True, slots=True)
class RackRow:
    """One row of racks.

    Attributes
    ----------
    group : name under `racks`.
    unit : number of the rack within its group, from 0; WHOLE if the row is the group.
    count : most racks that the row ever stands for.
    cooled_by, air_by : names of the CDUs and of the air units that take its heat, or None.
    """

    group: str
    unit: int
    count: float
    cooled_by: str | None
    air_by: str | None


def rack_rows(slots: Slots, detail: Detail) -> tuple[RackRow, ...]:
    """All rows of racks, groups in file order, racks of a group one after the other.

    Raises
    ------
    TwinError
        If racks are to be told apart that are too many, or nobody knows how many.
    """
    found: list[RackRow] = []
    for name, racks in slots.site.racks.items():
        sheet = slots.sheet("racks", name)
        most = largest(slots, sheet, "count")
        if detail == "unit":
            check_units(sheet, most)
        for unit in rows_of(most, detail):
            count = most if unit == WHOLE else 1.0
            found.append(RackRow(name, unit, count, racks.cooled_by, racks.air_by))
    return tuple(found)


def check_units(sheet: Sheet, most: float) -> None:
    """Refuse to tell more units apart than memory and patience take.

    Raises
    ------
    TwinError
        If they are more than `MOST_UNITS`.
    """
    if most > MOST_UNITS:
        what = f"{most:,.0f} units are too many to be told apart"
        why, hint = f"{MOST_UNITS:,} are the most", "use `detail: group`, or several groups"
        place, at = sheet.twin.place(sheet.at("count")), sheet.at("count")
        raise TwinError(Finding(what, why, hint, at, "count", place=place))


def rows_of(most: float, detail: Detail) -> range:
    """Numbers of the rows of a group of at most `most` units."""
    return range(WHOLE, 0) if detail == "group" else range(math.ceil(most - 1e-9))


def largest(slots: Slots, sheet: Sheet, name: str) -> float:
    """The largest amount that a count may ever be, over time and over replications.

    Raises
    ------
    TwinError
        If it has no upper bound.
    """
    value = sheet.value(name)
    assert value is not None
    most = _largest(slots, value, sheet, name)
    if not math.isfinite(most):
        what = f"{name!r} has no upper bound"
        hint = "use a distribution with one: uniform, triangular, beta_pert, discrete"
        place = slots.twin.place(sheet.at(name))
        raise TwinError(Finding(what, "", hint, sheet.at(name), "unbounded", place=place))
    return max(most, 0.0)


def _largest(slots: Slots, value: Value, sheet: Sheet, name: str) -> float:
    if isinstance(value, Series):
        return max(_largest(slots, level, sheet, name) for _, level in value.knots)
    if isinstance(value, Sum):
        first = _largest(slots, value.first, sheet, name)
        return first + _largest(slots, value.second, sheet, name)
    if isinstance(value, Fact | ModelPort | Signal):
        return _largest(slots, slots.resolve(value, sheet.quantity(name).unit), sheet, name)
    assert isinstance(value, Constant | Distribution)
    if isinstance(value, Distribution) and value.kind == "normal":
        return value.args[0] + 6.0 * value.args[1]  # one draw in 1e9 lies beyond; it is cut
    return support(value)[1]
