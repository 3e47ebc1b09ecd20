"""What disruptions do to a site: groups of units that are closed, short or late."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firsttoken.facility import model
from firsttoken.twin import scenario as said
from firsttoken.twin.effects import KINDS, Effects
from firsttoken.twin.effects import build_effects as build
from firsttoken.twin.slots import nearest
from firsttoken.twin.twin import Twin

if TYPE_CHECKING:
    from firsttoken.twin.parameters import ParameterBuilder

COLLECTIONS = (
    *("feeds", "generators", "transformers", "boards", "transfer_switches", "ups", "batteries"),
    *("distribution", "racks", "cdus", "air_units", "dry_coolers", "towers", "chillers"),
)
"""What has a number of units."""


def problem(site: model.Facility, disruption: said.Disruption, parts: tuple[str, ...]) -> str:
    """Why a disruption cannot act on what stands at `parts` below the site; empty if it can."""
    if disruption.kind not in KINDS:
        return "of a site, groups of units close, change in number or come late"
    if len(parts) != 2 or parts[0] not in COLLECTIONS:
        return f"it acts on a group of the {', '.join(COLLECTIONS)}"
    known = getattr(site, parts[0])
    if parts[1] not in known:
        return f"there is none; {nearest(parts[1], list(known))}"
    return ""


def build_effects(
    twin: Twin, name: str, site: model.Facility, builder: ParameterBuilder
) -> Effects:
    """Compile the disruptions of a twin that aim at one site, `facility.<name>`.

    Raises
    ------
    TwinError
        If a disruption aims at something that it cannot act on.
    """
    return build(twin, "facility", name, lambda *given: problem(site, *given), builder)
