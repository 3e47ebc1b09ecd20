"""What the command line prints of lines: what binds and what to change, states, forecasts."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firsttoken import cli_output as output
from firsttoken.results.figures import figure, finite
from firsttoken.twin.findings import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from firsttoken.api import Run
    from firsttoken.results.store import Results

MOST_STEPS = 8  # of what to change next
MOST_HOPES = 4  # of these, if few are sure
MOST_PLACES = 6  # of what limits a line
MOST_PERIODS = 16  # of a forecast
MOST_ORDERS = 20
MOST_LEVERS = 20  # of what moves a programme
LEAST_DAYS = 0.05
LEAST_GAIN = 0.2  # % of tokens or of time that a lever must bring to be told
LEAST_SHARE = 0.03  # of a step that an operator must take
NOTABLE = 0.001  # of the throughput or the cycle time
WIDTH = 160  # where nobody watches, lines are as long as they need to be

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StateOptions:
    """What `simulate` was called with, where it saves or starts from a state."""

    twin: str
    scenarios: list[str] | None
    replications: int | None
    seed: int | None
    until: str | None
    out: Path | None
    threads: int | None
    json: bool

    @property
    def scenario(self) -> str | None:
        """The one scenario; raises `UsageError` if there are more."""
        if self.scenarios is not None and len(self.scenarios) > 1:
            raise UsageError("a state belongs to one scenario; name one")
        return self.scenarios[0] if self.scenarios else None


# States ------------------------------------------------------------------------------------------


def save(asked: StateOptions, path: Path, start: Path | None) -> None:
    """Save the state of lines, sites and token factories at a day, and say where it lies.

    Raises
    ------
    UsageError
        If there is no day, or an option does not go with saving.
    """
    from firsttoken import api

    if asked.until is None:
        raise UsageError("--save needs --until DATE: the day of the state")
    for option, given in (
        ("--from", start),
        ("--replications", asked.replications),
        ("--out", asked.out),
    ):
        if given is not None:
            raise UsageError(f"{option} does not go with --save, which writes one state to a file")
    with output.Progress() as progress:
        api.save_state(
            output.twin_path(asked.twin),
            path,
            asked.until,
            scenario=asked.scenario,
            seed=asked.seed,
            threads=asked.threads,
            progress=progress.update,
        )
    if asked.json:
        print(json.dumps({"state": str(path.resolve()), "until": asked.until}, indent=2))
    else:
        print(f"State:  {path.resolve()}")


def forecast(asked: StateOptions, start: Path | None) -> None:
    """Forecast from a saved state, and print bands and orders of lines, figures of all else.

    Raises
    ------
    UsageError
        If there is no state to start from.
    """
    from firsttoken import api

    if start is None:
        raise UsageError("--until goes with --save FILE or --from FILE")
    with output.Progress() as progress:
        done = api.forecast(
            output.twin_path(asked.twin),
            start,
            until=asked.until,
            scenario=asked.scenario,
            replications=asked.replications,
            seed=asked.seed,
            out=asked.out,
            threads=asked.threads,
            progress=progress.update,
        )
    with done.results as results:
        if asked.json:
            _forecast_json(done)
        else:
            _forecast_text(results)
            _print_places(results, done.report_path)


def _forecast_json(done: Run) -> None:
    results = done.results
    document = {
        **_head(results, done.report_path),
        "forecast": _rows(results, "line_forecast"),
        "orders": _rows(results, "line_forecast_orders"),
        "sites": _rows(results, "facility_summary"),
        "factories": _rows(results, "serving_summary"),
    }
    print(json.dumps(finite(document), indent=2, ensure_ascii=False))


def _forecast_text(results: Results) -> None:
    rows = _rows(results, "line_forecast")
    for line in dict.fromkeys(row["line"] for row in rows):
        mine = [row for row in rows if row["line"] == line and row["lot_class"] == "all"]
        made = [row for row in mine if row["metric"] == "finished"]
        total = [row for row in mine if row["metric"] == "finished_in_all"]
        count = f"{results.run.replications:,} futures from {made[0]['period']}"
        _print_bands(f"{line}: {made[0]['unit']} finished by period, {count}", made)
        last = total[-1]
        print(
            f"  in all until {last['end']}: P10 {figure(last['p10'])}, P50 {figure(last['p50'])}, "
            f"P90 {figure(last['p90'])} {last['unit']}\n"
        )
    _print_orders(_rows(results, "line_forecast_orders"))
    for kind, table in (("site", "facility_summary"), ("factory", "serving_summary")):
        _print_figures(_rows(results, table), kind, results.run.replications)


def _print_figures(rows: list[Row], kind: str, futures: int) -> None:
    """Headline figures of each site or token factory (`kind`) from its state on."""
    for name in dict.fromkeys(row[kind] for row in rows):
        table = _table(("",), ("P10", "P50", "P80", "P90"))
        for row in rows:
            if row[kind] == name:
                cells, unit = output.figures_of(row)
                table.add_row(row["label"], *cells, unit)
        _print(f"{name}: {futures:,} futures", table)
        print()


def _print_bands(title: str, rows: list[Row]) -> None:
    table = _table(("from",), ("P5", "P10", "P50", "P90", "P95", "mean"))
    for row in rows[:MOST_PERIODS]:
        cells = [figure(row[key]) for key in ("p5", "p10", "p50", "p90", "p95", "mean")]
        table.add_row(row["period"], *cells)
    _print(title, table)
    if len(rows) > MOST_PERIODS:
        print(f"  and {len(rows) - MOST_PERIODS} more periods in the table line_forecast")


def _print_orders(rows: list[Row]) -> None:
    if not rows:
        return
    left = ("order", "product", "due", "P10", "P50", "P90")
    table = _table(left, ("on time", "95 % interval"))
    rows = sorted(rows, key=lambda row: (row["on_time"], row["due"]))
    for row in rows[:MOST_ORDERS]:
        dates = [row[key] or "beyond" for key in ("p10", "p50", "p90")]
        low, high = (f"{100 * row[key]:.0f}" for key in ("on_time_low", "on_time_high"))
        chance = f"{100 * row['on_time']:.0f} %"
        table.add_row(row["order"], row["product"], row["due"], *dates, chance, f"{low} to {high}")
    _print("Orders, the least sure first", table)
    if len(rows) > MOST_ORDERS:
        print(f"  and {len(rows) - MOST_ORDERS} more in the table line_forecast_orders")
    print()


# What binds, and what to change ------------------------------------------------------------------


def explain_json(results: Results, report: Path | None) -> None:
    """Print the analysis as one JSON object."""
    document = {
        **_head(results, report),
        "line_binding": _rows(results, "line_binding"),
        "line_bottlenecks": _rows(results, "line_bottlenecks"),
        "line_sensitivity": _rows(results, "line_sensitivity"),
        "line_buffers": _rows(results, "line_buffers"),
        "line_test_floor": _rows(results, "line_test_floor"),
        "build_levers": _rows(results, "build_levers"),
        "serving_binding": _rows(results, "serving_binding"),
        "serving_levers": _rows(results, "serving_levers"),
        "serving_terms": _rows(results, "serving_terms"),
        "binding": output.binding(results),
    }
    print(json.dumps(finite(document), indent=2, ensure_ascii=False))


def explain_text(results: Results, report: Path | None) -> None:
    """Print what binds each line, programme and network, and what to change next."""
    for scenario in results.run.scenario_names:
        _explain_lines(results, scenario)
        _explain_programmes(results, scenario)
        _explain_services(results, scenario)
        sentences = [r["sentence"] for r in output.binding(results) if r["scenario"] == scenario]
        if sentences:
            print(f"{results.run.twin}: what binds the plan of {scenario}")
            for sentence in sentences:
                print(f"  {sentence}")
            print()
    _print_places(results, report)


def _explain_programmes(results: Results, scenario: str) -> None:
    """What moves the dates of each programme, what brings most first."""
    rows = [row for row in _rows(results, "build_levers") if row["scenario"] == scenario]
    for programme in dict.fromkeys(row["programme"] for row in rows):
        print(f"{programme}, {scenario}: what moves the first phase and the end")
        mine = [row for row in rows if row["programme"] == programme]
        moving = [row for row in mine if max(row["gain"], row["finish"]) >= LEAST_DAYS]
        for row in moving[:MOST_LEVERS]:
            print(f"  {row['sentence']}")
        if len(moving) < len(mine):
            print(f"  {len(mine) - len(moving)} other changes move neither")
        print()


def _explain_services(results: Results, scenario: str) -> None:
    """What ends the load of each service, what brings most, and what a step consists of."""
    tables = {
        name: [row for row in _rows(results, f"serving_{name}") if row["scenario"] == scenario]
        for name in ("binding", "levers", "terms")
    }
    for factory, service in dict.fromkeys((r["factory"], r["service"]) for r in tables["binding"]):
        print(f"{factory}, {service}, {scenario}: what limits it, and what a tenth more brings")
        mine = {
            name: [r for r in rows if (r["factory"], r["service"]) == (factory, service)]
            for name, rows in tables.items()
        }
        print(f"  {mine['binding'][0]['sentence'].removeprefix(f'{service}: ')}")
        moving = [row for row in mine["levers"] if max(row["served"], -row["tpot"]) >= LEAST_GAIN]
        for row in moving[:MOST_LEVERS]:
            print(f"  {row['sentence']}")
        said = [row["sentence"] for row in mine["terms"] if row["share"] >= LEAST_SHARE]
        print(f"  of a decoding step: {'; '.join(said)}")
        print()


def _explain_lines(results: Results, scenario: str) -> None:
    tables = {
        name: [row for row in _rows(results, f"line_{name}") if row["scenario"] == scenario]
        for name in ("binding", "bottlenecks", "sensitivity", "buffers", "test_floor")
    }
    for line in dict.fromkeys(row["line"] for row in tables["bottlenecks"]):
        mine = {name: [r for r in rows if r["line"] == line] for name, rows in tables.items()}
        print(f"{line}, {scenario}")
        for row in mine["binding"]:
            if row["binds"] or row["rank"] == 1:
                print(f"  {row['sentence']}")
        print()
        _print_bottlenecks(mine["bottlenecks"])
        _print_steps(mine["sensitivity"])
        _print_buffers(mine["buffers"])
        _print_floor(mine["test_floor"])


def _print_bottlenecks(rows: list[Row]) -> None:
    right = ("used", "longest active", "blocked", "starved", "short", "best step", "gain")
    table = _table(("", ""), right)
    for row in rows[:MOST_PLACES]:
        active = "-"
        if row["active_low"] == row["active_low"]:
            low, high = (f"{100 * row[key]:.0f}" for key in ("active_low", "active_high"))
            active = f"{_percent(row['active'])} ({low} to {high})"
        turning = row["turning"] == row["turning"] and row["turning"] >= 0.5
        name = f"{row['name']} (turning point)" if turning else row["name"]
        shares = [_percent(row[key]) for key in ("blocked", "starved", "short")]
        step = (row["change"], _percent(row["gain"], "+")) if row["sure"] else ("-", "-")
        table.add_row(row["kind"], name, _percent(row["use"]), active, *shares, *step)
    _print("Stations, pools and budgets", table)
    print()


def _print_steps(rows: list[Row]) -> None:
    print("What to change next")
    helpful = [row for row in rows if _notable(row)]
    closely = max((row["replications"] for row in rows), default=0)
    looked_at = [row for row in rows if row["replications"] == closely]
    hopeful = [row for row in looked_at if row["low"] > 0 and not (row["sure"] or row["quicker"])]
    hopeful.sort(key=lambda row: -row["throughput"])
    shown = [*helpful[:MOST_STEPS], *hopeful[: max(MOST_HOPES - len(helpful), 0)]]
    for row in shown:
        print(f"  {row['sentence']}")
    if not shown:
        print("  no single small step brings a gain that could be seen")
    elif len(shown) < len(rows):
        others = len(rows) - len(shown)
        print(f"  {others} other {'step brings' if others == 1 else 'steps bring'} less or nothing")
    print()


def _notable(row: Row) -> bool:
    """Whether a step surely brings something that is worth a line."""
    more = row["sure"] and row["share"] >= NOTABLE
    return bool(more or (row["quicker"] and row["cycle_time_share"] <= -NOTABLE))


def _print_buffers(rows: list[Row]) -> None:
    if not rows:
        return
    now = ", ".join(f"{row['station']} {row['places']}" for row in rows)
    best = ", ".join(f"{row['station']} {row['best']}" for row in rows)
    first = rows[0]
    if first["gain_low"] > 0:
        print(f"Buffers: the same space is best split as {best} (now {now}):")
        low, high = figure(first["gain_low"]), figure(first["gain_high"])
        print(f"  +{figure(first['gain'])} {first['unit']} ({low} to {high})\n")
    else:
        print(f"Buffers: no other split of the space is seen to be better than {now}\n")


def _print_floor(rows: list[Row]) -> None:
    rows = [row for row in rows if row["slots_law"] > 0 or row["slots"] > 0]
    if not rows:
        return
    right = ("slots", "by the law", "of", "draw", "by the law", "of", "unit")
    table = _table(("", ""), right)
    for row in rows:
        whole = row["station"] == "all"
        table.add_row(
            row["budget"],
            row["station"],
            figure(row["slots"]),
            figure(row["slots_law"]),
            "" if whole else str(row["servers"]),
            figure(row["draw"]),
            figure(row["draw_law"]),
            figure(row["level"]) if whole else "",
            row["unit"],
        )
    _print("Test floor", table)
    print()


# Shared ------------------------------------------------------------------------------------------


def _head(results: Results, report: Path | None) -> Row:
    return {
        "folder": str(results.folder.resolve()),
        "report": str(report.resolve()) if report else None,
        "run": json.loads(results.run.as_json()),
    }


def _rows(results: Results, name: str) -> list[Row]:
    """Rows of a table; none if the run does not have it."""
    if name not in results:
        return []
    table = results.table(name)
    cells = [column.tolist() for column in table.values()]
    return [dict(zip(table, values, strict=True)) for values in zip(*cells, strict=True)]


def _table(left: tuple[str, ...], right: tuple[str, ...]) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, 1, 0, 2))
    for column in left:
        table.add_column(column)
    for column in right:
        table.add_column(column, justify="right")
    return table


def _print(title: str, table: Table) -> None:
    from rich.console import Console

    print(title)
    Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH).print(table)


def _percent(share: float, sign: str = "") -> str:
    if share != share:
        return "-"
    return f"{100 * share:{sign}.{0 if abs(share) >= 0.0995 or share == 0 else 1}f} %"


def _print_places(results: Results, report: Path | None) -> None:
    print(f"Run:    {results.folder.resolve()}")
    if report:
        print(f"Report: {report.resolve()}")
