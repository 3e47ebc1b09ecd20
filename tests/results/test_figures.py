"""Figures as people write them."""

from __future__ import annotations

import math

import pytest

from firsttoken.results.figures import scaled


@pytest.mark.parametrize(
    ("values", "unit", "expected"),
    [
        ([2e9, 1e9], "USD", ([2.0, 1.0], "BUSD")),
        ([35e3], "USD/each", ([35e3], "USD/each")),
        ([19_000.0, math.nan], "kW", ([19.0, math.nan], "MW")),
        ([500.0], "kW", ([500.0], "kW")),
        ([3.2e6], "kWh/week", ([3.2], "GWh/week")),
        ([12_000.0, 6_000.0], "kWh/rack", ([12.0, 6.0], "MWh/rack")),
        ([120.0, 96.0], "hour", ([5.0, 4.0], "day")),
        ([48.0], "hour", ([48.0], "hour")),
        ([0.25], "hour", ([15.0], "min")),
        ([0.0], "hour", ([0.0], "hour")),
        ([math.inf, 100.0], "hour", ([math.inf, 100 / 24], "day")),
        ([7.0], "rack/week", ([7.0], "rack/week")),
    ],
)
def test_values_in_the_unit_that_fits_the_largest(
    values: list[float], unit: str, expected: tuple[list[float], str]
) -> None:
    found, name = scaled(values, unit)
    assert name == expected[1]
    assert found == pytest.approx(expected[0], nan_ok=True)
