"""Voltages of a site's chain, and losses of its cables, against calculations by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from tests.facility.power_sites import Flow, compiled

from firsttoken.facility.power_voltage import Voltages, voltages

SITE = """
feeds: {grid: {voltage: 34.5 kV}}
transformers: {tx: {from: grid, count: 2, rating: 3 MVA, impedance: 0.06, voltage: 480 V,
                    load_loss: 25 kW, no_load_loss: 4 kW}}
boards: {main: {from: tx}}
distribution: {bus: {from: main, count: 4, power_factor: 0.95,
                     cable: {length: 50 m, resistance: 0.1 ohm/km, reactance: 0.08 ohm/km,
                             parallel: 4}}}
"""


def of(folder: Path, site: str, demand: dict[str, float], units: dict[str, float]) -> Voltages:
    """Voltages of a site by group."""
    system, values = compiled(folder, site)
    names = [system.row_name(row) for row in range(len(system))]
    taken = np.array([demand.get(name, 0.0) for name in names])
    working = np.array([units.get(name, 1.0) for name in names])
    return voltages(system, values, working, taken)


def test_voltage_drop_and_current_of_a_feeder(tmp_path: Path) -> None:
    found = of(tmp_path, SITE, {"bus": 2e6}, {"tx": 2.0, "bus": 4.0})
    # Per unit of 1 MVA: transformers and cables in series behind a stiff source.
    r = 25e3 / 3e6 / 3 / 2
    x = math.sqrt(0.02**2 - (25e3 / 9e6) ** 2) / 2
    base = 480.0**2 / 1e6
    z_tx, z_bus = complex(r, x), complex(0.1, 0.08) * 50e-3 / 4 / 4 / base
    power = complex(2.0, 2.0 * math.tan(math.acos(0.95)))
    no_load = 8e-3
    u = 1 + 0j
    for _ in range(100):
        current = (power / u).conjugate()
        board = u + z_bus * current
        through = current + (no_load / board).conjugate()
        u = 1 - z_tx * through - z_bus * current
    assert found.voltage[-1] == pytest.approx(abs(u) * 480, rel=1e-4)
    amperes = abs(power) * 1e6 / 4 / (math.sqrt(3) * abs(u) * 480)
    assert found.current[-1] == pytest.approx(amperes, rel=1e-4)
    assert found.cable_loss[-1] == pytest.approx(abs(current) ** 2 * z_bus.real * 1e6, rel=1e-3)


def test_cables_lose_three_times_the_square_of_their_current(tmp_path: Path) -> None:
    flow = Flow(*compiled(tmp_path, SITE), {"bus": 2e6}, {"tx": 2.0, "bus": 4.0})
    amperes = 0.5e6 / 0.95 / (math.sqrt(3) * 480)
    ohm = 0.1e-3 * 50 / 4
    assert flow.of(flow.loss, "bus") == pytest.approx(4 * 3 * amperes**2 * ohm)


def test_a_ups_holds_its_voltage(tmp_path: Path) -> None:
    site = SITE + "ups: {ups: {from: main, efficiency: 0.96}}\n"
    site = site.replace("{bus: {from: main,", "{bus: {from: ups,")
    found = of(tmp_path, site, {"bus": 2e6}, {"tx": 2.0, "bus": 4.0})
    system, _ = compiled(tmp_path, site)
    assert found.voltage[system.index("ups")] == pytest.approx(480)
    assert found.voltage[system.index("main")] < 479


def test_a_weak_grid_drops(tmp_path: Path) -> None:
    site = "feeds: {grid: {voltage: 34.5 kV, short_circuit: 100 MVA}}"
    found = of(tmp_path, site, {"grid": 5e6}, {})
    # R = X / 10, |Z| = 1 / 100 per unit of 1 MVA.
    x = 0.01 / math.sqrt(1.01)
    u = 1 + 0j
    for _ in range(100):
        u = 1 - complex(x / 10, x) * (5.0 / u).conjugate()
    assert found.voltage[0] == pytest.approx(abs(u) * 34.5e3)


def test_two_sources_share_a_board(tmp_path: Path) -> None:
    site = """
    feeds: {grid: {voltage: 10 kV}}
    transformers: {a: {from: grid, rating: 1 MVA, voltage: 400 V},
                   b: {from: grid, rating: 1 MVA, voltage: 400 V}}
    boards: {main: {from: [a, b]}}
    """
    found = of(tmp_path, site, {"main": 1e6}, {})
    system, _ = compiled(tmp_path, site)
    a, b, main = (found.voltage[system.index(name)] for name in ("a", "b", "main"))
    assert a == pytest.approx(b)
    assert main == pytest.approx(a)
    u = 1 + 0j
    for _ in range(100):
        u = 1 - 0.06j * (0.5 / u).conjugate()
    assert a == pytest.approx(abs(u) * 400, rel=1e-6)


def test_without_a_voltage_there_is_none(tmp_path: Path) -> None:
    found = of(tmp_path, "feeds: {g: {}}", {"g": 1e6}, {})
    assert np.isnan(found.voltage).all()
