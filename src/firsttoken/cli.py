"""The command line: parse, call, print.

Only typer is imported here, so that help and completion answer at once; each command imports
what it needs. What is printed where: answers on stdout, progress and errors on stderr.
"""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from firsttoken import cli_output as output
from firsttoken.cli_errors import guarded, interruptible, settings

if TYPE_CHECKING:
    from firsttoken.api import Run

EXAMPLES = """\b
Examples:
  firsttoken check twin.yaml                  what is wrong with it, all at once
  firsttoken run us-ai-supercomputers         plan and simulate a bundled example
  firsttoken run twin.yaml --scenario all     the base and every scenario
  firsttoken explain twin.yaml                what binds, and what to change next
  firsttoken compare runs/a runs/b            two runs side by side

\b
Exit status: 0 done, 1 findings in the input, 2 wrong usage, 3 environment, 4 no feasible
plan, 70 a defect of firsttoken, 130 interrupted.
"""

# Replications use the cores; matrices are small, and threads of BLAS only wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

app = typer.Typer(
    name="firsttoken",
    help="The open digital twin of the AI factory, from wafer to token.",
    epilog=EXAMPLES,
    no_args_is_help=True,
    rich_markup_mode=None,  # rich's help costs 200 ms of CPU
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


class CheckFormat(StrEnum):
    """How findings are printed."""

    text = "text"
    json = "json"
    sarif = "sarif"


Twin = Annotated[
    str,
    typer.Argument(
        metavar="TWIN", help="A twin file, a folder with twin.yaml, or a bundled example's name."
    ),
]
Scenarios = Annotated[
    list[str] | None,
    typer.Option(
        "--scenario", "-s", metavar="NAME", help="Scenario to run; repeat it, or say 'all'."
    ),
]
Replications = Annotated[
    int | None,
    typer.Option("--replications", "-n", min=1, metavar="N", help="Random replications."),
]
Seed = Annotated[
    int | None, typer.Option("--seed", min=0, metavar="N", help="Seed of all random streams.")
]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="FOLDER", help="Run folder to write."),
]
Threads = Annotated[
    int | None, typer.Option("--threads", min=1, metavar="N", help="Threads; default: all cores.")
]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on stdout, and nothing else.")
]


def _version(asked: bool) -> None:
    if asked:
        import firsttoken

        output.line(f"firsttoken {firsttoken.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an internal error.")
    ] = False,
) -> None:
    """Options of all commands."""
    settings.debug = debug


@app.command(epilog="\b\nExample:\n  firsttoken run twin.yaml -s base -s quake-2024 -n 1000")
@guarded
def run(
    twin: Twin,
    scenario: Scenarios = None,
    replications: Replications = None,
    seed: Seed = None,
    out: Out = None,
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Plan and simulate a twin, and write a run folder with a report."""
    _execute(("plan", "simulate"), twin, scenario, replications, seed, out, threads, json)


@app.command(epilog="\b\nExample:\n  firsttoken plan twin.yaml -s amkor-slips-12m --json")
@guarded
def plan(
    twin: Twin,
    scenario: Scenarios = None,
    out: Out = None,
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Plan only: what to make when, what binds, and what one more unit of it is worth."""
    _execute(("plan",), twin, scenario, None, None, out, threads, json)


@app.command(
    epilog="\b\nExamples:\n  firsttoken simulate twin.yaml -n 10000 --seed 7\n"
    "  firsttoken simulate twin.yaml --until 2026-07-01 --save july.npz\n"
    "  firsttoken simulate twin.yaml --from july.npz --until 2026-08-01"
)
@guarded
def simulate(
    twin: Twin,
    scenario: Scenarios = None,
    replications: Replications = None,
    seed: Seed = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--until", metavar="DATE", help="Day of the state to save, or end of the forecast."
        ),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(
            "--save",
            metavar="FILE",
            help="Write the state of lines, sites and token factories at --until to FILE.",
        ),
    ] = None,
    from_: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="FILE", help="Forecast: let all futures start from a saved state."
        ),
    ] = None,
    out: Out = None,
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Simulate only: what can happen, as P10, P50, P80 and P90 of everything.

    With --save, one replication runs until a day and the state of its lines, sites and token
    factories is kept. With --from, all replications start from such a state: what will be finished
    when, which orders will be on time, what a site will take, what a factory will serve.
    """
    if until is None and save is None and from_ is None:
        _execute(("simulate",), twin, scenario, replications, seed, out, threads, json)
        return
    with interruptible():
        from firsttoken import cli_line

        asked = cli_line.StateOptions(twin, scenario, replications, seed, until, out, threads, json)
        if save is not None:
            cli_line.save(asked, save, from_)
        else:
            cli_line.forecast(asked, from_)


@app.command(epilog="\b\nExample:\n  firsttoken explain houston-rack-line -s base -s burn-in-24h")
@guarded
def explain(
    twin: Twin,
    scenario: Scenarios = None,
    replications: Replications = None,
    seed: Seed = None,
    out: Out = None,
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Say what binds, and what to change next.

    Lines are simulated again with one small step of every parameter; networks are planned, and
    their marginal values say what one more unit is worth. Of services it says what ends their
    load, and what a tenth more of bandwidth, arithmetic or memory brings.
    """
    with interruptible():
        from firsttoken import cli_line

        done = _run(("plan", "explain"), twin, scenario, replications, seed, out, threads)
        with done.results as results:
            if json:
                cli_line.explain_json(results, done.report_path)
            else:
                cli_line.explain_text(results, done.report_path)


