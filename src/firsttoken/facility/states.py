"""States of a site in a file, and what can follow from them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from firsttoken.facility import model
from firsttoken.facility.compile import compile_site
from firsttoken.facility.kpi import Kpis
from firsttoken.facility.result import SiteState
from firsttoken.facility.simulate import identity, simulate, snapshot
from firsttoken.facility.simulate_state import State
from firsttoken.facility.system import Floats, System
from firsttoken.twin.dates import iso
from firsttoken.twin.snapshots import OWNER, Finder, SavedState, require_time

if TYPE_CHECKING:
    from firsttoken.twin.parameters import Resolve
    from firsttoken.twin.result_table import ResultTable
    from firsttoken.twin.room import Settings
    from firsttoken.twin.twin import Twin


def save(twin: Twin, name: str, resolve: Resolve, at: float, settings: Settings) -> SavedState:
    """The state of replication 0 of a site at the end of the step that reaches a moment.

    Raises
    ------
    TwinError
        If the site cannot be compiled.
    """
    settings.say(f"simulate {name} until {iso(at + twin.start)}", 0, 0)
    found = snapshot(compile_site(twin, name, resolve), twin.seed, 0, at)
    arrays: dict[str, npt.NDArray[Any]] = dict(found.state._asdict())
    arrays[OWNER] = np.array([found.seed, found.replication], np.int64)
    return SavedState(found.identity, found.time, arrays)


def forecast(
    twin: Twin,
    name: str,
    resolve: Resolve,
    finder: Finder,
    until: float | None,
    settings: Settings,
) -> list[ResultTable]:
    """Futures of a site from a saved state: the tables of a simulation, from there on.

    Raises
    ------
    UsageError
        If the forecast ends before it begins.
    TwinError
        If the state belongs to another site.
    """
    from firsttoken.facility.room import site_tables

    system = compile_site(twin, name, resolve)
    saved = finder.find(identity(system), "racks, power chain, cooling plant, jobs or step")
    end = system.horizon if until is None else until
    require_time(saved, finder, end)
    scenario = twin.scenario or "base"
    cut = _between(system, saved.time, end)
    found = simulate(
        cut,
        twin.replications,
        twin.seed,
        initial_state=_state(saved),
        threads=settings.threads,
        progress=lambda done, total: settings.say(f"forecast {name}, {scenario}", done, total),
        cancel=settings.cancel,
    )
    site = twin.rooms["facility"][name]
    assert isinstance(site, model.Facility)
    prefix = f"{name}: " if len(twin.rooms["facility"]) > 1 else ""
    return site_tables(Kpis(scenario, site, cut, found, prefix))


def _state(saved: SavedState) -> SiteState:
    seed, replication = (int(number) for number in saved.arrays[OWNER])
    arrays = {name: saved.arrays[name] for name in State._fields}
    return SiteState(saved.identity, saved.time, seed, replication, State(**arrays))


def _between(system: System, begin: float, end: float) -> System:
    """A site whose results are those from a moment to an end, in s from the start."""

    def edges(given: Floats) -> Floats:
        inside = given[(given > begin) & (given < end)]
        return np.concatenate([[begin], inside, [end]])

    return replace(system, horizon=end, edges=edges(system.edges), months=edges(system.months))
