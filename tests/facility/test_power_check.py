"""Findings about power chains, each at its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.facility.power_sites import load

from firsttoken.facility.power_check import check_power
from firsttoken.twin.findings import Findings


def found(folder: Path, site: str) -> list[str]:
    """What `check_power` says of a site."""
    findings = Findings()
    check_power(load(folder, site), "x", findings)
    assert all(finding.place.line for finding in findings)
    return [f"{finding.severity}: {finding.what}; {finding.why}" for finding in findings]


GOOD = """
feeds: {a: {rating: 2 MW}, b: {rating: 2 MW}}
generators: {gen: {rating: 1 MW, count: 3, needed: 2}}
boards: {main: {from: [a, b, gen]}}
ups: {ups: {from: main, count: 3, needed: 2, rating: 800 kW, autonomy: 5 minute,
      efficiency: {25: 0.94, 100: 0.96}}}
boards_out: OUT
racks: {hall: {count: 10, from: out, power: 132 kW}}
"""
GOOD = GOOD.replace("boards_out: OUT\n", "distribution: {out: {from: ups}}\n")


def test_a_good_chain_has_no_findings(tmp_path: Path) -> None:
    assert found(tmp_path, GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("from: [a, b, gen]", "from: [a, c]", "error: 'c' is no group"),
        ("boards: {main: {from: [a, b, gen]}}", "boards: {main: {}}", "error: nothing feeds"),
        ("a: {rating: 2 MW}", "a: {rating: 2 MW, from: b}", "error: 'a' is a source of power"),
        ("{main: {from: [a, b, gen]", "{main: {feeds: 4, from: [a, b, gen]", "has 4 sources"),
        ("{main: {from: [a, b, gen]}}", "{main: {from: out}}", "power flows in a circle: main"),
        ("{main: {from: [a, b, gen]", "{main: {breaker: {}, from: [a, b, gen]", "needs a `rating`"),
        ("needed: 2, rating: 800 kW", "needed: 4, rating: 800 kW", "error: 4 units are needed"),
        ("autonomy: 5 minute", "autonomy: 5 minute, storage: 1 kWh", "both say"),
        ("autonomy: 5 minute,", "", "warning: UPS 'ups' has no batteries"),
        ("{25: 0.94, 100: 0.96}", "{50: 0.4, 60: 0.96}", "would take less power than at 50 %"),
        (
            "{out: {from: ups}}",
            "{out: {from: ups, cable: {length: 9 m, resistance: 1 ohm/km}}}",
            "error: the line voltage of 'out' is not known",
        ),
        ("rating: 800 kW", "rating: 800 kW, breaker: {limit: 0.5}", "trips in the normal state"),
        ("rating: 800 kW", "rating: 800 kW, breaker: {limit: 1.2, instant: 1.1}", "trips at once"),
        ("{out: {from: ups}}", "{out: {from: ups, count: 0}}", "10 of 'hall' have no supply"),
        # 1.32 MW of racks on 3 x 400 kW; on 2 x 660 kW just not: losses.
        ("rating: 800 kW", "rating: 400 kW", "warning: 'ups' is loaded to 110% of its rating"),
        ("rating: 800 kW", "rating: 650 kW", "2 units of 'ups' cannot carry the load: 102%"),
        ("gen: {rating: 1 MW, count: 3, needed: 2}", "gen: {rating: 1 MW}", "at 138% of their"),
        ("a: {rating: 2 MW}", "a: {rating: 2 MW, limit: 500 kW}", "takes 0.6"),
        ("{out: {from: ups}}", "{out: {from: ups, count: 3}}", "each alone feeds"),
        ("distribution: {", "distribution: {idle: {from: ups}, ", "'idle' feeds nothing"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in GOOD
    says = found(tmp_path, GOOD.replace(old, new))
    assert any(expected in text for text in says), says


def test_switches_name_the_normal_source_first(tmp_path: Path) -> None:
    site = """
    feeds: {a: {}}
    generators: {gen: {}}
    transfer_switches: {one: {from: a}, two: {from: [gen, a]}}
    racks: {hall: {from: [one, two], power: 100 kW}}
    """
    says = found(tmp_path, site)
    assert any("'one' has one source only" in text for text in says)
    assert any("names standby generators 'gen' first" in text for text in says)


def test_a_transformer_without_its_secondary_voltage(tmp_path: Path) -> None:
    site = """
    feeds: {a: {voltage: 34.5 kV}}
    transformers: {tx: {from: a}}
    racks: {hall: {from: tx, power: 100 kW}}
    """
    assert found(tmp_path, site) == [
        "warning: transformer 'tx' has no `voltage`; its output then has the voltage of its source"
    ]


def test_racks_that_another_room_counts_fill_their_positions(tmp_path: Path) -> None:
    site = GOOD.replace("count: 10, from: out", "count: model(build.b.racks), hall: h, from: out")
    assert found(tmp_path, site) == []
    site += "halls: {h: {positions: 20}}\n"
    assert any("'ups' is loaded to 110% of its rating" in text for text in found(tmp_path, site))


def test_racks_count_with_the_most_load_declared(tmp_path: Path) -> None:
    site = GOOD.replace("rating: 800 kW", "rating: 400 kW").replace("needed: 2, rating", "rating")
    half = "power: 132 kW, idle: 32 kW, load: 'triangular(0.5, 0.6, 0.8)'"
    assert found(tmp_path, site.replace("power: 132 kW", half)) == []  # 10 x 112 kW on 1.2 MW
    full = "power: 132 kW, load: {unit: '%', 2026-01-01: 40, 2026-02-01: 100}"
    assert "'ups' is loaded to 110%" in found(tmp_path, site.replace("power: 132 kW", full))[0]


def test_batteries_without_a_rating(tmp_path: Path) -> None:
    site = """
    feeds: {a: {}}
    boards: {main: {from: a}}
    batteries: {bess: {from: main, storage: 1 MWh}}
    racks: {hall: {from: main, power: 100 kW}}
    """
    assert found(tmp_path, site) == [
        "warning: batteries 'bess' have no rating; they hold any load until they are empty"
    ]


def test_a_site_without_a_chain_has_nothing_to_check(tmp_path: Path) -> None:
    assert found(tmp_path, "racks: {hall: {power: 100 kW}}") == []
