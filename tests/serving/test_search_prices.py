"""What a GPU costs, from declared costs, data sheets and facts, against arithmetic by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.serving.factories import factory, twin_of, write

from firsttoken import api
from firsttoken.serving.search_prices import FACTS, energy_price, rent_of
from firsttoken.serving.slots import Slots
from firsttoken.twin.parameters import ParameterBuilder
from firsttoken.twin.values import Value

OWN = {
    "price": "40 kUSD",
    "network": "10 %",
    "life": "4 year",
    "interest": "0 %",
    "upkeep": "5 %",
    "site": "12 USD/W",
    "site_life": "16 year",
}
HOUR = 3600.0
WATTS = 1400 + (433 + 475 + 572) / 3
"""Of a GB300: its limit, and the mean of what its rack takes beside it (data sheets)."""


def not_asked(*_: object) -> Value:
    raise AssertionError("no reference is left to look up")


def slots(folder: Path, header: dict[str, Any], **changes: Any) -> Slots:
    twin = api.load(write(folder, twin_of(factory(**changes), **header)))
    return Slots(twin, "x", ParameterBuilder(twin.start, not_asked), not_asked)


def rent(folder: Path, header: dict[str, Any] | None = None, **changes: Any) -> float:
    """USD/hour of a GPU of the pool."""
    sheet = slots(folder, header or {}, **changes).accelerators("pool")

    def resolve(reference: Any, unit: str) -> Value:
        return sheet.twin.library.resolve(reference.id, sheet.twin.as_of, unit)

    return rent_of(sheet, resolve) * HOUR


def test_declared_costs_by_hand(tmp_path: Path) -> None:
    """Straight lines over life, without interest."""
    yearly = 40e3 * 1.1 / 4 + 40e3 * 0.05 + 12 * WATTS / 16
    found = rent(tmp_path, **{"accelerators.pool.costs": OWN})
    assert found == pytest.approx(yearly / 8766)


def test_facts_stand_for_what_is_not_written(tmp_path: Path) -> None:
    """4.0 MUSD for a rack of 72 (Morgan Stanley); means of the library's triangular ranges."""
    share, interest, life = (0.08 + 0.12 + 0.2) / 3, (0.06 + 0.09 + 0.12) / 3, (3 + 5 + 6) / 3
    upkeep, site, site_life = (0.03 + 0.05 + 0.08) / 3, (9.3 + 11.7 + 15) / 3, (12 + 15 + 25) / 3
    price = 4.0e6 / 72
    yearly = price * (1 + share) * interest / (1 - (1 + interest) ** -life) + price * upkeep
    yearly += site * WATTS * interest / (1 - (1 + interest) ** -site_life)
    assert rent(tmp_path) == pytest.approx(yearly / 8766, rel=1e-3)


def test_the_declared_rack_gives_the_price(tmp_path: Path) -> None:
    """Racks of four and of eight HGX B200 differ in price and share: each is taken as declared."""
    free = {key: value for key, value in OWN.items() if key != "price"}
    free |= {"network": "0 %", "upkeep": "0 %", "site": "0 USD/W", "life": "1 year"}
    for part, gpus in (("hgx_b200_x4", 32), ("hgx_b200_x8", 64)):
        changes: dict[str, Any] = {"accelerators.pool.part": part}
        changes["accelerators.pool.costs"] = free
        found = rent(tmp_path, **changes) * 8766 * gpus
        cost = slots(tmp_path, {}, **changes).twin.library.facts[f"{part}.cost"][0].value
        assert found == pytest.approx(cost * 1e6)


def test_a_gpu_without_a_price_costs_its_place(tmp_path: Path) -> None:
    """No rack of the library holds an L4."""
    costs = {"site": "12 USD/W", "site_life": "16 year", "interest": "0 %"}
    changes: dict[str, Any] = {"accelerators.pool.part": "l4", "accelerators.pool.costs": costs}
    assert rent(tmp_path, **changes) == pytest.approx(12 * (72 + 70) / 16 / 8766)


def test_costs_need_no_library_of_the_twin(tmp_path: Path) -> None:
    """The shipped facts count, as they were first known if the twin is of an earlier day."""
    with_library = rent(tmp_path)
    early = rent(tmp_path, {"start": "2025-12-01", "as_of": "2025-12-01"})
    assert early == pytest.approx(with_library, rel=0.2)


def test_energy_costs_what_industry_pays(tmp_path: Path) -> None:
    """EIA, April 2025: 7.4 to 9.0 cents a kWh in most regions."""
    twin = slots(tmp_path, {}).twin
    assert 74 < energy_price(twin) * 3.6e9 < 90


def test_every_fact_is_shipped(tmp_path: Path) -> None:
    library = slots(tmp_path, {}).twin.library
    assert set(FACTS.values()) <= set(library.facts)
