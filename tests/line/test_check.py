"""`check` names each kind of fault of a line, with its place and a hint."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from firsttoken import api
from firsttoken.line.rules import ARGUMENTS
from firsttoken.twin.findings import Finding, Findings

TWIN: dict[str, Any] = {
    "twin": "racks",
    "start": "2026-01-05",
    "horizon": "10 week",
    "line": {
        "x": {
            "stations": {
                "assemble": {"time": "1 hour", "crew": {"fitter": 1}, "available": "weekdays"},
                "test": {
                    "servers": 4,
                    "time": "8 hour",
                    "pass": 0.9,
                    "on_fail": "repair",
                    "draws": {"power": "100 kW"},
                },
                "repair": {"time": "2 hour", "crew": {"technician": 1}},
                "pack": {"time": "30 min"},
            },
            "pools": {
                "fitters": {"count": 3, "skills": ["fitter"], "available": "weekdays"},
                "technicians": {"count": 1, "skills": ["technician"]},
            },
            "budgets": {"power": "1 MW"},
            "calendars": {"weekdays": {"shifts": ["mon-fri 06:00-22:00"]}},
            "products": {
                "tray": {"supplied": True},
                "rack": {
                    "route": [
                        {"station": "assemble", "consumes": {"tray": 18}},
                        {"station": "test", "then": "pack"},
                        {"station": "repair", "then": "test"},
                        {"station": "pack"},
                    ],
                    "releases": {"steady": {"every": "4 hour", "due": "5 day"}},
                },
            },
        }
    },
}
"""A line without a fault: racks are assembled of trays, tested, repaired if need be, packed."""

S, P, R = "stations.", "products.", "products.rack.route."
TIMED = "products.rack.releases.steady"


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    """A copy of the line with values replaced by dotted path below it; None deletes."""
    data = copy.deepcopy(TWIN)
    for path, value in changes.items():
        *parents, last = path.split(".")
        node: Any = data["line"]["x"]
        if parents[:1] == ["twin"]:
            node, parents = data, parents[1:]
        for key in parents:
            node = node[int(key)] if isinstance(node, list) else node.setdefault(key, {})
        if isinstance(node, list):
            node[int(last) :] = [] if value is None else [value, *node[int(last) + 1 :]]
        elif value is None:
            del node[last]
        else:
            node[last] = value
    return data


def check(folder: Path, changes: dict[str, Any]) -> Findings:
    """What is found in the changed line."""
    (folder / "twin.yaml").write_text(yaml.safe_dump(changed(changes), sort_keys=False))
    return api.check(folder)


def found(findings: Findings, code: str) -> list[Finding]:
    return [finding for finding in findings if finding.code == code]


FAULTS: dict[str, tuple[dict[str, Any], str, str]] = {
    # name: (changes, code of the finding, words in it)
    "unknown station": ({R + "3.station": "pak"}, "reference", "unknown station 'pak' (hint: did"),
    "unknown product": (
        {R + "0.consumes": {"trey": 18}},
        "reference",
        "unknown product 'trey' (hint: did you mean 'tray'?",
    ),
    "unknown product of an order": (
        {"orders.a": {"product": "rak", "due": "2026-02"}},
        "reference",
        "unknown product 'rak'",
    ),
    "unknown next step": ({R + "1.then": "pak"}, "reference", "'rack' has no step 'pak' (hint"),
    "unknown branch": ({R + "1.then": {"pak": 0.5}}, "reference", "no step 'pak'"),
    "unknown rework step": ({S + "test.on_fail": "repare"}, "reference", "did you mean 'repair'?"),
    "unknown pool": ({S + "pack.crew": {"fiter": 1}}, "reference", "did you mean 'fitter'?"),
    "unknown pool of a repair": (
        {S + "pack.failures.stop": {"mtbf": "9 day", "mttr": "1 hour", "crew": {"tech": 1}}},
        "reference",
        "unknown pool or skill 'tech'",
    ),
    "budget as crew": ({S + "pack.crew": {"power": 1}}, "reference", "write it under draws"),
    "pool as budget": ({S + "pack.draws": {"fitters": 1}}, "reference", "write it under crew"),
    "unknown budget": ({S + "pack.draws": {"powr": "1 kW"}}, "reference", "unknown budget 'powr'"),
    "unknown calendar": ({S + "pack.available": "week"}, "reference", "did you mean 'weekdays'?"),
    "unknown set-up": (
        {S + "pack.setups": [{"to": "foam", "time": "1 hour"}], S + "pack.setup": "foan"},
        "reference",
        "no step at 'pack' needs a set-up 'foam' (hint: did you mean 'foan'?",
    ),
    "minimum run without that set-up": (
        {S + "pack.min_run": {"foam": 5}},
        "reference",
        "no step at 'pack' needs a set-up 'foam'",
    ),
    "unknown lot class": (
        {"wip": [{"product": "rack", "step": "test", "lot_class": "stedy"}]},
        "reference",
        "did you mean 'steady'?",
    ),
    "wip at a step that is not there": (
        {"wip": [{"product": "rack", "step": "tset"}]},
        "reference",
        "'rack' has no step 'tset' (hint: did you mean 'test'?",
    ),
    "unknown held pool": (
        {R + "0.holds": {"slot": {"until": "test"}}},
        "reference",
        "unknown pool 'slot'",
    ),
    "two steps with one name": (
        {R + "0.name": "pack", R + "3.name": "pack"},
        "duplicate-name",
        "two steps of 'rack' are called 'pack'",
    ),
    "a step called ship": ({R + "3.name": "ship"}, "duplicate-name", "cannot be called 'ship'"),
    "a pool and a budget with one name": (
        {"budgets.fitters": "1 MW"},
        "duplicate-name",
        "'fitters' is taken by a pool",
    ),
    "a change-over twice": (
        {
            S + "pack.setup": "foam",
            S + "pack.setups": [{"to": "foam", "time": "1 hour"}, {"to": "foam", "time": "2 hour"}],
        },
        "duplicate-name",
        "the change from any to foam stands twice",
    ),
    # Routes
    "a cycle without exit": (
        {R + "3.then": "repair"},
        "no-exit",
        "a cycle without exit: test -> repair -> test",
    ),
    "restarted for ever": (
        {S + "test.on_fail": "restart", S + "test.pass": 0},
        "no-exit",
        "a cycle without exit: test -> test",
    ),
    "nothing but scrap": (
        {S + "test.on_fail": "scrap", S + "test.pass": 0, S + "test.attempts": 2},
        "no-exit",
        "no lot of 'rack' is ever finished",
    ),
    "a step that nobody comes to": (
        {S + "test.on_fail": "scrap"},
        "dead-step",
        "no lot comes to step 'repair'",
    ),
    "probabilities above 1": (
        {R + "1.then": {"pack": 0.7, "repair": 0.4}},
        "probability",
        "the probabilities sum to 1.1",
    ),
    "probabilities that may be above 1": (
        {R + "1.then": {"pack": 0.7, "repair": "uniform(0.2, 0.4)"}},
        "probability",
        "may sum to 1.1",
    ),
    "a tool of another station": (
        {R + "3.same_tool": "test"},
        "same-tool",
        "'test' is done at another station, at 'test', this one at 'pack'",
    ),
    "a queue limit after a later step": (
        {R + "0.queue_limit": {"after": "pack", "within": "1 day"}},
        "route-order",
        "'pack' does not come before 'assemble'",
    ),
    "a hold until an earlier step": (
        {R + "3.holds": {"fitters": {"until": "assemble"}}},
        "route-order",
        "'assemble' does not come after 'pack'",
    ),
    "a hold that rework takes twice": (
        {R + "1.holds": {"fitters": {"until": "pack"}}},
        "hold",
        "a lot can come back to 'test' before 'pack'",
    ),
    "a hold that rework gives back twice": (
        {R + "0.holds": {"fitters": {"until": "test"}}},
        "hold",
        "a lot can come to 'test' twice",
    ),
    "a hold that scrap keeps": (
        {R + "0.holds": {"fitters": {"until": "pack"}}, S + "repair.pass": 0.9}
        | {S + "repair.on_fail": "scrap"},
        "hold",
        "some lots leave the line before 'pack'",
    ),
    "a hold that some skip": (
        {R + "0.holds": {"fitters": {"until": "pack"}}, R + "3.share": 0.5},
        "hold",
        "some lots skip 'pack'",
    ),
    "a hold of lots in the line": (
        {R + "0.holds": {"fitters": {"until": "pack"}}}
        | {"wip": [{"product": "rack", "step": "pack"}]},
        "hold",
        "at 'pack' that have taken nothing",
    ),
    "a hold beside the crew": (
        {R + "0.holds": {"technicians": {"until": "pack"}}},
        "capacity",
        "'repair' needs 1 of 'technicians' while its lot holds 1, there are at most 1",
    ),
    # Products
    "a product that nothing releases": (
        {P + "tray.supplied": None, R + "0.consumes": None},
        "no-source",
        "nothing releases 'tray'",
    ),
    "a component from nowhere": (
        {P + "tray.supplied": None},
        "no-source",
        "rack.assemble consumes 'tray', which comes from nowhere",
    ),
    "bought in and made": (
        {
            P + "tray.releases": {"some": {"every": "1 hour"}},
            P + "tray.route": [{"station": "pack"}],
        },
        "supplied",
        "'tray' is bought in, yet lots of it start",
    ),
    "made of itself": (
        {
            P + "tray": {
                "route": [{"station": "pack", "consumes": {"rack": 1}}],
                "releases": {"some": {"wip": 2}},
            }
        },
        "bom-cycle",
        "tray -> rack -> tray",
    ),
    "a route without a step": ({P + "rack.route": []}, "empty-route", "have nothing to do"),
    "broken lots from disassembly": (
        {
            P + "scrap_tray": {"pieces": 4, "route": [{"station": "pack"}]},
            R + "3.produces": {"scrap_tray": 6},
        },
        "pieces",
        "6 pieces of 'scrap_tray' are no whole lots",
    ),
    # Releases
    "no way to start": (
        {TIMED + ".every": None},
        "release",
        "'steady' does not say how lots start",
    ),
    "two ways to start": ({TIMED + ".wip": 3}, "release", "'steady' has every and wip"),
    "a target of none": (
        {TIMED: {"wip": 0}},
        "release",
        "'wip' is never 1 or more, no lot is ever released",
    ),
    "a limit of none": ({TIMED + ".limit": 0}, "release", "no lot is ever released"),
    "a kanban that nobody empties": (
        {TIMED: {"stock": 3}},
        "release",
        "a kanban release needs a stock that somebody takes from",
    ),
    "first after the end": ({TIMED + ".first": "11 week"}, "date", "comes after the twin's end"),
    "until before the start": (
        {TIMED + ".until": "2026-01-04"},
        "date-order",
        "the last release comes before the first",
    ),
    "lots without end at one moment": (
        {
            TIMED: {"backlog": 1},
            R[:-1]: [{"station": "pack", "time": "0 s"}],
            P + "tray": None,
            S[:-1]: {"pack": {}},
            "pools": None,
            "budgets": None,
            "calendars": None,
        },
        "endless",
        "lots of 'rack' take no time",
    ),
    # Dates
    "an order due before its release": (
        {"orders.a": {"product": "rack", "release": "2026-02", "due": "2026-01-20"}},
        "date-order",
        "it is due before its release",
    ),
    "an order that is late": (
        {"orders.a": {"product": "rack", "due": "2026-01-02"}},
        "date",
        "it is due before the twin starts",
    ),
    "an order due after the end": (
        {"orders.a": {"product": "rack", "due": "2027-01-02"}},
        "date",
        "it is due after the twin's end",
    ),
    "an order after the end": (
        {"orders.a": {"product": "rack", "release": "2027-01-02", "due": "2027-02-02"}},
        "date",
        "it is released after the twin's end",
    ),
    "lots in the line that come later": (
        {"wip": [{"product": "rack", "step": "test", "released": "2026-02"}]},
        "date",
        "are released later",
    ),
    "lots in the line due before their release": (
        {"wip": [{"product": "rack", "step": "test", "released": "2026-01-04", "due": "2026-01"}]},
        "date-order",
        "due before their release",
    ),
    "a warm-up without end": ({"warmup": "10 week"}, "warmup", "takes all of the twin's time"),
    "due dates nobody can meet": (
        {TIMED + ".due": "8 hour"},
        "due",
        "lots are due after 0.333 day, the work alone takes 0.4",
    ),
    "a shift that cannot be read": (
        {"calendars.weekdays.shifts": ["mo-fri 06:00-22:00"]},
        "shift",
        "'mo-fri' in 'mo-fri 06:00-22:00' is not a day of the week",
    ),
    "a calendar without a shift": ({"calendars.weekdays.shifts": []}, "shift", "nobody ever works"),
    "an uncertain day off": (
        {"calendars.weekdays.closed": ["uniform(2026-02-01, 2026-02-05)"]},
        "date",
        "a day off must be a certain date",
    ),
    # Capacity
    "no server": ({S + "pack.servers": 0}, "capacity", "'pack' never has a server"),
    "too many servers": ({S + "pack.servers": 1e7}, "servers", "may be 1e+07"),
    "half a server": ({S + "pack.servers": 1.5}, "servers", "1.5 is not a whole number of servers"),
    "any number of servers": (
        {S + "pack.servers": "exponential(3)"},
        "servers",
        "has no upper bound",
    ),
    "servers drawn each period": (
        {S + "pack.servers": "uniform(2, 4) each period"},
        "drawn",
        "drawn once a replication",
    ),
    "a crew larger than the pool": (
        {S + "repair.crew": {"technician": 2}},
        "capacity",
        "2 of 'technician' are needed, there are never more than 1",
    ),
    "one person for two jobs": (
        {S + "repair.crew": {"technician": 1, "technicians": 1}},
        "capacity",
        "the pools are too small for technician, technicians together",
    ),
    "needs in the wrong order": (
        {
            S + "repair.crew": {"pack": 1, "technician": 1},
            "pools.technicians.skills": ["technician", "pack"],
            "pools.packers": {"count": 1, "skills": ["pack"]},
        },
        "capacity",
        "name those first whom fewer can serve: technician, pack",
    ),
    "a crew that is away": (
        {
            "calendars.weekend": {"shifts": ["sat,sun 08:00-16:00"]},
            "pools.fitters.available": "weekend",
        },
        "calendar",
        "the station and its crew never work at the same time",
    ),
    "too many needs": (
        {f"pools.p{i}": {"count": 1} for i in range(9)}
        | {S + "pack.crew": {f"p{i}": 1 for i in range(9)}},
        "needs",
        "more than 8 pools and budgets at once",
    ),
    "a draw beyond the budget": (
        {"budgets.power": "90 kW"},
        "capacity",
        "one draw of 100 kW is more than all of 'power', it has at most 90 kW",
    ),
    "a draw that may be beyond the budget": (
        {"budgets.power": "140 kW", S + "test.draws": {"power": "uniform(132, 142) kW"}},
        "capacity",
        "a draw may be 142 kW, more than all of 'power'",
    ),
    "a draw in another unit": (
        {S + "test.draws": {"power": "30 L/min"}},
        "unit-dimension",
        "L/min does not measure budget 'power', it is given in MW",
    ),
    "a draw of a bare number": (
        {S + "test.draws": {"power": 30}},
        "unit-dimension",
        "a number does not measure budget 'power'",
    ),
    "a budget by weight": (
        {"budgets.power": "3 kg"},
        "unit-dimension",
        "kg is no unit of a budget",
    ),
    "people by weight": (
        {"pools.fitters.count": "3 kg"},
        "unit-dimension",
        "kg does not count anything",
    ),
    # Batches
    "a minimum above the maximum": (
        {S + "pack.batch": {"minimum": 3, "maximum": 2}},
        "batch",
        "minimum 3 is more than maximum 2",
    ),
    "a lot too large for the load": (
        {P + "rack.pieces": 5, S + "pack.batch": {"maximum": 4}},
        "batch",
        "a lot of 'rack' has 5 pieces, at most 4 fit",
    ),
    "a load that lots cannot fill": (
        {P + "rack.pieces": 3, S + "pack.batch": {"minimum": 4, "maximum": 5}},
        "batch",
        "lots of 3 pieces fill a load to 3, it does not start with fewer than 4",
    ),
    "a load that never gathers in the buffer": (
        {S + "pack.batch": {"minimum": 8, "maximum": 8}, S + "pack.buffer": 4},
        "batch",
        "never gathers in a buffer of 4 lots",
    ),
    "a load that never gathers in the line": (
        {S + "pack.batch": {"minimum": 8, "maximum": 8}, TIMED: {"wip": 6}},
        "batch",
        "at most 6 pieces are in the line at a time",
    ),
    "families with two sizes": (
        {
            R + "3.batch": {"maximum": 2, "family": "f"},
            R + "4": {"station": "pack", "batch": {"maximum": 3, "family": "f"}},
        },
        "batch",
        "batch family 'f' has other bounds here, than at rack.pack",
    ),
    "assembly of a batch": (
        {R + "0.batch": {"maximum": 2}},
        "batch",
        "a batch step cannot have 'consumes'",
    ),
    # Buffers
    "a cascade before a limited buffer": (
        {S + "test.interval": "1 hour", S + "pack.buffer": 2},
        "cascade",
        "a cascade tool goes on to 'pack', whose buffer is limited",
    ),
    "a station that feeds itself": (
        {S + "pack.buffer": 0, R + "4": {"station": "pack"}},
        "deadlock",
        "'pack' locks itself up: a lot that leaves 'pack' has to come back here",
    ),
    "buffers in a circle": (
        {S + "test.buffer": 2, S + "repair.buffer": 1},
        "deadlock",
        "these buffers can lock each other up: repair -> test -> repair",
    ),
    "buffers that wait for components": (
        {
            S + "assemble.buffer": 3,
            P + "tray": {"route": [{"station": "assemble"}], "releases": {"pull": {"stock": 36}}},
        },
        "deadlock",
        "assemble -> assemble, rack.assemble waits for tray, which comes over assemble; with 4",
    ),
    "more lots than places": (
        {S + "test.buffer": 2, "wip": [{"product": "rack", "step": "test", "lots": 7}]},
        "places",
        "7 lots are at 'test' at the start, its buffer and servers have 6 places",
    ),
    # Rules
    "an unknown rule": ({S + "pack.dispatch": "eed"}, "rule", "did you mean 'edd'?"),
    "a rule without a function": ({"dispatch": "rules.py"}, "rule", "write `file.py:function`"),
    "a rule without a file": ({"dispatch": "none.py:f"}, "rule", "cannot read the rule's file"),
    "two rules of one's own": (
        {"dispatch": "a.py:f", S + "pack.dispatch": "a.py:g"},
        "rule",
        "a line can have one rule of its own, another is a.py:f",
    ),
    "due dates that nobody has": (
        {"dispatch": "edd", TIMED + ".due": None},
        "rule",
        "rule 'edd' has nothing to go by, no lot has a due date",
    ),
    "change-overs that take no time": (
        {S + "pack.dispatch": "setup"},
        "rule",
        "no change of set-up takes time here",
    ),
    # Fields that nothing reads
    "per of no time": (
        {S + "pack": {"per": "piece", "load": "1 min"}},
        "unused-field",
        "nothing reads 'per' here",
    ),
    "interval_per without interval": (
        {R + "3.interval_per": "piece"},
        "unused-field",
        "there is no `interval`",
    ),
    "fail_after without pass": (
        {S + "pack.fail_after": 0.5},
        "unused-field",
        "the step has no `pass`",
    ),
    "on_fail of what cannot fail": (
        {R + "3.on_fail": "scrap"},
        "unused-field",
        "neither `pass` nor `inspect`",
    ),
    "attempts of what cannot fail": (
        {S + "pack.attempts": 3},
        "unused-field",
        "neither `pass` nor `inspect`",
    ),
    "repair on a server that the lot leaves": (
        {S + "test.repair": "1 hour"},
        "unused-field",
        "on_fail is 'repair'",
    ),
    "pieces of one": ({R + "3.per": "piece"}, "no-effect", "lots of 'rack' have one piece"),
    "an inspection that finds nothing": (
        {S + "pack.inspect": {"escape": 0.1}},
        "unused-field",
        "the inspection has nothing to find",
    ),
    "a shift end without shifts": (
        {S + "pack.shift_end": "pause"},
        "unused-field",
        "the station has no calendar",
    ),
    "maintenance without an interval": (
        {S + "pack.maintenance.clean": {"takes": "1 hour"}},
        "maintenance",
        "'clean' has no interval",
    ),
    "maintenance with two intervals": (
        {S + "pack.maintenance.clean": {"takes": "1 hour", "every": "9 day", "every_loads": 9}},
        "maintenance",
        "'clean' has 2 intervals",
    ),
    "a first date of maintenance by pieces": (
        {
            S + "pack.maintenance.clean": {
                "takes": "1 hour",
                "every_pieces": 9,
                "first": "1 day",
            }
        },
        "unused-field",
        "it goes with `every`",
    ),
    "stock that nobody takes": ({P + "rack.stock": 3}, "unused-field", "no step consumes 'rack'"),
    "supplied that nobody takes": (
        {R + "0.consumes": None},
        "unused-field",
        "nothing reads 'supplied' here, no step consumes 'tray'",
    ),
    "a route of what is bought": (
        {P + "tray.route": [{"station": "pack"}]},
        "unused-field",
        "nothing reads the route, 'tray' is bought in",
    ),
    "a station in no route": ({S + "park": {}}, "unused", "station 'park' is in no route"),
    "a pool that nobody needs": (
        {"pools.idle": {"count": 1}},
        "unused",
        "nothing needs or holds it",
    ),
    "a budget that nobody draws on": (
        {"budgets.water": "1 L/min"},
        "unused",
        "nothing draws on it",
    ),
    "a calendar that nobody has": (
        {"calendars.other": {"shifts": ["daily 00:00-24:00"]}},
        "unused",
        "no station or pool works by it",
    ),
    "a step without a time": (
        {S + "pack.time": None},
        "no-time",
        "nobody says how long 'pack' takes",
    ),
    # Load
    "too few servers": (
        {TIMED + ".every": "1 hour"},
        "overload",
        "station 'test' is overloaded: timed releases need 222% of it, 8.889 servers of 4",
    ),
    "too little power": (
        {"budgets.power": "200 kW"},
        "overload",
        "budget 'power' is overloaded: timed releases need 111% of it, 222.2 of 200 kW",
    ),
    "too few hands": (
        {S + "test.crew": {"technician": 1}},
        "overload",
        "pool 'technicians' is overloaded: timed releases need 228% of it",
    ),
    # Disruptions
    "a disruption of nothing": (
        {"twin.disruptions": [{"close": "line.x.products.rack", "from": "2026-02-01"}]},
        "disruption",
        "'close' cannot act on line.x.products.rack",
    ),
    "a slip from an uncertain date": (
        {
            S + "test.servers": {"2026-01-05": 4, "2026-03-01": 5},
            "twin.disruptions": [
                {
                    "slip": "line.x.stations.test",
                    "from": "uniform(2026-02-01, 2026-02-20)",
                    "by": "1 week",
                }
            ],
        },
        "disruption",
        "'from' of a slip must be a certain date",
    ),
    "a line without products": ({P[:-1]: {}}, "empty-line", "the line has no products"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_named(name: str, tmp_path: Path) -> None:
    changes, code, words = FAULTS[name]
    findings = check(tmp_path, changes)
    named = found(findings, code)
    assert named, f"no finding {code}: {findings.as_text()}"
    assert any(words in str(finding) for finding in named), [str(f) for f in named]
    assert all(finding.place.line > 0 for finding in named)


def test_a_sound_line_has_no_findings(tmp_path: Path) -> None:
    assert check(tmp_path, {}).as_text() == ""


def test_all_faults_are_reported_at_once(tmp_path: Path) -> None:
    together = {
        TIMED + ".wip": 3,
        "dispatch": "eed",
        "calendars.weekdays.shifts": ["mo 06:00-22:00"],
        S + "pack.attempts": 3,
        R + "1.then": {"pack": 0.7, "repair": 0.4},
        "orders.a": {"product": "rack", "release": "2026-02", "due": "2026-01-20"},
        S + "test.draws": {"power": "30 L/min"},
    }
    codes = {finding.code for finding in check(tmp_path, together).errors}
    expected = {"release", "rule", "shift", "unused-field", "probability", "date-order"}
    assert codes == expected | {"unit-dimension"}


def test_a_fault_of_a_station_is_said_once(tmp_path: Path) -> None:
    changes = {S + "pack.crew": {"fiter": 1}, R + "4": {"station": "pack"}}
    assert len(check(tmp_path, changes)) == 1


SOUND: dict[str, dict[str, Any]] = {
    "an overdue lot": {"wip": [{"product": "rack", "step": "test", "due": "2026-01-01"}]},
    "scrap after so many attempts": {S + "test.attempts": 3},
    "a branch to scrap": {R + "2.then": {"test": 0.9, "scrap": 0.1}},
    "a hold over rework": {R + "0.holds": {"fitters": {"until": "pack"}}},
    "a hold of one step": {R + "3.holds": {"fitters": {"until": "pack"}}},
    "a queue limit in a rework loop": {R + "1.queue_limit": {"after": "repair", "within": "1 day"}},
    "a circle with few lots": {
        S + "test.buffer": 2,
        S + "repair.buffer": 2,
        S + "test.servers": 1,
        TIMED: {"wip": 5},
    },
    "a circle with an open end": {S + "test.buffer": 2},
    "a station that feeds itself": {S + "pack.buffer": 1, R + "4": {"station": "pack"}}
    | {TIMED: {"wip": 1}},
    "a load that waits": {
        S + "pack.batch": {"minimum": 8, "maximum": 8, "wait": "1 day"},
        TIMED: {"wip": 6},
    },
    "people who work late to finish": {
        "calendars.weekdays.shifts": ["mon-fri 06:00-07:00"],
        S + "assemble.time": "23 hour",
        S + "assemble.servers": 9,
        "pools.fitters.count": 9,
    },
    "a person with two skills, and another": {
        S + "repair.crew": {"technicians": 1, "technician": 1},
        "pools.both": {"count": 1, "skills": ["technician"]},
    },
    "a station closed for good in a scenario": {
        "twin.scenarios": {"idle": {"overrides": {"line.x.stations.test.pass": 1}}}
    },
    "a disruption": {"twin.disruptions": [{"close": "line.x.stations.test", "from": "2026-02-01"}]},
    "full use of a server": {
        S + "pack.time": "4 hour",
    },
    "disassembly": {
        P + "crate": {"route": [{"station": "pack"}]},
        R + "3.produces": {"crate": 1},
    },
}


@pytest.mark.parametrize("name", SOUND)
def test_what_is_sound_is_not_reported(name: str, tmp_path: Path) -> None:
    assert check(tmp_path, SOUND[name]).as_text() == ""


def test_examples_and_exact_cases_are_sound() -> None:
    root = Path(__file__).parents[2]
    twins = [*(root / "tests" / "known_answers").glob("line_*")]
    twins += [root / "examples" / name for name in ("houston-rack-line", "mini-fab")]
    assert len(twins) > 20
    assert {twin.name: api.check(twin).as_text() for twin in twins} == dict.fromkeys(
        (twin.name for twin in twins), ""
    )


def test_a_scenario_is_not_blamed_for_what_it_leaves_without_use(tmp_path: Path) -> None:
    pause = {S + "assemble.shift_end": "pause"}
    without = {"line.x.stations.assemble.available": None}
    assert not check(tmp_path, pause | {"twin.scenarios": {"always": {"overrides": without}}})
    added = {"line.x.stations.pack.attempts": 3}
    (finding,) = check(tmp_path, {"twin.scenarios": {"three": {"overrides": added}}})
    assert finding.what == "scenario 'three': nothing reads 'attempts' here"


# Rules of one's own.


def test_a_rule_of_ones_own_is_compiled(tmp_path: Path) -> None:
    rules = tmp_path / "rules.py"
    head = f"def slack({', '.join(ARGUMENTS)}):\n"
    rules.write_text(head + "    return due - now - work_left\n")
    assert not check(tmp_path, {"dispatch": "rules.py:slack"})
    rules.write_text(head + "    return [due]\n")
    (finding,) = check(tmp_path, {"dispatch": "rules.py:slack"})
    assert finding.code == "rule"
    assert "cannot be compiled" in finding.what or "fails" in finding.what
    rules.write_text(head + "    return (due - now) / due\n")
    assert not check(tmp_path, {"dispatch": "rules.py:slack"})
    (finding,) = check(tmp_path, {"dispatch": "rules.py:slack", TIMED + ".due": None})
    assert "nan" in finding.what
    assert "due = inf" in finding.hint
