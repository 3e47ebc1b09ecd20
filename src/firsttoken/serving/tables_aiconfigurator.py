"""Tables of measured operators of `aiconfigurator-core` (extra `aisim`), through its public SDK.

NVIDIA's package (Apache-2.0) holds times of GEMMs, attention, MoE kernels and collectives that were
measured on GPUs under releases of engines, and composes models of them.  Its `EngineHandle` is
asked in its mode SILICON: an operator that is not in the tables is an error, not an estimate.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from math import ceil
from pathlib import Path
from typing import Any, Final

import numpy as np

from firsttoken.serving.system import Architecture, Hardware, Layout
from firsttoken.serving.tables import (
    BATCHES,
    CONTEXTS,
    FILLED,
    OPERATORS,
    PROMPTS,
    TOKENS,
    Grid,
    TablesError,
)
from firsttoken.serving.tables_match import (
    Modes,
    Shape,
    Speeds,
    find_gpu,
    find_model,
    find_release,
    modes_of,
    plain_config,
    shape_of,
)
from firsttoken.twin.findings import MissingExtraError

PACKAGE: Final = "aiconfigurator_core"
ENGINES: Final = ("trtllm", "sglang", "vllm")

KINDS: Final = (
    ("elementwise", ("norm", "act_gate", "merge")),
    ("exchange", ("dispatch", "p2p")),
    ("experts", ("moe", "router")),
    ("head", ("logits", "embedding")),
    ("reduce", ("_ar",)),
)
"""Operators by parts of the package's names for them, the first that fits; others are dense."""

MEASURED: Final = "silicon"


