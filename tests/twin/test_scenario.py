"""Scenarios: overrides, disruptions, composition."""

from __future__ import annotations

import pytest

from firsttoken.supply.model import Network
from firsttoken.twin import scenario as said
from firsttoken.twin.dates import parse_date
from firsttoken.twin.findings import TwinError, UsageError
from firsttoken.twin.schema import Declared
from firsttoken.twin.twin import Twin, split_path
from firsttoken.twin.values import Constant, Distribution

from .conftest import Bench

SCENARIOS = """\
scenarios:
  slow:
    title: A slow line
    overrides:
      supply.main.resources.line.capacity: 5 rack/week
      supply.main.operations.assemble.lead_time: 2 week
  slower:
    extends: slow
    overrides: {supply.main.resources.line.capacity: 2 rack/week}
  shaken:
    disruptions:
      - {close: supply.main.locations.hsinchu, from: 2026-03-01, for: 90 day}
      - {lose: supply.main.locations.hsinchu, share: 'triangular(1, 5, 20) %', at: 2026-03-01}
  both: {extends: [slower, shaken], seed: 7}
  then: {as_of: 2025-06-01, overrides: {horizon: 2 year, replications: 50}}
"""


def network(twin: Twin) -> Network:
    found = twin.rooms["supply"]["main"]
    assert isinstance(found, Network)
    return found


def weekly(twin: Twin) -> float:
    value = network(twin).resources["line"].capacity
    assert isinstance(value, Constant)
    return value.value * 604800


def test_overrides_change_a_copy(bench: Bench) -> None:
    bench.append(SCENARIOS)
    base = bench.sound()
    slow = base.with_scenario("slow")
    assert weekly(slow) == pytest.approx(5)
    assert weekly(base) == pytest.approx(10)
    assert slow.scenario == "slow"
    assert slow.hash != base.hash
    assert network(slow).operations["assemble"].lead_time != Constant(0.0)
    # What an override set stands where the override stands.
    assert slow.place("supply.main.resources.line.capacity").line == 37
    assert base.place("supply.main.resources.line.capacity").line == 19
    assert slow.place("supply.main.resources.line.at").line == 18


def test_of_two_scenarios_the_later_wins(bench: Bench) -> None:
    bench.append(SCENARIOS)
    base = bench.sound()
    assert weekly(base.with_scenario("slower")) == pytest.approx(2)
    both = base.with_scenario("both")
    assert weekly(both) == pytest.approx(2)
    assert both.seed == 7
    assert [d.kind for d in both.disruptions] == ["close", "lose"]
    assert weekly(base.with_scenario("slower+slow")) == pytest.approx(2)  # slow comes first
    assert [d.kind for d in base.with_scenario("slow + shaken").disruptions] == ["close", "lose"]


def test_settings_can_be_overridden(bench: Bench) -> None:
    bench.append(SCENARIOS)
    base = bench.sound()
    then = base.with_scenario("then")
    assert then.as_of == parse_date("2025-06-01")
    assert then.end - then.start == pytest.approx(2 * (base.end - base.start))
    assert then.replications == 50
    assert then.hash != base.hash


def test_a_disruption_is_read_with_its_units(bench: Bench) -> None:
    bench.append(SCENARIOS)
    closure, loss = bench.sound().with_scenario("shaken").disruptions
    assert isinstance(closure, said.Closure)
    assert closure.path == "supply.main.locations.hsinchu"
    assert closure.start == Constant(parse_date("2026-03-01"))
    assert isinstance(closure.duration, Constant)
    assert closure.duration.value == 90 * 86400
    assert isinstance(loss, said.Loss)
    assert isinstance(loss.share, Distribution)
    assert loss.share.args == pytest.approx((0.01, 0.05, 0.2))


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("close: P, from: 2026-03, until: 2026-05", said.Closure),
        ("close: P, from: 2026-03", said.Closure),
        (
            "capacity: P, factor: 0.6, from: 2026-03, for: 8 week, recovery: 4 week",
            said.CapacityChange,
        ),
        ("lead_time: P, factor: 1.5, from: 2026-03, for: 8 week", said.LeadTimeChange),
        ("lead_time: P, add: 2 week, from: 2026-03, for: 8 week", said.LeadTimeChange),
        ("tariff: P, rate: 25 %, from: 2026-03", said.TariffChange),
        ("yield: P, factor: 'uniform(0.8, 0.9)', from: 2026-03, for: 1 week", said.YieldChange),
        ("slip: P, by: 12 month", said.Slip),
        ("slip: P, by: -1 month, from: 2026-06", said.Slip),
        ("lose: P, share: 5 %, at: 2026-03-01", said.Loss),
    ],
)
def test_every_kind_of_disruption(bench: Bench, written: str, kind: type[Declared]) -> None:
    target = "supply.main.locations.hsinchu"
    bench.append(f"scenarios: {{s: {{disruptions: [{{{written.replace('P', target)}}}]}}}}\n")
    (found,) = bench.sound().with_scenario("s").disruptions
    assert type(found) is kind


