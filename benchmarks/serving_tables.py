"""Times from tables of measured operators against measured deployments, physics and calibration.

The tables are those of ``aiconfigurator-core`` (extra ``aisim``), under the release of each engine
that the package calls current. The points are the aggregated deployments of
``../shared/data/llm_silicon`` (see ``serving_accuracy.py``) that the library is not calibrated on
and the tables hold: model, GPU, engine, formats and ranks. Prefill and decode pools are left out.

1. On these points: the error of the steady state with times from tables, with physics alone, and
   of the calibrated prediction; on those of them that ``../shared/data/sim_accuracy`` has,
   AIConfigurator's own estimates too, and how many measured values lie in the interval that
   services with tables are given.
2. The steady state with tables (host work of the engine left out, as the package does) against the
   package's own ``run_agg`` for the same points.
3. Laws of steps, which engines read, against the package's times of the same steps.
4. A search over all layouts with tables against one with physics, CPU seconds.

Usage: python benchmarks/serving_tables.py [--data FOLDER] [--most 4000]
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from firsttoken.serving.calibration import shipped
from firsttoken.serving.calibration_points import Observation, conditions, read_sample
from firsttoken.serving.calibration_prior import BURST
from firsttoken.serving.parts import library_architecture, library_hardware
from firsttoken.serving.perf_efficiency import ENGINES, GENERIC, Engine
from firsttoken.serving.perf_law import step_law
from firsttoken.serving.perf_point import Point, aggregated_point
from firsttoken.serving.search import Question, search
from firsttoken.serving.search_space import BF16, FP8
from firsttoken.serving.system import Layout
from firsttoken.serving.tables import Tables, TablesError
from firsttoken.serving.tables_compile import tables_of
from firsttoken.serving.tables_pace import SPREAD, SPREAD_TTFT
from firsttoken.twin.findings import MissingExtraError

DATA: Final = Path(__file__).resolve().parents[2] / "shared" / "data"
NORMAL: Final = 1.6448536269514722
SOFTWARE_ONLY: Final = {"overhead": 0.0, "sequence": 0.0, "request": 0.0, "layer": 0.0}
"""Host work left out, as the package's step times do."""

Case = tuple[Observation, Layout, Tables]


