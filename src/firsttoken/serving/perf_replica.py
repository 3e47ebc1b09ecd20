"""Steps of one replica in a deployment: decoding, prefill beside it, and a wave of prompts."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from firsttoken.serving.perf_efficiency import DENSE_KERNELS, Corrections, Engine, Rates
from firsttoken.serving.perf_speculation import draft_seconds
from firsttoken.serving.perf_step import Terms, kernels, step_seconds, step_terms
from firsttoken.serving.system import Architecture, Hardware, Layout, Numbers
from firsttoken.serving.tables import Tables

BALANCED: Final = 0.25
"""Share of the requests in flight that engines gather for a balanced prefill over data ranks,
assumed.  TensorRT-LLM's `attention_dp_config` waits up to 50 steps and 10 more; over 8 ranks the
mean rank then has 0.88 of the tokens of the busiest, 0.54 without (its blog 10, ADP balance)."""


BATCHES: Final = 2.0
"""Batches that take turns where the exchange of one runs beside the work of the other."""


class Demand(NamedTuple):
    """What one request asks for; each f8[n].

    Attributes
    ----------
    prompt, output : tokens; fresh : tokens of the prompt that no prefix cache holds.
    context : mean tokens of the sequence while it decodes.
    accepted, drafted : drafted tokens that are accepted, and verified, in a step.
    """

    prompt: Any
    output: Any
    fresh: Any
    context: Any
    accepted: Any
    drafted: Any

    @property
    def following(self) -> Any:
        """Tokens after the first."""
        return np.maximum(self.output - 1.0, 1.0)


def demand(
    isl: Numbers, osl: Numbers, cached: Numbers, accepted: Numbers, drafted: Numbers
) -> Demand:
    """Demand of requests with `isl` tokens of prompt, a share `cached` of it known, and `osl`."""
    prompt, output = np.asarray(isl, dtype=float), np.asarray(osl, dtype=float)
    fresh = np.maximum(prompt * (1.0 - np.asarray(cached)), 1.0)
    taken = np.asarray(accepted, dtype=float)
    return Demand(prompt, output, fresh, prompt + output / 2.0, taken, np.maximum(drafted, taken))


def host_seconds(engine: Engine, layout: Layout, sequences: Any) -> Any:
    """Seconds of host work of a step, f8[n]: each data rank has a scheduler of its own."""
    return engine.overhead + engine.sequence * np.asarray(sequences) / layout.data


class Piece(NamedTuple):
    """A step with prefill: its seconds, how many a prompt takes, prompts that share one."""

    step: Any
    count: Any
    together: Any


class Replica(NamedTuple):
    """A model on its GPUs, under an engine.

    Attributes
    ----------
    tables : measured operators in place of the physics of a step; None: physics.
    """

    architecture: Architecture
    hardware: Hardware
    layout: Layout
    engine: Engine
    corrections: Corrections
    rates: Rates
    tables: Tables | None = None

    @property
    def entry(self) -> Any:
        """Seconds that a request takes beside its steps, before its first token."""
        more = kernels(self.architecture) / DENSE_KERNELS - np.asarray(self.architecture.layers)
        return np.asarray(self.engine.request) + np.asarray(self.engine.layer) * more

    def cold(self, served: Any) -> Any:
        """Seconds that a first wave of `served` requests waits for kernels being tuned."""
        thousand = kernels(self.architecture) / 1000.0
        return np.asarray(self.engine.cold) * thousand * np.log2(np.maximum(served, 1.0))

    def decode(self, running: Any, ask: Demand) -> Any:
        """Seconds of a step in which `running` sequences decode, drafts and host work included.

        Pipeline stages work on batches of their own, one for each stage: a sequence gets its next
        token when its batch has passed all of them.
        """
        batch = running / self.layout.pipeline
        queries = 1.0 + ask.drafted
        terms = self.terms(batch * queries, batch, batch * ask.context, 0.0, queries=queries)
        return step_seconds(terms) + draft_seconds(self.architecture, terms, ask.drafted)

    def chunk(self, ask: Demand) -> tuple[Any, Any, Any]:
        """Tokens and attended pairs of one step of a prompt's prefill, and how many it takes."""
        count = np.maximum(np.ceil(ask.fresh / np.asarray(self.engine.chunk)), 1.0)
        pairs = ask.fresh * (ask.prompt - ask.fresh / 2.0) / count
        return ask.fresh / count, pairs, count

    def piece(self, running: Any, served: Any, ask: Demand) -> Piece:
        """Mean step of a prompt's prefill, beside sequences that decode where the engine mixes.

        Data ranks prefill prompts of their own side by side: engines hold prompts back until they
        have one for each rank, or for `BALANCED` of the requests.
        """
        ranks = np.asarray(self.layout.data, dtype=float)
        tokens, pairs, count = self.chunk(ask)
        beside = np.asarray(self.engine.mixed) * running / self.layout.pipeline
        together = np.clip(served * BALANCED, 1.0, ranks) + 0.0 * tokens
        terms = self.terms(
            tokens * together + beside,
            1.0 + beside,
            beside * ask.context,
            pairs * together,
            busiest=tokens + beside / ranks,
        )
        return Piece(self.uncovered(terms), count, together)

    def wave(self, served: Any, ask: Demand) -> Any:
        """Mean seconds until the prefill ends of `served` requests that begin together.

        Steps are filled up to the engine's budget; the mean prompt ends after half of the steps.
        Pipeline stages take them one behind the other.
        """
        ranks = np.asarray(self.layout.data, dtype=float)
        tokens, pairs, count = self.chunk(ask)
        each = np.maximum(served / ranks, 1.0)
        fill = np.clip(np.floor(np.asarray(self.engine.chunk) / ask.fresh), 1.0, each)
        terms = self.terms(tokens * fill * ranks, fill * ranks, 0.0, pairs * fill * ranks)
        steps = count * (np.maximum(each / fill, 1.0) + 1.0) / 2.0
        return self.uncovered(terms) * (1.0 + (steps - 1.0) / self.layout.pipeline)

    def uncovered(self, terms: Terms) -> Any:
        """Seconds of a step that no CUDA graph covers: host work may take longer than the GPU."""
        parts = np.where(np.asarray(self.engine.overlap) > 0, BATCHES, 1.0)
        host = np.asarray(self.engine.host) * kernels(self.architecture) * parts
        return np.maximum(step_seconds(terms), host)

    def parts(self, tokens: Any, busiest: Any = None) -> Any:
        """Batches that take turns within a step of `tokens`, f8[n]; 1 without overlap."""
        own = np.asarray(tokens) / self.layout.data if busiest is None else np.asarray(busiest)
        taking_turns = np.asarray(self.engine.overlap) > 0
        return np.where(taking_turns, np.clip(own, 1.0, BATCHES), 1.0)

    def terms(
        self,
        tokens: Any,
        sequences: Any,
        kv: Any,
        pairs: Any,
        busiest: Any = None,
        queries: Any = 1.0,
    ) -> Terms:
        """Terms of a step, host work and overlap included (see `step_terms`).

        Half batches that take turns run every operator twice: weights are read again, kernels
        are launched again, products are smaller.
        """
        parts = self.parts(tokens, busiest)
        host = host_seconds(self.engine, self.layout, sequences)
        work = (tokens / parts, sequences / parts, kv / parts, pairs / parts)
        own = None if busiest is None else busiest / parts
        half = self._operators(work, host / parts, own, queries)
        terms = Terms(*(parts * term for term in half))
        others = step_seconds(terms._replace(exchange=0.0, overhead=0.0))
        hidden = np.asarray(self.engine.overlap) * np.minimum(terms.exchange, others)
        return terms._replace(exchange=terms.exchange - hidden)

    def _operators(
        self, work: tuple[Any, Any, Any, Any], host: Any, busiest: Any, queries: Any
    ) -> Terms:
        """Terms of one batch: measured where there are tables, else of physics."""
        if self.tables is None:
            models = (self.architecture, self.hardware, self.layout)
            constants = (self.corrections, host, self.rates)
            return step_terms(*models, *work, *constants, busiest, queries)
        measured = self.tables.terms(self.layout, *work, busiest, queries)
        factors = zip(measured._replace(overhead=host), self.corrections, strict=False)
        return Terms(*(np.asarray(term) * factor for term, factor in factors))
