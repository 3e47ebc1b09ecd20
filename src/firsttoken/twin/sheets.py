"""Sheets: what a file says, else what the library's data sheet says, else the default.

`part: gb300_nvl72` on a declared object says which part of the library fills the fields that the
file leaves out: field `power` is then the fact `gb300_nvl72.power`, field `flow` of its `pumps` the
fact `<part>.pumps.flow`.  Compilers and checks read fields through sheets, so all see the same
values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from firsttoken.twin.findings import Finding, TwinError
from firsttoken.twin.grammar import ValueSyntaxError
from firsttoken.twin.library import FactError, Part
from firsttoken.twin.parameters import ParameterBuilder
from firsttoken.twin.schema import Declared, Quantity, quantities
from firsttoken.twin.slots import annotation_of, describe_slot, fields
from firsttoken.twin.twin import Twin
from firsttoken.twin.values import Fact, Value

NONE = -1
"""Index of a field that has no value."""


@dataclass(frozen=True)
class Sheet:
    """A declared object whose missing fields a part of the library fills.

    Attributes
    ----------
    build : the tables that `scalar` and `series` add to; None where only `value` is asked.
    path : path of the object in the twin.
    model : its class.
    declared : the object; None if it is not written at all and may still be filled by the part.
    part : part id, with the way below it (`cdu.pumps`); empty: none.
    """

    twin: Twin
    build: ParameterBuilder | None
    path: str
    model: type[Declared]
    declared: Declared | None
    part: str

    def raw(self, name: str) -> Any:
        """A field that is no quantity, or a quantity exactly as it is declared."""
        if self.declared is not None:
            return getattr(self.declared, name)
        return self.model.model_fields[name].get_default(call_default_factory=True)

    def is_written(self, name: str) -> bool:
        """Whether the file gives the field."""
        declared = self.declared
        if declared is None or name not in declared.model_fields_set:
            return False
        return getattr(declared, name) is not None

    def fact(self, name: str) -> str:
        """Fact that fills a field which is not written; empty if there is none."""
        if not self.part or self.is_written(name):
            return ""
        fact = f"{self.part}.{self._shown(name)}"
        return fact if fact in self.twin.library.facts else ""

    def value(self, name: str) -> Value | None:
        """What the field holds: written, from the part, or its default; None if nothing does.

        Raises
        ------
        TwinError
            If the part's fact was not known yet, is of another dimension or out of bounds.
        """
        fact = self.fact(name)
        if fact:
            self._check_fact(fact, name)
            return Fact(fact)
        found = self.raw(name)
        if found is None or not isinstance(found, Value):
            default = None if self.declared is not None else self._default(name)
            return default if isinstance(default, Value) else None
        return found

    def has(self, name: str) -> bool:
        """Whether the field has a value."""
        return self.value(name) is not None

    def scalar(self, name: str, otherwise: float | None = None) -> int:
        """Parameter index of a field; of the number `otherwise`, or NONE, if it has no value."""
        value = self.value(name)
        if value is None:
            return NONE if otherwise is None else self._builder.constant(otherwise)
        return self._builder.scalar(value, self.at(name), self.quantity(name).unit)

    def series(self, name: str, otherwise: float | None = None) -> int:
        """Series index of a field; of the number `otherwise`, or NONE, if it has no value."""
        value = self.value(name)
        if value is None:
            return NONE if otherwise is None else self._builder.constant_series(otherwise)
        quantity = self.quantity(name)
        return self._builder.series(value, self.at(name), quantity.unit, quantity.drawn)

    def needed(self, name: str, why: str) -> int:
        """Parameter index of a field that must have a value.

        Raises
        ------
        TwinError
            If it has none; `why` says what needs it.
        """
        found = self.scalar(name)
        if found == NONE:
            raise TwinError(self.missing(name, why))
        return found

    def curve(self, name: str) -> list[tuple[float, int]]:
        """Points (x, parameter) of a field such as `{25: 0.93, 100: 0.96}`, by ascending x.

        A single value is one point at 100.  A part gives points as `<field>.25`.
        """
        written = self.raw(name) if self.is_written(name) else None
        if isinstance(written, dict):
            unit = self.quantity(name).unit
            return [
                (float(x), self._builder.scalar(written[x], f"{self.at(name)}.{x}", unit))
                for x in sorted(written)
            ]
        if written is None and self.part:
            points = self._points(name)
            if points:
                unit = self.quantity(name).unit
                build = self._builder
                return [(x, build.scalar(Fact(fact), fact, unit)) for x, fact in points]
        found = self.scalar(name)
        return [] if found == NONE else [(100.0, found)]

    def below(self, name: str) -> Sheet | None:
        """The sheet of a nested object such as `pumps`; None if neither file nor part has it."""
        slot = describe_slot(annotation_of(fields(self.model)[self._shown(name)]))
        assert slot.model is not None
        part = f"{self.part}.{self._shown(name)}" if self.part else ""
        declared = self.raw(name) if self.declared is not None else None
        if declared is None and not self._has_facts(part):
            return None
        return Sheet(self.twin, self.build, self.at(name), slot.model, declared, part)

    def missing(self, name: str, why: str) -> Finding:
        """The finding that a field has no value."""
        hint = f"write it, or name a part of the library that has {self._shown(name)!r}"
        if self.part:
            hint = f"write it: part {self.part!r} of the library does not give it"
        where = self.twin.place(self.path)
        what = f"{self._shown(name)!r} is missing"
        return Finding(what, why, hint, self.at(name), "missing", place=where)

    def at(self, name: str) -> str:
        """Path of a field."""
        return f"{self.path}.{self._shown(name)}"

    def quantity(self, name: str) -> Quantity:
        """Unit and bounds of a field."""
        return quantities(self.model)[name]

    @property
    def _builder(self) -> ParameterBuilder:
        assert self.build is not None
        return self.build

    def _shown(self, name: str) -> str:
        return self.model.model_fields[name].alias or name

    def _default(self, name: str) -> object:
        """The default of a field as a value, of an object that is not written."""
        written = self.raw(name)
        if isinstance(written, str | int | float):
            return self.quantity(name).parse(written)
        return written

    def _has_facts(self, part: str) -> bool:
        return bool(part) and any(fact.startswith(f"{part}.") for fact in self.twin.library.facts)

    def _points(self, name: str) -> list[tuple[float, str]]:
        prefix = f"{self.part}.{self._shown(name)}."
        found = [fact for fact in self.twin.library.facts if fact.startswith(prefix)]
        return sorted((float(x), f) for f in found if (x := f[len(prefix) :]).isdigit())

    def _check_fact(self, fact: str, name: str) -> None:
        quantity = self.quantity(name)
        try:
            quantity.check_bounds(self.twin.library.resolve(fact, self.twin.as_of, quantity.unit))
        except (FactError, ValueSyntaxError) as error:
            place = self.twin.place(self.path)
            what = f"{self._shown(name)!r} from the library: {error}"
            hint = error.hint or "write the field"
            raise TwinError(Finding(what, "", hint, self.at(name), "fact", place=place)) from None


def sheet_at(
    twin: Twin, path: str, declared: Declared, build: ParameterBuilder | None = None
) -> Sheet:
    """The sheet of a declared object that stands at `path`; its `part`, if any, fills it.

    Raises
    ------
    TwinError
        If its `part` is not in the twin's libraries.
    """
    part = getattr(declared, "part", None) or ""
    if part:
        part_of(twin, part, path)
    return Sheet(twin, build, path, type(declared), declared, part)


def part_of(twin: Twin, part: str, path: str) -> Part:
    """The part that the object at `path` names.

    Raises
    ------
    TwinError
        If the twin's libraries do not have it.
    """
    try:
        return twin.library.part(part)
    except FactError as error:
        hint = error.hint or "name a library that has it: library: [ai-hardware]"
        place = twin.place(f"{path}.part")
        what = f"part {part!r} is unknown"
        raise TwinError(Finding(what, "", hint, f"{path}.part", "part", place=place)) from None
