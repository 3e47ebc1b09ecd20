"""Measured training steps: the packaged table, and the published tables that it comes from.

The package has the steps of Megatron Bridge's performance summaries (NVIDIA-NeMo/Megatron-Bridge,
docs/performance-summary.md and -archive.md at 067f987, Apache-2.0): facts, one a row.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from firsttoken.serving.parts import (
    library_accelerator,
    library_architecture,
    library_hardware,
    library_model,
)
from firsttoken.serving.system import Architecture, Floats, Hardware
from firsttoken.serving.training_step import Job, release_years
from firsttoken.twin.library import SHIPPED

PACKAGED: Final = SHIPPED / "ai-models" / "training_steps.csv"

BITS: Final = {"bf16": (16, 0), "fp8": (8, 0), "mxfp8": (8, 1), "nvfp4": (4, 1)}
"""Format -> bits of operands, and whether scales belong to blocks."""

COLUMNS: Final = (
    "model",
    "accelerator",
    "release",
    "precision",
    "mtp",
    *("gpus", "batch", "micro", "sequence", "tensor", "pipeline", "context", "chunks", "expert"),
    *("shard", "trained", "dropped"),
    "seconds",
)
_NUMBERS: Final = COLUMNS[5:17]


class Points(NamedTuple):
    """Measured steps, one a row.

    Attributes
    ----------
    model, accelerator : ids of parts of the library, empty for what is not in it.
    architecture, hardware, job : their numbers, each f8[n].
    seconds : time of a step, s, f8[n].
    """

    model: tuple[str, ...]
    accelerator: tuple[str, ...]
    architecture: Architecture
    hardware: Hardware
    job: Job
    seconds: Floats

    @property
    def size(self) -> int:
        """Number of rows."""
        return len(self.model)

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> Points:
        """Some of the rows."""
        at = np.asarray(rows, dtype=np.int64)
        return Points(
            tuple(self.model[i] for i in at),
            tuple(self.accelerator[i] for i in at),
            Architecture(*(np.asarray(x)[at] for x in self.architecture)),
            Hardware(*(np.asarray(x)[at] for x in self.hardware)),
            Job(*(np.asarray(x)[at] for x in self.job)),
            self.seconds[at],
        )


def joined(first: Points, second: Points) -> Points:
    """The rows of both."""
    return Points(
        first.model + second.model,
        first.accelerator + second.accelerator,
        Architecture(*map(_append, first.architecture, second.architecture)),
        Hardware(*map(_append, first.hardware, second.hardware)),
        Job(*map(_append, first.job, second.job)),
        np.append(first.seconds, second.seconds),
    )


def _append(first: object, second: object) -> Floats:
    return np.append(np.asarray(first, dtype=float), np.asarray(second, dtype=float))


def point(
    model: str,
    accelerator: str,
    architecture: Architecture,
    hardware: Hardware,
    job: Job,
    seconds: float = np.nan,
) -> Points:
    """One row."""

    def row(values: Iterable[object]) -> list[Floats]:
        return [np.full(1, float(value)) for value in values]  # type: ignore[arg-type]

    return Points(
        (model,),
        (accelerator,),
        Architecture(*row(architecture)),
        Hardware(*row(hardware)),
        Job(*row(job)),
        np.full(1, seconds),
    )


@lru_cache(maxsize=1)
def packaged() -> Points:
    """The measured steps that come with the package."""
    with PACKAGED.open(encoding="utf-8", newline="") as file:
        return _points(list(csv.DictReader(file)))


def _points(rows: Sequence[Mapping[str, str]]) -> Points:
    """Points of rows with the columns `COLUMNS`."""
    architectures = []
    for row in rows:
        known = library_architecture(row["model"])
        architectures.append(known if row["mtp"] == "1" else known._replace(mtp=0.0))
    hardware = [library_hardware(row["accelerator"]) for row in rows]
    formats = [BITS[row["precision"]] for row in rows]
    job = {key: np.array([float(row[key]) for row in rows]) for key in _NUMBERS}
    return Points(
        tuple(row["model"] for row in rows),
        tuple(row["accelerator"] for row in rows),
        Architecture(
            *(np.array(column, dtype=float) for column in zip(*architectures, strict=True))
        ),
        Hardware(*(np.array(column, dtype=float) for column in zip(*hardware, strict=True))),
        Job(
            **job,
            bits=np.array([float(bits) for bits, _ in formats]),
            block=np.array([float(block) for _, block in formats]),
            recompute=np.zeros(len(rows)),
            imbalance=np.ones(len(rows)),
            release=np.array([release_years(row["release"]) for row in rows]),
        ),
        np.array([float(row["seconds"]) for row in rows]),
    )


def read_published(path: Path) -> list[dict[str, str]]:
    """Rows with the columns `COLUMNS` of a table of Megatron Bridge's summaries, in its order.

    Of settings in two formats, such as `64 (0)`, the first counts: they belong to the figure that
    stands outside of parentheses. Container 25.09 does not name its format: FP8 with scales of
    tensors stands outside.

    Raises
    ------
    FactError
        If a model or system is not in the library.
    """
    with path.open(encoding="utf-8", newline="") as file:
        return [_published(row) for row in csv.DictReader(file)]


def _published(row: Mapping[str, str]) -> dict[str, str]:
    base = re.sub(r" \(.*", "", row["model"])
    formats = {"": "fp8", "fp8-cs": "fp8", "fp8-mx": "mxfp8"}
    written = row["precision"].lower().split(" ")[0]
    columns = {
        "gpus": "num_gpus",
        "batch": "gbs",
        "micro": "mbs",
        "sequence": "seq_len",
        "tensor": "tp",
        "pipeline": "pp",
        "context": "cp",
        "chunks": "vp",
        "expert": "ep",
    }
    found = {
        "model": library_model(base),
        "accelerator": library_accelerator(row["system"]),
        "release": row["container"].split()[0],
        "precision": formats.get(written, written),
        "mtp": "0" if "w/o MTP" in row["model"] else "1",
        **{key: _first(row[column]) for key, column in columns.items()},
        "shard": "1" if float(_first(row["fsdp"], "0")) > 0 else "0",
        "trained": "0" if row["task"].startswith("LoRA") else "1",
        "dropped": "1" if "tokendrop" in row["model"] else "0",
    }
    tokens = float(found["batch"]) * float(found["sequence"])
    rate = float(row["tokens_per_s_per_gpu"]) * float(found["gpus"])
    found["seconds"] = f"{tokens / rate:.6g}"
    return found


def _first(text: str, nothing: str = "1") -> str:
    """The first number of `64 (0)`; `nothing` where there is none."""
    match = re.match(r"\d+", text.strip())
    return match.group() if match else nothing
