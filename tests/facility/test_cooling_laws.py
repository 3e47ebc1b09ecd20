"""Laws of exchangers, pumps and chillers against theory and published data."""

from __future__ import annotations

import math

import numpy as np
import pytest

from firsttoken.facility import cooling_laws as laws
from firsttoken.facility.cooling_values import PINCH


def celsius(t: float) -> float:
    return t + 273.15


def test_vera_rubin_flow_law() -> None:
    """MaxP flow of a Vera Rubin NVL72 is (17370 / (57.2 - T))^0.796 L/min: 2.2 times at 45 degC."""
    litre_a_minute = 1e-3 / 60.0

    def flow(t: float) -> float:
        return laws.flow_law(celsius(t), 17370.0, celsius(57.2), 0.796, litre_a_minute)

    assert flow(25.0) / litre_a_minute == pytest.approx((17370 / 32.2) ** 0.796)
    assert flow(45.0) / flow(25.0) == pytest.approx(2.2, abs=0.05)
    assert flow(57.2) == math.inf


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.9, 1.0, 1.3, 4.0])
@pytest.mark.parametrize("ntu", [0.3, 1.0, 3.0, 8.0])
def test_counterflow_effectiveness(ratio: float, ntu: float) -> None:
    """Kays and London, Compact Heat Exchangers, table 2-2; also with the streams exchanged."""
    hot, cold = 1000.0, 1000.0 * ratio
    small, r = min(hot, cold), min(ratio, 1.0 / ratio)
    if r == 1.0:
        expected = ntu / (1 + ntu)
    else:
        left = math.exp(-ntu * (1 - r))
        expected = (1 - left) / (1 - r * left)
    found = laws.conductance(hot, cold, ntu * small)
    assert found == pytest.approx(expected * small, rel=1e-9)
    assert laws.conductance(cold, hot, ntu * small) == pytest.approx(found)