def needed() -> None:
    """Raise unless the package is there.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    if importlib.util.find_spec(PACKAGE) is None:
        raise MissingExtraError("reading tables of measured operators", "aisim")


class Aiconfigurator:
    """Tables of one model on one GPU under one release of an engine.

    Parameters
    ----------
    name : of the model, to choose between models of the same shapes.
    engine, release : of the serving software; an empty release: the one that the tables call
        current.

    Raises
    ------
    MissingExtraError
        If the package is not installed.
    TablesError
        If the tables do not hold the GPU, the engine, its release or the model.
    """

    def __init__(
        self, architecture: Architecture, hardware: Hardware, name: str, engine: str, release: str
    ) -> None:
        needed()
        if engine not in ENGINES:
            what = f"the tables hold no engine {engine!r}" if engine else "no engine is named"
            why = "measured operators belong to the release of an engine"
            raise TablesError("name", what, why, f"known are {', '.join(ENGINES)}")
        with _quiet():
            self.gpu = find_gpu(hardware, _gpus())
            self.engine = engine
            self.release = find_release(release, _releases(self.gpu, engine), engine, self.gpu)
            self.model = self._model(architecture, name)
        self.sparse = float(architecture.experts) > 0
        self._modes: dict[tuple[float, ...], Modes] = {}

    def _model(self, architecture: Architecture, name: str) -> str:
        """Name by which the package knows the model, or folder with its shapes for a plain one."""
        self.called = f"a plain transformer of the shapes of {name}"
        try:
            self.called = find_model(shape_of(architecture), name, _models())
        except TablesError:
            config = plain_config(architecture)
            if config is None:
                raise
            folder = tempfile.mkdtemp(prefix="firsttoken-")
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            Path(folder, "config.json").write_text(json.dumps(config), encoding="utf-8")
            return folder
        return self.called

    @property
    def origin(self) -> str:
        """Package and version."""
        return f"aiconfigurator-core {version('aiconfigurator-core')}"

    @property
    def entry(self) -> str:
        """Model, GPU, engine and release."""
        return f"{self.called} on {self.gpu}, {self.engine} {self.release}"

    def grid(self, layout: Layout) -> Grid:
        """Seconds of a layout (of floats).

        Raises
        ------
        TablesError
            If the tables lack an operator of it.
        """
        bits = tuple(float(value) for value in layout[5:])
        tried = list(modes_of(layout, self.sparse, "gpt-oss" in self.model))
        if bits in self._modes:
            tried = [self._modes[bits]]
        errors = []
        with _quiet():
            for modes in tried:
                try:
                    found = _measure(self._compiled(layout, modes), modes)
                except Exception as error:  # the package raises what its layers raise
                    errors.append(error)
                    continue
                self._modes[bits] = modes
                return found
        raise self._missing(layout, tried, errors)

    def _compiled(self, layout: Layout, modes: Modes) -> Any:
        from aiconfigurator_core.sdk.engine import EngineHandle

        experts = {}
        if self.sparse:
            experts = {
                "moe_tp_size": int(layout.expert_tensor),
                "moe_ep_size": int(layout.expert),
                "moe_quant_mode": modes.moe,
            }
        return EngineHandle.compile(
            self.model,
            self.gpu,
            self.engine,
            backend_version=self.release,
            tp_size=int(layout.tensor),
            pp_size=int(layout.pipeline),
            attention_dp_size=int(layout.data),
            gemm_quant_mode=modes.gemm,
            kvcache_quant_mode=modes.kv,
            fmha_quant_mode=modes.fmha,
            **experts,
        )

    def _missing(self, layout: Layout, tried: list[Modes], errors: list[Exception]) -> TablesError:
        """What the tables lack for a layout, in the words of the package."""
        # the formats most in use, with the kernel of attention that every engine has
        plain = [e for e, modes in zip(errors, tried, strict=True) if modes.fmha == "bfloat16"]
        said = str(plain[0] if plain else errors[0]).split(" at /")[0].replace("\n", " ")
        names = sorted({modes.gemm for modes in tried} | {modes.moe for modes in tried})
        with _quiet():
            held = _held_formats(self.gpu, self.engine, self.release)
        lacking = [name for name in names if name not in held["gemm"] + held["moe"]]
        ranks = ", ".join(
            f"{key} {int(getattr(layout, key))}"
            for key in ("tensor", "pipeline", "data", "expert_tensor", "expert")
        )
        field = "precision" if lacking else "parallel"
        hint = "take other ranks"
        if lacking:
            hint = f"products are held in {', '.join(held['gemm'])}"
            if self.sparse:
                hint += f", experts in {', '.join(held['moe'])}"
        return TablesError(
            field,
            f"the tables of {self.entry} do not hold {' or '.join(names)} with {ranks}",
            said[:240],
            f"{hint}; or remove `engine.tables`",
        )


def _measure(handle: Any, modes: Modes) -> Grid:
    """Ask for every size of the grids, ms into s."""
    attention = np.zeros((len(BATCHES), len(CONTEXTS)))
    decode = np.zeros((len(OPERATORS), len(BATCHES)))
    fill = np.zeros((len(OPERATORS), len(TOKENS)))
    pair = np.zeros((2, len(PROMPTS)))
    share = 0.0
    reading = _reading(handle)
    for row, batch in enumerate(BATCHES):
        for column, context in enumerate(CONTEXTS):
            asked = handle.evaluate_generation_ops(reading, batch_size=batch, s=context)
            attention[row, column] = sum(part[1] for part in asked)
        # the package asks at context + output // 2 + 1
        parts = handle.decode_step_per_op(batch, CONTEXTS[0] - 2, 2)
        _add(decode[:, row], parts)
        if batch == FULL:
            share = sum(part[1] for part in parts if part[3] == MEASURED)
            share /= sum(part[1] for part in parts)
    for row, tokens in enumerate(TOKENS):
        parts = handle.mixed_step_breakdown_per_op(tokens, 0, tokens, 2)[0]
        _add(fill[:, row], parts)
    for column, prompt in enumerate(PROMPTS):
        for row, size in enumerate((prompt, max(ceil(FILLED / prompt) * prompt, prompt))):
            seconds = handle.mixed_step_breakdown(size, 0, prompt, 2)[2] / 1e3
            pair[row, column] = seconds / (size / prompt * prompt**2 / 2.0)
    if not all(np.isfinite(part).all() for part in (attention, decode, fill, pair)):
        raise ValueError("a time that is no number")
    attention = np.maximum(attention - attention[:, :1], 0.0) / 1e3
    return Grid(decode, attention, fill, pair, share, "/".join(modes))


FULL: Final = 64
"""Sequences of the step whose measured share is told."""

PROBED: Final = (1024, 65536)
"""Tokens of context between which an operator's time changes if it reads them."""


