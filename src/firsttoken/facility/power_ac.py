"""Voltages, currents and losses of a radial three-phase network in its symmetric steady state.

Backward/forward sweep over the tree (Shirmohammadi, Hong, Semlyen and Luo, A compensation-based
power flow method for weakly meshed distribution and transmission networks, IEEE Transactions on
Power Systems 3 (1988) 753-762), in admittance form: the backward sweep eliminates every node into
its parent, the forward sweep finds the voltages.  What is linear (lines, transformers, shunts,
loads of constant impedance, sources behind their impedance) is so solved exactly; loads of constant
power or current are currents that are corrected until the voltages stand still.

All numbers are per unit of 1 MVA and of the rated voltages of the nodes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from firsttoken.kernel.compiled import compiled

Complexes = NDArray[np.complex128]
Ints = NDArray[np.int64]

BASE: Final = 1e6
"""Power of one per unit, VA."""
CONSTANT_POWER: Final = 0
CONSTANT_IMPEDANCE: Final = 1
CONSTANT_CURRENT: Final = 2
TOLERANCE: Final = 1e-13
MOST_SWEEPS: Final = 500


class TwoPort(NamedTuple):
    """Admittances of a branch: currents into it are y_ff U_f + y_ft U_t and y_tf U_f + y_tt U_t."""

    ff: complex
    ft: complex
    tf: complex
    tt: complex


def two_port(
    series: complex,
    shunt: complex = 0j,
    ratio: complex = 1 + 0j,
    *,
    from_closed: bool = True,
    to_closed: bool = True,
) -> TwoPort:
    """A branch as pi-section, behind an ideal transformer of a complex ratio at its `from` end.

    Parameters
    ----------
    series, shunt : admittances per unit; half of the shunt lies at each end.
    from_closed, to_closed : an open end leaves what the other end sees of the branch.
    """
    half = shunt / 2
    square = abs(ratio) ** 2
    if from_closed and to_closed:
        through = series + half
        return TwoPort(through / square, -series / ratio.conjugate(), -series / ratio, through)
    left = half + (1 / (1 / series + 1 / half) if half else 0j)
    return TwoPort(left / square if from_closed else 0j, 0j, 0j, left if to_closed else 0j)


def line(
    resistance: float, reactance: float, voltage: float, shunt: complex = 0j
) -> tuple[complex, complex]:
    """Series and shunt admittance of a line per unit.

    Parameters
    ----------
    resistance, reactance : ohm.
    voltage : rated line voltage, V.
    shunt : admittance of its capacitance and leakage, S.
    """
    base = BASE / voltage**2
    return 1 / complex(resistance, reactance) / base, shunt / base


def transformer(
    power: float,
    impedance: float,
    load_loss: float,
    voltage: float,
    *,
    winding: float | None = None,
    no_load_current: float = 0.0,
    no_load_loss: float = 0.0,
) -> tuple[complex, complex]:
    """Series and shunt admittance of a transformer per unit, seen from its secondary side.

    The usual equivalent circuit from the short-circuit and no-load tests of IEC 60076-1.

    Parameters
    ----------
    power : rated, VA.
    impedance, no_load_current : short-circuit impedance and no-load current, as shares.
    load_loss, no_load_loss : W.
    voltage : rated voltage of the secondary node, V.
    winding : rated voltage of the secondary winding, V; None: that of the node.
    """
    base = BASE / voltage**2
    own = (winding or voltage) ** 2
    size = impedance * own / power
    resistance = load_loss * own / power**2
    reactance = np.sqrt(max(size**2 - resistance**2, 0.0))
    conductance = no_load_loss / own
    susceptance = np.sqrt(max((no_load_current * power / own) ** 2 - conductance**2, 0.0))
    series = 1 / complex(resistance, reactance) / base
    return series, complex(conductance, -susceptance) / base


def source_admittance(short_circuit: float, rx: float = 0.1) -> complex:
    """Admittance of a source behind its short-circuit power in VA, per unit; rx: R over X."""
    size = BASE / short_circuit
    reactance = size / np.sqrt(1 + rx**2)
    return complex(1 / complex(rx * reactance, reactance))


@dataclass
class AcNetwork:
    """A radial network, to be filled by `branch`, `link`, `source`, `load` and `shunt`.

    Attributes
    ----------
    nodes : number of nodes.
    """

    nodes: int
    ends: list[tuple[int, int]] = field(default_factory=list)
    ports: list[TwoPort] = field(default_factory=list)
    sources: list[tuple[int, complex, complex]] = field(default_factory=list)
    loads: list[tuple[int, complex, int]] = field(default_factory=list)
    shunts: list[tuple[int, complex]] = field(default_factory=list)
    links: list[tuple[int, int]] = field(default_factory=list)

    def branch(self, start: int, end: int, ports: TwoPort) -> int:
        """Add a branch; return its number."""
        self.ends.append((start, end))
        self.ports.append(ports)
        return len(self.ends) - 1

    def link(self, start: int, end: int) -> int:
        """Add a connection without impedance, a closed switch; return its number."""
        self.links.append((start, end))
        return len(self.links) - 1

    def source(self, node: int, voltage: complex, admittance: complex) -> None:
        """Add a source: voltage behind an admittance, per unit."""
        self.sources.append((node, voltage, admittance))

    def load(self, node: int, power: complex, kind: int = CONSTANT_POWER) -> None:
        """Add a load: its power at rated voltage per unit, negative for generation."""
        self.loads.append((node, power, kind))

    def shunt(self, node: int, admittance: complex) -> None:
        """Add a shunt admittance per unit."""
        self.shunts.append((node, admittance))

    def solve(self) -> AcResult:
        """Find voltages and currents.

        Raises
        ------
        ValueError
            If the branches form a loop, or the loads are more than the network can carry.
        """
        bus = _buses(self)
        order, parent = _tree(self, bus)
        diagonal = np.zeros(self.nodes, np.complex128)
        down, up = np.zeros(self.nodes, np.complex128), np.zeros(self.nodes, np.complex128)
        for (first, second), port in zip(self.ends, self.ports, strict=True):
            start, end = bus[first], bus[second]
            diagonal[start] += port.ff
            diagonal[end] += port.tt
            if start == end:
                diagonal[start] += port.ft + port.tf
            elif parent[end] == start:
                down[end] += port.tf
                up[end] += port.ft
            elif parent[start] == end:
                down[start] += port.ft
                up[start] += port.tf
        for node, admittance in self.shunts:
            diagonal[bus[node]] += admittance
        injected = np.zeros(self.nodes, np.complex128)
        for node, voltage, admittance in self.sources:
            diagonal[bus[node]] += admittance
            injected[bus[node]] += admittance * voltage
        power = np.zeros((2, self.nodes), np.complex128)
        for node, given, kind in self.loads:
            # All loads stand in the matrix with their admittance at rated voltage.
            diagonal[bus[node]] += given.conjugate()
            if kind != CONSTANT_IMPEDANCE:
                power[int(kind == CONSTANT_CURRENT), bus[node]] += given
        voltages = np.zeros(self.nodes, np.complex128)
        sweeps = _sweep(order, parent, diagonal, down, up, injected, power, voltages)
        if sweeps < 0:
            raise ValueError("the loads are more than the network can carry: no voltage holds them")
        return AcResult(self, voltages[bus], bus, sweeps)


@dataclass(frozen=True)
class AcResult:
    """Voltages of the nodes per unit (0: without supply), and what follows from them.

    Attributes
    ----------
    bus : the node that stands for each node and those linked to it.
    sweeps : sweeps until the voltages stood still.
    """

    network: AcNetwork
    voltage: Complexes
    bus: Ints
    sweeps: int

    def branch_power(self, number: int) -> tuple[complex, complex]:
        """Powers that flow into a branch at its two ends, per unit."""
        start, end = self.network.ends[number]
        first, second = self._branch_currents(number)
        return (
            complex(self.voltage[start]) * first.conjugate(),
            complex(self.voltage[end]) * second.conjugate(),
        )

    def link_power(self, number: int) -> complex:
        """Power that flows through a link from its first node, per unit.

        Links that close a loop among themselves share as equal impedances do.
        """
        start, _ = self.network.links[number]
        return complex(self.voltage[start]) * complex(self._link_currents[number]).conjugate()

    def source_power(self, number: int) -> complex:
        """Power that a source gives, per unit.

        From the balance of its bus, not from its own small voltage drop.
        """
        node, voltage, admittance = self.network.sources[number]
        bus = self.bus[node]
        beside = [(e, y) for at, e, y in self.network.sources if self.bus[at] == bus]
        total = sum(y for _, y in beside)
        share = admittance / total
        current = share * self._taken[bus] + sum(share * y * (voltage - e) for e, y in beside)
        return complex(self.voltage[node]) * complex(current).conjugate()

    @cached_property
    def _taken(self) -> Complexes:
        """Current that branches, loads and shunts take from each bus."""
        found = np.zeros(self.network.nodes, np.complex128)
        np.add.at(found, self.bus, self._taken_at)
        return found

    @cached_property
    def _taken_at(self) -> Complexes:
        """Current that branches, loads and shunts take from each node."""
        found = np.zeros(self.network.nodes, np.complex128)
        for number, (start, end) in enumerate(self.network.ends):
            first, second = self._branch_currents(number)
            found[start] += first
            found[end] += second
        for number, (node, _, _) in enumerate(self.network.loads):
            if self.voltage[node]:
                found[node] += (self.load_power(number) / complex(self.voltage[node])).conjugate()
        for node, admittance in self.network.shunts:
            found[node] += admittance * self.voltage[node]
        return found

    @cached_property
    def _link_currents(self) -> Complexes:
        links = self.network.links
        incidence = np.zeros((self.network.nodes, len(links)))
        for number, (start, end) in enumerate(links):
            incidence[start, number] += 1.0
            incidence[end, number] -= 1.0
        given = -self._taken_at
        for number, (node, _, _) in enumerate(self.network.sources):
            if self.voltage[node]:
                given[node] += (self.source_power(number) / complex(self.voltage[node])).conjugate()
        # The least flows that balance every node are those of equal impedances.
        return np.asarray(np.linalg.pinv(incidence) @ given)

    def _branch_currents(self, number: int) -> tuple[complex, complex]:
        start, end = self.network.ends[number]
        port = self.network.ports[number]
        a, b = complex(self.voltage[start]), complex(self.voltage[end])
        return port.ff * a + port.ft * b, port.tf * a + port.tt * b

    def load_power(self, number: int) -> complex:
        """Power that a load takes, per unit."""
        node, power, kind = self.network.loads[number]
        exponent = {CONSTANT_POWER: 0, CONSTANT_CURRENT: 1, CONSTANT_IMPEDANCE: 2}[kind]
        size = abs(complex(self.voltage[node]))
        return power * size**exponent if size > 0.0 else 0j

    def losses(self) -> float:
        """Active power that all branches lose, per unit."""
        return sum(sum(self.branch_power(k)).real for k in range(len(self.network.ends)))


def _buses(network: AcNetwork) -> Ints:
    """For every node the least node that links join it with."""
    bus = list(range(network.nodes))

    def root(node: int) -> int:
        while bus[node] != node:
            node = bus[node]
        return node

    for start, end in network.links:
        a, b = root(start), root(end)
        bus[max(a, b)] = min(a, b)
    return np.array([root(node) for node in range(network.nodes)], np.int64)


def _tree(network: AcNetwork, bus: Ints) -> tuple[Ints, Ints]:
    """Buses from the first source outwards, and the one before each; -1: none.

    Only buses with supply are listed.  Parallel branches count as one.
    """
    near: list[set[int]] = [set() for _ in range(network.nodes)]
    pairs = set()
    for (first, second), port in zip(network.ends, network.ports, strict=True):
        start, end = int(bus[first]), int(bus[second])
        if start != end and (port.ft or port.tf):
            near[start].add(end)
            near[end].add(start)
            pairs.add((min(start, end), max(start, end)))
    parent = np.full(network.nodes, -1, np.int64)
    order: list[int] = []
    seen: set[int] = set()
    for node, _, _ in network.sources:
        root = int(bus[node])
        if root in seen:
            continue
        seen.add(root)
        order.append(root)
        ahead = [root]
        while ahead:
            here = ahead.pop()
            for other in sorted(near[here] - seen):
                seen.add(other)
                parent[other] = here
                order.append(other)
                ahead.append(other)
    used = {(min(a, int(parent[a])), max(a, int(parent[a]))) for a in order if parent[a] >= 0}
    loops = sorted(pair for pair in pairs - used if pair[0] in seen)
    if loops:
        a, b = loops[0]
        raise ValueError(f"the network is not radial: nodes {a} and {b} close a loop")
    return _outwards(order, parent), parent


def _outwards(order: list[int], parent: Ints) -> Ints:
    """The nodes such that each comes after its parent."""
    depth: dict[int, int] = {}
    for node in order:
        depth[node] = depth[int(parent[node])] + 1 if parent[node] >= 0 else 0
    return np.array(sorted(order, key=lambda node: depth[node]), np.int64)


@compiled
def _sweep(
    order: Ints,
    parent: Ints,
    diagonal: Complexes,
    down: Complexes,
    up: Complexes,
    injected: Complexes,
    power: Complexes,
    voltage: Complexes,
) -> int:
    """Fill the voltages; return the number of sweeps, -1 if they do not settle.

    Parameters
    ----------
    down, up : admittances of each node's row towards its parent, and of the parent's row back.
    power : what loads of constant power (0) and current (1) take at rated voltage, shape [2, n].
    """
    n = len(order)
    pivot = diagonal.copy()
    for i in range(n - 1, -1, -1):
        c = order[i]
        if parent[c] >= 0:
            pivot[parent[c]] -= up[c] * down[c] / pivot[c]
    current = np.zeros(len(diagonal), np.complex128)
    for sweep in range(MOST_SWEEPS):
        for i in range(n):
            c = order[i]
            current[c] = injected[c]
            u = voltage[c]
            if sweep > 0 and abs(u) > 0.0:
                both = power[0, c] / u + power[1, c] * abs(u) / u
                current[c] += np.conj(power[0, c] + power[1, c]) * u - np.conj(both)
        for i in range(n - 1, 0, -1):
            c = order[i]
            if parent[c] >= 0:
                current[parent[c]] -= up[c] / pivot[c] * current[c]
        change = 0.0
        for i in range(n):
            c = order[i]
            total = current[c]
            if parent[c] >= 0:
                total -= down[c] * voltage[parent[c]]
            found = total / pivot[c]
            change = max(change, abs(found - voltage[c]))
            voltage[c] = found
        if not change < 1e6:
            return -1
        if sweep > 0 and change < TOLERANCE:
            return sweep + 1
    return -1
