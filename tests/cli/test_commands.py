"""What the commands print, where, and with which status they end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.conftest import call

from firsttoken.cli_output import figures_of
from firsttoken.results.figures import figure

COMMANDS = ("run", "plan", "simulate", "explain", "check", "compare", "schema", "report")


def test_help_lists_the_commands_with_examples() -> None:
    done = call("--help")
    assert done.exit_code == 0
    assert all(f"  {command} " in done.stdout for command in COMMANDS)
    assert "Examples:" in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_an_example(command: str) -> None:
    done = call(command, "-h")
    assert done.exit_code == 0
    assert f"firsttoken {command} " in done.stdout.partition("Example")[2]


def test_check_of_a_good_twin_says_so(folder: Path) -> None:
    done = call("check", "twin.yaml")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "firsttoken: nothing found\n"


@pytest.fixture
def broken(folder: Path) -> Path:
    text = (folder / "twin.yaml").read_text(encoding="utf-8")
    text = text.replace("value: 3 MUSD", "value: 3 parsec").replace("home:", "hoem:")
    (folder / "broken.yaml").write_text(text, encoding="utf-8")
    return folder / "broken.yaml"


def test_check_reports_every_problem_with_its_line(broken: Path) -> None:
    done = call("check", "broken.yaml")
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert lines[0].startswith("broken.yaml:7: error: ")
    assert "hoem" in lines[0]
    assert lines[1].startswith("broken.yaml:9: error: ")
    assert "parsec" in lines[1]
    assert done.stderr == "firsttoken: 2 errors\n"


def test_check_as_json(broken: Path) -> None:
    done = call("check", "broken.yaml", "--format", "json")
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert [entry["place"]["line"] for entry in found] == [7, 9]
    assert {"what", "why", "hint", "path", "code", "severity"} <= set(found[0])


def test_check_as_sarif_has_what_the_standard_requires(broken: Path) -> None:
    # SARIF 2.1.0 (OASIS, 2020), sections 3.13, 3.14, 3.19, 3.27: the required properties.
    document = json.loads(call("check", "broken.yaml", "--format", "sarif").stdout)
    assert document["version"] == "2.1.0"
    (run,) = document["runs"]
    assert run["tool"]["driver"]["name"] == "firsttoken"
    rules = {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    for result in run["results"]:
        assert result["message"]["text"]
        assert result["ruleId"] in rules
        assert result["level"] in ("error", "warning", "note")
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "broken.yaml"
    assert place["region"]["startLine"] == 7


@pytest.mark.parametrize("command", ["run", "plan", "simulate"])
def test_a_broken_twin_leaves_nothing_behind(broken: Path, command: str) -> None:
    done = call(command, "broken.yaml", "--out", "there")
    assert done.exit_code == 1
    assert done.stdout == ""
    assert "broken.yaml:7: error: " in done.stderr
    assert done.stderr.endswith("firsttoken: 2 errors\n")
    assert not Path("there").exists()


def test_simulate_prints_a_table_and_where_the_report_lies(folder: Path) -> None:
    done = call("simulate", "twin.yaml", "--out", "there")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1] == f"Report: {folder / 'there' / 'report.html'}"
    assert "P10" in done.stdout
    assert (folder / "there" / "report.html").is_file()
    assert (folder / "there" / "run.json").is_file()
    assert "20 of 20" in done.stderr


def test_plan_needs_no_replications(folder: Path) -> None:
    done = call("plan", "twin.yaml", "--out", "there", "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["run"]["engines"] == ["plan"]


def test_plan_prints_what_binds(folder: Path) -> None:
    text = (folder / "twin.yaml").read_text(encoding="utf-8")
    text = text.replace("capacity: triangular(10, 20, 25) rack/week", "capacity: 10 rack/week")
    (folder / "twin.yaml").write_text(text, encoding="utf-8")
    done = call("plan", "twin.yaml", "--out", "there")
    assert done.exit_code == 0
    # 30 racks a week are wanted, 10 a week can be made: the line binds, and nothing else can.
    assert "assemble at houston binds" in done.stdout
    assert "value delivered" in done.stdout


def test_json_is_all_there_is_on_stdout(folder: Path) -> None:
    done = call("run", "twin.yaml", "-s", "all", "-n", "10", "--seed", "3", "-o", "there", "--json")
    assert done.exit_code == 0
    document = json.loads(done.stdout)
    assert document["run"]["seed"] == 3
    assert document["run"]["replications"] == 10
    assert [scenario["name"] for scenario in document["run"]["scenarios"]] == ["base", "half"]
    assert Path(document["report"]).is_file()
    delivered = {
        row["scenario"]: row for row in document["summary"] if row["kpi"] == "delivered.cloud"
    }
    # 26 weeks at 10 racks a week, all started; those of the last 1 to 5 weeks are under way.
    assert 21 * 10 <= delivered["half"]["p50"] <= 25 * 10
    assert delivered["half"]["p50"] < delivered["base"]["p50"]


def test_compare_report_and_schema(folder: Path) -> None:
    assert call("simulate", "twin.yaml", "-s", "all", "-o", "there").exit_code == 0
    done = call("compare", "there")
    assert done.exit_code == 0
    assert "a: small base" in done.stdout
    assert "b: small half" in done.stdout
    one = json.loads(call("compare", "there:base", "there:half", "--json").stdout)
    assert one["paired"] is True
    several = json.loads(call("compare", "there", "--json").stdout)
    assert several == [one]
    done = call("report", "there", "--out", "again.html")
    assert done.stdout == f"Report: {folder / 'again.html'}\n"
    assert "<html" in (folder / "again.html").read_text(encoding="utf-8")


def test_schema_is_a_json_schema() -> None:
    import jsonschema

    schema = json.loads(call("schema").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert {"twin", "start", "supply", "scenarios"} <= set(schema["properties"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("simulate", "twin.yaml", "--replicatons", "3"), "No such option"),
        (("simulate", "twin.yaml", "-n", "0"), "--replications"),
        (("simulate",), "Missing argument"),
        (("simulate", "twin.yaml", "-s", "quater"), "unknown scenario 'quater'"),
        (("compare", "nowhere"), "no run folder nowhere"),
        (("compare", "nowhere:base", "elsewhere"), "no run folder nowhere"),
        (("report", "."), "not a run folder"),
        (("frobnicate",), "No such command"),
    ],
)
def test_wrong_usage_ends_with_2(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    done = call(*arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stdout == ""


def test_what_pushes_without_end_is_warned_of_and_refused(folder: Path) -> None:
    text = (folder / "twin.yaml").read_text(encoding="utf-8")
    text = text.replace("        capacity: triangular(10, 20, 25) rack/week\n", "")
    text = text.partition("scenarios:")[0]
    text = text.replace("    home: [US]\n", "    home: [US]\n    release: push\n")
    (folder / "twin.yaml").write_text(text, encoding="utf-8")
    done = call("check", "twin.yaml")
    assert done.exit_code == 0
    assert done.stdout.startswith("twin.yaml:12: warning: 'assemble' has no limit")
    done = call("simulate", "twin.yaml", "--out", "there")
    assert done.exit_code == 1
    assert "pushed without any limit: assemble" in done.stderr
    assert not Path("there").exists()
    assert call("plan", "twin.yaml", "--out", "there").exit_code == 0


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_missing_twin_is_named(folder: Path, command: str) -> None:
    done = call(command, "nowhere.yaml")
    assert done.exit_code in (1, 2)
    assert "nowhere.yaml" in done.output


def test_a_bundled_example_goes_by_its_name(folder: Path) -> None:
    done = call("check", "us-ai-supercomputers")
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1234567.0, "1,235,000"), (0.98765, "0.9877"), (12.5, "12.50")],
)
def test_figures_have_four_digits(value: float, text: str) -> None:
    assert figure(value) == text


def test_figures_that_are_not_known() -> None:
    assert figure(float("nan")) == "-"


def row(unit: str, *values: float) -> dict[str, object]:
    return {"unit": unit, **dict(zip(("p10", "p50", "p80", "p90"), values, strict=True))}


def test_money_and_dates_are_written_as_people_do() -> None:
    assert figures_of(row("USD", 9.87e8, 1.234e9, 2e9, 3e9)) == (
        ["0.9870", "1.234", "2.000", "3.000"],
        "BUSD",
    )
    assert figures_of(row("USD", 0, 0, 0, 0)) == (["0", "0", "0", "0"], "USD")
    nan = float("nan")
    # Of the year 2027, 91 days and a quarter have passed by 2 April, 6:00; 59 by 1 March.
    assert figures_of(row("year", 2027 + 59 / 365, 2027.25, 2027.999, nan)) == (
        ["2027-03-01", "2027-04-02", "2027-12-31", "beyond"],
        "",
    )
