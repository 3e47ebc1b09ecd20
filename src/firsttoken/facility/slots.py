"""Slots of a site: what is written, else what the library's data sheet says, else the default.

`part: gb300_nvl72` on a group of racks or of equipment says which data sheet fills the fields that
the file leaves out: field `power` is then the fact `gb300_nvl72.power`, field `flow` of its
`pumps` the fact `<part>.pumps.flow`.  A sheet is a declared object with its path and its part;
every engine's compiler and every check read fields through it, so all see the same values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from firsttoken.facility import model
from firsttoken.twin.parameters import ParameterBuilder, Resolve
from firsttoken.twin.sheets import NONE, Sheet, part_of, sheet_at
from firsttoken.twin.twin import Twin

__all__ = ["NONE", "Sheet", "Slots", "part_of", "sheet_of"]


@dataclass(frozen=True)
class Slots:
    """Everything that compilers read a site with.

    Attributes
    ----------
    twin : the twin under its scenario.
    name : instance under `facility`.
    build : collects parameters and series; the frozen tables are made once, at the end.
    resolve : looks facts and ports of other rooms up.
    """

    twin: Twin
    name: str
    build: ParameterBuilder
    resolve: Resolve
    site: model.Facility = field(init=False)

    def __post_init__(self) -> None:
        site = self.twin.rooms["facility"][self.name]
        assert isinstance(site, model.Facility)
        object.__setattr__(self, "site", site)

    @property
    def path(self) -> str:
        """Path of the site."""
        return f"facility.{self.name}"

    @cached_property
    def own(self) -> Sheet:
        """The site's own fields."""
        return Sheet(self.twin, self.build, self.path, type(self.site), self.site, "")

    def sheet(self, group: str, name: str) -> Sheet:
        """The sheet of `<group>.<name>`: `sheet("transformers", "main")`."""
        return sheet_of(self.twin, self.name, group, name, self.build)


def sheet_of(
    twin: Twin, site: str, group: str, name: str, build: ParameterBuilder | None = None
) -> Sheet:
    """The sheet of `facility.<site>.<group>.<name>`, for checks without a builder.

    Raises
    ------
    TwinError
        If its `part` is not in the twin's libraries.
    """
    declared = getattr(twin.rooms["facility"][site], group)[name]
    return sheet_at(twin, f"facility.{site}.{group}.{name}", declared, build)
