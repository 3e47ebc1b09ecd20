"""Steps from tables of measured operators, in place of the physics of `perf_step`.

A source of tables (`tables_aiconfigurator`) gives one `Grid` for each layout: seconds of the
operators at chosen sizes.  `Tables` keeps them and interpolates, many layouts side by side, and
answers with the `Terms` that the physics would give; so replicas, laws of steps, steady states and
the search read either without knowing which.  What a source does not hold is a `TablesError`,
never filled in by physics.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from firsttoken.serving.perf_step import Terms
from firsttoken.serving.system import Floats, Layout

Ints = NDArray[np.int64]

BATCHES: Final = (
    *(1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 80, 96, 112, 128, 144, 160, 192, 224, 256),
    *(320, 384, 512),
)
"""Sequences that decode on a data rank."""

CONTEXTS: Final = (16, 128, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072)
"""Tokens of KV that each of them reads."""

TOKENS: Final = (
    *(1, 16, 32, 64, 96, 128, 160, 192, 256, 320, 384, 448, 512, 576, 640, 768, 896, 1024, 1088),
    *(1280, 1536, 1792, 2048, 2176, 2560, 3072, 3584, 4096, 4352, 5120, 6144, 7168, 8192, 8704),
    *(10240, 12288, 16384, 32768),
)
"""Tokens of a step with prompts on a data rank.  Products grow by steps, as their tiles fill."""

PROMPTS: Final = (16, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072)
"""Tokens of prompts whose attention is looked up."""

FILLED: Final = 8192
"""Tokens of a step that short prompts fill together."""

OPERATORS: Final = ("dense", "experts", "elementwise", "head", "reduce", "exchange")
"""Operators that do not depend on contexts, by their names in `Terms`."""


class TablesError(Exception):
    """What the tables do not hold.

    Attributes
    ----------
    what, why, hint : as of a finding; the hint names the nearest that they hold.
    field : what of a service it is about: `tables`, `name`, `release`, `model`, `on`, `precision`
        or `parallel`.
    """

    def __init__(self, field: str, what: str, why: str, hint: str) -> None:
        super().__init__(": ".join(part for part in (what, why) if part))
        self.field, self.what, self.why, self.hint = field, what, why, hint


class Grid(NamedTuple):
    """Measured seconds of the operators of one layout, all its layers together.

    Attributes
    ----------
    decode : of `OPERATORS` in a step that decodes, at the shortest of `CONTEXTS`, with what its
        attention takes there, f8[6, BATCHES].
    attention : that decoding sequences take more at longer ones, f8[BATCHES, CONTEXTS].
    fill : of `OPERATORS` in a step with prompts, f8[6, TOKENS].
    pair : of an attended pair, of one prompt and of as many as fill `FILLED` tokens,
        f8[2, PROMPTS].
    measured : share of a decoding step's seconds that stand in the tables; the rest are formulas of
        the source.
    modes : number formats in the source's own names.
    """

    decode: Floats
    attention: Floats
    fill: Floats
    pair: Floats
    measured: float
    modes: str


class Source(Protocol):
    """Tables of one model on one GPU under one release of an engine."""

    @property
    def origin(self) -> str:
        """Package and version: `aiconfigurator-core 0.12.0`."""

    @property
    def entry(self) -> str:
        """Model, GPU, engine and release in the source's names."""

    def grid(self, layout: Layout) -> Grid:
        """Seconds of a layout (of floats).

        Raises
        ------
        TablesError
            If the tables do not hold it.
        """