def test_disruptions_at_the_top_happen_always(bench: Bench) -> None:
    bench.append("disruptions: [{slip: supply.main.locations.houston, by: 1 month}]\n")
    bench.append(SCENARIOS)
    twin = bench.sound()
    assert [d.kind for d in twin.disruptions] == ["slip"]
    assert [d.kind for d in twin.with_scenario("shaken").disruptions] == ["slip", "close", "lose"]


@pytest.mark.parametrize(
    ("scenario", "expected"),
    [
        (
            "overrides: {supply.main.resources.line.capcity: 1 rack/week}",
            "override of unknown path 'supply.main.resources.line.capcity' "
            "(hint: did you mean 'capacity'? below supply.main.resources.line)",
        ),
        (
            "overrides: {supply.main.resources.lin.capacity: 1 rack/week}",
            "did you mean 'line'? below supply.main.resources",
        ),
        ("overrides: {suply.main.items.die.value: 1 USD}", "did you mean 'supply'?"),
        ("overrides: {library: [x]}", "override of unknown path 'library'"),
        ("overrides: {supply.main.resources.line.capacity: 1 kg}", "kg does not fit"),
        ("overrides: {supply.main.resources.line.capacity: fact(x)}", "fact(x) is unknown"),
        (
            "overrides: {supply.main.operations.assemble.yield: 2}",
            "supply.main.operations.assemble.yield: 2 is out of range: must be <= 1",
        ),
        ("overrides: {supply.main.items.die.weight: 1 kg}", "unknown path"),
        ("extends: nobody", "scenario 'nobody' is unknown"),
        ("extends: t", "scenarios extend each other in a circle: s -> t -> s"),
        ("disruption: []", "unknown key 'disruption' (hint: did you mean 'disruptions'?)"),
        (
            "disruptions: [{close: supply.main.locations.hsinch, from: 2026, for: 1 day}]",
            "close: unknown target 'supply.main.locations.hsinch' (hint: did you mean 'hsinchu'?",
        ),
        ("disruptions: [{close: supply, from: 2026}]", "unknown target 'supply'"),
        ("disruptions: [{shut: x, from: 2026, for: 1 day}]", "has no or several kinds"),
        ("disruptions: [{close: x, yield: y, from: 2026}]", "has no or several kinds"),
        ("disruptions: [close]", "has no or several kinds"),
        (
            "disruptions: [{close: supply.main.locations.houston, from: 2026-05, until: 2026-04}]",
            "'until' is not after 'from'",
        ),
        (
            "disruptions: [{close: supply.main.locations.houston, from: 2026-05, for: -1 day}]",
            "for: -1 day is out of range: must be > 0",
        ),
        (
            "disruptions: [{close: supply.main.locations.houston, from: 2026, for: 1 day, "
            "until: 2027}]",
            "both 'for' and 'until' are given",
        ),
        (
            "disruptions: [{close: supply.main.locations.houston, for: 1 day}]",
            "'from' is missing",
        ),
        (
            "disruptions: [{capacity: supply.main.locations.houston, factor: -1, from: 2026}]",
            "factor: -1 is out of range",
        ),
        (
            "disruptions: [{lead_time: supply.main.lanes.air, from: 2026}]",
            "a lead time changes by 'factor' or by 'add'",
        ),
        (
            "disruptions: [{lose: supply.main.locations.houston, share: 120 %, at: 2026}]",
            "share: 120 % is out of range: must be <= 1",
        ),
    ],
)
def test_what_can_be_wrong_with_a_scenario(bench: Bench, scenario: str, expected: str) -> None:
    bench.append(f"scenarios:\n  t: {{extends: s}}\n  s:\n    {scenario}\n")
    errors = bench.errors()
    assert any(expected in error for error in errors), errors
    assert all("twin.yaml:3" in error for error in errors), errors  # lines 36 to 39


def test_unknown_scenarios_are_a_usage_error(bench: Bench) -> None:
    bench.append(SCENARIOS)
    base = bench.sound()
    with pytest.raises(UsageError, match="scenario 'slwo' is unknown; did you mean 'slow'"):
        base.with_scenario("slwo")
    with pytest.raises(UsageError, match="applied already"):
        base.with_scenario("slow").with_scenario("shaken")


def test_facts_unknown_on_an_earlier_day_are_found(bench: Bench) -> None:
    bench.append("scenarios: {early: {as_of: 2024-06-01}}\n")
    twin = bench.sound()
    with pytest.raises(TwinError, match=r"fact\(rack.price\) was known only from 2025-01-01"):
        twin.with_scenario("early")


def test_an_override_of_a_list_and_of_a_new_field(bench: Bench) -> None:
    bench.append(
        "scenarios:\n  s:\n    overrides:\n"
        "      supply.main.tariffs.us.origins.0: MX\n"
        "      supply.main.operations.assemble.capacity: 3 rack/week\n"
    )
    changed = network(bench.sound().with_scenario("s"))
    assert changed.tariffs["us"].origins == ["MX"]
    assert isinstance(changed.operations["assemble"].capacity, Constant)


def test_paths_of_names_with_dots() -> None:
    data = {"a": {"b.c": {"d": 1}, "b": {"x": 2}}}
    assert split_path(data, "a.b.c.d") == ("a", "b.c", "d")
    assert split_path(data, "a.b.x") == ("a", "b", "x")
    assert split_path(data, "a.zz.d") == ("a", "zz", "d")
