"""Grid events of DSX Flex: what feeds may take, who gives power up, what the site answers.

Events and answers are validated with the published schema (`facility_dsx_flex`).  The chain loses
2 % and 5 %, so a feed of P gives racks 0.98 x 0.95 P.
"""

from __future__ import annotations

import base64
import json
import math
from datetime import datetime
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import yaml
from tests.facility.sites import CHAIN, ran

from firsttoken import api
from firsttoken.facility.grid_events import EventReader, LoadTarget, timeline
from firsttoken.facility.grid_targets import BREACHED, SEVERE, UNDER
from firsttoken.twin.findings import Findings

SCHEMA = Path(__file__).resolve().parents[1] / "known_answers/facility_dsx_flex/dsx-flex.yaml"
DOCUMENT = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
GIVEN = 0.98 * 0.95
START = 1767571200.0  # 2026-01-05
KINDS = {
    "grid.loadtarget.set.v1": "LoadTargetSetEvent",
    "grid.powerstate.status.v1": "PowerStateStatusEvent",
    "grid.powerbreach.alert.v1": "PowerBreachAlertEvent",
}


def validate(message: dict[str, Any]) -> None:
    schema = {
        "$ref": f"#/components/schemas/{KINDS[message['type']]}",
        "components": DOCUMENT["components"],
    }
    checker = jsonschema.FormatChecker(["uuid"])
    checker.checks("date-time", ValueError)(
        lambda text: datetime.fromisoformat(text).tzinfo is not None
    )
    jsonschema.Draft202012Validator(schema, format_checker=checker).validate(message)


