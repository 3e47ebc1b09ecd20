"""Tables of a token factory's plan: the chosen configurations, their rivals, the frontier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from firsttoken.serving.perf_weights import counts
from firsttoken.serving.search import Answer
from firsttoken.serving.search_calibrated import bands
from firsttoken.serving.system import Floats, Layout
from firsttoken.twin.result_rows import Rows

if TYPE_CHECKING:
    from firsttoken.twin.result_table import ResultTable

MEGA = 1e6
MILLI = 1e3
TOGETHER = "together"
APART = "apart"
"""Deployments: prefill shares replicas with decoding, or has workers of its own."""

_UNITS = {
    "per_user": "token/s",
    "per_gpu": "token/s",
    "ttft": "ms",
    "tpot": "ms",
    "e2e": "s",
    "in_flight": "request",
    "gpus": "gpu",
    "power": "W",
    "energy": "J",
    "cost": "USD",
    **{
        f"{name}_{kind}": "ms"
        for name in ("ttft", "tpot")
        for kind in ("calibrated", "low", "high")
    },
}
_COLUMNS = (
    *("deployment", "format", "layout", "prefill", "workers", "gpus", "in_flight"),
    *("per_user", "per_gpu", "ttft", "tpot", "e2e", "power", "energy", "cost", "meets", "chosen"),
    *("ttft_calibrated", "ttft_low", "ttft_high", "tpot_calibrated", "tpot_low", "tpot_high"),
)


class Planned(NamedTuple):
    """What the search found for one service of a factory."""

    factory: str
    service: str
    answer: Answer


class Told(NamedTuple):
    """A plan, and the calibrated latencies of the configurations that tables show.

    Attributes
    ----------
    calibrated : ms by row and column (`tpot_low`); NaN where nothing was measured.
    """

    plan: Planned
    calibrated: Mapping[int, Mapping[str, float]]


def tables_of(scenario: str, planned: Sequence[Planned]) -> list[ResultTable]:
    """Figures of the chosen configurations, their rivals, and the frontiers."""
    told = [tell(plan) for plan in planned]
    return [
        figure_table(scenario, told),
        rival_table(scenario, told),
        frontier_table(scenario, told),
    ]


def tell(plan: Planned) -> Told:
    """Predict the configurations that tables show by the library's measured points."""
    answer = plan.answer
    shown = {*(row for _, row in _rivals(answer)), *answer.frontier.tolist(), answer.best} - {-1}
    rows = np.array(sorted(shown), dtype=np.int64)
    found = bands(answer, rows)
    values = {
        f"{name}_{kind}": getattr(getattr(found, name), field) * MILLI
        for name in ("ttft", "tpot", "e2e")
        for kind, field in (("calibrated", "median"), ("low", "low"), ("high", "high"))
    }
    return Told(
        plan,
        {
            int(row): {name: float(column[k]) for name, column in values.items()}
            for k, row in enumerate(rows)
        },
    )


def figure_table(scenario: str, told: Sequence[Told]) -> ResultTable:
    """What the chosen configuration of each service is and does, one figure a row."""
    rows = Rows(
        "serving_plan",
        "The configuration of each service that meets its goals and counts most.",
        ("scenario", "factory", "service", "figure"),
        *("scenario", "factory", "service", "figure", "value", "unit", "sentence"),
    )
    for plan, calibrated in told:
        if plan.answer.best < 0:
            continue
        known = calibrated[plan.answer.best]
        figures = [*_figures(plan.answer), *_measured(plan.answer, known)]
        for figure, value, unit, sentence in figures:
            rows.add(
                scenario=scenario,
                factory=plan.factory,
                service=plan.service,
                figure=figure,
                value=value,
                unit=unit,
                sentence=sentence,
            )
    return rows.table()


