"""Voltages and currents along a site's chain: where feeds, transformers and cables declare them.

Each group is a node of a radial network, its units in parallel; the loads are those of the power
flow.  UPS and converters hold the voltage of their output, so each begins a network of its own.
What comes over further sources of a group stands in as a negative load there, and as a load at the
source (the compensation of Shirmohammadi et al. 1988).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from firsttoken.facility.power_ac import (
    BASE,
    AcNetwork,
    AcResult,
    line,
    source_admittance,
    transformer,
    two_port,
)
from firsttoken.facility.power_flow import power_flow, power_live
from firsttoken.facility.power_system import (
    BATTERY,
    DISTRIBUTION,
    SOURCES,
    TRANSFORMER,
    UPS,
    Floats,
    PowerSystem,
    field_values,
    nominal_voltages,
    power_values,
)

STIFF = 1e15
"""Short-circuit power of a source whose voltage stands still, VA."""


@dataclass(frozen=True)
class Voltages:
    """The state of each group with voltage, shape [G]; nan elsewhere.

    Attributes
    ----------
    nominal : V.
    voltage : line voltage at the output, V.
    current : of one unit at its output, A.
    cable_loss : of all units' cables and transformers in series, W.
    """

    nominal: Floats
    voltage: Floats
    current: Floats
    cable_loss: Floats


def voltages(system: PowerSystem, values: Floats, units: Floats, demand: Floats) -> Voltages:
    """Find voltages and currents of a chain compiled by group.

    Parameters
    ----------
    values : parameters of the replication, shape [P].
    units : working units of each group.
    demand : power taken at each group's output by what is not in the chain, W.

    Raises
    ------
    ValueError
        If the loads are more than cables and transformers can carry.
    """
    numbers = power_values(system, values)
    count = len(system)
    out, taken, lost, live = (np.zeros(count) for _ in range(4))
    power_flow(system.grid, numbers, units, demand, out, taken, lost)
    power_live(system.grid, units, live)
    field = field_values(system, values)
    entry, nominal = nominal_voltages(system, field)
    supplied = live * (1.0 - system.grid.standby) * np.isfinite(nominal) > 0.0
    network = AcNetwork(count)
    branch: dict[int, int] = {}
    # tan phi of what hangs on each group
    reactive = np.sqrt(np.maximum(1.0 / np.maximum(field["power_factor"], 1e-9) ** 2 - 1.0, 0.0))
    for g in np.flatnonzero(supplied).tolist():
        own = demand[g] + lost[g]
        root = _is_root(system, field, g)
        if not root:  # what goes as the square of the load is lost in the network's branches
            own -= numbers.square[g] * out[g] ** 2 / units[g]
        network.load(g, complex(own, demand[g] * reactive[g]) / BASE)
        if root:
            strength = field["short_circuit"][g]
            network.source(g, 1 + 0j, source_admittance(min(float(strength), STIFF)))
        for k, (source, share) in enumerate(_sources(system, numbers.capacity, units, live, g)):
            power = float(taken[g]) * share / BASE
            if root:
                network.load(source, power * complex(1, reactive[source]))
            elif k == 0:
                series = _series(system, field, entry, nominal, units, g)
                branch[g] = network.branch(source, g, two_port(1 / series))
            else:
                network.load(source, power + 0j)
                network.load(g, -power + 0j)
    return _results(network.solve(), supplied, nominal, out, units, branch, reactive)


def _results(
    solved: AcResult,
    supplied: NDArray[np.bool_],
    nominal: Floats,
    out: Floats,
    units: Floats,
    branch: dict[int, int],
    reactive: Floats,
) -> Voltages:
    count = len(nominal)
    found = Voltages(*(np.full(count, np.nan) for _ in range(4)))
    for g in np.flatnonzero(supplied).tolist():
        size = abs(complex(solved.voltage[g]))
        found.nominal[g], found.voltage[g] = nominal[g], size * nominal[g]
        apparent = abs(complex(out[g], out[g] * reactive[g]))
        found.cable_loss[g] = 0.0
        if g in branch:
            powers = solved.branch_power(branch[g])
            apparent = abs(powers[1]) * BASE
            found.cable_loss[g] = sum(powers).real * BASE
        if size > 0.0:
            found.current[g] = apparent / units[g] / (sqrt(3.0) * found.voltage[g])
    return found


def _is_root(system: PowerSystem, field: dict[str, Floats], g: int) -> bool:
    """Whether a group holds the voltage at its output."""
    kind = system.grid.kind[g]
    converter = kind == DISTRIBUTION and np.isfinite(field["voltage"][g])
    return bool(kind <= SOURCES or kind in (UPS, BATTERY) or converter)


def _sources(
    system: PowerSystem, capacity: Floats, units: Floats, live: Floats, g: int
) -> list[tuple[int, float]]:
    """Normal live sources of a group and their shares, as in `power_flow`."""
    grid = system.grid
    rows = grid.parent[grid.parent_start[g] : grid.parent_start[g + 1]].tolist()
    usable = [row for row in rows if live[row] and not grid.standby[row]]
    if grid.prefer[g]:
        usable = usable[:1]
    weights = [float(capacity[row] * units[row]) for row in usable]
    total = sum(weights)
    if not 0.0 < total < float("inf"):
        return [(row, 1.0 / len(usable)) for row in usable]
    return [(row, weight / total) for row, weight in zip(usable, weights, strict=True)]


def _series(
    system: PowerSystem,
    field: dict[str, Floats],
    entry: Floats,
    nominal: Floats,
    units: Floats,
    g: int,
) -> complex:
    """Impedance of a group's cables and transformers per unit of 1 MVA, its units in parallel."""
    length = field["cable.length"][g] / field["cable.parallel"][g] / units[g]
    ohm = (field["cable.resistance"][g] * length, field["cable.reactance"][g] * length)
    found = 1e-9 + 0j  # a connection without impedance
    if any(ohm) and np.isfinite(entry[g]):
        found += 1 / line(float(ohm[0]), float(ohm[1]), float(entry[g]))[0]
    rating = float(field["rating"][g])
    if system.grid.kind[g] == TRANSFORMER and np.isfinite(rating) and field["impedance"][g] > 0:
        size, loss = rating * units[g], float(field["load_loss"][g] * units[g])
        found += 1 / transformer(size, float(field["impedance"][g]), loss, float(nominal[g]))[0]
    return found
