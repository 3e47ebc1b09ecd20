"""What the command line prints: answers on stdout, progress on stderr."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firsttoken.results.figures import figure, finite, scaled, year_day

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from firsttoken.results.compare import Comparison
    from firsttoken.results.store import Results
    from firsttoken.twin.findings import Findings

QUANTILES = ("p10", "p50", "p80", "p90")
SUMMARY_COLUMNS = ("scenario", "kpi", "label", "unit", *QUANTILES)
PLAN_COLUMNS = ("scenario", "figure", "value", "unit")
OF_SERVICE = ("factory", "service")
LIMIT_COLUMNS = ("scenario", "rank", "name", "share", "binds", "sentence")
LIMITED = ("line", "programme", "service")  # columns that name what is limited
MARGINAL_COLUMNS = ("scenario", "name", "label", "marginal_usd", "sentence")
MOST_BINDING = 5
WHOLE = 1e6  # below it whole numbers are shown as such
MOST_LIMITS = 4  # sentences on what binds a line
MOST_CHANGES = 6  # rows of what a scenario changes
NOTABLE_CHANGE = 0.01  # of a median, in proportion
QUIET_SECONDS = 10.0  # between plain progress lines
SHORT_STEPS = 2  # whose end is not worth a line


def line(text: str) -> None:
    """Print one line on stdout."""
    print(text)


def twin_path(text: str) -> Path:
    """The path as given or, where nothing stands there, the bundled example of that name."""
    given = Path(text)
    if not given.exists() and given.name == text:
        package = Path(__file__).resolve().parent
        for examples in (package / "examples", package.parents[1] / "examples"):
            if (examples / text).is_dir():
                return examples / text
    return given


class Progress:
    """Progress on stderr: bars with an ETA on a terminal, plain lines elsewhere."""

    def __init__(self) -> None:
        self._bars: Bars | None = None
        self._tasks: dict[str, TaskID] = {}
        self._said: dict[str, tuple[float, float]] = {}

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                TextColumn,
                TimeElapsedColumn,
                TimeRemainingColumn,
            )
            from rich.progress import Progress as Bars

            self._bars = Bars(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("ETA"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def update(self, stage: str, done: int, total: int) -> None:
        """Say that `done` of `total` steps of a stage are done; total 0: not known."""
        if self._bars is None:
            self._plain(stage, done, total)
            return
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=total or None)
        self._bars.update(self._tasks[stage], completed=done, total=total or None)

    def _plain(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        first = stage not in self._said
        started, said = self._said.get(stage, (now, now))
        over = done >= total > 0
        finished = over and total > SHORT_STEPS
        if not finished and (over or (not first and now - said < QUIET_SECONDS)):
            return
        self._said[stage] = started, now
        text = f"{stage}: {done:,} of {total:,}"
        if finished:
            text += f" in {now - started:.1f} s"
        elif first:
            text = f"{stage} ..."
        elif done and now - started >= 1:
            text += f", about {(now - started) * (total - done) / done:.0f} s to go"
        print(text, file=sys.stderr, flush=True)


def count(findings: Findings) -> str:
    """Say how many findings of each severity there are: ``2 errors, 1 warning``."""
    parts = []
    for severity in ("error", "warning", "note"):
        found = sum(finding.severity == severity for finding in findings.sorted())
        if found:
            parts.append(f"{found} {severity}{'s' if found > 1 else ''}")
    return ", ".join(parts) or "nothing found"


def findings(found: Findings, form: str) -> None:
    """Print findings as text, json or sarif; text ends with a count on stderr."""
    if form == "json":
        print(found.as_json())
    elif form == "sarif":
        import firsttoken

        print(found.as_sarif(firsttoken.__version__))
    else:
        if len(found):
            print(found.as_text())
        print(f"firsttoken: {count(found)}", file=sys.stderr)


def run_json(results: Results, report: Path | None) -> None:
    """Print what a run says of itself and its headline figures as one JSON object."""
    import json

    document: dict[str, Any] = {
        "folder": str(results.folder.resolve()),
        "report": str(report.resolve()) if report else None,
        "run": json.loads(results.run.as_json()),
        "summary": summary(results),
        "plan": rows_of(results, "_plan", PLAN_COLUMNS),
        "binding": binding(results),
        "limits": limits(results),
    }
    print(json.dumps(finite(document), indent=2, ensure_ascii=False))


def run_text(results: Results, report: Path | None) -> None:
    """Print the first scenario's headline figures, what others change, and where it all lies."""
    from rich.console import Console

    # Where nobody watches, lines are as long as they need to be.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    first, *others = results.run.scenario_names
    rows = summary(results)
    base = [row for row in rows if row["scenario"] == first]
    _print_figures(console, f"{results.run.twin}: {first}", base)
    _print_limits(results, first)
    _print_plan(results, first)
    for scenario in others:
        _print_changes(console, first, base, [r for r in rows if r["scenario"] == scenario])
    print(f"Run:    {results.folder.resolve()}")
    if report:
        print(f"Report: {report.resolve()}")