def _execute(
    engines: tuple[str, ...],
    twin: str,
    scenarios: list[str] | None,
    replications: int | None,
    seed: int | None,
    out: Path | None,
    threads: int | None,
    json: bool,
) -> None:
    with interruptible():
        done = _run(engines, twin, scenarios, replications, seed, out, threads)
    with done.results as results:
        if json:
            output.run_json(results, done.report_path)
        else:
            output.run_text(results, done.report_path)


def _run(
    engines: tuple[str, ...],
    twin: str,
    scenarios: list[str] | None,
    replications: int | None,
    seed: int | None,
    out: Path | None,
    threads: int | None,
) -> Run:
    with output.Progress() as progress:
        from firsttoken import api

        return api.run(
            output.twin_path(twin),
            scenarios=scenarios,
            engines=engines,
            replications=replications,
            seed=seed,
            out=out,
            threads=threads,
            progress=progress.update,
        )


@app.command(
    epilog="\b\nExamples:\n  firsttoken check twin.yaml\n"
    "  firsttoken check twin.yaml --format sarif > findings.sarif"
)
@guarded
def check(
    twin: Twin,
    format: Annotated[CheckFormat, typer.Option("--format", "-f", help="Form of the findings.")] = (
        CheckFormat.text
    ),
) -> None:
    """Say everything that is wrong with a twin: structure, units, references, dates, sources."""
    from firsttoken import api

    findings = api.check(output.twin_path(twin))
    output.findings(findings, format.value)
    if findings.errors:
        raise typer.Exit(1)


@app.command(
    epilog="\b\nExamples:\n  firsttoken compare runs/a runs/b\n"
    "  firsttoken compare runs/a:base runs/a:quake-2024\n"
    "  firsttoken compare runs/a          the base against every other scenario"
)
@guarded
def compare(
    a: Annotated[str, typer.Argument(metavar="RUN[:SCENARIO]", help="A run folder.")],
    b: Annotated[
        str | None, typer.Argument(metavar="RUN[:SCENARIO]", help="Another, or another scenario.")
    ] = None,
    json: Json = False,
) -> None:
    """Put two runs or scenarios side by side: inputs that differ, and what comes of it."""
    output.comparisons(a, b, json)


@app.command(
    epilog="\b\nExample (then: # yaml-language-server: $schema=firsttoken.schema.json):\n"
    "  firsttoken schema > firsttoken.schema.json"
)
@guarded
def schema() -> None:
    """Print the JSON Schema of twin files, for completion and checking in editors."""
    output.schema()


@app.command(epilog="\b\nExample:\n  firsttoken report runs/a --out a.html")
@guarded
def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Default: report.html in the run folder."),
    ] = None,
) -> None:
    """Write a run's report anew: one HTML file that needs nothing else."""
    from firsttoken.report.report import write_report
    from firsttoken.results.store import Results

    path = out or run / "report.html"
    with Results.open(run) as results:
        write_report(results, path)
    output.line(f"Report: {path.resolve()}")


def main() -> None:
    """Entry point of the command `firsttoken`."""
    app()
    sys.exit(0)