def main() -> None:
    """Print errors beside each other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--most", type=int, default=4000, help="points looked at")
    options = parser.parse_args()
    sample = options.data / "llm_silicon" / "silicon_sample.csv.gz"
    if not sample.is_file():
        sys.exit(f"{sample} is missing: nothing to compare with")
    seen = {name for p in shipped().points for name in p.id.split("; ")}
    points = [p for p in read_sample(sample) if not seen & set(p.id.split("; "))]
    points = [p for p in points if p.pools != 1.0][: options.most]
    try:
        cases, reasons = held(points)
    except MissingExtraError as error:
        sys.exit(str(error))
    print(f"{len(points)} runs not calibrated on; the tables hold {len(cases)} of them; of others:")
    for reason, count in reasons.most_common(8):
        print(f"  {count:5d}  {reason}")
    compared(cases, options.data)
    against_package(cases)
    laws(cases)
    searches()


def held(points: Sequence[Observation]) -> tuple[list[Case], Counter[str]]:
    """Points that the tables hold, and why not the others."""
    started, cases, reasons = time.process_time(), list[Case](), Counter[str]()
    layouts = conditions(points).layout
    for row, point in enumerate(points):
        layout = Layout(*(float(np.asarray(field)[row]) for field in layouts))
        model, gpu = library_architecture(point.model), library_hardware(point.gpu)
        try:
            tables = tables_of(model, gpu, point.model, point.engine, "")
            tables.grid(layout)
        except TablesError as error:
            reasons[f"{point.model}, {point.gpu}, {point.engine}: {error.field}"] += 1
            continue
        cases.append((point, layout, tables))
    each = {(id(tables), layout) for _, layout, tables in cases}
    spent = time.process_time() - started
    print(f"{len(each)} layouts looked up in {spent:.1f} CPU-s")
    return cases, reasons


def together(cases: Sequence[Case], *, host: bool = True, burst: float = BURST) -> Any:
    """TTFT and TPOT of the steady state with tables, s, f8[n] each."""
    ttft, tpot = np.empty(len(cases)), np.empty(len(cases))
    for tables, rows in grouped(cases):
        some = [cases[row][0] for row in rows]
        asked = conditions(some)
        point = steady(asked, some[0].engine, tables, host, burst)
        ttft[rows], tpot[rows] = point.ttft, point.tpot
    return ttft, tpot


def steady(asked: Any, name: str, tables: Tables | None, host: bool, burst: float) -> Point:
    """Steady state of points of one engine."""
    engine: Engine = ENGINES.get(name, GENERIC)
    if not host:
        engine = engine._replace(**SOFTWARE_ONLY, host=0.0, cold=0.0)
    return aggregated_point(
        asked.architecture,
        asked.hardware,
        asked.layout,
        asked.isl,
        asked.osl,
        asked.concurrency,
        engine=engine,
        burst=burst,
        tables=tables,
    )


def grouped(cases: Sequence[Case]) -> Iterator[tuple[Tables, list[int]]]:
    """Rows of the cases by their tables."""
    rows = defaultdict(list)
    for row, (_, _, tables) in enumerate(cases):
        rows[id(tables)].append(row)
    for some in rows.values():
        yield cases[some[0]][2], some


def compared(cases: Sequence[Case], data: Path) -> None:
    """Errors of the four ways on the points that the tables hold."""
    points = [point for point, _, _ in cases]
    measured = np.array([(p.ttft, p.tpot) for p in points]).T
    osl = np.array([p.osl for p in points])
    with_tables, bare = together(cases), together(cases, host=False)
    physics = []
    for name in sorted({p.engine for p in points}):
        rows = [k for k, p in enumerate(points) if p.engine == name]
        point = steady(conditions([points[k] for k in rows]), name, None, True, BURST)
        physics.append((rows, point))
    ours = np.empty_like(measured)
    for rows, point in physics:
        ours[:, rows] = point.ttft, point.tpot
    known = shipped().predict(points)
    calibrated = np.array([known.ttft.median, known.tpot.median])
    ways = {
        "tables": np.array(with_tables),
        "tables, no host work": np.array(bare),
        "physics": ours,
        "calibrated": calibrated,
    }
    print(f"\n{len(points)} points: median and 90th percentile of the absolute error, and bias")
    for name, found in ways.items():
        print(f"  {name:22s}", errors(found, measured, osl))
    intervals(points, ways["tables"], measured)
    for gpu in sorted({p.gpu for p in points}):
        rows = np.array([p.gpu == gpu for p in points])
        told = [
            f"{name} {errors(f[:, rows], measured[:, rows], osl[rows])[:13]}"
            for name, f in ways.items()
        ]
        print(f"    {gpu:10s} {rows.sum():5d}  {'; '.join(told)}")
    own = estimates(points, data)
    rows = np.array([k for k, found in enumerate(own) if found is not None], dtype=int)
    if len(rows):
        theirs = np.array([own[k] for k in rows]).T
        print(f"\n{len(rows)} of these are among AIConfigurator's own estimates")
        print(f"  {'AIConfigurator 0.12':22s}", errors(theirs, measured[:, rows], osl[rows]))
        for name, found in ways.items():
            print(f"  {name:22s}", errors(found[:, rows], measured[:, rows], osl[rows]))


def intervals(points: Sequence[Observation], found: Any, measured: Any) -> None:
    """Width of the 90 % interval on one half of the points, by chance, and what it holds of others.

    The shipped widths are those of the first half.
    """
    half = np.array([zlib.crc32(p.id.encode()) % 2 == 0 for p in points])
    for name, row, shipped_width in (("TPOT", 1, SPREAD), ("TTFT", 0, SPREAD_TTFT)):
        off = np.abs(np.log(found[row] / measured[row]))
        width = float(np.quantile(off[half], 0.9)) / NORMAL
        held_in = np.mean(off[~half] <= NORMAL * shipped_width)
        print(
            f"  90 % of one half within x/ {np.exp(NORMAL * width):.2f} (deviation {width:.3f}), "
            f"shipped {shipped_width:.2f}; of the other half that holds {held_in:.1%} ({name})"
        )
        for gpu in sorted({p.gpu for p in points}):
            rows = ~half & np.array([p.gpu == gpu for p in points])
            if rows.any():
                print(f"      {gpu:10s} {np.mean(off[rows] <= NORMAL * shipped_width):.1%}")


def errors(found: Any, measured: Any, osl: Any) -> str:
    """Errors of E2E, TPOT and TTFT."""
    whole, real = (pair[0] + pair[1] * (osl - 1.0) for pair in (found, measured))
    told = []
    for name, one, other in (
        ("E2E", whole, real),
        ("TPOT", found[1], measured[1]),
        ("TTFT", found[0], measured[0]),
    ):
        off = np.abs(one / other - 1.0)
        bias = np.exp(np.median(np.log(one / other))) - 1.0
        told.append(f"{name} {np.median(off):6.1%} / {np.quantile(off, 0.9):6.1%} ({bias:+.0%})")
    return "  ".join(told)


def estimates(points: Sequence[Observation], data: Path) -> list[tuple[float, float] | None]:
    """AIConfigurator's own TTFT and TPOT of points, s, where they were asked for."""
    file = data / "sim_accuracy" / "aiconfigurator012_vs_silicon_568pts.csv"
    if not file.is_file():
        return [None] * len(points)
    with file.open(encoding="utf-8", newline="") as handle:
        rows = {
            row["silicon_sample_id"]: (float(row["aic_ttft_ms"]), float(row["aic_tpot_ms"]))
            for row in csv.DictReader(handle)
        }
    result: list[tuple[float, float] | None] = []
    for point in points:
        found = next((rows[name] for name in point.id.split("; ") if name in rows), None)
        result.append((found[0] / 1e3, found[1] / 1e3) if found else None)
    return result


