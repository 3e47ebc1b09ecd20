"""Lines on the command line: what binds and what to change, states, forecasts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.cli.conftest import TWIN as NETWORK
from tests.cli.conftest import call

TWIN = """\
twin: racks
start: 2026-01-05
horizon: 12 week
replications: 40
line:
  floor:
    unit: rack
    report: week
    stations:
      integrate: {servers: 2, time: uniform(10, 14) hour}
      burn_in: {servers: 3, time: 48 hour, buffer: 2, pass: 0.9, on_fail: restart,
                draws: {test_power: 132 kW}, failures: {feed: {mtbf: exponential(200) hour,
                mttr: exponential(10) hour}}}
      pack: {time: 2 hour, buffer: 1}
    budgets: {test_power: 600 kW}
    products: {rack: {releases: {stock: {backlog: 1}}}}
    orders:
      early: {product: rack, lots: 3, due: 2026-01-08, customer: cloud}
      late: {product: rack, lots: 3, release: 2026-02-02, due: 2026-02-09}
      easy: {product: rack, lots: 1, release: 2026-02-02, due: 2026-03-09}
scenarios:
  more: {overrides: {line.floor.stations.burn_in.servers: 4}}
"""
TWIN = TWIN.replace("time: uniform(10, 14) hour", 'time: "uniform(10, 14) hour"')


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "twin.yaml").write_text(TWIN, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_explain_says_what_binds_and_what_to_change(folder: Path) -> None:
    done = call("explain", "twin.yaml", "-n", "12", "--out", "there")
    assert done.exit_code == 0
    # Three slots of 48 h / 0.9 are full; everything else has room.
    assert "burn_in is the limit" in done.stdout
    assert "What to change next" in done.stdout
    assert "burn_in: one more server = +" in done.stdout
    assert "racks a week" in done.stdout
    assert "Test floor" in done.stdout
    assert done.stdout.splitlines()[-1] == f"Report: {folder / 'there' / 'report.html'}"
    assert (folder / "there" / "line_sensitivity.parquet").is_file()
    assert "explain floor, base: changes" in done.stderr


def test_explain_as_json_and_by_scenario(folder: Path) -> None:
    done = call("explain", "twin.yaml", "-s", "all", "-n", "12", "--out", "there", "--json")
    assert done.exit_code == 0
    document = json.loads(done.stdout)
    assert document["run"]["engines"] == ["plan", "explain"]
    steps = {
        (row["scenario"], row["name"], row["parameter"]): row
        for row in document["line_sensitivity"]
    }
    # One slot more is worth 168 / 48 x 0.9 = 3.15 racks a week, less what its breakdowns take.
    gain = steps["base", "burn_in", "servers"]
    assert gain["sure"]
    assert 2.2 < gain["throughput"] < 3.6
    assert {key[0] for key in steps} == {"base", "more"}
    floor = [row for row in document["line_test_floor"] if row["station"] == "burn_in"]
    for row in floor:
        assert row["slots"] == pytest.approx(row["slots_law"], rel=0.08)
    assert Path(document["report"]).is_file()


def test_explain_of_a_network_is_its_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = NETWORK.replace("capacity: triangular(10, 20, 25) rack/week", "capacity: 10 rack/week")
    (tmp_path / "twin.yaml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    done = call("explain", "twin.yaml", "--out", "there")
    assert done.exit_code == 0
    assert "assemble at houston binds" in done.stdout


def save(*more: str) -> None:
    done = call("simulate", "twin.yaml", "--until", "2026-02-02", "--save", "state.npz", *more)
    assert done.exit_code == 0, done.output


def test_a_state_is_saved_and_forecast_from(folder: Path) -> None:
    save()
    assert (folder / "state.npz").is_file()
    done = call(
        *("simulate", "twin.yaml", "--from", "state.npz", "--until", "2026-02-23"),
        *("-n", "200", "--out", "there", "--json"),
    )
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["run"]["engines"] == ["forecast"]
    assert document["run"]["replications"] == 200
    made = [r for r in document["forecast"] if (r["metric"], r["lot_class"]) == ("finished", "all")]
    assert [row["period"] for row in made] == [f"2026-02-{day:02} 00:00" for day in (2, 9, 16)]
    assert made[-1]["end"] == "2026-02-23 00:00"
    for row in made:
        assert row["p5"] <= row["p10"] <= row["p50"] <= row["p90"] <= row["p95"]
    # Three slots of 48 h / 0.9 that are down a twentieth of the time make 8.9 racks a week.
    assert 6.5 < np.mean([row["mean"] for row in made[1:]]) < 11
    orders = {row["order"]: row for row in document["orders"]}
    assert orders["early"]["complete"] == 1  # long ago, and known to be
    assert orders["early"]["p10"] == orders["early"]["p90"] <= "2026-02-02"
    assert orders["easy"]["on_time"] == 1
    # Integration, burn-in and packing take 2.6 days at least; the backlog goes first.
    assert orders["late"]["on_time"] < 1
    assert orders["easy"]["p10"] >= "2026-02-04"


def test_a_forecast_is_printed(folder: Path) -> None:
    save("--seed", "7")
    done = call("simulate", "twin.yaml", "--from", "state.npz", "-n", "50", "--out", "there")
    assert done.exit_code == 0
    assert "rack finished by period, 50 futures from 2026-02-02 00:00" in done.stdout
    assert "in all until 2026-03-30 00:00: P10" in done.stdout
    assert "Orders, the least sure first" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("Report: ")


def test_saving_says_where(folder: Path) -> None:
    done = call("simulate", "twin.yaml", "--until", "2026-02-02", "--save", "state.npz")
    assert done.stdout == f"State:  {folder / 'state.npz'}\n"
    done = call("simulate", "twin.yaml", "--until", "2026-02-02", "--save", "state.npz", "--json")
    assert json.loads(done.stdout)["state"] == str(folder / "state.npz")


STATE = ("simulate", "twin.yaml", "--until", "2026-02-02")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (STATE, "--until goes with --save FILE or --from FILE"),
        (("simulate", "twin.yaml", "--save", "a.npz"), "--save needs --until DATE"),
        ((*STATE, "--save", "a.npz", "-n", "5"), "--replications does not go with --save"),
        ((*STATE, "--save", "a.npz", "--from", "b.npz"), "--from does not go with --save"),
        ((*STATE, "--save", "a.npz", "-s", "base", "-s", "more"), "belongs to one scenario"),
        ((*STATE, "--save", "a.npz", "-s", "all"), "belongs to one scenario"),
        ((*STATE, "--save", "a.npz", "-s", "moer"), "unknown scenario 'moer'"),
        ((*STATE, "--save", "nowhere/a.npz"), "cannot write the snapshot nowhere/a.npz"),
        ((*STATE, "--from", "nowhere.npz"), "there is no snapshot nowhere.npz"),
        ((*STATE[:2], "--until", "soon", "--save", "a.npz"), "--until: 'soon' is not a date"),
        ((*STATE[:2], "--until", "2025-01-01", "--save", "a.npz"), "outside of the twin's time"),
        ((*STATE[:2], "--until", "2026-03-31", "--save", "a.npz"), "2026-01-06 to 2026-03-30"),
    ],
)
def test_wrong_usage_ends_with_2(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    done = call(*arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stdout == ""
    assert [path.name for path in folder.iterdir()] == ["twin.yaml"]


def test_a_forecast_must_end_after_it_begins(folder: Path) -> None:
    save()
    done = call("simulate", "twin.yaml", "--from", "state.npz", "--until", "2026-02-01")
    assert done.exit_code == 2
    assert "the state in state.npz is of 2026-02-02" in done.stderr


def test_a_state_of_another_line_is_a_finding(folder: Path) -> None:
    save()
    text = TWIN.replace("      pack: {time: 2 hour, buffer: 1}\n", "")
    (folder / "twin.yaml").write_text(text, encoding="utf-8")
    done = call("simulate", "twin.yaml", "--from", "state.npz", "--out", "there")
    assert done.exit_code == 1
    assert done.stderr.startswith("state.npz: error: cannot start from state.npz, it belongs to")
    assert done.stderr.splitlines()[-1] == "firsttoken: 1 error"
    assert not (folder / "there").exists()


def test_what_is_no_state_is_a_finding(folder: Path) -> None:
    (folder / "state.npz").write_text("no state\n", encoding="utf-8")
    done = call("simulate", "twin.yaml", "--from", "state.npz", "--out", "there")
    assert done.exit_code == 1
    assert "it is not a snapshot" in done.stderr
    assert not (folder / "there").exists()


def test_a_twin_without_lines_has_no_states(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "twin.yaml").write_text(NETWORK, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    done = call("simulate", "twin.yaml", "--until", "2026-02-02", "--save", "a.npz")
    assert done.exit_code == 2
    assert "small has no line" in done.stderr


def test_what_is_wrong_with_the_twin_is_said_first(folder: Path) -> None:
    (folder / "twin.yaml").write_text(TWIN.replace("servers: 3", "severs: 3"), encoding="utf-8")
    done = call("simulate", "twin.yaml", "--until", "2026-02-02", "--save", "a.npz")
    assert done.exit_code == 1
    assert "twin.yaml:11: error: " in done.stderr
    assert not (folder / "a.npz").exists()


IN_ALL = ("finished_in_all", "all")


def test_scenarios_may_go_on_from_a_state_of_the_same_line(folder: Path) -> None:
    # The state is that of the base; from then on the budget is another: a question to ask.
    text = TWIN + "  dark: {overrides: {line.floor.budgets.test_power: 140 kW}}\n"
    (folder / "twin.yaml").write_text(text, encoding="utf-8")
    save()
    made = {}
    for scenario in ("base", "dark"):
        done = call(
            *("simulate", "twin.yaml", "--from", "state.npz", "-s", scenario),
            *("-n", "50", "--out", scenario, "--json"),
        )
        assert done.exit_code == 0, done.output
        rows = json.loads(done.stdout)["forecast"]
        whole = [r["mean"] for r in rows if (r["metric"], r["lot_class"]) == IN_ALL]
        made[scenario] = whole[-1]
    # One slot of three can work on.
    assert made["dark"] < 0.6 * made["base"]
