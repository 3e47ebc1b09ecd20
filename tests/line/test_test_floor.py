"""The law of the test floor against numbers worked out by hand, and against its own assumption."""

from __future__ import annotations

import numpy as np
import pytest

from firsttoken.line.test_floor import HOUR, WEEK, floor, rate_of, servers_for, time_in_test

RACKS = 1000 / WEEK
RACK_POWER = 132e3  # W: GB300 NVL72, vendors' sheets of 2025


# 1000 racks/week x 24 h / 168 h = 142.857 slots x 132 kW = 18.857 MW, and so on.
@pytest.mark.parametrize(
    ("hours", "slots", "megawatts"),
    [(24, 1000 / 7, 18.857), (72, 3000 / 7, 56.571), (168, 1000, 132.0)],
)
def test_a_thousand_racks_a_week(hours: float, slots: float, megawatts: float) -> None:
    found = floor(RACKS, hours * HOUR, RACK_POWER)
    assert found.slots == pytest.approx(slots, rel=1e-12)
    assert found.power / 1e6 == pytest.approx(megawatts, abs=5e-4)


def test_first_pass_yield_divides() -> None:
    # 428.571 slots / 0.93 = 460.829
    assert floor(RACKS, 72 * HOUR, RACK_POWER, 0.93).slots == pytest.approx(460.829, abs=1e-3)


def test_the_law_turns_round() -> None:
    slots = floor(RACKS, 72 * HOUR, 0, 0.9).slots
    assert rate_of(slots, 72 * HOUR, 0.9) == pytest.approx(RACKS, rel=1e-12)


def test_time_in_test_is_the_mean_of_repeated_tests() -> None:
    # Independent computation: play the tests of many racks one after the other.
    random = np.random.default_rng(3)
    racks, time, passes, repair = 200_000, 48.0, 0.8, 5.0
    failures = random.geometric(passes, racks) - 1
    shares = random.uniform(0, 1, failures.sum())  # failures show at any time: mean share 0.5
    total = racks * time + time * shares.sum() + repair * failures.sum()
    # The standard error of the mean is 0.07 h.
    assert time_in_test(time, passes, 0.5, repair) == pytest.approx(total / racks, abs=0.25)


@pytest.mark.parametrize(
    ("load", "available", "servers"),
    [(0.0, 1.0, 1), (0.5, 1.0, 1), (2.999, 1.0, 3), (3.0, 1.0, 4), (3.2, 0.8, 5), (3.1, 0.8, 4)],
)
def test_fewest_testers_are_more_than_the_load(load: float, available: float, servers: int) -> None:
    assert servers_for(load / 3600, 3600, available) == servers


def test_what_cannot_be_is_refused() -> None:
    for wrong in ({"passes": 0.0}, {"passes": 1.1}, {"fail_after": 2.0}, {"repair": -1.0}):
        with pytest.raises(ValueError, match="impossible"):
            time_in_test(1.0, **wrong)
    for refused in (
        lambda: time_in_test(-1.0),
        lambda: floor(-1, 1, 1),
        lambda: floor(1, 1, -1),
        lambda: rate_of(1, 0),
        lambda: rate_of(-1, 1),
        lambda: servers_for(1, 1, 0),
        lambda: servers_for(-1, 1),
    ):
        with pytest.raises(ValueError, match="impossible"):
            refused()