def _figures(answer: Answer) -> list[tuple[str, float, str, str]]:
    """(figure, value, unit, sentence) of the best."""
    columns, row, question = answer.columns, answer.best, answer.question

    def at(values: Floats) -> float:
        return float(values[row])

    count, size = at(answer.units), at(columns.gpus)
    power = at(answer.watts) * count * size
    share = f"{question.share:.0%} of the time" if question.share > 0.5 else "in the mean"
    busiest = f"{at(columns.flight):.0f} requests in flight of a unit"
    site = f"with a PUE of {question.pue:.2f}"
    return [
        (
            "gpus",
            count * size,
            "gpu",
            f"{count:.0f} {'unit' if count == 1 else 'units'} of {size:.0f}",
        ),
        ("units", count, "", f"each {unit_said(answer, row)}"),
        ("in_flight", at(columns.flight) * count, "request", f"at the most {share}"),
        ("tokens", at(answer.total), "token/s", "of output, in the mean"),
        ("requests", at(answer.total) / question.output, "request/s", "in the mean"),
        ("per_gpu", at(answer.per_gpu), "token/s", "of output of one GPU"),
        ("per_user", at(answer.per_user), "token/s", f"that one user sees, {busiest}"),
        ("ttft", at(columns.ttft) * MILLI, "ms", _goal(question.ttft)),
        ("tpot", at(columns.tpot) * MILLI, "ms", _goal(question.tpot)),
        ("e2e", at(columns.e2e), "s", _goal(question.e2e)),
        ("power", power / MEGA, "MW", "of GPUs and hosts, in the mean"),
        (
            "energy",
            at(answer.joules) * MEGA,
            "J",
            f"of the site for a million output tokens, {site}",
        ),
        ("cost", at(answer.dollars), "USD", f"for a million output tokens; {_cost(answer)}"),
        (
            "mfu",
            100.0 * utilisation(answer, row),
            "%",
            f"of the peak in {_products(answer, row)}, prompts included",
        ),
        ("looked_at", float(len(columns)), "", f"configurations in {answer.fitted} layouts"),
    ]


def _measured(answer: Answer, known: Mapping[str, float]) -> list[tuple[str, float, str, str]]:
    """Figures of what measured points say about the best; one row where they say nothing."""
    if np.isnan(known["tpot_low"]):
        said = "no measured points say more: drafts, known prompts, or parts of one's own"
        tables = answer.question.tables
        if tables is not None:
            said = f"times of {tables.source.origin}: {tables.source.entry}; not calibrated"
        return [("tpot_calibrated", known["tpot_calibrated"], "ms", said)]
    found = []
    for name in ("ttft", "tpot"):
        low, high = known[f"{name}_low"], known[f"{name}_high"]
        if np.isnan(low):
            said = "no measured points say how prompts queue for pools apart"
            found.append((f"{name}_calibrated", low, "ms", said))
            continue
        goal = getattr(answer.question, name) * MILLI
        said = f"calibrated on measured points, {low:.4g} to {high:.4g} ms in 90 %"
        if name == "ttft":
            said += ", with a tenth of the requests at once, as benchmarks begin"
        if low <= goal < high:
            said += "; the goal may be missed"
        elif goal < low:
            said += "; the goal will be missed"
        found.append((f"{name}_calibrated", known[f"{name}_calibrated"], "ms", said))
    whole = float(answer.columns.e2e[answer.best]) * MILLI
    tokens = float(answer.total[answer.best]) * whole
    most, least = (tokens / known[f"e2e_{end}"] for end in ("low", "high"))
    least, most = (float(f"{value:.4g}") for value in (least, most))
    said = f"with as many requests in flight; {least:,.0f} to {most:,.0f} in 90 %"
    found.append(("tokens_calibrated", tokens / known["e2e_calibrated"], "token/s", said))
    return found


def _products(answer: Answer, row: int) -> str:
    """In which format the products of a configuration are made."""
    bits = answer.question.formats[answer.columns.format[row]].compute
    return "FP4" if bits < 8.0 else "FP8" if bits < 16.0 else "BF16"


def utilisation(answer: Answer, row: int) -> float:
    """Operations of the model's products over the peak of its GPUs: 2 a parameter and token.

    MFU of PaLM (arXiv:2204.02311, appendix B) for inference; attention is left out.
    """
    question = answer.question
    active = float(question.architecture.active_parameters)
    if active == 0:
        active = float(np.asarray(counts(question.architecture).active))
    fresh = question.prompt * (1.0 - question.cached)
    tokens = float(answer.per_gpu[row]) * (1.0 + fresh / question.output)
    peak = float(getattr(question.hardware, _products(answer, row).lower()))
    return 2.0 * active * tokens / (peak or float(question.hardware.bf16))


def _goal(goal: float) -> str:
    return "no goal" if np.isinf(goal) else f"goal {goal * MILLI:.4g} ms"


def _cost(answer: Answer) -> str:
    question = answer.question
    return (
        f"a GPU at {question.rent * 3600:.2f} USD/hour and energy at "
        f"{question.energy * 3.6e9:.0f} USD/MWh"
    )


