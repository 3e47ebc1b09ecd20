"""Loading a twin: everything that can be wrong, with its place and a hint."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from firsttoken import api
from firsttoken.supply.model import Network
from firsttoken.twin.dates import parse_date
from firsttoken.twin.findings import Findings
from firsttoken.twin.library import Library
from firsttoken.twin.loading import load_twin
from firsttoken.twin.values import Constant, Fact

from .conftest import Bench

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_a_sound_twin(bench: Bench) -> None:
    twin = bench.sound()
    assert (twin.name, twin.title) == ("demo", "demo")
    assert twin.start == parse_date("2026-01-01")
    assert twin.end == twin.start + 365.25 * 86400  # pint's Julian year
    assert twin.as_of == parse_date("2026-03-01")  # all that the library knows
    assert twin.seed == 1
    network = twin.rooms["supply"]["main"]
    assert isinstance(network, Network)
    assert network.items["rack"].value == Fact("rack.price")
    assert network.operations["assemble"].yield_ == Constant(0.95)
    rate = network.resources["line"].capacity
    assert isinstance(rate, Constant)
    assert rate.value == pytest.approx(10 / 604800)
    assert twin.place("supply.main.resources.line.capacity").line == 19


def test_a_file_loads_like_its_folder(bench: Bench) -> None:
    assert bench.sound().hash == bench.load("twin.yaml").hash  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "yield: 0.95",
            "yeild: 0.95",
            "twin.yaml:25: error: unknown key 'yeild' (hint: did you mean 'yield'?)",
        ),
        (
            "capacity: 10 rack/week",
            "capacity: 10 kg",
            "twin.yaml:19: error: capacity: kg does not fit: expected a rate",
        ),
        (
            "capacity: 10 rack/week",
            "capacity: -10 rack/week",
            "twin.yaml:19: error: capacity: -10 rack/week is out of range: must be >= 0",
        ),
        ("capacity: 10 rack/week", "capacity: 10", "the unit is missing"),
        ("capacity: 10 rack/week", "capacity: 10 rak/week", "unknown unit 'rak/week'"),
        ("capacity: 10 rack/week", "capacity: .nan", "nan is not a finite number"),
        ("capacity: 10 rack/week", "capacity: .inf", "inf is not a finite number"),
        ("capacity: 10 rack/week", "capacity: nan rack/week", "is not a quantity"),
        ("capacity: 10 rack/week", "capacity: 1e400 rack/week", "inf is not a finite number"),
        ("capacity: 10 rack/week", "capacity: true", "True is not a quantity"),
        ("capacity: 10 rack/week", "capacity: [1, 2]", "is not a quantity"),
        ("capacity: 10 rack/week", "capacity:", "None is not a quantity"),
        (
            "capacity: 10 rack/week",
            "capacity: triangular(5, 3, 8) rack/week",
            "the arguments of triangular must ascend",
        ),
        (
            "capacity: 10 rack/week",
            "capacity: {unit: rack/week, 2026-07: 3, 2026-01: 4}",
            "the dates of a series must ascend",
        ),
        (
            "capacity: 10 rack/week",
            "capacity: fact(line.rat)",
            "fact(line.rat) is unknown (hint: did you mean 'line.rate'?)",
        ),
        (
            "capacity: 10 rack/week",
            "capacity: fact(rack.price)",
            "fact(rack.price): MUSD does not fit: expected a rate",
        ),
        ("yield: 0.95", "yield: 0", "yield: 0 is out of range: must be > 0"),
        ("yield: 0.95", "yield: 95", "yield: 95 is out of range: must be <= 1"),
        ("yield: 0.95", "yield: 105 %", "yield: 105 % is out of range: must be <= 1"),
        ("due: 2026-09-01", "due: 2026-02-30", "is not a day of the calendar"),
        ("due: 2026-09-01", "due: soon", "'soon' is not a date"),
        ("due: 2026-09-01", "due: 2 week", "'2 week' is not a date"),
        ("quantity: 100,", "quantity: 0,", "quantity: 0 is out of range: must be > 0"),
        ("        at: hsinchu\n        capacity", "        capacity", "'at' is missing"),
        ("{die: 72}", "72", "consumes: 72 is not a mapping"),
        ("items: [rack], origin: h", "items: rack, origin: h", "items: 'rack' is not a list"),
        ("{country: US}", "{country: 5}", "country: 5 is not text (hint: put it in quotes)"),
        ("start: 2026-01-01", "start: yesterday", "start: 'yesterday' is not a date"),
        ("start: 2026-01-01\n", "", "'start' is missing"),
        ("horizon: 1 year", "horizon: -1 year", "horizon: -1 year is out of range"),
        ("horizon: 1 year", "end: 2025-01-01", "end is not after start"),
        ("horizon: 1 year\n", "", "the twin has no end"),
        ("horizon: 1 year", "horizon: 1 year\nend: 2027", "the end of the twin is given twice"),
        ("horizon: 1 year", "horizn: 1 year\nend: 2027", "did you mean 'horizon'?"),
        ("library: [own]", "library: [owm]", "fact(rack.price) is unknown"),
        ("library: [own]", "library: own", "library: 'own' is not a list"),
        ("supply:\n", "suply:\n", "unknown key 'suply'"),
        ("twin: demo", "twin: demo\nseed: -1", "seed"),
        ("twin: demo", "twin: demo\nreplications: many", "'many' is not a whole number"),
        ("twin: demo", "twin: demo\nimports: [none.yaml]", "none.yaml does not exist"),
        ("twin: demo", "twin: demo\nimports: [twin.yaml]", "imports itself"),
    ],
)
def test_one_thing_wrong(bench: Bench, old: str, new: str, expected: str) -> None:
    bench.edit(old, new)
    assert any(expected in error for error in bench.errors()), bench.findings.as_text()


def test_all_that_is_wrong_is_reported_at_once(bench: Bench) -> None:
    bench.edit("capacity: 10 rack/week", "capacity: 10 kg")
    bench.edit("yield: 0.95", "yield: 2")
    bench.edit("start: 2026-01-01", "start: never")
    bench.edit("lead_time: 1 week", "lead_time: fact(nobody.knows)")
    bench.edit("twin: demo", "twin: demo\ncolour: red")
    bench.append("scenarios:\n  s: {overrides: {supply.main.nothing: 1}}\n")
    bench.write(
        "own/facts_more.csv", "id,value,unit,known_from,confidence,source\nX,1,W,2025,A,b\n"
    )
    assert [error.partition(": error")[0] for error in bench.errors()] == [
        "own/facts_more.csv:2",
        "twin.yaml:2",
        "twin.yaml:3",
        "twin.yaml:20",
        "twin.yaml:26",
        "twin.yaml:29",
        "twin.yaml:35",
    ]


def test_a_missing_file(bench: Bench) -> None:
    findings = Findings()
    assert load_twin(bench.folder / "no.yaml", {}, findings) is None
    assert "it does not exist" in findings.as_text()


def test_imports_are_merged_deeply(bench: Bench) -> None:
    bench.edit("twin: demo", "twin: demo\nimports: [more/sites.yaml]")
    bench.write(
        "more/sites.yaml",
        "imports: [items.yaml]\nsupply: {main: {locations: {dallas: {country: US}}}}\n",
    )
    bench.write("more/items.yaml", "supply: {main: {items: {cable: {value: 5 USD}}}}\n")
    twin = bench.sound()
    network = twin.rooms["supply"]["main"]
    assert isinstance(network, Network)
    assert list(network.locations) == ["hsinchu", "houston", "dallas"]
    assert list(network.items) == ["die", "rack", "cable"]
    assert twin.place("supply.main.items.cable").file.endswith("items.yaml")
    assert twin.place("supply.main.items.die").file.endswith("twin.yaml")


def test_imports_that_conflict_name_both_places(bench: Bench) -> None:
    bench.edit("twin: demo", "twin: demo\nimports: [more.yaml]")
    bench.write("more.yaml", "\nsupply: {main: {items: {die: {value: 5 USD}}}}\n")
    error = bench.error()
    assert error.startswith("more.yaml:2: error: supply.main.items.die.value is given twice")
    assert "twin.yaml:12" in error


def test_imports_in_a_circle(bench: Bench) -> None:
    bench.edit("twin: demo", "twin: demo\nimports: [a.yaml]")
    bench.write("a.yaml", "imports: [b.yaml]\n")
    bench.write("b.yaml", "imports: [a.yaml]\n")
    assert "b.yaml:1: error: a.yaml closes a circle" in bench.error()


def test_a_file_imported_twice_is_read_once(bench: Bench) -> None:
    bench.edit("twin: demo", "twin: demo\nimports: [a.yaml, b.yaml]")
    bench.write("a.yaml", "imports: [c.yaml]\n")
    bench.write("b.yaml", "imports: [c.yaml]\n")
    bench.write("c.yaml", "supply: {main: {items: {cable: {}}}}\n")
    bench.sound()


def test_a_part_stands_for_its_bill_of_materials(bench: Bench) -> None:
    bench.edit("consumes: {die: 72}", "consumes: part(nvl72)")
    bench.write("own/parts/nvl72.yaml", "part: nvl72\nsource: maker\nbom: {die: 72}\n")
    network = bench.sound().rooms["supply"]["main"]
    assert isinstance(network, Network)
    assert network.operations["assemble"].consumes == {"die": Constant(72.0)}


def test_an_unknown_part(bench: Bench) -> None:
    bench.edit("consumes: {die: 72}", "consumes: part(nvl27)")
    bench.write("own/parts/nvl72.yaml", "part: nvl72\nsource: maker\nbom: {die: 72}\n")
    assert bench.error() == (
        "twin.yaml:23: error: part(nvl27) is unknown (hint: did you mean 'nvl72'?)"
    )


def test_an_empirical_distribution_is_read_beside_the_twin(bench: Bench) -> None:
    bench.edit("lead_time: 12 week", "lead_time: 'empirical(lead.csv, weeks) week'")
    bench.write("lead.csv", "weeks\n10\n14\n")
    first = bench.sound()
    bench.write("lead.csv", "weeks\n10\n15\n")
    second = bench.sound()
    assert first.hash != second.hash
    networks = [t.rooms["supply"]["main"] for t in (first, second)]
    assert networks[0] != networks[1]


def test_the_hash_is_that_of_the_content(bench: Bench) -> None:
    first = bench.sound().hash
    bench.append("# a comment\n")
    assert bench.sound().hash == first
    bench.edit("consumes: {die: 72}", 'consumes:   {"die":   72}')
    assert bench.sound().hash == first
    bench.edit("yield: 0.95", "yield: 0.96")
    assert bench.sound().hash != first


def test_the_hash_follows_the_files_that_are_named(tmp_path: Path) -> None:
    # a rule of dispatch that one scenario names, by its function
    folder = Path(shutil.copytree(EXAMPLES / "mini-fab", tmp_path / "fab"))

    def hashes() -> list[str]:
        twin = api.load(folder)
        return [twin.hash, twin.with_scenario("last-buffer-first").hash]

    first = hashes()
    with (folder / "rules.py").open("a") as rules:
        rules.write("# changed\n")
    second = hashes()
    assert second[0] == first[0]
    assert second[1] != first[1]


def test_the_hash_follows_the_parts_that_are_named() -> None:
    # the twin names racks, and these name their accelerators
    twin = api.load(EXAMPLES / "token-factory")
    for fact, follows in (("gb300.bandwidth", True), ("a100_sxm.bandwidth", False)):
        facts = dict(twin.library.facts)
        facts[fact] = tuple(replace(row, value=0.9 * row.value) for row in facts[fact])
        changed = replace(twin, library=Library(facts, twin.library.parts))
        assert (changed.hash != twin.hash) is follows


def test_the_hash_follows_the_facts_that_are_named(bench: Bench) -> None:
    first = bench.sound().hash
    facts = (bench.folder / "own/facts.csv").read_text()
    bench.write("own/facts.csv", facts.replace("line.rate,,20", "line.rate,,21"))
    assert bench.sound().hash == first  # no parameter names it
    bench.write("own/facts.csv", facts.replace("3.4,3.7", "3.4,3.8"))
    assert bench.sound().hash != first
    bench.write("own/facts.csv", facts)
    bench.edit("twin: demo", "twin: demo\nas_of: 2025-06-01")
    assert bench.sound().hash != first


def test_a_fact_that_changes_with_time_cannot_stand_everywhere(bench: Bench) -> None:
    bench.edit("capacity: 10 rack/week", "capacity: fact(line.rate)")
    bench.sound()
    bench.edit("fact(line.rate)", "{unit: rack/week, 2026: fact(line.rate)}")
    assert "fact(line.rate) changes with time, this value cannot" in bench.error()


def test_facts_inside_values_are_checked_with_their_own_unit(bench: Bench) -> None:
    ramp = "{ramp: {start: fact(line.ready), over: 4 week, from: 0 rack/week, to: %s}}"
    bench.edit("capacity: 10 rack/week", f"capacity: {ramp % '9 rack/week'}")
    bench.sound()
    bench.edit("fact(line.ready)", "fact(rack.price)")
    assert "fact(rack.price) is a quantity in MUSD, the slot takes a date" in bench.error()


def test_rooms_need_named_instances(bench: Bench) -> None:
    bench.write("twin.yaml", "twin: d\nstart: 2026\nend: 2027\nsupply: [1]\n")
    assert "supply holds no named instances" in bench.error()
