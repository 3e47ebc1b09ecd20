"""What a utility measures at the point of connection: ramps, ranges, oscillation."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Measures(NamedTuple):
    """Figures of one waveform.

    Attributes
    ----------
    mean, peak, least : W.
    ramp : largest change of power over the ramp's window, W/s.
    range : largest difference within the range's window, W.
    oscillation : root mean square within the band, W.
    line, frequency : largest single oscillation in the band (amplitude, W) and where it is (Hz).
    """

    mean: float
    peak: float
    least: float
    ramp: float
    range: float
    oscillation: float
    line: float
    frequency: float


def ramp(power: Floats, sample: float, window: float) -> float:
    """Largest change of power over `window` s, in W/s; 0 if the waveform is shorter."""
    lag = max(1, round(window / sample))
    if lag >= len(power):
        return 0.0
    return float(np.abs(power[lag:] - power[:-lag]).max() / (lag * sample))


def dynamic_range(power: Floats, sample: float, window: float) -> float:
    """Largest difference between any two samples at most `window` s apart, in W."""
    from scipy.ndimage import maximum_filter1d, minimum_filter1d

    size = min(max(2, round(window / sample) + 1), len(power))
    high = maximum_filter1d(power, size, mode="nearest")
    low = minimum_filter1d(power, size, mode="nearest")
    return float((high - low).max())


def spectrum(power: Floats, sample: float) -> tuple[Floats, Floats]:
    """Frequencies in Hz and the mean square of power at each, in W2 (one-sided).

    A Hann window keeps what does not fit the window from leaking into the whole band; it is
    scaled so that the sum over all frequencies is the variance (Parseval; Heinzel, Rüdiger and
    Schilling 2002, eq. 23 with the equivalent noise bandwidth of 1.5 bins).
    """
    n = len(power)
    window = np.hanning(n + 1)[:n]
    turned = np.fft.rfft((power - power.mean()) * window)
    square = np.abs(turned) ** 2 / (n * (window**2).sum())
    square[1 : (n + 1) // 2] *= 2.0
    return np.asarray(np.fft.rfftfreq(n, sample)), np.asarray(square)


def band(power: Floats, sample: float, low: float, high: float) -> tuple[float, float, float]:
    """Oscillation within [low, high] Hz: root mean square, largest line, its frequency.

    A line's amplitude is the square root of twice the mean square of the four bins about it (the
    main lobe of a Hann window); 0 if the waveform is too short for the band.
    """
    frequency, square = spectrum(power, sample)
    inside = (frequency >= low) & (frequency <= high)
    if not inside.any():
        return 0.0, 0.0, math.nan
    total = math.sqrt(float(square[inside].sum()))
    bins = np.where(inside, square, 0.0)
    top = int(bins.argmax())
    lobe = bins[max(top - 2, 0) : top + 3].sum()
    return total, math.sqrt(2.0 * float(lobe)), float(frequency[top])


def measure(
    power: Floats,
    sample: float,
    ramp_window: float,
    range_window: float,
    low: float,
    high: float,
) -> Measures:
    """All figures of a waveform of power in W, shape [samples]."""
    oscillation, line, frequency = band(power, sample, low, high)
    return Measures(
        float(power.mean()),
        float(power.max()),
        float(power.min()),
        ramp(power, sample, ramp_window),
        dynamic_range(power, sample, range_window),
        oscillation,
        line,
        frequency,
    )