def against_package(cases: Sequence[Case]) -> None:
    """TPOT of the steady state against the package's for the same operators."""
    ours = together(cases, host=False, burst=0.0)[1]
    rows, theirs = [], []
    for row, (point, layout, tables) in enumerate(cases):
        batch = point.concurrency / point.data / point.pipeline
        if batch >= 1.0 and batch == round(batch) and point.isl <= 8192:
            found = own_estimate(point, layout, tables, int(batch))
            if found is not None:
                rows.append(row)
                theirs.append(found)
    ratio = ours[rows] / np.array(theirs)
    off = np.abs(ratio - 1.0)
    print(
        f"\nsteady state against the package's run_agg, {len(rows)} points, TPOT: median "
        f"difference {np.median(off):.1%}, 90th percentile {np.quantile(off, 0.9):.1%}, "
        f"bias {np.exp(np.median(np.log(ratio))) - 1.0:+.1%}"
    )
    for name in ENGINES:
        some = np.array([cases[row][0].engine == name for row in rows])
        if some.any():
            print(f"    {name:8s} {some.sum():5d} points: {np.median(off[some]):.1%}")


def own_estimate(point: Observation, layout: Layout, tables: Tables, batch: int) -> float | None:
    """TPOT of the package for one point, s; None where it gives none."""
    from aiconfigurator_core.sdk import perf_database
    from aiconfigurator_core.sdk.backends.factory import get_backend
    from aiconfigurator_core.sdk.config import RuntimeConfig
    from aiconfigurator_core.sdk.config_builders import build_model_config
    from aiconfigurator_core.sdk.models import get_model

    source: Any = tables.source
    gemm, moe, kv, fmha = tables.grid(layout).modes.split("/")
    try:
        key = (source.gpu, source.engine, source.release)
        database = perf_database.get_database(*key)
        model = get_model(
            source.model,
            build_model_config(
                int(layout.tensor),
                int(layout.pipeline),
                int(layout.data),
                int(layout.expert_tensor) if source.sparse else 1,
                int(layout.expert) if source.sparse else 1,
                gemm,
                kv,
                fmha,
                moe,
            ),
            source.engine,
        )
        told = get_backend(source.engine).run_agg(
            model,
            database,
            RuntimeConfig(batch_size=batch, isl=int(point.isl), osl=int(point.osl)),
            ctx_tokens=int(point.isl),
        )
        return float(told.get_result_dict()["tpot"]) / 1e3
    except Exception:  # the package raises what its layers raise
        return None


