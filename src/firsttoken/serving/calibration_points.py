"""Measured operating points of deployments: what was run, and the latencies it showed.

A point is one benchmark run: `concurrency` requests always in flight at one replica, prompts and
outputs of fixed length, and the mean time to first token and per output token.  Tables of points
are csv files with the columns of `Observation`; `read_sample` reads the silicon sample of
aisimulate 0.13 (Apache-2.0; InferenceX and NVIDIA measurements), whose parallelism is written in
four ways (`_ranks` says which).
"""

from __future__ import annotations

import csv
import gzip
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from firsttoken.serving.parts import (
    library_accelerator,
    library_architecture,
    library_hardware,
    library_model,
)
from firsttoken.serving.system import Architecture, Floats, Hardware, Layout

PRECISIONS: Final = {"bf16": 16.0, "fp8": 8.0, "fp4": 4.5, "int4": 4.25}
"""Bits of a weight, scales of its blocks included (NVFP4: 4 + 8 / 16; INT4 of 64: 4 + 16 / 64)."""

DISAGGREGATED: Final = 12.0
"""Tensor ranks from which a declared aggregated deployment is read as pools of prefill and decode
workers: no public model's heads can be split that far, and the GPUs are those of a whole NVL72."""


class PointsError(ValueError):
    """A table of points that cannot be read: file, line, what, and what would fix it."""


class Observation(NamedTuple):
    """One measured operating point.

    Attributes
    ----------
    id : name of the run, or its names, separated by "; ".
    model, gpu : part ids of the library (`deepseek_v3`, `b200_sxm`).
    engine, release : `vllm`, `sglang`, `trtllm` ..., and its release (or the month it was
        measured in); empty: not known.
    precision : of the weights, a key of `PRECISIONS`.
    tensor, pipeline, data, expert_tensor, expert : ranks, as in `Layout`.
    pools : 1: prefill and decode workers share the `data` ranks between them, in a split that is
        not stated; 2: several replicas are behind one load generator (the point is one of them).
    isl, osl : tokens of prompt and of output.
    concurrency : requests in flight at the replica.
    ttft, tpot : measured means, s; nan: not measured (a question).
    drawn : 1: the point is like those asked for (drawn at random); 0: chosen because it is unlike
        the others, so that the width of intervals is not found on it.
    """

    id: str
    model: str
    gpu: str
    engine: str
    release: str
    precision: str
    tensor: float
    pipeline: float
    data: float
    expert_tensor: float
    expert: float
    pools: float
    isl: float
    osl: float
    concurrency: float
    ttft: float = math.nan
    tpot: float = math.nan
    drawn: float = 1.0

    @property
    def gpus(self) -> float:
        """GPUs of the deployment."""
        return self.tensor * self.pipeline * self.data

    @property
    def e2e(self) -> float:
        """Mean s of a request: ttft + tpot x (osl - 1)."""
        return self.ttft + self.tpot * (self.osl - 1.0)


class Conditions(NamedTuple):
    """Conditions of n points as arrays, f8[n]; `pools` is bool[n]: prefill and decode apart."""

    architecture: Architecture
    hardware: Hardware
    layout: Layout
    isl: Floats
    osl: Floats
    concurrency: Floats
    pools: Any


_TEXT = ("id", "model", "gpu", "engine", "release", "precision")


def read_points(path: Path) -> list[Observation]:
    """Points of a csv file with the columns of `Observation`; the last three may be left empty.

    Raises
    ------
    PointsError
        Naming file and line of a missing column, an unknown precision, or a number that is not
        positive.
    """
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        missing = set(Observation._fields[:-3]) - set(reader.fieldnames or ())
        if missing:
            raise PointsError(
                f"{path}:1: columns {sorted(missing)} are missing; a table of points has "
                f"{', '.join(Observation._fields)}"
            )
        return [_observation(row, f"{path}:{reader.line_num}") for row in reader]