def _reading(handle: Any) -> list[int]:
    """Positions of the operators of a decoding step that read KV.

    What reads it is a kernel of attention with some models and engines, a whole block with others.
    """
    found, count = list[int](), 0
    while True:
        try:
            near, far = (
                handle.evaluate_generation_ops([count], batch_size=FULL, s=context)[0][1]
                for context in PROBED
            )
        except (ValueError, IndexError):
            break
        if far > near:
            found.append(count)
        count += 1
    if not found:
        raise ValueError("no operator of a decoding step reads KV")
    return found


def _add(row: Any, parts: Any) -> None:
    for part in parts:
        row[OPERATORS.index(kind_of(part[0]))] += part[1] / 1e3


def kind_of(name: str) -> str:
    """Which of `OPERATORS` an operator of the package is."""
    for kind, marks in KINDS:
        if any(mark in name for mark in marks):
            return kind
    return "dense"


@cache
def _gpus() -> Mapping[str, Speeds]:
    """Speeds of the GPUs that have tables."""
    from aiconfigurator_core.sdk import perf_database

    found = {}
    for root in perf_database.get_systems_paths():
        for path in sorted(Path(root).glob("*.yaml")):
            name = path.stem
            if not any(_releases(name, engine) for engine in ENGINES):
                continue
            spec = perf_database.load_system_spec(name)
            gpu, node = spec["gpu"], spec["node"]
            rates = (gpu.get(f"{key}_tc_flops", 0.0) for key in ("bfloat16", "fp8", "fp4"))
            speeds = (*rates, gpu["mem_bw"], node["intra_node_bw"])
            found[name] = Speeds(*(float(speed) for speed in speeds))
    return found


@cache
def _releases(gpu: str, engine: str) -> Mapping[str, str]:
    """Releases by the names the package gives them: `current`, `previous`, `next`."""
    from aiconfigurator_core.sdk import perf_database

    return perf_database.get_version_slots(gpu, engine) or {}


@cache
def _models() -> Mapping[str, Shape]:
    """Shapes of the models whose configuration the package ships."""
    from aiconfigurator_core.sdk import common, utils

    found = {}
    for name in sorted(common.get_default_models()):
        try:
            told = utils.get_model_config_from_model_path(name)
        except Exception:  # a configuration that it cannot read itself
            continue
        extra = told.get("extra_params")
        latent = 0.0
        if isinstance(extra, Mapping):
            latent = float(extra.get("kv_lora_rank") or 0.0)
        latent = latent or float(getattr(extra, "q_lora_rank", 0.0) or 0.0)
        sparse = (told.get("num_experts") or 0) > 0
        keys = ("layers", "hidden_size", "n", "n_kv", "vocab", "num_experts")
        sizes = [float(told.get(key) or 0.0) for key in keys]
        inner = told.get("moe_inter_size" if sparse else "inter_size") or 0.0
        active = float(told.get("topk") or 0.0)
        found[name] = Shape._make((*sizes, active, float(inner), latent))
    return found


@cache
def _held_formats(gpu: str, engine: str, release: str) -> Mapping[str, list[str]]:
    """Formats of products and experts that the tables hold."""
    from aiconfigurator_core.sdk import perf_database

    database = perf_database.get_database(gpu, engine, release)
    known = {} if database is None else database.supported_quant_mode
    return {key: sorted(known.get(key, []) or []) for key in ("gemm", "moe")}


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the package logs on its way off the user's screen."""
    logger = logging.getLogger(PACKAGE)
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
