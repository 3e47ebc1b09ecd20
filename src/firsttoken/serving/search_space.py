"""What a configuration search chooses from: number formats, layouts of a replica, loads."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from firsttoken.serving.system import Architecture, Floats, Hardware, Layout

STEPS: Final = (1, 2, 4, 8, 12, 16, 24, 32, 36, 48, 64, 72, 96, 128, 144, 192, 256, 320)
"""Ranks of data parallelism that are looked at: those that fill nodes of 8 and racks of 72."""

SPANS: Final = 4.0
"""NVLink domains over which one replica may spread beyond those that its weights need."""

WIDE: Final = 160
"""GPUs over which one may spread in any case; DeepSeek's public deployment decodes on 144."""

STAGED: Final = 8
"""Most data ranks beside pipeline stages."""

LOADS: Final = tuple(
    sorted({round(2.0**power * part) for power in range(11) for part in (1.0, 1.25, 1.5, 1.75)})
)
"""Requests in flight of one data rank that are looked at."""


class Format(NamedTuple):
    """A name for the number formats of a configuration, and their bits.

    Attributes
    ----------
    weights, experts, kv, compute : bits of an element, with its share of the scales of a block.
    """

    name: str
    weights: float
    experts: float
    kv: float
    compute: float


BF16: Final = Format("bf16", 16.0, 16.0, 16.0, 16.0)
FP8: Final = Format("fp8", 8.0, 8.0, 8.0, 8.0)
NVFP4: Final = Format("nvfp4", 4.5, 4.5, 8.0, 4.5)
"""NVFP4 has a scale of 8 bits for 16 elements; its KV stays in FP8."""


class Layouts(NamedTuple):
    """Layouts side by side, and the format of each.

    Attributes
    ----------
    layout : each field f8[n].
    format : i8[n], row of the formats given.
    """

    layout: Layout
    format: np.ndarray[tuple[int], np.dtype[np.int64]]

    def __len__(self) -> int:
        return len(self.format)

    def take(self, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Layouts:
        """Some of them."""
        return Layouts(take(self.layout, rows), self.format[rows])


def take(layout: Layout, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Layout:
    """Some of the layouts whose fields are f8[n]."""
    return Layout(*(np.asarray(field)[rows] for field in layout))


def supported(formats: Sequence[Format], hardware: Hardware) -> list[Format]:
    """The formats whose operands the hardware multiplies."""
    peaks = ((5.5, hardware.fp4), (9.0, hardware.fp8), (math.inf, hardware.bf16))
    return [
        form
        for form in formats
        if next(float(peak) for bits, peak in peaks if form.compute <= bits) > 0
    ]


def layouts(
    architecture: Architecture,
    hardware: Hardware,
    formats: Sequence[Format],
    gpus: float,
) -> Layouts:
    """All layouts of a replica on at most `gpus` GPUs, in every format.

    Tensor ranks are powers of two that divide heads and columns and stay within an NVLink domain;
    pipeline stages are powers of two; experts are spread evenly over all ranks of a stage, or split
    by tensor ranks.  Dense models have no data ranks: more replicas do the same.
    """
    rows = [
        (*shape, form.weights, form.experts, form.kv, form.compute, index)
        for index, form in enumerate(formats)
        for shape in _shapes(architecture, hardware, form, gpus)
    ]
    table = np.array(rows, dtype=np.float64).reshape(len(rows), 10).T
    return Layouts(Layout(*table[:9]), table[9].astype(np.int64))


def _shapes(
    architecture: Architecture, hardware: Hardware, form: Format, gpus: float
) -> Iterator[tuple[int, int, int, int, int]]:
    """(tensor, pipeline, data, expert_tensor, expert)."""
    a, domain = architecture, max(int(hardware.domain), 1)
    needed = float(a.parameters) * form.experts / 8.0 / float(hardware.memory)
    most = min(gpus, max(math.ceil(needed / domain) * domain + SPANS * domain, WIDE))
    for tensor in (1, 2, 4, 8, 16, 32, 64):
        if tensor > min(most, domain) or a.heads % tensor or a.ffn % tensor:
            continue
        for pipeline in (1, 2, 4, 8, 16):
            if tensor * pipeline > most or pipeline > a.layers:
                break
            for data in STEPS if a.experts else (1,):
                ranks = tensor * data
                if ranks * pipeline > most or (pipeline > 1 and data > STAGED):
                    break
                for split in (1, tensor) if tensor > 1 and a.experts else (1,):
                    expert = ranks // split if a.experts else 1
                    if a.experts and (a.experts % expert or a.expert_ffn % split):
                        continue
                    yield tensor, pipeline, data, split if a.experts else tensor, expert


def crossed(found: Layouts, sequences: float) -> tuple[Layouts, Floats]:
    """Every layout with every load of `LOADS` for each of its data ranks.

    Parameters
    ----------
    sequences : most requests in flight of a data rank.

    Returns
    -------
    Layouts and requests in flight of the replica, f8[n].
    """
    loads = np.array([load for load in LOADS if load <= sequences], dtype=np.float64)
    rows = np.repeat(np.arange(len(found)), len(loads))
    return found.take(rows), np.tile(loads, len(found)) * np.asarray(found.layout.data)[rows]