def write_points(path: Path, points: Iterable[Observation]) -> None:
    """Write points as a csv file that `read_points` reads."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Observation._fields)
        for point in points:
            values = point._asdict().items()
            writer.writerow([v if k in _TEXT else f"{v:.6g}" for k, v in values])


def _observation(row: Mapping[str, str], place: str) -> Observation:
    values: dict[str, Any] = {field: row.get(field) or "" for field in _TEXT}
    if values["precision"] not in PRECISIONS:
        raise PointsError(
            f"{place}: precision {values['precision']!r} is not known; one of {list(PRECISIONS)}"
        )
    for field in Observation._fields[len(_TEXT) :]:
        text = row.get(field) or ""
        asked = field in Observation._field_defaults and not text
        try:
            values[field] = Observation._field_defaults[field] if asked else float(text)
        except ValueError:
            raise PointsError(f"{place}: {field} {text!r} is not a number") from None
        least = 0.0 if field in ("pools", "drawn") else 1e-12
        if not asked and not least <= values[field] < math.inf:
            raise PointsError(f"{place}: {field} {text!r} must be above 0")
    return Observation(**values)


def conditions(points: Sequence[Observation]) -> Conditions:
    """Arrays of what was run at each point.

    Precisions become bits as the published checkpoints and engines' defaults have them:
    gpt-oss keeps BF16 outside of its 4-bit experts; INT4 checkpoints and the NVFP4 ones of Kimi
    and Qwen keep attention in BF16, those of DeepSeek in FP8; KV is FP8 where weights are FP8 or
    FP4.

    Raises
    ------
    FactError
        If the library has no such model or accelerator.
    """
    bits = np.array([_bits(p) for p in points], dtype=float).reshape(-1, 4).T
    ranks = np.array([p[6:11] for p in points], dtype=float).reshape(-1, 5).T
    shape = [library_architecture(p.model) for p in points]
    gpu = [library_hardware(p.gpu) for p in points]

    def column(field: str) -> Floats:
        return np.array([getattr(p, field) for p in points], dtype=float)

    return Conditions(
        Architecture(*np.array(shape, dtype=float).reshape(-1, len(Architecture._fields)).T),
        Hardware(*np.array(gpu, dtype=float).reshape(-1, len(Hardware._fields)).T),
        Layout(*ranks, *bits),
        column("isl"),
        column("osl"),
        column("concurrency"),
        column("pools") == 1.0,
    )


def _bits(point: Observation) -> tuple[float, float, float, float]:
    """Bits of dense weights, of experts, of KV, and of the operands of products."""
    width = PRECISIONS[point.precision]
    kv = 8.0 if point.precision in ("fp8", "fp4") else 16.0
    compute = 16.0 if point.precision == "int4" else width
    dense = width
    if point.model.startswith("gpt_oss"):
        hopper = library_hardware(point.gpu).fp4 == 0
        return 16.0, 4.25, kv, 16.0 if hopper else 8.0
    if library_architecture(point.model).experts > 0 and width < 5.0:
        dense = 8.0 if point.model.startswith("deepseek") else 16.0
    return dense, width, kv, compute


def read_sample(path: Path) -> list[Observation]:
    """Aggregated points of the silicon sample (csv.gz), one for each measurement.

    The sample lists some runs up to three times, from dumps of different days, with equal
    latencies: a run is kept once, under all its names, so that none is both calibrated on and
    tested.

    Raises
    ------
    FactError
        If the library lacks a model or an accelerator of the sample.
    """
    found: dict[tuple[float, ...], Observation] = {}
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["mode"] != "agg":
                continue
            point = _sampled(row)
            key = (round(point.ttft, 7), round(point.tpot, 8), point.isl, point.osl)
            other = found.get(key)
            found[key] = other._replace(id=f"{other.id}; {point.id}") if other else point
    return list(found.values())


def _sampled(row: Mapping[str, str]) -> Observation:
    """Point of a row of the sample."""
    source = row["silicon_data_source"]
    given = re.search(r"silicon_concurrency=(\d+)", source)
    batch = float(row["batch_size"])
    users = float(given[1]) if given else math.nan
    model = library_model(row["model_path"])
    sparse = float(library_architecture(model).experts) > 0
    several = False
    if sparse:
        tensor, data, split, expert = _ranks(row, users / batch)
        users = batch * data if math.isnan(users) else users
    else:
        # Several replicas behind one load generator: one of them has its batch in flight.
        tensor, data, expert = float(row["tp_size"]), 1.0, 1.0
        split, several, users = tensor, users > batch, batch
    return Observation(
        id=row["id"],
        model=model,
        gpu=library_accelerator(row["system"]),
        engine=row["backend"],
        release=_release(row["backend_version"], source),
        precision=row["precision"] or "bf16",
        tensor=tensor,
        pipeline=float(row["pp_size"]),
        data=data,
        expert_tensor=split,
        expert=expert,
        pools=2.0 if several else float(float(row["tp_size"]) >= DISAGGREGATED <= data),
        isl=float(row["isl"]),
        osl=float(row["osl"]),
        concurrency=users,
        ttft=float(row["silicon_ttft_ms"]) / 1e3,
        tpot=float(row["silicon_tpot_ms"]) / 1e3,
    )


def _ranks(row: Mapping[str, str], ratio: float) -> tuple[float, float, float, float]:
    """Tensor and data ranks, and those experts are split and spread over.

    Where both MoE columns say k the dump multiplied them: k GPUs hold k tensor ranks (or k data
    ranks, if that column has the square), and k ranks of experts.  Where tensor and data ranks
    are both k, the k GPUs of an expert-parallel replica attend data-parallel.  Some dumps leave
    the data ranks out: attention is data-parallel where one rank's batch is a fraction of the
    concurrency.
    """
    tensor, split, expert = (float(row[k]) for k in ("tp_size", "moe_tp_size", "moe_ep_size"))
    split, expert = max(split, 1.0), max(expert, 1.0)
    data = float(row["attention_dp_size"] or "nan")
    if not math.isnan(data) and split == expert > 1.0:
        return (split, 1.0, 1.0, split) if data == 1.0 else (1.0, split, 1.0, split)
    if data > 1.0 and tensor > 1.0:
        return 1.0, data, 1.0, data
    if tensor >= DISAGGREGATED:
        return 1.0, tensor, 1.0, tensor
    known = 1.0 if math.isnan(data) else max(data, 1.0)
    gpus = max(tensor * known, split * expert)
    if math.isnan(data) and not ratio <= 1.5:
        tensor = 1.0
    spread = (gpus, 1.0) if expert == 1.0 else (split, gpus / split)
    return (tensor, gpus / tensor, *spread)


def _release(version: str, source: str) -> str:
    """Release: the stated one, else that of the image, else the month of the measurement."""
    if version and version != "nightly-dev":
        return version
    image = re.search(r"(?:image=|workflow_run_id=\d+; )([^;]+)", source)
    if image:
        return image[1].split(":")[-1]
    month = re.search(r"measured=(\d{4}-\d\d)", source)
    return month[1] if month else version
