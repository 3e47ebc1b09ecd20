"""AutoSched-style tables as a line: a small fab, every rule of the reading, the real testbed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from firsttoken.line.autosched import read_autosched_tables
from firsttoken.twin.findings import Findings, Place
from firsttoken.twin.source import SourceMap
from firsttoken.twin.tables import read_tables

TESTBED = Path(__file__).parents[3] / "shared" / "data" / "smt2020"

TABLES = {
    "tool.txt.1l": """
STNFAM STN RULE FWLRANK WAKERESRANK BATCHCRITF BATCHPER LTIME LTUNITS ULTIME ULTUNITS STNCAP \
STNQTY STNGRP STNFAMLOC PRERULERWL SETUPGRP
furnace f rule_HotLotFIRST rank_HP;rank_RSETUP;rank_FIFO - crit_sameroutestep piece 1.0 min 1.0 \
min - 2.0 Hot Fab no -
bench b rule_HotLotFIRST rank_HP;rank_RSETUP;rank_FIFO - - - 1.0 min 1.0 min 2.0 1.0 Wet Fab no -
gun g rule_LSSU rank_HP;rank_RSETUP;rank_FIFO wake_LeastSetupTime - - 0 min 0.0 min - 3 Gun Fab \
no Gas
track t rule_HotLotFIRST rank_HP;rank_RSETUP;rank_FIFO wake_LeastSetupTime - - - - - - - 4 Gun \
Fab no -
wait w rule_HotLotFIRST rank_HP;rank_FIFO - - - 0.0 min 0.0 min - 100 Wait Delay no -
""",
    "part.txt": "PART PARTFAM ROUTEFILE ROUTE\nchip family route_1.txt r_1\n",
    "route_1.txt": """
ROUTE STEP STNFAM PDIST PTIME PTIME2 PTUNITS PTPER BATCHMN BATCHMX SETUP WHEN STIME STUNITS \
SVESTN FORSTEP BatchInterval BatchIntUnits PartInterval PartIntUnits RWKSTEP REWORK RWKTYPE \
StepPercent STEP_CQT CQT CQTUNITS
r_1 1 furnace uniform 500 25 min per_batch 50 100 - - - - - - - - - - - - - - 2 4 hr
r_1 2 bench constant 0.8 - min per_piece - - - - - - - - - - 0.6 min - - - - - - -
r_1 3 gun uniform 30 1.5 min per_lot - - gas_a need - - - - - - - - - - - - - - -
r_1 4 wait constant 2 - hr per_lot - - - - - - - - - - - - - - - - - - -
r_1 5 track constant 20 - min per_lot - - mask need 8 min yes 7 - - - - - - - - - - -
r_1 6 bench constant 0.8 - min per_piece - - - - - - - - - - 0.6 min 5 1.7 lot 50 - - -
r_1 7 track constant 20 - min per_lot - - - - - - - - - - - - - - - - - - -
""",
    "setup.txt": "CURSETUP NEWSETUP STIME STUNITS\n- gas_a 72 min\ngas_a gas_b 60 min\n",
    "setupgrp.txt": "SETUPGRP SETUP MINRUN\nGas gas_a 7\n- gas_b 7\n",
    "downcal.txt": (
        "DOWNCALNAME DOWNCALTYPE MTTFDIST MTTF MTTFUNITS MTTRDIST MTTR MTTRUNITS\n"
        "break mttf_by_cal exponential 10080 min exponential 35.28 min\n"
    ),
    "pmcal.txt": (
        "PMCALNAME PMCALTYPE MTBPM MTBPMUNITS MTTRDIST MTTR MTTR2 MTTRUNITS\n"
        "monthly mtbpm_by_cal 30 day uniform 13.76 2.75 hr\n"
        "count mtbpm_by_pieces 2500 pieces uniform 8 2 hr\n"
    ),
    "attach.txt": (
        "CALNAME CALTYPE RESTYPE RESNAME FOADIST FOA FOAUNITS\n"
        "break down stngrp Gun exponential 10080 min\n"
        "monthly pm stnfam bench constant 27.3 day\n"
        "count pm stnfam gun constant 2100 -\n"
    ),
    "fromto.txt": "FROMLOC TOLOC DDIST DTIME DTIME2 DUNITS\nFab Fab uniform 7.5 2.5 min\n",
    "order.txt": (
        "LOT|PART|PRIOR|PIECES|START|RDIST|REPEAT|RUNITS|RPT#|LOTSPERRPT|DUE|HOTLOT\n"
        "Lot|chip|10|25|01/02/18 00:00:00|constant|51.69|min|200|2|01/12/18 12:00:00|no\n"
        "Hot|chip|20|25|01/01/18 00:00:00|constant|2016|min|20|1|01/06/18 00:00:00|no\n"
        "Once|chip|20|25|01/03/18 00:00:00|-|-|-|-|-|01/06/18 00:00:00|no\n"
    ),
    "WIP.txt": (
        "LOT|PART|PRIOR|PIECES|START|CURSTEP|DUE|ORDER|HOTLOT|TRACE\n"
        "Init_1|chip|20|25|01/01/18 00:00:00|4|01/02/18 06:19:32|O_Init_WIP\n"
    ),
}


def tabbed(text: str) -> str:
    """A readable table, tab-separated: blanks (or bars) separate, `-` is a blank cell."""
    lines = text.strip().splitlines()
    return "".join(
        "\t".join("" if cell == "-" else cell for cell in line.split("|" if "|" in line else None))
        + "\n"
        for line in lines
    )


def read(folder: Path, **changed: str) -> tuple[dict[str, Any], SourceMap, list[str]]:
    """The small fab with some texts replaced: name of the file without suffix, `old=>new`."""
    for name, text in TABLES.items():
        stem = name.split(".")[0].lower()
        for pair in filter(None, changed.get(stem, "").split(";;")):
            old, new = pair.split("=>")
            assert old in text, old
            text = text.replace(old, new)
        (folder / name).write_text(tabbed(text))
    findings = Findings()
    data, sources = read_autosched_tables(read_tables(folder, findings), findings)
    return data, sources, [str(finding).replace(f"{folder}/", "") for finding in findings]


def steps(data: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Steps by name."""
    return {step["name"]: step for step in data["products"]["chip"]["route"]}