class Tables:
    """Grids of the layouts asked for, each looked up once."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._known: dict[tuple[float, ...], Grid | TablesError] = {}
        self._last: tuple[Layout, Ints, Grid] | None = None

    def grid(self, layout: Layout) -> Grid:
        """The grid of one layout (of floats).

        Raises
        ------
        TablesError
            If the tables do not hold it.
        """
        key = tuple(float(np.asarray(field)) for field in layout)
        if key not in self._known:
            try:
                self._known[key] = self.source.grid(Layout(*key))
            except TablesError as error:
                self._known[key] = error
        found = self._known[key]
        if isinstance(found, TablesError):
            raise found
        return found

    def held(self, layout: Layout) -> NDArray[np.bool_]:
        """Which of the layouts the tables hold, b[n]."""
        keys, rows = self._unique(layout)
        return np.array([self._holds(key) for key in keys])[rows]

    def _holds(self, key: Floats) -> bool:
        try:
            self.grid(Layout(*key.tolist()))
        except TablesError:
            return False
        return True

    def why(self) -> str:
        """Why the last layout that is not held is not; empty: all are."""
        errors = [str(found) for found in self._known.values() if isinstance(found, TablesError)]
        return errors[-1] if errors else ""

    @staticmethod
    def _unique(layout: Layout) -> tuple[Floats, Ints]:
        """Layouts that differ, f8[u, 9], and the one of each row."""
        fields = np.broadcast_arrays(*(np.asarray(field, dtype=float) for field in layout))
        table = np.stack([field.ravel() for field in fields], axis=1)
        keys, rows = np.unique(table, axis=0, return_inverse=True)
        return keys, rows.reshape(fields[0].shape)

    def _stacked(self, layout: Layout) -> tuple[Ints, Grid]:
        """Grids of the layouts side by side, and the row of each configuration."""
        last = self._last
        if last is not None and last[0] is layout:
            return last[1], last[2]
        keys, rows = self._unique(layout)
        grids = [self.grid(Layout(*key.tolist())) for key in keys]

        def beside(name: str, *shape: int) -> Floats:
            """One of their arrays, layouts along its first axis."""
            arrays = [getattr(grid, name) for grid in grids]
            return np.stack(arrays) if arrays else np.zeros((0, *shape))

        stacked = Grid(
            beside("decode", len(OPERATORS), len(BATCHES)),
            beside("attention", len(BATCHES), len(CONTEXTS)),
            beside("fill", len(OPERATORS), len(TOKENS)),
            beside("pair", 2, len(PROMPTS)),
            measured=np.nan,
            modes="",
        )
        self._last = (layout, rows, stacked)
        return rows, stacked

    def terms(
        self,
        layout: Layout,
        tokens: Any,
        sequences: Any,
        kv_tokens: Any,
        pairs: Any,
        busiest: Any = None,
        queries: Any = 1.0,
    ) -> Terms:
        """Seconds of one step by operator, arrays broadcast; without host work.

        Parameters
        ----------
        tokens, sequences, kv_tokens, pairs, queries : what the step does, see `perf_step.Work`.
        busiest : tokens of the busiest data rank; without it they are spread evenly.
        """
        rows, grid = self._stacked(layout)
        whole = np.maximum(np.asarray(tokens, dtype=float), 1e-9)
        mean = whole / layout.data
        own = mean if busiest is None else np.asarray(busiest, dtype=float)
        seats = np.asarray(sequences, dtype=float)
        only = whole <= seats * queries * (1.0 + 1e-9)
        parts = {}
        for number, name in enumerate(OPERATORS):
            # experts see the tokens of all data ranks, the rest waits for the busiest
            at = np.maximum(mean if name == "experts" else own, 1.0)
            alone = line(BATCHES, grid.decode[:, number], rows, at)
            mixed = line(TOKENS, grid.fill[:, number], rows, at)
            parts[name] = np.where(only, alone, mixed)
        read = np.asarray(kv_tokens, dtype=float)
        context = read / np.maximum(seats, 1e-9)
        decode = plane(grid.attention, rows, seats / layout.data, context)
        decode = np.where(seats > 0, decode, 0.0)
        each = np.asarray(pairs, dtype=float) / whole
        prefill = pair_seconds(grid.pair, rows, 2.0 * each, own) * each * own
        return Terms(decode=decode, prefill=prefill, launch=0.0, overhead=0.0, **parts)


def knots(layout: Layout) -> Floats:
    """Tokens of a step of a replica (of floats) at which its times are looked up, f8[m], rising."""
    lanes = float(np.asarray(layout.data)) * float(np.asarray(layout.pipeline))
    return np.union1d(BATCHES, TOKENS) * lanes


def pair_seconds(pair: Floats, rows: Ints, prompt: Any, own: Any) -> Any:
    """Seconds of an attended pair of prompts of a length in a step of `own` tokens a rank."""
    size = np.clip(prompt, PROMPTS[0], PROMPTS[-1])
    logs = np.log(PROMPTS)
    one, many = (line(logs, pair[:, k], rows, np.log(size)) for k in (0, 1))
    crowd = np.log(np.maximum(own / size, 1.0)) / np.log(np.maximum(FILLED / size, 1.0 + 1e-9))
    share = np.clip(crowd, 0.0, 1.0)
    return one * (1.0 - share) + many * share


def line(grid: Sequence[float] | Floats, values: Floats, rows: Ints, at: Any) -> Floats:
    """Straight lines between the values [u, m] of each row, and beyond the last; level below."""
    i, w = _between(grid, at)
    rows, i, w = np.broadcast_arrays(rows, i, w)
    found = values[rows, i] * (1.0 - w) + values[rows, i + 1] * w
    return np.asarray(np.maximum(found, 0.0))


def plane(values: Floats, rows: Ints, batch: Any, context: Any) -> Floats:
    """The same in batch and context of values [u, BATCHES, CONTEXTS]."""
    i, w = _between(BATCHES, batch)
    j, v = _between(CONTEXTS, context)
    rows, i, w, j, v = np.broadcast_arrays(rows, i, w, j, v)
    low = values[rows, i, j] * (1.0 - v) + values[rows, i, j + 1] * v
    high = values[rows, i + 1, j] * (1.0 - v) + values[rows, i + 1, j + 1] * v
    return np.asarray(np.maximum(low * (1.0 - w) + high * w, 0.0))


def _between(grid: Sequence[float] | Floats, at: Any) -> tuple[Ints, Floats]:
    """Positions in a grid: the knot before, and the share of the way to the next."""
    knots, x = np.asarray(grid, dtype=float), np.asarray(at, dtype=float)
    i = np.clip(np.searchsorted(knots, x, side="right") - 1, 0, len(knots) - 2)
    w = (x - knots[i]) / (knots[i + 1] - knots[i])
    return np.asarray(i), np.maximum(w, 0.0)