def message(number: int, time: str, *targets: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A load-target event as the schema wants it."""
    found = {
        "specversion": "1.0.2",
        "id": f"00000000-0000-4000-8000-{number:012d}",
        "source": "//grid/v1/isv/acme-energy",
        "type": "grid.loadtarget.set.v1",
        "time": time,
        "datacontenttype": "application/json",
        "subject": "loadtarget",
        "correlationid": f"11111111-0000-4000-8000-{number:012d}",
        "traceparent": f"00-{number:032x}-{number:016x}-01",
        "data": {"targets": list(targets)},
    }
    return found | changes


def target(
    begin: str | None, end: str | None, megawatts: float | None, *feeds: str, **more: Any
) -> dict[str, Any]:
    interval = {"start_time": begin, "end_time": end}
    found: dict[str, Any] = {
        "interval": {key: value for key, value in interval.items() if value is not None},
        "load_constraint": None,
    }
    if megawatts is not None:
        found["load_constraint"] = {"value": megawatts, "unit": "megawatt"}
    if feeds:
        found["feed_tags"] = list(feeds)
    return found | more


def write(folder: Path, *messages: Any) -> str:
    lines = [json.dumps(each) if isinstance(each, dict) else each for each in messages]
    (folder / "events.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return "events.jsonl"


def site(folder: Path, *messages: Any, **changes: Any) -> dict[str, Any]:
    """A megawatt of racks under events."""
    common = {"grid_events": write(folder, *messages), "utc_offset": "0 hour", "step": "15 minute"}
    return {**CHAIN, **common, **changes}


def at(time: str) -> int:
    """Step of 15 minutes that begins at a time."""
    return int((np.datetime64(time) - np.datetime64("2026-01-05")) / np.timedelta64(15, "m"))


ONE = message(
    1, "2026-01-05T06:00:00Z", target("2026-01-05T10:00:00Z", "2026-01-05T12:00:00Z", 0.5)
)


# What a target does -------------------------------------------------------------------------------


def test_the_events_of_the_tests_follow_the_schema() -> None:
    validate(ONE)
    with pytest.raises(jsonschema.ValidationError):
        validate(ONE | {"id": "1"})


def test_a_target_limits_a_feed_while_it_lasts(tmp_path: Path) -> None:
    found = ran(tmp_path, site(tmp_path, ONE))
    taken = found.feeds[:, 0, 0] / 1e6
    low, high = at("2026-01-05T10:00"), at("2026-01-05T12:00")
    assert taken[:low] == pytest.approx(1.0 / GIVEN)
    assert taken[low:high] == pytest.approx(0.5, rel=1e-4)
    assert taken[high:] == pytest.approx(1.0 / GIVEN)
    assert found.targets[0, 0].tolist() == [2 * 3600.0, 0.0, 0.0]


def test_without_an_interval_it_holds_from_its_message_on(tmp_path: Path) -> None:
    event = message(1, "2026-01-06T06:00:00Z", target(None, None, 0.5))
    validate(event)
    taken = ran(tmp_path, site(tmp_path, event)).feeds[:, 0, 0] / 1e6
    edge = at("2026-01-06T06:00")
    assert taken[:edge] == pytest.approx(1.0 / GIVEN)
    assert taken[edge:] == pytest.approx(0.5, rel=1e-4)


def test_a_later_message_replaces_and_null_removes(tmp_path: Path) -> None:
    later = message(
        2, "2026-01-05T11:00:00Z", target("2026-01-05T11:00:00Z", "2026-01-05T13:00:00Z", 0.8)
    )
    freed = message(3, "2026-01-05T12:30:00Z", target(None, None, None))
    for event in (later, freed):
        validate(event)
    # written in another order than sent
    taken = ran(tmp_path, site(tmp_path, freed, ONE, later)).feeds[:, 0, 0] / 1e6
    assert taken[at("2026-01-05T10:45")] == pytest.approx(0.5, rel=1e-4)
    assert taken[at("2026-01-05T11:00")] == pytest.approx(0.8, rel=1e-4)
    assert taken[at("2026-01-05T12:15")] == pytest.approx(0.8, rel=1e-4)
    assert taken[at("2026-01-05T12:30")] == pytest.approx(1.0 / GIVEN)


def test_tags_name_feeds_and_none_means_all(tmp_path: Path) -> None:
    """Two feeds of a megawatt each; the first is told to give half."""
    chain = {
        "feeds": {"a": {"rating": "10 MW"}, "b": {"rating": "10 MW"}},
        "racks": {
            "ra": {"count": 10, "power": "100 kW", "from": "a"},
            "rb": {"count": 10, "power": "100 kW", "from": "b"},
        },
        "transformers": {},
        "ups": {},
    }
    span = ("2026-01-05T10:00:00Z", "2026-01-05T12:00:00Z")
    first = message(1, "2026-01-05T06:00:00Z", target(*span, 0.5, "a"))
    both = message(2, "2026-01-05T11:00:00Z", target(span[1], "2026-01-05T13:00:00Z", 0.7))
    found = ran(tmp_path, site(tmp_path, first, both, **chain)).feeds[:, :, 0] / 1e6
    assert found[at("2026-01-05T10:00")] == pytest.approx([0.5, 1.0], rel=1e-4)
    assert found[at("2026-01-05T12:00")] == pytest.approx([0.7, 0.7], rel=1e-4)
    assert found[at("2026-01-05T13:00")] == pytest.approx([1.0, 1.0])


def test_the_contract_still_holds_below_a_target(tmp_path: Path) -> None:
    chain = {"feeds": {"grid": {"rating": "10 MW", "limit": "0.4 MW"}}}
    taken = ran(tmp_path, site(tmp_path, ONE, **chain)).feeds[:, 0, 0] / 1e6
    assert taken == pytest.approx(0.4, rel=1e-4)


def test_utc_is_moved_to_the_site_s_clock(tmp_path: Path) -> None:
    taken = ran(tmp_path, site(tmp_path, ONE, utc_offset="-6 hour")).feeds[:, 0, 0] / 1e6
    assert taken[at("2026-01-05T04:00")] == pytest.approx(0.5, rel=1e-4)
    assert taken[at("2026-01-05T06:00")] == pytest.approx(1.0 / GIVEN)


# Who gives ----------------------------------------------------------------------------------------


def orders(first: int, second: int) -> dict[str, Any]:
    rack = {"count": 5, "power": "100 kW", "idle": "20 kW", "from": "a"}
    return {"racks": {"one": {**rack, "shed": first}, "two": {**rack, "shed": second}}}


@pytest.mark.parametrize("swapped", [False, True])
def test_racks_give_in_their_order(tmp_path: Path, swapped: bool) -> None:
    """Of 1 MW at the racks, 0.8 x 0.98 x 0.95 MW are left: the first group gives the rest."""
    event = message(1, "2026-01-05T00:00:00Z", target(None, None, 0.8))
    chosen = orders(2, 1) if swapped else orders(1, 2)
    found = ran(tmp_path, site(tmp_path, event, **chosen))
    mean = found.group[0, :2, 0] / found.time / 1e6
    first, second = (mean[1], mean[0]) if swapped else (mean[0], mean[1])
    assert second == pytest.approx(0.5, rel=1e-6)
    assert first == pytest.approx(0.8 * GIVEN - 0.5, rel=1e-3)


def test_the_second_gives_when_the_first_has_nothing_left(tmp_path: Path) -> None:
    event = message(1, "2026-01-05T00:00:00Z", target(None, None, 0.4))
    found = ran(tmp_path, site(tmp_path, event, **orders(1, 2)))
    mean = found.group[0, :2, 0] / found.time / 1e6
    assert mean[0] == pytest.approx(0.0, abs=1e-4)
    assert mean[1] == pytest.approx(0.4 * GIVEN, rel=1e-3)


def test_equals_give_alike(tmp_path: Path) -> None:
    event = message(1, "2026-01-05T00:00:00Z", target(None, None, 0.6))
    found = ran(tmp_path, site(tmp_path, event, **orders(3, 3)))
    mean = found.group[0, :2, 0] / found.time / 1e6
    assert mean == pytest.approx(0.3 * GIVEN, rel=1e-4)


@pytest.mark.parametrize(("megawatts", "critical"), [(0.2, False), (0.1, True)])
def test_best_effort_stops_at_idle_and_breaches(
    tmp_path: Path, megawatts: float, critical: bool
) -> None:
    """Ten racks idle at 20 kW take 0.2 MW / 0.931 = 0.2148 MW: 7 % over 0.2 MW, 115 % over 0.1."""
    gentle = {"strategy": {"best_effort": True}}
    span = ("2026-01-05T10:00:00Z", "2026-01-05T12:00:00Z")
    event = message(1, "2026-01-05T06:00:00Z", target(*span, megawatts, **gentle))
    validate(event)
    found = ran(tmp_path, site(tmp_path, event))
    taken = found.feeds[at("2026-01-05T10:00"), 0, 0] / 1e6
    assert taken == pytest.approx(0.2 / GIVEN, rel=1e-6)
    assert found.targets[0, 0, UNDER] == found.targets[0, 0, BREACHED] == 7200.0
    assert found.targets[0, 0, SEVERE] == (7200.0 if critical else 0.0)


def test_batteries_give_before_racks_do(tmp_path: Path) -> None:
    """0.57 MW beyond the target for two hours: 1.15 MWh from a battery of 2 MWh.

    Seen from the feed it gives 2 % more, the loss of the transformer that it unloads.
    """
    battery = {"from": "main", "rating": "2 MW", "storage": "2 MWh", "round_trip": 1, "use": "peak"}
    found = ran(tmp_path, site(tmp_path, ONE, batteries={"b": battery}))
    low = at("2026-01-05T10:00")
    assert 0.5 * 0.97 < found.feeds[low, 0, 0] / 1e6 <= 0.5
    assert found.group[0, 0, 0] / found.time == pytest.approx(1e6, rel=1e-6)


# What the site answers ----------------------------------------------------------------------------


def answers(folder: Path, *messages: Any, **changes: Any) -> list[dict[str, Any]]:
    data = {
        "twin": "t", "start": "2026-01-05", "horizon": "1 day", "replications": 2,
        "facility": {"x": site(folder, *messages, **changes)},
    }  # fmt: skip
    (folder / "twin.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    run = api.run(folder, engines=("simulate",), out=folder / "run", report=False)
    with run.results as results:
        found = results.sql("select * from facility_grid_messages order by message, feed")
        kept = results.sql("select * from facility_grid_targets where metric = 'kept'")
    assert len(kept["p50"]) == 1
    rows = [{key: column[i] for key, column in found.items()} for i in range(len(found["message"]))]
    for row in rows:
        if row["text"]:
            row["json"] = json.loads(row["text"])
            validate(row["json"])
    return rows


def test_power_states_tell_what_is_set_and_reached(tmp_path: Path) -> None:
    rows = answers(tmp_path, ONE)
    told = [(row["time"], row["event"], row["compliant"]) for row in rows]
    assert told == [
        ("2026-01-05T06:00:00", "target_set", True),
        ("2026-01-05T10:00:00", "start_ramp_down", False),
        ("2026-01-05T10:15:00", "end_ramp_down", True),
        ("2026-01-05T12:00:00", "start_ramp_up", True),
        ("2026-01-05T12:15:00", "end_ramp_up", True),
    ]
    assert all(row["severity"] == "normal" for row in rows)
    first, second = (row["json"]["data"]["feeds"]["grid"] for row in rows[:2])
    assert first["targets"] == [
        {
            "active": False,
            "load_constraint": {"value": 500.0, "unit": "kilowatt"},
            "interval": {
                "start_time": "2026-01-05T10:00:00.000Z",
                "end_time": "2026-01-05T12:00:00.000Z",
            },
            "strategy": {"best_effort": False},
            "correlation_id": ONE["correlationid"],
        }
    ]
    assert first["metadata"]["power_maximum"] == {"value": 10_000.0, "unit": "kilowatt"}
    assert second["targets"][0]["active"]
    assert second["in_flight"]
    assert not first["in_flight"]
    assert rows[0]["json"]["id"] != rows[1]["json"]["id"]


def test_breaches_are_told_from_begin_to_end(tmp_path: Path) -> None:
    """0.2148 MW idle: 7 % over 0.2 MW, a warning; then 43 % over 0.15 MW: critical."""
    gentle = {"strategy": {"best_effort": True}}
    first = target("2026-01-05T10:00:00Z", "2026-01-05T11:00:00Z", 0.2, **gentle)
    second = target("2026-01-05T11:00:00Z", "2026-01-05T12:00:00Z", 0.15, **gentle)
    rows = answers(tmp_path, message(1, "2026-01-05T06:00:00Z", first, second))
    alerts = [row for row in rows if row["type"] == "grid.powerbreach.alert.v1"]
    assert [(row["event"], row["severity"]) for row in alerts] == [
        ("active", "warning"),
        ("escalated", "critical"),
        ("resolved", "critical"),
    ]
    assert alerts[0]["excess"] == pytest.approx(100 * (0.2 / GIVEN / 0.2 - 1), rel=1e-6)
    data = [row["json"]["data"] for row in alerts]
    assert len({each["breach"]["breach_id"] for each in data}) == 1
    assert data[0]["shed_hints"][0]["resource_id"] == "r"
    assert data[0]["infrastructure_actions"] == ["SHUTDOWN_NODES"]
    assert data[1]["infrastructure_actions"] == ["SHUTDOWN_NODES", "SHUTDOWN_RACKS"]
    assert data[2]["infrastructure_actions"] == []
    assert "shed_hints" not in data[2]
    assert data[2]["breach"]["resolved_at"] == "2026-01-05T12:15:00.000Z"
    assert "end_ramp_down" not in {row["event"] for row in rows}


def test_answers_are_those_of_the_same_run_again(tmp_path: Path) -> None:
    first = [row["text"] for row in answers(tmp_path, ONE)]
    (tmp_path / "run").rename(tmp_path / "before")
    assert [row["text"] for row in answers(tmp_path, ONE)] == first


# Files --------------------------------------------------------------------------------------------


def read(folder: Path, text: str, offset: float | None = 0.0) -> tuple[list[LoadTarget], Findings]:
    file = folder / "events.json"
    file.write_text(text, encoding="utf-8")
    findings = Findings()
    return EventReader(file, START, offset, ["main-a", "main-b"], findings, "x").read(), findings


def test_lists_lines_and_signed_payloads_are_read_alike(tmp_path: Path) -> None:
    payload = base64.urlsafe_b64encode(json.dumps(ONE["data"]).encode()).rstrip(b"=").decode()
    signed = ONE | {"data": f"eyJhbGciOiJFUzI1NiJ9.{payload}.c2lnbmF0dXJl"}
    validate(signed)
    texts = [
        json.dumps(ONE), json.dumps([ONE], indent=2), json.dumps(signed), f"\n{json.dumps(ONE)}\n",
    ]  # fmt: skip
    found = [read(tmp_path, text) for text in texts]
    assert all(not findings for _, findings in found)
    assert all(targets == found[0][0] for targets, _ in found)
    first = found[0][0][0]
    assert [target.feed for target in found[0][0]] == ["main-a", "main-b"]
    assert (first.begin, first.end, first.power) == (36000.0, 43200.0, 5e5)


@pytest.mark.parametrize(
    ("text", "what", "line"),
    [
        ('{"a": 1', "not JSON", 1),
        ("", "no event", 1),
        ("[1]", "JSON object", 1),
        (json.dumps([ONE])[:-1], "does not end", 1),
        (json.dumps(ONE) + "\n" + json.dumps({"type": "x"}), "no specversion, id, source", 2),
        (json.dumps(ONE | {"type": "grid.x.v1"}), "no event that a site hears", 1),
        (json.dumps(ONE | {"id": "7"}), "no UUID", 1),
        (json.dumps(ONE | {"specversion": "2.0"}), "not known", 1),
        (json.dumps(ONE | {"time": "noon"}), "no time", 1),
        (json.dumps(ONE | {"time": "2026-01-05T06:00:00"}), "no time", 1),
        (json.dumps(ONE | {"data": "a.b"}), "cannot be read", 1),
        (json.dumps(ONE | {"data": {}}), "no targets", 1),
        (json.dumps(ONE | {"data": {"targets": [3]}}), "JSON object", 1),
        (json.dumps(ONE | {"data": {"targets": [{"interval": {}}]}}), "no load_constraint", 1),
        (
            json.dumps(message(1, "2026-01-05T06:00:00Z", target(None, None, -1.0))),
            "no power",
            1,
        ),
        (
            json.dumps(message(1, "2026-01-05T06:00:00Z", target(None, None, 1.0, "main-c"))),
            "feed 'main-c' is unknown",
            1,
        ),
        (
            json.dumps(message(1, "2026-01-05T06:00:00Z", target(None, None, math.nan))),
            "no power",
            1,
        ),
        (
            json.dumps(
                message(
                    1,
                    "2026-01-05T06:00:00Z",
                    target("2026-01-05T12:00:00Z", "2026-01-05T10:00:00Z", 1.0),
                )
            ),
            "ends where it begins",
            1,
        ),
        (
            json.dumps(
                message(1, "2026-01-05T06:00:00Z", target(None, None, 1.0, strategy="hard"))
            ),
            "strategy",
            1,
        ),
        (
            json.dumps(ONE).replace("megawatt", "horsepower"),
            "no unit of power",
            1,
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_line(
    tmp_path: Path, text: str, what: str, line: int
) -> None:
    _, findings = read(tmp_path, text)
    assert len(findings.errors) == 1
    found = findings.errors[0]
    assert what in found.what
    assert found.hint
    assert found.place is not None
    assert (Path(found.place.file).name, found.place.line) == ("events.json", line)


def test_answers_among_the_events_are_left_out_with_a_warning(tmp_path: Path) -> None:
    other = json.dumps(ONE | {"type": "grid.powerstate.status.v1"})
    targets, findings = read(tmp_path, json.dumps(ONE) + "\n" + other)
    assert len(targets) == 2
    assert not findings.errors
    assert [found.place.line for found in findings if found.place is not None] == [2]


def test_the_site_s_clock_must_be_known(tmp_path: Path) -> None:
    _, findings = read(tmp_path, json.dumps(ONE), None)
    assert "utc_offset" in findings.errors[0].hint


def test_check_finds_them_too_and_warns_of_long_steps(tmp_path: Path) -> None:
    data = {
        "twin": "t", "start": "2026-01-05", "horizon": "1 day",
        "facility": {"x": site(tmp_path, ONE, step="6 hour")},
    }  # fmt: skip
    (tmp_path / "twin.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    found = [f for f in api.check(tmp_path) if f.path == "facility.x.step"]
    assert [f.severity for f in found] == ["warning"]
    data["horizon"], data["facility"]["x"]["step"] = "1 year", "1 s"  # type: ignore[index]
    (tmp_path / "twin.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    found = [f for f in api.check(tmp_path) if f.severity == "error"]
    assert [f.path for f in found] == ["facility.x.grid_events"]
    write(tmp_path, ONE | {"id": "7"})
    data["horizon"] = "1 day"
    (tmp_path / "twin.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    assert [f.what for f in api.check(tmp_path) if f.severity == "error"] == ["id '7' is no UUID"]


def test_a_timeline_has_no_gap(tmp_path: Path) -> None:
    def one(begin: float, end: float, received: float, power: float) -> LoadTarget:
        return LoadTarget("a", begin, end, received, power, False, "")

    told = [one(0.0, 10.0, 0.0, 5.0), one(4.0, 6.0, 1.0, math.inf), one(8.0, math.inf, 2.0, 3.0)]
    found = [
        (part.begin, part.end, part.target.power if part.target else math.inf)
        for part in timeline(told, "a")
    ]
    assert found == [
        (-math.inf, 0.0, math.inf),
        (0.0, 4.0, 5.0),
        (4.0, 6.0, math.inf),
        (6.0, 8.0, 5.0),
        (8.0, math.inf, 3.0),
    ]