def test_a_small_fab_reads_without_an_error(tmp_path: Path) -> None:
    from firsttoken.line.model import Line
    from firsttoken.twin.validation import validate

    data, sources, problems = read(tmp_path)
    assert [problem for problem in problems if "error" in problem] == []
    findings = Findings()
    line = validate(Line, data, ("line", "fab"), sources, findings)
    assert isinstance(line, Line), [str(finding) for finding in findings]
    assert line.stations["furnace"].servers is not None


def test_tools(tmp_path: Path) -> None:
    stations = read(tmp_path)[0]["stations"]
    assert stations["furnace"] == {"servers": 2, "load": "1 min", "unload": "1 min"}
    assert stations["wait"] == {"servers": 100}
    # rank_RSETUP ranks by the set-up table; `mask` has its time in the route, `gas_a` has not.
    assert stations["gun"]["dispatch"] == "setup"
    assert "dispatch" not in stations["track"]
    assert stations["gun"]["setups"] == [{"to": "gas_a", "time": "72 min"}]
    assert stations["track"]["setups"] == [{"to": "mask", "time": "8 min"}]
    assert stations["gun"]["min_run"] == {"gas_a": 7}


def test_steps(tmp_path: Path) -> None:
    found = steps(read(tmp_path)[0])
    assert found["1"]["batch"] == {"minimum": 50, "maximum": 100}
    assert found["1"]["time"] == "uniform(475, 525) min"
    assert found["2"] | {"name": ""} == {
        "name": "",
        "station": "bench",
        "time": "0.8 min",
        "per": "piece",
        "interval": "0.6 min",
        "interval_per": "piece",
        "transport": "uniform(5, 10) min",
        "queue_limit": {"after": "1", "within": "4 hour"},
    }
    assert found["3"]["setup"] == "gas_a"
    assert found["6"]["share"] == 0.5
    assert found["6"]["then"] == {"5": 0.017}
    assert found["7"]["same_tool"] == "5"


def test_moves_to_and_from_a_place_without_times_take_none(tmp_path: Path) -> None:
    found = steps(read(tmp_path)[0])
    assert [name for name, step in found.items() if "transport" in step] == ["2", "3", "6", "7"]


def test_calendars(tmp_path: Path) -> None:
    stations = read(tmp_path)[0]["stations"]
    broken = {
        "mtbf": "exponential(10080) min",
        "mttr": "exponential(35.28) min",
        "first": "exponential(10080) min",
    }
    assert stations["gun"]["failures"] == stations["track"]["failures"] == {"break": broken}
    assert stations["bench"]["maintenance"]["monthly"] == {
        "every": "30 day",
        "takes": "uniform(11.01, 16.51) hour",
        "first": "27.3 day",
        "stagger": True,
        "alone": False,
    }
    assert stations["gun"]["maintenance"]["count"] == {
        "every_pieces": 2500,
        "takes": "uniform(6, 10) hour",
        "first_pieces": 2100.0,
        "stagger": True,
        "alone": False,
    }