def _print_figures(console: Console, title: str, rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None)
    for column in ("", *(quantile.upper() for quantile in QUANTILES), "unit"):
        table.add_column(column, justify="right" if column.startswith("P") else "left")
    for row in rows:
        if row["unit"] == "% of time" and not row["p90"]:
            continue  # never
        figures, unit = figures_of(row)
        table.add_row(str(row["label"]), *figures, unit)
    if table.row_count:
        console.print(table)
        print()


def _print_limits(results: Results, scenario: str) -> None:
    """What limits each line, the strongest first."""
    found = [row for row in limits(results) if row["scenario"] == scenario]
    for line in dict.fromkeys(row["line"] for row in found):
        print(f"{results.run.twin}: what binds {line}")
        said = [row["sentence"] for row in found if row["line"] == line][:MOST_LIMITS]
        for sentence in said:
            print(f"  {sentence.removeprefix(f'{line}: ')}")
        print()


def _unplanned(results: Results) -> str:
    """Why a token factory has no plan: layouts are declared, or nothing but training is."""
    inputs = results.table("serving_inputs")
    if any(".services." in str(cell) for key in ("path", "used_by") for cell in inputs[key]):
        return "all layouts are declared; `search` asks for a plan"
    return "there is no service to plan; training jobs keep the layouts that they declare"


def _print_plan(results: Results, scenario: str) -> None:
    """What a plan comes to; that of services each under its name."""
    services = [
        row
        for row in rows_of(results, "_plan", (*PLAN_COLUMNS, *OF_SERVICE, "sentence"))
        if row["scenario"] == scenario
    ]
    for service in dict.fromkeys((row["factory"], row["service"]) for row in services):
        print(f"{', '.join(service)}: plan of {scenario}")
        for row in services:
            if (row["factory"], row["service"]) == service:
                print(f"  {_planned(row, str(row['sentence']))}")
        print()
    tables = {row["table"] for row in services}
    plans = rows_of(results, "_plan", PLAN_COLUMNS)
    of_plan = [
        row
        for row in plans
        if row["scenario"] == scenario and row["value"] and row["table"] not in tables
    ]
    if not of_plan:
        if not services and "simulate" not in results.run.engines and "serving_inputs" in results:
            print(f"{results.run.twin}: {_unplanned(results)}\n")
        return
    told = rows_of(results, "_plan", (*PLAN_COLUMNS, "sentence"))
    sentences = {(row["table"], row["figure"], row["value"]): row["sentence"] for row in told}
    print(f"{results.run.twin}: plan of {scenario}")
    for row in of_plan:
        print(f"  {_planned(row, sentences.get((row['table'], row['figure'], row['value']), ''))}")
    for row in binding(results):
        if row["scenario"] == scenario:
            print(f"  {row['sentence']}")
    print()


def _planned(row: dict[str, Any], sentence: str) -> str:
    """A figure of a plan with what is said of it; a figure that is not known is not shown."""
    name, value = str(row["figure"]).replace("_", " "), row["value"]
    if value != value:
        return f"{name}: {sentence}"
    (shown,), unit = scaled([value], str(row["unit"]))
    text = f"{shown:,.0f}" if shown == round(shown) and abs(shown) < WHOLE else figure(shown)
    said = f"{name}: {text} {unit}".rstrip()
    return f"{said}; {sentence}" if sentence else said


def _print_changes(
    console: Console, first: str, base: list[dict[str, Any]], rows: list[dict[str, Any]]
) -> None:
    """The medians that a scenario moves by one per cent or more, the most moved first."""
    from rich.table import Table

    known = {(row["table"], row["kpi"]): row for row in base}
    moved: list[tuple[float, dict[str, Any], dict[str, Any]]] = []
    for row in rows:
        other = known.get((row["table"], row["kpi"]))
        if other is not None:
            change = _change(other["p50"], row["p50"], str(row["unit"]))
            if change >= NOTABLE_CHANGE:
                moved.append((change, other, row))
    if not rows:
        return
    name = rows[0]["scenario"]
    if not moved:
        print(f"{name}: no median moves by {NOTABLE_CHANGE:.0%} or more against {first}\n")
        return
    table = Table(title=f"{name}, against {first}", title_justify="left", box=None)
    for column in ("median of", first, name, "unit"):
        table.add_column(column, justify="left" if column in ("median of", "unit") else "right")
    for _, other, row in sorted(moved, key=lambda part: -part[0])[:MOST_CHANGES]:
        pair = {**row, "p10": other["p50"]}
        figures, unit = figures_of(pair)
        table.add_row(str(row["label"]), figures[0], figures[1], unit)
    console.print(table)
    print()


