"""Tables of a token factory's plan: the best configuration of a service, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator

from firsttoken.serving.plan import ServicePlan, row_of
from firsttoken.serving.search import Answer
from firsttoken.serving.system import Layout
from firsttoken.twin.result_rows import Rows
from firsttoken.twin.result_table import ResultTable

MILLI = 1e3
FIGURES = ("factory", "service", "figure", "value", "unit", "sentence")
FRONTIER = (
    *("factory", "service", "configuration", "layout", "format", "apart", "flight", "units"),
    *("gpus", "tokens_per_gpu", "tokens_per_user", "ttft", "tpot", "watts", "joules", "dollars"),
    *("meets", "best"),
)
UNITS = {
    "gpus": "gpu",
    "tokens_per_gpu": "token/s",
    "tokens_per_user": "token/s",
    "ttft": "s",
    "tpot": "ms",
    "watts": "W",
    "joules": "J/token",
    "dollars": "USD",
}


def plan_tables(scenario: str, factory: str, plans: list[ServicePlan]) -> list[ResultTable]:
    """What the search found, figure by figure, and the frontier of what is possible."""
    if not plans:
        return []
    figures = Rows(
        "serving_plan",
        "The configuration that is best for a service and reaches its goals.",
        ("scenario", *FIGURES[:3]),
        "scenario",
        *FIGURES,
    )
    frontier = Rows(
        "serving_frontier",
        "Configurations of which none is better both for a GPU and for a user.",
        ("scenario", *FRONTIER[:3]),
        "scenario",
        *FRONTIER,
    )
    for plan in plans:
        name = plan.service.name
        for figure, value, unit, sentence in _figures(plan.answer):
            given = (scenario, factory, name, figure, float(value), unit, sentence)
            figures.add(**dict(zip(("scenario", *FIGURES), given, strict=True)))
        rows = list(plan.answer.frontier)
        if plan.answer.best not in rows:
            rows.append(plan.answer.best)
        for number, row in enumerate(rows):
            given_row = (scenario, factory, name, number + 1, *_configuration(plan.answer, row))
            frontier.add(**dict(zip(("scenario", *FRONTIER), given_row, strict=True)))
    return [figures.table(), frontier.table(UNITS)]


def said(layout: Layout) -> str:
    """A layout in the trade's letters: `TP4 PP2 DP8 EP32`."""
    parts = [("TP", layout.tensor), ("PP", layout.pipeline), ("DP", layout.data)]
    if layout.expert > 1:
        parts.append(("EP", layout.expert))
    found = [f"{name}{float(n):.0f}" for name, n in parts if n > 1]
    return " ".join(found) or "TP1"


def layout_said(answer: Answer, row: int) -> str:
    """The layouts of a configuration; those of prefill before a slash."""
    columns = answer.columns
    own = said(row_of(columns.layout, row))
    if not columns.apart[row]:
        return own
    first = f"{columns.prefill_workers[row]:.0f} x {said(row_of(columns.prefill, row))}"
    return f"{first} / {columns.workers[row]:.0f} x {own}"


def _figures(answer: Answer) -> Iterator[tuple[str, float, str, str]]:
    """(figure, value, unit, sentence) of the best configuration."""
    row, columns = answer.best, answer.columns
    form = answer.question.formats[int(columns.format[row])].name
    gpus = columns.gpus[row] * answer.units[row]
    units = answer.units[row]
    apart = ", prefill / decode" if columns.apart[row] else ""
    yield "gpus", gpus, "gpu", f"{units:.0f} x {layout_said(answer, row)}, {form}{apart}"
    flight = columns.flight[row]
    yield "flight", flight, "request", "in flight at the busiest time, of one of them"
    yield "tokens", answer.total[row], "token/s", "output tokens of all of them"
    yield "tokens_per_gpu", answer.per_gpu[row], "token/s", "output tokens of a GPU"
    yield (
        "tokens_per_user",
        answer.per_user[row],
        "token/s",
        "of a user, at the busiest time",
    )
    yield "ttft", columns.ttft[row], "s", "time to the first token, at the busiest time"
    yield "tpot", MILLI * columns.tpot[row], "ms", "time per output token, at the busiest time"
    power = gpus * answer.watts[row]
    yield "power", power / 1e6, "MW", "of GPUs and hosts"
    yield "tokens_per_watt", 1e6 * answer.per_gpu[row] / answer.watts[row], "token/s/MW", "output"
    yield "joules", answer.joules[row], "J/token", "of the site for an output token"
    if answer.dollars[row] > 0:
        yield "dollars", answer.dollars[row], "USD", "for a million output tokens"
    seen = f"of {answer.layouts} layouts, of which {answer.fitted} fit into memory"
    yield "configurations", len(columns), "", f"looked at: {seen}"


def _configuration(answer: Answer, row: int) -> tuple[object, ...]:
    columns = answer.columns
    return (
        layout_said(answer, row),
        answer.question.formats[int(columns.format[row])].name,
        bool(columns.apart[row]),
        float(columns.flight[row]),
        float(answer.units[row]),
        float(columns.gpus[row] * answer.units[row]),
        float(answer.per_gpu[row]),
        float(answer.per_user[row]),
        float(columns.ttft[row]),
        float(MILLI * columns.tpot[row]),
        float(answer.watts[row]),
        float(answer.joules[row]),
        float(answer.dollars[row]),
        bool(answer.meets[row]),
        bool(row == answer.best),
    )