def test_releases_orders_and_initial_lots(tmp_path: Path) -> None:
    data, sources, _ = read(tmp_path)
    chip = data["products"]["chip"]
    assert chip["pieces"] == 25
    assert chip["releases"]["Lot"] == {
        "every": "51.69 min",
        "lots": 2,
        "limit": 400,
        "first": "1440 min",  # a day after the earliest START
        "priority": 10.0,
        "due": "15120 min",
    }
    assert data["orders"]["Once"]["release"] == "2018-01-03 00:00:00"
    lot = {"product": "chip", "step": "4", "priority": 20.0, "due": "2018-01-02 06:19:32"}
    assert data["wip"] == [lot | {"lot_class": "Hot"}]
    assert sources.place(("wip", 0)) == Place(str(tmp_path / "WIP.txt"), 2)
    assert sources.place(("products", "chip", "route", 2)).line == 4
    assert sources.place(("stations", "gun")).line == 4


@pytest.mark.parametrize(
    ("table", "change", "message"),
    [
        ("tool", "rule_LSSU=>rule_Best", "tool.txt.1l:4: error: RULE 'rule_Best' cannot be"),
        ("tool", "rank_HP;rank_FIFO=>rank_FIFO", "wait: FWLRANK begins with 'rank_FIFO'"),
        ("tool", "rank_HP;rank_FIFO=>rank_HP;rank_FIFI", "FWLRANK 'rank_FIFI' cannot be"),
        ("tool", "rank_HP;rank_FIFO=>rank_HP;rank_RSETUP;rank_CR", "rank_RSETUP and then rank_CR"),
        ("tool", "2.0 1.0 Wet=>3.0 1.0 Wet", "tool.txt.1l:3: error: STNCAP 3 cannot be expressed"),
        ("tool", "2.0 1.0 Wet=>- 1.0 Wet", "route_1.txt:3: error: bench: an interval needs STNCAP"),
        ("tool", "min - 3 Gun=>min - 2.5 Gun", "STNQTY '2.5' is not a whole number"),
        ("tool", "no Gas=>no -", "rule_LSSU needs a SETUPGRP"),
        ("tool", "track t=>gun t", "station family 'gun' stands twice"),
        ("tool", "crit_sameroutestep piece=>- -", "PTPER per_batch, BATCHMX and BATCHCRITF"),
        ("part", "route_1.txt=>route_2.txt", "part.txt:2: error: ROUTEFILE 'route_2.txt' is not"),
        ("part", "r_1=>r_9", "the table has no step of route 'r_9'"),
        ("route_1", "r_1 3 gun=>r_1 3 gum", "station family 'gum' is not in table tool"),
        ("route_1", "r_1 3 gun=>r_1 2 gun", "STEP '2' stands twice"),
        ("route_1", "uniform 500 25=>normal 500 25", "distribution 'normal' cannot be expressed"),
        ("route_1", "uniform 500 25=>uniform 500 600", "PTIME2 600 is more than PTIME 500"),
        ("route_1", "uniform 500=>uniform nan", "PTIME 'nan' is not a number"),
        ("route_1", "500 25 min=>500 25 fortnight", "PTUNITS 'fortnight' is no unit of time"),
        ("route_1", "50 100=>150 100", "BATCHMN 150 is more than BATCHMX 100"),
        ("route_1", "5 1.7 lot=>7 1.7 lot", "RWKSTEP '7' is not before this step"),
        ("route_1", "5 1.7 lot=>x 1.7 lot", "RWKSTEP 'x' is no step"),
        ("route_1", "lot 50=>lot 150", "STEPPERCENT 150 is more than 100"),
        ("route_1", "yes 7=>yes 5", "FORSTEP '5' is not after this step"),
        ("route_1", "gas_a need=>gas_a always", "WHEN 'always' cannot be expressed"),
        ("setup", "- gas_a 72=>- gas_a -1", "setup.txt:2: error: STIME '-1' is not a number of at"),
        ("pmcal", "mtbpm_by_cal=>mtbpm_by_moon", "PMCALTYPE 'mtbpm_by_moon' cannot be expressed"),
        (
            "attach",
            "stnfam bench=>stnfam bunch",
            "attach.txt:3: error: RESNAME 'bunch' is no STNFAM",
        ),
        ("attach", "break down=>brake down", "calendar 'brake' is unknown"),
        ("fromto", "Fab Fab=>Fab Lab", "location 'Lab' has no tools"),
        ("order", "Hot|chip=>Hot|chop", "order.txt:3: error: part 'chop' is not in table part"),
        ("order", "20|1|01/06/18=>20|1|99/06/18", "DUE '99/06/18 00:00:00' is not a date"),
        ("order", "01/06/18 00:00:00|no\nOnce=>01/06/18 00:00:00|yes\nOnce", "HOTLOT 'yes' cannot"),
        ("order", "20|25|01/01=>20|24|01/01", "a lot of 24 pieces, other lots of chip have 25"),
        ("wip", "00:00:00|4=>00:00:00|44", "WIP.txt:2: error: CURSTEP '44' is no step of chip"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(
    tmp_path: Path, table: str, change: str, message: str
) -> None:
    problems = read(tmp_path, **{table: change})[2]
    assert any(message in problem for problem in problems), problems


def test_nothing_is_dropped_in_silence(tmp_path: Path) -> None:
    (tmp_path / "yield.txt").write_text("STEP\tYIELD\n1\t99\n")
    changed = {"part": "PART PARTFAM=>PART COLOUR"}
    problems = read(tmp_path, **changed)[2]
    assert any("column 'COLOUR' is not used" in problem for problem in problems)
    assert any("table yield is not used" in problem for problem in problems)
    assert any("set-up 'gas_b' is used by no step" in problem for problem in problems)


def test_needed_tables_and_columns(tmp_path: Path) -> None:
    (tmp_path / "setup.txt").write_text("CURSETUP\tSTIME\na\t1\n")
    findings = Findings()
    read_autosched_tables(read_tables(tmp_path, findings), findings)
    said = [str(finding) for finding in findings]
    assert any("table tool is missing" in one for one in said)
    assert any("column NEWSETUP is missing" in one for one in said)


def test_comments_and_continued_rows(tmp_path: Path) -> None:
    ranks = "rank_HP;rank_FIFO - - - 0.0=>rank_HP - - - 0.0"
    more = "no -\nwait=>no ~old\nwait"
    data, _, problems = read(tmp_path, tool=f"{ranks};;{more}")
    assert [problem for problem in problems if "error" in problem] == []
    text = (tmp_path / "tool.txt.1l").read_text() + "\t\t\trank_FIFO\n~\tno tool\n"
    (tmp_path / "tool.txt.1l").write_text(text)
    findings = Findings()
    again, _ = read_autosched_tables(read_tables(tmp_path, findings), findings)
    assert again["stations"].keys() == data["stations"].keys()


@pytest.fixture(scope="module")
def testbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of SMT2020 dataset 1, which are not part of this repository."""
    import tarfile

    packed = TESTBED / "SMT2020_HVLM.tar.xz"
    if not packed.is_file():
        pytest.skip("the SMT2020 tables are not there")
    folder = tmp_path_factory.mktemp("smt2020")
    with tarfile.open(packed) as archive:
        archive.extractall(folder, filter="data")
    return folder / "SMT2020_HVLM"


def test_the_testbed_reads_as_its_authors_describe_it(testbed: Path) -> None:
    # Counts: Kopp et al. 2020, doi 10.1109/TSM.2020.3001933, table I and section III (dataset 1).
    findings = Findings()
    data, _ = read_autosched_tables(read_tables(testbed, findings), findings)
    assert [str(finding) for finding in findings if finding.severity != "note"] == []
    stations, products = data["stations"], data["products"]
    assert len(stations) == 106
    assert sum(s["servers"] for name, s in stations.items() if name != "Delay_32") == 1043
    assert {name: len(p["route"]) for name, p in products.items()} == {"part_3": 583, "part_4": 343}
    assert [p["pieces"] for p in products.values()] == [25, 25]
    assert sum(len(s.get("maintenance", ())) for s in stations.values()) == 292
    assert sum("failures" in s for s in stations.values()) == 105
    assert sum("same_tool" in step for p in products.values() for step in p["route"]) == 18
    batches = {s["station"] for p in products.values() for s in p["route"] if "batch" in s}
    assert len(batches) == 10
    assert len(data["wip"]) == 2255
    assert data["wip"][0]["lot_class"] == "Lot_3"
