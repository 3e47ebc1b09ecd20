"""Tables of contingencies."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.facility.power_sites import load

from firsttoken.chain.ports import Resolver
from firsttoken.facility.power_kpi import has_chain, power_tables
from firsttoken.facility.power_words import duration
from firsttoken.twin.findings import TwinError

SITE = """
feeds: {grid: {mtbf: 4000 hour, mttr: 2 hour}}
transformers: {tx: {from: grid, count: 2, rating: 3 MVA, mtbf: 100000 hour, mttr: 500 hour}}
generators: {gen: {rating: 3 MW, count: 2, start: 10 s, success: 0.99}}
transfer_switches: {ats: {from: [tx, gen], count: 2, transfer: 200 ms}}
ups: {ups: {from: ats, count: 2, rating: 3 MW, efficiency: 0.96, autonomy: 5 minute}}
racks: {hall: {count: {unit: rack, 2026-01-01: 4, 2026-01-07: 10}, from: ups, power: 132 kW}}
towers: {fans: {fan_power: 50 kW, from: ats, count: 2}}
"""


def test_every_element_has_its_row_and_the_course_of_its_loss(tmp_path: Path) -> None:
    twin = load(tmp_path, SITE)
    table = power_tables(twin, "x", Resolver(twin))[0]
    assert len(table) == 9
    columns = {
        element: dict(zip(table.columns, row, strict=True))
        for element, *row in zip(table.columns["element"], *table.columns.values(), strict=True)
    }
    grid = columns["grid"]
    assert grid["racks"] == 0
    assert grid["course"] == (
        "grid trips; 2 of gen start after 10 s; 2 of ats transfer after 10.2 s: "
        "no rack lost, motors stand for 10.2 s"
    )
    ups = columns["ups 2"]
    assert ups["racks"] == 5  # ten racks at the end of the horizon, on two UPS
    assert ups["power"] == pytest.approx(0.66)
    assert ups["course"] == (
        "ups 2 trips; 5 of hall are lost after 20 ms: 5 racks lost, the first after 20 ms"
    )
    assert list(table.columns["racks"])[:3] == [5.0, 5.0, 5.0]  # the worst first


def test_pairs_and_availability(tmp_path: Path) -> None:
    twin = load(tmp_path, SITE)
    _, pairs, hours = power_tables(twin, "x", Resolver(twin), pairs=True)
    found = list(zip(pairs.columns["first_group"], pairs.columns["second_group"], strict=True))
    row = found.index(("gen", "grid"))
    assert pairs.columns["racks"][row] == 5
    assert "gen 1 trips" in str(pairs.columns["course"][row])
    causes = list(hours.columns["cause"])
    assert causes[0] == "total"
    total, by_cause = hours.columns["rack_hours"][0], sum(hours.columns["rack_hours"][1:])
    assert total == pytest.approx(by_cause)
    # The grid fails (2 h of 4002) and a generator does not start: half of the racks, once the
    # battery is empty after 300 s x 3 MW / 0.66 MW.
    lasting = 2.718281828459045 ** -((300 * 3 / 0.66 + 0.02) / 7200)
    expected = 10 * 8766 * (2 / 4002) * 0.01 * lasting
    assert hours.columns["rack_hours"][causes.index("gen + grid")] == pytest.approx(
        expected, rel=1e-3
    )


def test_voltages_of_a_site_that_declares_them(tmp_path: Path) -> None:
    site = SITE.replace("grid: {mtbf", "grid: {voltage: 34.5 kV, mtbf").replace(
        "tx: {from: grid,", "tx: {from: grid, voltage: 480 V,"
    )
    twin = load(tmp_path, site)
    table = power_tables(twin, "x", Resolver(twin))[1]
    assert list(table.columns["group"]) == ["grid", "tx", "ats", "ups"]
    assert table.columns["drop"][0] == pytest.approx(0.0, abs=1e-6)
    assert 0 < table.columns["drop"][1] < 6
    # Ten racks of 132 kW on two UPS.
    assert table.columns["current"][3] == pytest.approx(660e3 / 480 / 3**0.5)


def test_cables_that_cannot_carry_the_site(tmp_path: Path) -> None:
    cable = "cable: {length: 10 km, resistance: 1 ohm/km},"
    site = SITE.replace("grid: {mtbf", "grid: {voltage: 480 V, mtbf").replace(
        "tx: {from: grid,", f"tx: {{from: grid, {cable}"
    )
    twin = load(tmp_path, site)
    with pytest.raises(TwinError, match="more than the network can carry"):
        power_tables(twin, "x", Resolver(twin))


def test_a_site_without_a_chain_has_no_tables(tmp_path: Path) -> None:
    twin = load(tmp_path, "racks: {hall: {count: 4, power: 100 kW}}")
    assert not has_chain(twin, "x")
    assert power_tables(twin, "x", Resolver(twin)) == []


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.02, "20 ms"), (10.2, "10.2 s"), (300, "5 min"), (36000, "10 h")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
