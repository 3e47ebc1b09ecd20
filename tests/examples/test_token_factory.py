"""The bundled example `token-factory`: it conserves power and tokens, and its scenarios act.

Independent of the engines are: the traffic that the file declares (moments of lognormals), the
power that data sheets allow (1,400 W a GPU, 132 to 142 kW a rack), energy balances, and 6 FLOP a
parameter and token.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from firsttoken import api
from firsttoken.results.store import Results

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "token-factory"
SCENARIOS = ("base", "power-cap", "heat-wave", "release", "twenty-racks")
DAYS = 1
WEDNESDAY = 1.071
RACKS, GPUS = 600, 43_200
CAP = 65.9


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Results]:
    """Wednesday, the first hot day, in two replications."""
    folder = tmp_path_factory.mktemp("tokens")
    for file in ("site.yaml", "tokens.yaml", "scenarios.yaml"):
        (folder / file).write_text((EXAMPLE / file).read_text())
    (folder / "weather").symlink_to(EXAMPLE / "weather")
    twin = (EXAMPLE / "twin.yaml").read_text()
    twin = twin.replace("start: 2027-08-02", "start: 2027-08-04")
    twin = twin.replace("horizon: 7 day", f"horizon: {DAYS} day")
    (folder / "twin.yaml").write_text(twin)
    run = api.run(
        folder,
        scenarios=SCENARIOS,
        engines=("simulate",),
        replications=2,
        out=folder / "run",
        report=False,
    )
    with run.results as found:
        yield found


def figure(results: Results, kpi: str, scenario: str = "base", room: str = "serving") -> float:
    found = results.sql(
        f"select mean as x from {room}_summary where scenario = '{scenario}' and kpi = 'site.{kpi}'"
    )
    return float(found["x"][0])


def test_it_is_clean() -> None:
    assert not [str(finding) for finding in api.check(EXAMPLE)]


def test_every_scenario_says_why() -> None:
    scenarios = api.load(EXAMPLE).scenarios
    assert set(scenarios) == set(SCENARIOS[1:])
    for name, scenario in scenarios.items():
        assert len(scenario.description) > 80, name


def test_tokens_are_those_of_the_traffic(results: Results) -> None:
    """Rate x mean answer; samples of 4,096 lognormal lengths are a few per cent off."""
    asked = {"reasoning": 33_000 * 1530.0, "chat": 28_000 * WEDNESDAY * 156.0}
    for service, tokens in asked.items():
        found = figure(results, f"{service}.tokens")
        assert found == pytest.approx(tokens, rel=0.08), service
    both = figure(results, "reasoning.tokens") + figure(results, "chat.tokens")
    assert figure(results, "tokens") == pytest.approx(both, rel=1e-6)


def test_all_gpus_have_work(results: Results) -> None:
    assert figure(results, "gpus") == GPUS
    assert figure(results, "used") > 99.9


def test_power_is_within_data_sheets_and_adds_up(results: Results) -> None:
    """GPUs at 1,400 W at most with hosts of 433 to 572 W; parts make the whole."""
    peak = figure(results, "peak_power")
    assert peak < GPUS * (1400 + 572) / 1e6
    whole = figure(results, "energy") * 3.6e9
    time = DAYS * 86_400.0
    services = sum(
        figure(results, f"{name}.joules") * figure(results, f"{name}.tokens") * time
        for name in ("reasoning", "chat")
    )
    training = figure(results, "pretrain.energy") * 3.6e9
    assert services + training == pytest.approx(whole, rel=0.01)


def test_the_site_draws_what_the_tokens_take(results: Results) -> None:
    """IT energy of the site is that of GPUs and hosts; the feed is not overrun."""
    it_energy = figure(results, "it_energy", room="facility")
    assert it_energy == pytest.approx(figure(results, "energy"), rel=0.01)
    assert figure(results, "peak_power", room="facility") < 100
    assert 1.05 < figure(results, "pue", room="facility") < 1.2


def test_pue_of_the_costs_is_that_of_the_site(results: Results) -> None:
    assert figure(results, "pue", room="facility") == pytest.approx(1.115, abs=0.02)


def test_a_cap_is_kept_and_costs_speed(results: Results) -> None:
    assert figure(results, "peak_power") > CAP
    assert figure(results, "peak_power", "power-cap") <= CAP * 1.001
    assert figure(results, "reasoning.tpot_p95", "power-cap") > figure(
        results, "reasoning.tpot_p95"
    )
    # slower replicas hold more sequences: a token takes less
    assert figure(results, "reasoning.joules", "power-cap") < figure(results, "reasoning.joules")


def test_heat_slows_the_racks_and_with_them_the_tokens(results: Results) -> None:
    assert figure(results, "lost", room="facility") == pytest.approx(0.0, abs=1e-6)
    lost = figure(results, "lost", "heat-wave", room="facility")
    share = lost / (RACKS * DAYS * 24)
    assert 0 < share < 0.2
    assert figure(results, "warmest_supply", "heat-wave", room="facility") > 45
    trained = figure(results, "pretrain.tokens", "heat-wave") / figure(results, "pretrain.tokens")
    assert 1 - trained == pytest.approx(share, rel=0.4)
    assert figure(results, "chat.attained", "heat-wave") < figure(results, "chat.attained")


def test_a_release_is_as_much_faster_as_it_says(results: Results) -> None:
    """Steps take two thirds; batches are smaller then, so tokens come faster still."""
    ratio = figure(results, "chat.tpot_p50") / figure(results, "chat.tpot_p50", "release")
    assert 1.45 < ratio < 2.5
    assert figure(results, "reasoning.attained", "release") > 99
    same = figure(results, "tokens", "release") / figure(results, "tokens")
    assert same == pytest.approx(1.0, abs=0.01)


def test_racks_moved_are_racks_moved(results: Results) -> None:
    """Of five failures a day one more or less is a few per cent of the tokens."""
    assert figure(results, "reasoning.gpus", "twenty-racks") == pytest.approx(29_008, abs=1)
    fewer = figure(results, "pretrain.tokens", "twenty-racks") / figure(results, "pretrain.tokens")
    assert fewer == pytest.approx(140 / 160, abs=0.06)


def test_training_is_no_faster_than_its_gpus(results: Results) -> None:
    """6 FLOP a parameter and token against the dense FP8 peak of the data sheet."""
    per_gpu = figure(results, "pretrain.tokens") / (DAYS * 86_400.0) / 11_520
    used = 6 * 405e9 * per_gpu / 5e15
    assert 0.2 < used < 0.6
