"""What is wrong with the design of a site beyond what its classes can say."""

from __future__ import annotations

from firsttoken.facility import model
from firsttoken.twin.findings import Finding, Findings
from firsttoken.twin.slots import nearest
from firsttoken.twin.twin import Twin

LISTS = ("main_transformers", "transformers", "ups", "generators", "cdus")
"""Fields that name parts of the library."""


def check_design(twin: Twin, name: str, findings: Findings) -> None:
    """Add names that lead nowhere, choices that leave nothing to choose, and missing limits."""
    site = twin.rooms["facility"][name]
    assert isinstance(site, model.Facility)
    design = site.design
    if design is None:
        return
    path = f"facility.{name}.design"

    def say(field: str, what: str, why: str = "", hint: str = "") -> None:
        at = f"{path}.{field}"
        findings.add(Finding(what, why, hint, at, "design", place=twin.place(at)))

    known = [*site.racks, *twin.library.parts]
    if design.rack not in known:
        say(
            "rack",
            f"{design.rack!r} is no group of racks, and no part",
            "",
            nearest(design.rack, known),
        )
    for field in LISTS:
        for part in getattr(design, field):
            if part not in twin.library.parts:
                hint = (
                    nearest(part, list(twin.library.parts))
                    or "name a library: library: [ai-hardware]"
                )
                say(field, f"part {part!r} is unknown", "", hint)
    for field in ("topologies", "transformers", "cdus", "plants", "water"):
        if not getattr(design, field):
            say(field, f"{field} is empty", "there is nothing to choose from", "leave it out")
    halls = site.halls.values()
    bounded: list[object] = [design.feed, design.cooling, *site.feeds]
    bounded += [hall.positions for hall in halls] + [hall.area for hall in halls]
    if all(bound is None for bound in bounded):
        say("feed", "nothing limits the racks", "", "give a feed, or halls with positions or area")