@pytest.mark.parametrize("effectiveness", [0.2, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("ratio", [0.3, 1.0, 2.5])
def test_transfer_and_conductance_are_inverse(effectiveness: float, ratio: float) -> None:
    hot, cold = 5e4, 5e4 * ratio
    given = effectiveness * min(hot, cold)
    ua = laws.transfer_of_conductance(hot, cold, given)
    assert laws.conductance(hot, cold, ua) == pytest.approx(given, rel=1e-9)


@pytest.mark.parametrize("guess", [1e-4, 0.2, 1.0])
@pytest.mark.parametrize("share", [0.02, 0.4, 0.97, 0.9999])
@pytest.mark.parametrize("hot_side", [0.5, -1.0])
def test_speed_for_a_conductance(guess: float, share: float, hot_side: float) -> None:
    hot, cold, ua = 1e5, 8e4, 3e5
    cold_share = 0.5 if hot_side > 0 else 1.0

    def at(s: float) -> float:
        return laws.conductance(hot, s * cold, laws.heat_transfer(ua, hot_side, cold_share, 0.7, s))

    target = share * at(1.0)
    found = laws.cold_speed(target, hot, cold, ua, hot_side, cold_share, 0.7, guess, 1e-7)
    assert at(found) == pytest.approx(target, rel=2e-7)


def test_affinity_laws() -> None:
    """Without static head flow goes as speed, head as its square, power as its cube."""
    rating = (0.02, 200e3, 0.0)
    full = laws.pump_power(0.02, 1.0, *rating, 0.65)
    assert full == pytest.approx(0.02 * 200e3 / 0.65)
    assert laws.pump_speed(0.5, 1.0, 200e3, 0.0) == pytest.approx(0.5)
    assert laws.pump_power(0.01, 1.0, *rating, 0.65) == pytest.approx(full / 8)


def test_static_head_costs_power_and_efficiency() -> None:
    free = laws.pump_power(0.01, 1.0, 0.02, 200e3, 0.0, 0.65)
    lifting = laws.pump_power(0.01, 1.0, 0.02, 200e3, 100e3, 0.65)
    hydraulic = 0.01 * (100e3 + 100e3 / 4)
    assert lifting > hydraulic / 0.65 > free


def test_pumps_left_meet_the_system_curve() -> None:
    """Two of three pumps at full speed: pump and system curve cross (Guelich 2014, ch. 11)."""
    flow, head = 0.03, 200e3
    found = laws.branch_flow(2 / 3, flow, head, 20e3)
    system = 20e3 + 180e3 * (found / flow) ** 2
    each = found / 2 / (flow / 3)
    pump = laws.SHUT_OFF * head - (laws.SHUT_OFF - 1) * head * each**2
    assert system == pytest.approx(pump)
    assert laws.branch_flow(1.0, flow, head, 20e3) == pytest.approx(flow)
    assert 2 / 3 * flow < found < flow


def test_decay_means() -> None:
    for x in (0.0, 1e-6, 9e-5, 1.1e-4, 5e-3, 0.0099, 0.0101, 0.3, 5.0, 800.0):
        t = (np.arange(200_000) + 0.5) / 200_000
        mean, double = laws.decay_means(x)
        assert mean == pytest.approx(np.exp(-x * t).mean(), rel=3e-5)
        assert double == pytest.approx(((1 - t) * np.exp(-x * t)).mean(), rel=3e-5)


# Energy input by temperature, of EnergyPlus' data set: COP, leaving chilled and entering condenser
# water in degC at the rating, rise of the condenser water in K (from the data set's flows), the
# limits of both temperatures; the biquadratic.
EIR = {
    "19XR 1407kW VSD": (
        (6.04, 6.67, 29.44, 5.2, 4.44, 10.0, 12.78, 32.22),
        (1.026340, -1.612819e-2, -1.092591e-3, -1.784393e-2, 7.961842e-4, -9.586049e-5),
    ),
    "19XR 1403kW VSD": (
        (7.09, 6.67, 12.78, 9.0, 6.67, 12.22, 12.78, 23.89),
        (1.098641, -2.485880e-2, -6.240421e-5, -1.719488e-3, 4.887321e-4, 9.618075e-5),
    ),
    "DOE-2 Centrifugal 5.50COP": (
        (5.5, 6.67, 29.4, 6.9, 5.0, 10.0, 24.0, 35.0),
        (0.933884, -0.0582120, 0.00450036, 0.00243, 0.000486, -0.0012150),
    ),
}


@pytest.mark.parametrize("name", EIR)
def test_chiller_by_lift_against_energyplus(name: str) -> None:
    (cop, leaving0, entering0, rise, a, b, c, d), k = EIR[name]
    carnot = cop * (entering0 + rise - leaving0 + PINCH) / celsius(leaving0)
    errors = []
    for leaving in np.linspace(a, b, 4):
        for entering in np.linspace(c, d, 6):
            expected = k[0] + k[1] * leaving + k[2] * leaving**2
            expected += k[3] * entering + k[4] * entering**2 + k[5] * leaving * entering
            lift = entering + rise - leaving
            power = laws.chiller_power(1e6, 1.0, celsius(leaving), lift, carnot, PINCH)
            errors.append(power / (1e6 / cop * expected) - 1.0)
    assert np.sqrt(np.mean(np.square(errors))) < 0.10
    assert np.max(np.abs(errors)) < 0.22


def test_chiller_at_its_rating_and_at_part_load() -> None:
    """The curve of part load of the same data set: 0.118888 + 0.672354 x + 0.206875 x^2."""
    carnot = 6.0 * 42.0 / 280.15
    full = laws.chiller_power(1e6, 1.0, 280.15, 28.0, carnot, PINCH)
    assert 1e6 / full == pytest.approx(6.0)
    half = laws.chiller_power(0.5e6, 0.5, 280.15, 28.0, carnot, PINCH)
    share = (0.118888 + 0.672354 / 2 + 0.206875 / 4) / (0.118888 + 0.672354 + 0.206875)
    assert half / full == pytest.approx(share)


def test_no_flow_and_no_pumps() -> None:
    assert laws.branch_flow(0.0, 1.0, 1e5, 0.0) == 0.0
    assert laws.branch_flow(0.5, 1.0, 1e5, 1e5) == 0.5
    assert laws.pump_power(0.0, 1.0, 1.0, 1e5, 0.0, 0.7) == 0.0
    assert laws.conductance(0.0, 1.0, 1.0) == 0.0
