"""AC power flow of radial networks against known answers and theory."""

from __future__ import annotations

import cmath
import math
from pathlib import Path

import pytest
from tests.facility.grid_cases import Case, differences, is_radial, scenarios

from firsttoken.facility.power_ac import (
    CONSTANT_CURRENT,
    CONSTANT_IMPEDANCE,
    AcNetwork,
    line,
    source_admittance,
    transformer,
    two_port,
)

CASES = sorted(
    path.parent
    for path in (Path(__file__).parents[1] / "known_answers" / "facility_power_flow").rglob(
        "input.json"
    )
)


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.name)
def test_known_answers(folder: Path) -> None:
    compared, wrong = differences(folder)
    assert compared > 0
    assert not wrong, "\n".join(wrong[:10])


def test_there_are_cases() -> None:
    assert len(CASES) >= 25


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.name)
def test_power_balances(folder: Path) -> None:
    """What sources give is what loads, shunts and branches take (Tellegen)."""
    for _, tables, _ in scenarios(folder):
        if not is_radial(tables):
            continue
        network = Case(tables).network
        solved = network.solve()
        given = sum(solved.source_power(k) for k in range(len(network.sources)))
        taken = sum(solved.load_power(k) for k in range(len(network.loads)))
        taken += sum(sum(solved.branch_power(k)) for k in range(len(network.ends)))
        for node, admittance in network.shunts:
            taken += abs(solved.voltage[node]) ** 2 * admittance.conjugate()
        assert abs(given - taken) <= 1e-9 * max(1.0, abs(given))


def two_nodes(z: complex, power: complex, kind: int = 0) -> complex:
    """Voltage of a load behind an impedance and a stiff source of 1, per unit."""
    network = AcNetwork(2)
    network.source(0, 1 + 0j, 1e12 + 0j)
    network.branch(0, 1, two_port(1 / z))
    network.load(1, power, kind)
    return complex(network.solve().voltage[1])


@pytest.mark.parametrize("power", [0.2 + 0j, 1 + 0.3j, 2.4 + 0j])
def test_constant_power_behind_an_impedance(power: complex) -> None:
    """The upper root of |U|^4 + (2 (RP + XQ) - 1) |U|^2 + |Z|^2 |S|^2 = 0."""
    z = 0.02 + 0.1j
    b = 2 * (z.real * power.real + z.imag * power.imag) - 1
    square = (-b + math.sqrt(b**2 - 4 * abs(z) ** 2 * abs(power) ** 2)) / 2
    assert abs(two_nodes(z, power)) == pytest.approx(math.sqrt(square), rel=1e-9)


def test_constant_impedance_and_current() -> None:
    z = 0.05 + 0.1j
    voltage = two_nodes(z, 0.5 + 0j, CONSTANT_IMPEDANCE)
    assert voltage == pytest.approx(2 / (2 + z), rel=1e-9)  # the load is 2 ohm per unit
    voltage = two_nodes(z, 0.5 + 0j, CONSTANT_CURRENT)
    # A current of 0.5 in phase with the load's voltage.
    drop = z * cmath.rect(0.5, cmath.phase(voltage))
    assert voltage + drop == pytest.approx(1 + 0j, rel=1e-9)


def test_more_than_the_network_can_carry() -> None:
    """Through a reactance X at unity power factor at most 1 / (2 X) can be carried."""
    assert abs(two_nodes(0.1j, 4.99 + 0j)) > 0.7
    with pytest.raises(ValueError, match="more than the network can carry"):
        two_nodes(0.1j, 5.01 + 0j)


def test_a_loop_is_named() -> None:
    network = AcNetwork(3)
    network.source(0, 1 + 0j, source_admittance(1e9))
    for a, b in ((0, 1), (1, 2), (2, 0)):
        network.branch(a, b, two_port(10 - 10j))
    with pytest.raises(ValueError, match=r"not radial: nodes \d and \d close a loop"):
        network.solve()


def test_a_transformer_at_its_tests() -> None:
    """Short-circuit and no-load test (IEC 60076-1) give back the name plate."""
    series, shunt = transformer(2e6, 0.06, 18e3, 400.0, no_load_current=0.01, no_load_loss=2500.0)
    base = 400.0**2 / 1e6
    z = 1 / series * base
    rated = 2e6 / (math.sqrt(3) * 400.0)
    assert math.sqrt(3) * rated * abs(z) / 400.0 == pytest.approx(0.06)
    assert 3 * rated**2 * z.real == pytest.approx(18e3)
    y = shunt / base
    assert 400.0**2 * y.real == pytest.approx(2500.0)
    assert abs(y) * 400.0 / math.sqrt(3) == pytest.approx(0.01 * rated)


def test_a_node_without_supply_has_no_voltage() -> None:
    network = AcNetwork(3)
    network.source(0, 1 + 0j, source_admittance(1e9))
    made = line(0.1, 0.1, 400.0)
    network.branch(0, 1, two_port(*made))
    network.branch(1, 2, two_port(*made, from_closed=False))
    network.load(2, 1 + 0j)
    solved = network.solve()
    assert solved.voltage[2] == 0
    assert solved.load_power(0) == 0
    assert solved.losses() == pytest.approx(0.0, abs=1e-12)