def laws(cases: Sequence[Case]) -> None:
    """Laws against the package's times of the steps that they stand for."""
    random, decode, mixed = np.random.default_rng(5), list[float](), list[float]()
    for row in random.permutation(len(cases))[:60]:
        point, layout, tables = cases[row]
        source: Any = tables.source
        handle = source._compiled(layout, source._modes[tuple(layout[5:])])
        bare = GENERIC._replace(**SOFTWARE_ONLY, host=0.0)
        context = point.isl + point.osl / 2.0
        law = step_law(
            library_architecture(point.model),
            library_hardware(point.gpu),
            layout,
            engine=bare,
            context=context,
            tables=tables,
        )
        ranks = point.data * point.pipeline

        def at(tokens: float, kv: float, pairs: float, law: Any = law) -> float:
            table = float(np.interp(tokens, law.tokens, law.seconds))
            return law.overhead + table + law.kv_second * kv + law.pair_second * pairs

        for batch in (1, 4, 16, 64, 200):
            for far in (0.5, 1.0, 1.5):
                length = max(int(context * far), 4)
                own = handle.decode_step_latency(batch, length - 2, 2) / 1e3
                decode.append(at(batch * ranks, batch * ranks * length, 0.0) / own - 1.0)
        for beside in (0, 16, 64):
            prompt = int(min(point.isl, 8192.0))
            own = handle.mixed_step_latency(prompt, beside, prompt, int(point.osl)) / 1e3
            kv = beside * (prompt + point.osl / 2.0) * ranks
            pairs = prompt**2 / 2.0 * ranks
            mixed.append(at((prompt + beside) * ranks, kv, pairs) / own - 1.0)
    for name, found in (("decode", decode), ("mixed", mixed)):
        off = np.abs(found)
        print(
            f"law of a step against the package, {name}, {len(found)} steps: median "
            f"{np.median(off):.1%}, 90th percentile {np.quantile(off, 0.9):.1%}, "
            f"bias {np.median(found):+.1%}"
        )


def searches() -> None:
    """CPU seconds of a search with and without tables."""
    for model, gpu, gpus, formats in (
        ("llama3_1_70b", "h100_sxm", 64.0, (BF16, FP8)),
        ("deepseek_v3", "gb200", 72.0, (FP8,)),
    ):
        question = Question(
            library_architecture(model),
            library_hardware(gpu),
            formats,
            2000.0,
            1000.0,
            software="trtllm",
            engine=ENGINES["trtllm"],
            gpus=gpus,
            tpot=0.05,
            ttft=5.0,
        )
        spent, best = [], []
        for tables in (
            None,
            tables_of(question.architecture, question.hardware, model, "trtllm", ""),
        ):
            from dataclasses import replace

            started = time.process_time()
            found = search(replace(question, tables=tables))
            spent.append(time.process_time() - started)
            best.append(found.per_gpu[found.best] if found.best >= 0 else np.nan)
            print(
                f"search {model} on {gpus:.0f} x {gpu}: {found.fitted} layouts, "
                f"{len(found.columns)} configurations, {spent[-1]:.1f} CPU-s, best "
                f"{best[-1]:.0f} tokens/s a GPU ({'tables' if tables else 'physics'})"
            )


if __name__ == "__main__":
    main()
