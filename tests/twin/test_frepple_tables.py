"""FrePPLe's tables as a supply network: its own workbooks and every rule of the reading."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from firsttoken.supply.model import Network
from firsttoken.twin.dates import parse_date
from firsttoken.twin.values import Constant, Distribution, Series, Value

from .conftest import Bench

HEAD = "twin: tables\nstart: 2026-01-01\nhorizon: 1 year\nsupply: {main: {tables: tables}}\n"
TABLES = {
    "item": "name,cost\nwheel,20\nbike,300\n",
    "location": "name,country\nplant,NL\n",
    "operation": (
        "name,type,item,location,duration,duration per,sizemultiple,cost\n"
        "assemble,time_per,bike,plant,1 12:00:00,01:30:00,5,12.5\n"
    ),
    "operation material": "operation,item,quantity\nassemble,wheel,-2\n",
    "resource": "name,type,maximum,efficiency,location,cost\nbench,default,3,80,plant,40\n",
    "operation resource": "operation,resource,quantity\nassemble,bench,2\n",
    "supplier": "name,country\nrims,BE\n",
    "item supplier": "supplier,item,location,lead time,cost\nrims,wheel,plant,14 day,20\n",
    "buffer": "item,location,onhand,minimum\nwheel,plant,40,10\n",
    "demand": "name,item,location,due,quantity,priority\norder,bike,plant,2026-06-01,25,2\n",
}


@pytest.fixture
def tables(bench: Bench) -> Bench:
    bench.write("twin.yaml", HEAD)
    for name, text in TABLES.items():
        bench.write(f"tables/{name}.csv", text)
    return bench


def network(bench: Bench) -> Network:
    found = bench.sound().rooms["supply"]["main"]
    assert isinstance(found, Network)
    return found


def number(value: Value | None) -> float:
    assert isinstance(value, Constant)
    return value.value


def test_tables_are_a_network(tables: Bench) -> None:
    net = network(tables)
    assemble = net.operations["assemble"]
    assert number(assemble.lead_time) == 1.5 * 86400
    assert {k: number(v) for k, v in assemble.consumes.items()} == {"wheel": 2}
    # FrePPLe: an operation with an item and no producing material makes one of it.
    assert {k: number(v) for k, v in assemble.produces.items()} == {"bike": 1}
    assert number(assemble.lot_multiple) == 5
    # 2 units of the resource for 1.5 h each; 40 an hour for each unit.
    assert number(assemble.uses["bench"]) == 2 * 5400
    assert number(assemble.cost) == pytest.approx(12.5 + 2 * 1.5 * 40)
    assert assemble.capacity is None
    assert number(net.resources["bench"].capacity) == 3
    assert number(net.resources["bench"].efficiency) == pytest.approx(0.8)
    assert number(net.items["bike"].value) == 300
    purchase = net.purchases["wheel @ plant from rims"]
    assert number(purchase.lead_time) == 14 * 86400
    assert number(net.buffers["wheel @ plant"].onhand) == 40
    demand = net.demands["order"]
    assert (demand.priority, number(demand.quantity)) == (2, 25)
    assert number(demand.due) == parse_date("2026-06-01")
    twin = tables.sound()
    assert str(twin.place("supply.main.operations.assemble.uses.bench")).endswith(
        "operation resource.csv:2"
    )


def test_without_a_resource_the_operation_has_its_own_capacity(tables: Bench) -> None:
    (tables.folder / "tables/operation resource.csv").unlink()
    assert number(network(tables).operations["assemble"].capacity) == pytest.approx(1 / 5400)


def test_ranges_stand_in_joined_columns(tables: Bench) -> None:
    tables.write(
        "tables/item supplier.csv",
        "supplier,item,location,lead time,lead_time_low,leadtime_high,lead_time_dist,"
        "lead_time_source,lead_time_asof,cost,cost_low,cost_high\n"
        "rims,wheel,plant,864000,5 00:00:00,30 day,beta_pert,a survey,2025-03-01,20,18,25\n",
    )
    purchase = network(tables).purchases["wheel @ plant from rims"]
    assert isinstance(purchase.lead_time, Distribution)
    assert purchase.lead_time.kind == "beta_pert"
    assert purchase.lead_time.args[:3] == (5 * 86400, 10 * 86400, 30 * 86400)
    assert purchase.lead_time.provenance is not None
    assert purchase.lead_time.provenance.source == "a survey"
    assert purchase.lead_time.provenance.known_from == "2025-03-01"
    assert isinstance(purchase.cost, Distribution)
    assert purchase.cost.args == (18, 20, 25)


def test_ranges_of_what_is_consumed_keep_their_order(tables: Bench) -> None:
    tables.write(
        "tables/operation material.csv",
        "operation,item,quantity,quantity_low,quantity_high\nassemble,wheel,-2.1,-2.5,-2\n",
    )
    used = network(tables).operations["assemble"].consumes["wheel"]
    assert isinstance(used, Distribution)
    assert used.args == (2, 2.1, 2.5)


def test_cells_may_hold_what_yaml_may(tables: Bench) -> None:
    tables.write(
        "tables/buffer.csv", 'item,location,onhand\nwheel,plant,"triangular(10, 20, 60) piece"\n'
    )
    assert isinstance(network(tables).buffers["wheel @ plant"].onhand, Distribution)


def test_working_hours_are_a_share_of_the_week(tables: Bench) -> None:
    tables.write("tables/location.csv", "name,country,available\nplant,NL,days\n")
    tables.write("tables/calendar.csv", "name,default value\ndays,0\n")
    tables.write(
        "tables/calendar bucket.csv",
        "calendar,start date,end date,value,priority,saturday,sunday,start time,end time\n"
        "days,2026-07-01,2026-08-01,0,0,true,true,,\n"
        "days,,,1,1,false,false,09:00:00,16:59:59\n",
    )
    calendar = network(tables).calendars["days"]
    # The lower priority number wins in frePPLe, the last bucket in a network.
    assert [number(b.value) for b in calendar.buckets] == [pytest.approx(5 * 8 / 168), 0]
    assert number(calendar.default) == 0


def test_a_maximum_calendar_of_buckets(tables: Bench) -> None:
    tables.write(
        "tables/resource.csv", "name,type,maximum calendar,location\nbench,buckets,cap,plant\n"
    )
    tables.write("tables/calendar.csv", "name,default value\ncap,0\n")
    tables.write(
        "tables/calendar bucket.csv",
        "calendar,start date,end date,value\n"
        "cap,2026-01-05,2026-01-12,70\ncap,2026-01-12,2026-01-19,140\n",
    )
    net = network(tables)
    series = net.resources["bench"].capacity
    assert isinstance(series, Series)
    levels = [number(level) * 604800 for _, level in series.knots]  # type: ignore[arg-type]
    assert levels == pytest.approx([0, 70, 140, 0])
    assert not net.calendars
    # Units of a bucket, not seconds.
    assert number(net.operations["assemble"].uses["bench"]) == 2


@pytest.mark.parametrize(
    ("table", "old", "new", "message"),
    [
        ("item", "name,cost", "name,cots", "item.csv:1: error: table item: unknown column 'cots'"),
        ("item", "name,cost", "nam,cost", "table item has no column 'name'"),
        ("item", "bike,300", "wheel,300", "item.csv:3: error: table item: 'wheel' stands twice"),
        ("item", "bike,300", "bike,-300", "item.csv:3: error: value: -300 USD is out of range"),
        ("item", "bike,300", "bike,nan", "item.csv:3: error: value: 'nan USD' is not a quantity"),
        ("item", "bike,300", ",300", "item.csv:3: error: table item: the name is missing"),
        ("operation", "01:30:00", "1 kg", "quantity and duration on a resource must be numbers"),
        ("operation", "1 12:00:00", "2 kg", "operation.csv:2: error: lead_time: kg does not fit"),
        ("operation", "time_per", "routing", "operation type 'routing' cannot be expressed"),
        ("operation", ",plant,1", ",,1", "operation.csv:2: error: 'at' is missing"),
        ("operation material", ",-2", ",", "the quantity of 'wheel' is missing"),
        (
            "operation material",
            "assemble,wheel",
            "asemble,wheel",
            "operation material.csv:2: error: operation 'asemble' is not in table operation "
            "(hint: did you mean 'assemble'?)",
        ),
        ("operation resource", "bench", "bank", "resource 'bank' is not in table resource"),
        ("resource", "default,3", "buckets,3", "needs a maximum calendar"),
        ("resource", "default,3", "magic,3", "resource type 'magic' cannot be expressed"),
        ("demand", "2026-06-01", "2026-06-31", "demand.csv:2: error: due: '2026-06-31' is not a"),
        ("demand", ",25,2", ",25,high", "priority: 'high' is not a whole number"),
        ("demand", ",25,2", ",0,2", "quantity: 0 is out of range: must be > 0"),
        ("item supplier", "wheel,plant", "saddle,", "bought for any location, but none needs it"),
        ("buffer", ",40,10", ",40 USD,10", "USD does not fit"),
    ],
)
def test_broken_tables(tables: Bench, table: str, old: str, new: str, message: str) -> None:
    assert old in TABLES[table]
    tables.write(f"tables/{table}.csv", TABLES[table].replace(old, new))
    errors = tables.errors()
    assert any(message in error for error in errors), errors


def test_what_the_network_cannot_express_is_an_error(tables: Bench) -> None:
    tables.write("tables/setup matrix.csv", "name\nm\n")
    tables.write("tables/nonsense.csv", "name\nx\n")
    tables.write(
        "tables/operation resource.csv",
        "operation,resource,quantity,skill\nassemble,bench,1,weld\n",
    )
    tables.write("tables/item.csv", "name,category\nwheel,parts\nbike,\n")
    errors = tables.errors()
    assert any("Skill" in e or "skill 'weld' cannot be expressed" in e for e in errors)
    assert any("table setupmatrix cannot be expressed" in e for e in errors)
    assert any("unknown table 'nonsense'" in e for e in errors)
    warnings = [str(f) for f in tables.findings if f.severity == "warning"]
    assert any("column 'category' is not used" in w for w in warnings)


def test_tables_and_yaml_complete_each_other(tables: Bench) -> None:
    tables.write(
        "twin.yaml",
        HEAD.replace("{tables: tables}", "{tables: tables, bucket: month, home: [NL]}"),
    )
    assert network(tables).bucket == "month"
    tables.write(
        "twin.yaml",
        HEAD.replace("{tables: tables}", "{tables: tables, items: {bike: {value: 1 USD}}}"),
    )
    assert "supply.main.items.bike.value is given twice" in tables.error()


@pytest.mark.parametrize("given", ["nowhere", "[a, b]"])
def test_the_name_of_the_tables(tables: Bench, given: str) -> None:
    tables.write("twin.yaml", HEAD.replace("{tables: tables}", f"{{tables: {given}}}"))
    assert any("twin.yaml:4: error: tables:" in error for error in tables.errors())


# FrePPLe's own example workbooks (doc/examples, MIT): what they hold, counted in the files.


def _workbook(bench: Bench, shared_data: Path, name: str) -> None:
    shutil.copy(shared_data / "frepple" / name, bench.folder / name)
    bench.write(
        "twin.yaml", HEAD.replace("2026", "2019").replace("{tables: tables}", f"{{tables: {name}}}")
    )


def test_alternates_as_operations(bench: Bench, shared_data: Path) -> None:
    _workbook(bench, shared_data, "operation-alternate.xlsx")
    net = network(bench)
    new, old = net.operations.values()
    assert (new.priority, old.priority) == (1, 2)
    assert {k: number(v) for k, v in new.consumes.items()} == {"panel": 1, "screws": 10, "leg": 4}
    assert {k: number(v) for k, v in new.uses.items()} == {"new machine": 3600}
    # An hour a table at 100 and at 150 an hour.
    assert (number(new.cost), number(old.cost)) == (100, 150)
    assert net.resources["new machine"].at == "factory"
    assert [number(d.quantity) for d in net.demands.values()] == [250, 250, 250]


def test_supplier_capacity(bench: Bench, shared_data: Path) -> None:
    _workbook(bench, shared_data, "supplier-capacity.xlsx")
    net = network(bench)
    capacity = net.resources["Supply capacity 1"].capacity
    assert isinstance(capacity, Series)
    weekly = [number(level) * 604800 for _, level in capacity.knots]  # type: ignore[arg-type]
    assert weekly == pytest.approx([0] + [100] * (len(weekly) - 2) + [0])
    uses = [number(p.uses["Supply capacity 1"]) for p in net.purchases.values()]
    assert uses == [1, 2, 1]
    assert {number(p.lead_time) for p in net.purchases.values()} == {3 * 86400}


def test_a_demand_that_stands_twice_is_found(bench: Bench, shared_data: Path) -> None:
    _workbook(bench, shared_data, "demand-priorities.xlsx")
    assert "[demand]:11: error: table demand: 'Demand prio 2 due 2019-12-17' stands twice" in (
        bench.error()
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("operation-dependency.xlsx", "table operationdependency cannot be expressed"),
        ("resource-alternate.xlsx", "is a pool of alternates"),
        ("resource-tool.xlsx", "is a step of"),
    ],
)
def test_models_beyond_the_network_are_refused(
    bench: Bench, shared_data: Path, name: str, reason: str
) -> None:
    _workbook(bench, shared_data, name)
    assert any(reason in error for error in bench.errors())
