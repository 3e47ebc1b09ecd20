"""The fluid mode's tables: lengths cut into bins, what prefill adds to a step, gamma quantiles.

A step holds one token of every decoding sequence and the prefill tokens that arrived during the
step before, up to the chunk.  Seconds against tokens are convex (flat while weights are read, then
in proportion), so the mean step is not the step of the mean: prompts come one by one.  The tables
take that mean over a compound Poisson number of prefill tokens in a step.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import numpy as np

from firsttoken.serving.factory_system import (
    BATCHES,
    FILLS,
    QUANTS,
    SHAPES,
    Floats,
    Lengths,
)
from firsttoken.serving.system import StepLaw

GRID: Final = 192
"""Cells into which the room for prefill in a step is cut."""

PROMPTS: Final = 512
"""Most single prompts that the tables look at."""

PROMPT_CUTS: Final = (0.5, 0.8, 0.95)
"""Where a group of requests is cut by prompt: TTFT has its tail from the longest."""

KEPT: Final = 8192
"""Most single requests that are kept of a sample."""

MEANS: Final = 40
"""Mean numbers of prompts in a step at which the mean step is computed."""

SMALLEST_SHAPE, LARGEST_SHAPE = 1e-2, 1e4
"""Shapes of the first and last row of the gamma table, its rows spaced by equal ratios."""

WEIGHTS: Final = (0.1,) * 8 + (0.025,) * 4 + (0.01,) * 8 + (0.005,) * 4
"""Probability of each of the QUANTS points of a distribution: finer where SLOs are promised."""

assert len(WEIGHTS) == QUANTS


def cut_lengths(prompt: Any, output: Any, cached: Any = 0, *, outputs: int = 20) -> Lengths:
    """Cut a sample of requests into bins with the sample's mean tokens.

    Parameters
    ----------
    prompt, output, cached : tokens of each request, [N]: of the whole prompt, of the answer, and
        of the part of the prompt whose KV is known.
    outputs : groups of about equal size by output; each is cut by prompt at PROMPT_CUTS.

    Returns
    -------
    Lengths
        Bins whose shares times tokens add up to the means of the sample.
    """
    prompt, output = np.asarray(prompt, dtype=float), np.asarray(output, dtype=float)
    known = np.broadcast_to(np.asarray(cached, dtype=float), prompt.shape)
    order = np.lexsort((prompt, output))
    rows = []
    for group in np.array_split(order, min(outputs, len(order))):
        inner = group[np.argsort(prompt[group] - known[group], kind="stable")]
        cuts = np.round(np.array(PROMPT_CUTS) * len(inner)).astype(int)
        for part in np.split(inner, cuts):
            if not len(part):
                continue
            computed = (prompt[part] - known[part]).mean()
            rows.append((computed, known[part].mean(), output[part].mean(), len(part)))
    bins = np.array(rows)
    bins = bins[np.argsort(bins[:, 2], kind="stable")]
    chosen = order[np.linspace(0, len(order) - 1, min(len(order), KEPT)).astype(int)]
    sample = np.stack([prompt - known, known, output], axis=1)[chosen]
    share = bins[:, 3] / bins[:, 3].sum()
    return Lengths(bins[:, 0], bins[:, 1], bins[:, 2], share, sample)


def prompts_of(found: Lengths) -> Floats:
    """Computed and known prompt tokens of single requests, rising, thinned to PROMPTS, [N, 2]."""
    rows = found.sample[np.argsort(found.sample[:, 0], kind="stable"), :2]
    if len(rows) > PROMPTS:
        edges = np.linspace(0, len(rows), PROMPTS + 1).astype(int)
        rows = np.add.reduceat(rows, edges[:-1], axis=0) / np.diff(edges)[:, None]
    found_rows: Floats = rows
    return found_rows


def step_part(law: StepLaw, values: Floats, tokens: Any) -> Any:
    """`seconds` or `joules` of a law at tokens of a step; beyond the table in a straight line."""
    x = np.asarray(tokens, dtype=float)
    inside = np.interp(x, law.tokens, values)
    slope = (values[-1] - values[-2]) / (law.tokens[-1] - law.tokens[-2])
    return inside + np.maximum(x - law.tokens[-1], 0.0) * slope


def batch_grid(most: float) -> Floats:
    """Batch sizes of the tables, [BATCHES]: 0, 1, then by equal ratios to the largest batch."""
    return np.concatenate([[0.0], np.geomspace(1.0, max(most, 2.0), BATCHES - 1)])


def fill_table(law: StepLaw, chunk: float, batch: Floats, sample: Floats) -> tuple[Floats, Floats]:
    """Mean seconds and joules that prefill adds to a step, [BATCHES, FILLS] each.

    Rows are batches, in tokens of a step.
    Columns are mean prefill tokens of a step over the room that the batch leaves.  Prompts larger
    than the room come in pieces; the number of pieces in a step is Poisson, their sum cut at the
    room (what is left over waits for the next step).
    """
    found = np.zeros((2, BATCHES, FILLS))
    target = np.linspace(0.0, 1.0, FILLS)
    for i, b in enumerate(batch):
        room = max(chunk - b, 1.0)
        sums = _piece_sums(sample, room)
        cell = np.minimum(np.arange(sums.shape[1]) / GRID, 1.0)
        share = np.concatenate([[0.0], sums @ cell, [1.0]])
        for part, values in zip(found, (law.seconds, law.joules), strict=True):
            base = float(step_part(law, values, b))
            added = step_part(law, values, b + cell * room) - base
            whole = float(step_part(law, values, chunk)) - base
            mean = np.concatenate([[0.0], sums @ added, [whole]])
            part[i] = np.interp(target, share, mean)
    return found[0], found[1]


def _piece_sums(sample: Floats, room: float) -> Floats:
    """Distributions of the prefill tokens in a step, in cells of room / GRID, [MEANS, cells]."""
    whole = np.floor(sample / room)
    rest = sample - whole * room
    pieces = np.zeros(GRID + 1)
    pieces[GRID] = whole.sum()
    place = rest / room * GRID
    low = np.minimum(place.astype(int), GRID - 1)
    real = rest > 0.0
    np.add.at(pieces, low[real], (1.0 - (place - low))[real])
    np.add.at(pieces, low[real] + 1, (place - low)[real])
    if not pieces.any():
        pieces[0] = 1.0
    pieces /= pieces.sum()
    size = float(np.arange(GRID + 1) @ pieces) / GRID
    cells = 8 * GRID
    wave = np.fft.rfft(pieces, cells)
    means = np.geomspace(0.02, 3.0, MEANS) / max(size, 0.02)
    sums = np.fft.irfft(np.exp(means[:, None] * (wave[None, :] - 1.0)), cells, axis=1)
    return np.maximum(sums, 0.0)


def extra_table(
    law: StepLaw, chunk: float, batch: Floats, sample: Floats, pairs: Floats
) -> tuple[Floats, Floats]:
    """What one prompt costs, by batch: moments of the seconds it adds, and of its own steps.

    Parameters
    ----------
    sample, pairs : computed tokens and attended pairs of single prompts, [N].

    Returns
    -------
    tuple
        First three moments of the seconds that a prompt adds to the steps of others,
        [BATCHES, 3]; first two of the seconds of the steps that hold it, without KV reading,
        [BATCHES, 2].
    """
    extra, own = np.zeros((BATCHES, 3)), np.zeros((BATCHES, 2))
    for i, b in enumerate(batch):
        room = max(chunk - b, 1.0)
        whole = np.floor(sample / room)
        rest = sample - whole * room
        base = float(step_part(law, law.seconds, b))
        last = np.where(rest > 0.0, step_part(law, law.seconds, b + rest) - base, 0.0)
        added = whole * (float(step_part(law, law.seconds, chunk)) - base) + last
        added = added + law.pair_second * pairs
        steps = np.maximum(whole + (rest > 0.0), 1.0)
        alone = added + steps * (law.overhead + base)
        extra[i] = [(added**m).mean() for m in (1, 2, 3)]
        own[i] = [(alone**m).mean() for m in (1, 2)]
    return extra, own


def own_seconds(
    law: StepLaw, chunk: float, beside: float, prompt: Floats, cached: Floats, plain: float
) -> Floats:
    """Seconds of the steps that a prompt needs if no other is prefilled with it, [N].

    Parameters
    ----------
    beside : tokens of the sequences that decode in the same steps.
    plain : seconds of a step without prefill.
    """
    room = max(chunk - beside, 1.0)
    whole = np.floor(prompt / room)
    rest = prompt - whole * room
    base = float(step_part(law, law.seconds, beside))
    last = np.where(rest > 0.0, step_part(law, law.seconds, beside + rest) - base, 0.0)
    own: Floats = whole * (float(step_part(law, law.seconds, chunk)) - base) + last
    own = own + law.pair_second * prompt * (cached + 0.5 * prompt)
    return own + np.maximum(np.ceil(prompt / room), 1.0) * plain


@lru_cache
def gamma_table() -> Floats:
    """Quantiles of gamma distributions with scale 1, over their shape, [SHAPES, QUANTS].

    Points are the medians of parts with the probabilities WEIGHTS; each row is scaled to mean 1.
    """
    from scipy.special import gammaincinv

    edges = np.concatenate([[0.0], np.cumsum(WEIGHTS)])
    middle = 0.5 * (edges[:-1] + edges[1:])
    shapes = np.geomspace(SMALLEST_SHAPE, LARGEST_SHAPE, SHAPES)
    found = np.array([gammaincinv(shape, middle) / shape for shape in shapes])
    scaled: Floats = found / (found @ np.array(WEIGHTS))[:, None]
    return scaled