def rival_table(scenario: str, told: Sequence[Told]) -> ResultTable:
    """The best of each way to deploy and format, and of each objective."""
    rows = Rows(
        "serving_rivals",
        "Best configurations of each way to deploy and each format of weights, among those that "
        "meet the goals: by tokens for a GPU, by cost, by energy.",
        ("scenario", "factory", "service", "deployment", "format", "best_in"),
        *("scenario", "factory", "service", "best_in", *_COLUMNS),
    )
    for plan, calibrated in told:
        answer = plan.answer
        for name, row in _rivals(answer):
            rows.add(
                scenario=scenario,
                factory=plan.factory,
                service=plan.service,
                best_in=name,
                **_cells(answer, row),
                **calibrated[row],
            )
    return rows.table(_UNITS)


def _rivals(answer: Answer) -> list[tuple[str, int]]:
    """(what it is best in, row), by deployment and format."""
    columns, found = answer.columns, list[tuple[str, int]]()
    scores = {"tokens": -answer.per_gpu, "cost": answer.dollars, "energy": answer.joules}
    for apart in (0.0, 1.0):
        for form in range(len(answer.question.formats)):
            rows = np.flatnonzero(
                answer.meets & (columns.apart == apart) & (columns.format == form)
            )
            best: dict[int, list[str]] = {}
            for name, score in scores.items() if len(rows) else ():
                best.setdefault(int(rows[np.argmin(score[rows])]), []).append(name)
            found += [(", ".join(names), row) for row, names in best.items()]
    return found


def frontier_table(scenario: str, told: Sequence[Told]) -> ResultTable:
    """Configurations of which none has more tokens both for a GPU and for a user."""
    rows = Rows(
        "serving_frontier",
        "Configurations of which no other has as many output tokens both for a GPU and for a "
        "user; energy and cost are for a million output tokens.",
        ("scenario", "factory", "service", "rank"),
        *("scenario", "factory", "service", "rank", *_COLUMNS),
    )
    for plan, calibrated in told:
        for rank, row in enumerate(plan.answer.frontier):
            rows.add(
                scenario=scenario,
                factory=plan.factory,
                service=plan.service,
                rank=rank,
                **_cells(plan.answer, int(row)),
                **calibrated[int(row)],
            )
    return rows.table(_UNITS)


def _cells(answer: Answer, row: int) -> dict[str, object]:
    """What both tables of configurations say about one."""
    columns = answer.columns
    apart = bool(columns.apart[row])
    workers = ""
    if apart:
        workers = f"{columns.prefill_workers[row]:.0f}:{columns.workers[row]:.0f}"
    return {
        "deployment": APART if apart else TOGETHER,
        "format": answer.question.formats[columns.format[row]].name,
        "layout": layout_said(columns.layout, row),
        "prefill": layout_said(columns.prefill, row) if apart else "",
        "workers": workers,
        "gpus": float(columns.gpus[row]),
        "in_flight": float(np.round(columns.flight[row])),
        "per_user": float(answer.per_user[row]),
        "per_gpu": float(answer.per_gpu[row]),
        "ttft": float(columns.ttft[row]) * MILLI,
        "tpot": float(columns.tpot[row]) * MILLI,
        "e2e": float(columns.e2e[row]),
        "power": float(answer.watts[row]),
        "energy": float(answer.joules[row]) * MEGA,
        "cost": float(answer.dollars[row]),
        "meets": bool(answer.meets[row]),
        "chosen": row == answer.best,
    }


def unit_said(answer: Answer, row: int) -> str:
    """`nvfp4, TP4 EP4`, or prefill and decode workers of one."""
    columns = answer.columns
    form = answer.question.formats[columns.format[row]].name
    layout = layout_said(columns.layout, row)
    if not columns.apart[row]:
        return f"{form}, {layout}"
    first, then = int(columns.prefill_workers[row]), int(columns.workers[row])
    before = layout_said(columns.prefill, row)
    return f"{form}, {first} to prefill ({before}) and {then} to decode ({layout})"


def layout_said(layout: Layout, row: int) -> str:
    """`TP4 PP2 DP8 EP32`; ranks of one are left out, but for the tensor's."""
    names = {"TP": layout.tensor, "PP": layout.pipeline, "DP": layout.data, "EP": layout.expert}
    ranks = {name: int(np.asarray(values)[row]) for name, values in names.items()}
    return " ".join(f"{name}{n}" for name, n in ranks.items() if n > 1 or name == "TP")