def _change(before: float, after: float, unit: str) -> float:
    """Relative change; of a date in decades, and 1 where it leaves the horizon or comes in.

    Percentages change by points, or the smallest of them would seem to change most.
    """
    if before != before or after != after:
        return float((before == before) != (after == after))
    if unit == "year":
        return abs(after - before) / 10
    if unit.startswith("%"):
        return abs(after - before) / 100
    return abs(after - before) / abs(before) if before else float(after != 0)


def summary(results: Results) -> list[dict[str, Any]]:
    """The headline rows of every room that was simulated."""
    return rows_of(results, "_summary", SUMMARY_COLUMNS)


def binding(results: Results) -> list[dict[str, Any]]:
    """What binds most: for each scenario the capacities of most marginal value, once each."""
    rows = rows_of(results, "_marginal", MARGINAL_COLUMNS)
    rows.sort(key=lambda row: -row["marginal_usd"])
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        best = found.setdefault(row["scenario"], {})
        if row["marginal_usd"] > 0 and len(best) < MOST_BINDING:
            best.setdefault(row["name"], row)
    return [row for best in found.values() for row in best.values()]


def limits(results: Results) -> list[dict[str, Any]]:
    """What limits lines, programmes, services: sentences by scenario, owner (`line`), rank."""
    rows: list[dict[str, Any]] = []
    for owner in LIMITED:
        found = rows_of(results, "_binding", (*LIMIT_COLUMNS, owner))
        rows += [{**row, "line": row[owner]} for row in found]
    order = {name: place for place, name in enumerate(results.run.scenario_names)}
    return sorted(rows, key=lambda row: (order[row["scenario"]], row["line"], row["rank"]))


def rows_of(results: Results, ending: str, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    """Rows of all rooms' tables of that ending, as far as they have these columns."""
    rows: list[dict[str, Any]] = []
    for name in results.tables:
        if name.endswith(ending) and set(columns) <= set(results.info(name).columns):
            table = results.table(name)
            cells = [table[column].tolist() for column in columns]
            rows += [
                {"table": name, **dict(zip(columns, values, strict=True))}
                for values in zip(*cells, strict=True)
            ]
    return rows


def figures_of(row: Mapping[str, Any]) -> tuple[list[str], str]:
    """A row's quantiles as a person would write them, and the unit that they are in."""
    values = [row[quantile] for quantile in QUANTILES]
    unit = str(row["unit"])
    if unit == "year":  # a date as a decimal year; not known: beyond the horizon
        return [year_day(value) for value in values], ""
    values, unit = scaled(values, unit)
    return [figure(value) for value in values], unit


def comparisons(a: str, b: str | None, as_json: bool) -> None:
    """Print comparisons of `a` with `b`, or of a run's base with its other scenarios."""
    from contextlib import ExitStack

    from firsttoken.results.compare import compare
    from firsttoken.results.store import Results
    from firsttoken.twin.findings import UsageError

    folder_a, scenario_a = _run_and_scenario(a)
    folder_b, scenario_b = _run_and_scenario(b) if b else (folder_a, "")
    found: list[Comparison] = []
    with ExitStack() as stack:
        left = stack.enter_context(Results.open(folder_a))
        right = left if folder_b == folder_a else stack.enter_context(Results.open(folder_b))
        base = scenario_a or left.run.scenario_names[0]
        others = [scenario_b or right.run.scenario_names[0]]
        if b is None:
            others = [name for name in left.run.scenario_names if name != base]
            if not others:
                raise UsageError(f"{a} has no other scenario; name a second run to compare with")
        found = [compare((left, base), (right, other)) for other in others]
    if as_json:
        texts = [comparison.as_json() for comparison in found]
        print(texts[0] if b else "[" + ",\n".join(texts) + "]")
    else:
        print("\n\n".join(comparison.as_text() for comparison in found))


def _run_and_scenario(text: str) -> tuple[Path, str]:
    if Path(text).exists() or ":" not in text:
        return Path(text), ""
    folder, _, scenario = text.rpartition(":")
    return Path(folder), scenario


def schema() -> None:
    """Print the JSON Schema of twin files."""
    import json

    from firsttoken.chain.rooms import rooms
    from firsttoken.twin.reference import twin_schema

    print(json.dumps(twin_schema(rooms()), indent=2, ensure_ascii=False))
