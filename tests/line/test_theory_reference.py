"""Random lines with constant times: the engine does what the plain simulator does, to the digit.

Times are random to five decimals, so that two things happen at one instant only where one causes
the other.
"""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from tests.line.lines import compiled
from tests.line.reference import (
    STATES,
    Batch,
    Care,
    Failure,
    LinePlan,
    ProductPlan,
    Reference,
    StationPlan,
    StepPlan,
    mean,
)

from firsttoken.line import result as states
from firsttoken.line.simulate import simulate

HORIZON, WARMUP = 400.0, 50.0
CODES = [states.STATES.index(name) for name in STATES]


def time(draw: random.Random, low: float, high: float) -> float:
    return round(draw.uniform(low, high), 5)


def station(draw: random.Random, products: int, first: bool) -> StationPlan:
    plan = StationPlan(draw.choice([1, 1, 2, 3]))
    if not first and draw.random() < 0.5:
        plan.buffer = draw.randint(0, 3)
    for chance in (0.4, 0.15):
        if draw.random() < chance:
            by_work = draw.random() < 0.5
            plan.failures.append(Failure(time(draw, 5, 40), time(draw, 0.5, 6), by_work))
    if draw.random() < 0.3:
        plan.cares.append(Care("time", time(draw, 8, 40), time(draw, 0.5, 4)))
    if draw.random() < 0.3:
        clock = draw.choice(["loads", "pieces"])
        plan.cares.append(Care(clock, draw.randint(2, 15), time(draw, 0.5, 4)))
    kind = draw.random()
    if kind < 0.25:
        minimum = draw.randint(1, 4)
        wait = time(draw, 1, 6) if draw.random() < 0.5 else None
        plan.batch = Batch(minimum, max(minimum + draw.randint(0, 4), 2), wait)
    elif kind < 0.45:
        plan.setups = {f"p{k}": time(draw, 0.2, 2) for k in range(products)}
        if draw.random() < 0.4:
            plan.min_run = {f"p{k}": draw.randint(1, 3) for k in range(products)}
    return plan


def product(draw: random.Random, plans: dict[str, StationPlan], k: int, of: int) -> ProductPlan:
    names = [name for name in plans if of == 1 or draw.random() < 0.8] or ["s0"]
    limited = any(plan.buffer is not None for plan in plans.values())
    if not limited and draw.random() < 0.25:
        names.append(draw.choice(list(plans)))
    route = [
        StepPlan(
            name,
            time(draw, 0.3, 3),
            time(draw, 0.2, 3) if draw.random() < 0.25 else 0.0,
            draw.random() < 0.2,
            f"p{k}" if plans[name].setups else None,
        )
        for name in names
    ]
    # What several classes do at one instant depends on their order; so does a backlog of loads.
    batches = any(plan.batch for plan in plans.values())
    pulls = ["wip"] if batches else ["wip", "backlog"]
    release = draw.choice(["every", *pulls]) if of == 1 else "every"
    value = time(draw, 3, 9) * of if release == "every" else draw.randint(1, 6)
    found = ProductPlan(route, release, value, draw.choice([1, 1, 2]))
    if release == "every":
        found.lots, found.first = draw.choice([1, 1, 2, 3]), time(draw, 0, 3)
    if not limited:
        found.priority = draw.choice([10, 10, 20])
    return found


def staffed(draw: random.Random, plan: LinePlan) -> LinePlan:
    """The line with people: pools of its own for each station, since who goes first elsewhere at
    the same instant is nobody's business here."""
    for name in plan.stations:
        if draw.random() < 0.5:
            plan.pools[f"{name}a"] = draw.randint(1, 2), f"{name}x"
            plan.pools[f"{name}b"] = draw.randint(1, 2), draw.choice([f"{name}x", f"{name}y"])
    skills = {skill for _, skill in plan.pools.values()}
    for product in plan.products.values():
        for step in product.route:
            able = sorted(skill for skill in skills if skill[:-1] == step.station)
            if able and draw.random() < 0.7:
                skill = draw.choice(able)
                most = max(count for count, has in plan.pools.values() if has == skill)
                step.crew = skill, draw.randint(1, most)
    return plan


def random_line(seed: int) -> LinePlan:
    draw = random.Random(seed)
    products = draw.randint(1, 3)
    stations = {f"s{i}": station(draw, products, first=i == 0) for i in range(draw.randint(1, 4))}
    routes = {f"q{k}": product(draw, stations, k, products) for k in range(products)}
    plan = LinePlan(stations, routes)
    return staffed(draw, plan) if seed % 2 else plan


@pytest.mark.parametrize("first", range(0, 160, 20))
def test_the_engine_does_what_the_plain_simulator_does(tmp_path: Path, first: int) -> None:
    for seed in range(first, first + 20):
        plan = random_line(seed)
        reference = Reference(plan, HORIZON, WARMUP)
        reference.run()
        system = compiled(tmp_path, plan.declared(WARMUP), f"horizon: {HORIZON} s")
        found = simulate(system, 1, 1, threads=1)
        span = HORIZON - WARMUP
        for c, name in enumerate(system.names.classes):
            tally = reference.tallies[name]
            assert found.finished[0, c] == tally.finished, (seed, name)
            assert found.released[0, c] == tally.released, (seed, name)
            cycle = mean(tally.cycle, tally.finished)
            np.testing.assert_allclose(found.cycle_mean[0, c], cycle, 1e-9, err_msg=str(seed))
            np.testing.assert_allclose(found.wip[0, c], tally.area / span, 1e-9)
        for s, name in enumerate(system.names.stations):
            place = reference.stations[name]
            assert found.operations[0, s] == place.operations, (seed, name)
            wait = mean(place.waited, place.waits)
            np.testing.assert_allclose(found.wait[0, s], wait, 1e-9, 1e-9, err_msg=str(seed))
            queue = place.queue_area / span
            np.testing.assert_allclose(found.queue[0, s], queue, 1e-9, 1e-9, err_msg=str(seed))
            shares = [place.state_area[state] / span for state in STATES]
            spent = found.state_time[0, s].copy()
            spent[states.STARVED] += spent[states.SHORT]  # the plain simulator does not ask why
            np.testing.assert_allclose(spent[CODES], shares, 1e-9, 1e-9, err_msg=f"{seed} {name}")
