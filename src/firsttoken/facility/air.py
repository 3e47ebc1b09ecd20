"""Moist air: psychrometrics of ASHRAE Handbook - Fundamentals (2021), chapter 1.

Saturation pressure after Hyland and Wexler (ASHRAE Transactions 89-2A (1983) 500), over ice below
0 degC; ideal mixture of dry air and steam.  Against the real-gas properties of humid air (Herrmann,
Kretzschmar and Gatley, HVAC&R Research 15 (2009) 961) wet bulbs agree within 0.03 K between -15 and
48 degC.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from firsttoken.kernel.compiled import compiled, compiled_inline

Floats = NDArray[np.float64]

STANDARD_PRESSURE: Final = 101325.0
ZERO: Final = 273.15
RATIO: Final = 0.621945
"""Molar mass of water over that of dry air."""
GAS: Final = 287.042
"""Gas constant of dry air, J/(kg K)."""
HEAT: Final = 1006.0
"""Heat capacity of dry air, J/(kg K)."""
STEAM: Final = 1860.0
"""Heat capacity of steam, J/(kg K)."""
LATENT: Final = 2.501e6
"""Heat of evaporation at 0 degC, J/kg."""
WATER: Final = 4186.0
"""Heat capacity of water, J/(kg K)."""


@compiled
def saturation_pressure(temperature: float) -> float:
    """Pressure of saturated steam over water or ice in Pa; 173.15 to 473.15 K (eqs. 5 and 6)."""
    t = temperature
    if t < ZERO:
        return math.exp(
            -5.6745359e3 / t
            + 6.3925247
            + t * (-9.677843e-3 + t * (6.2215701e-7 + t * (2.0747825e-9 - 9.484024e-13 * t)))
            + 4.1635019 * math.log(t)
        )
    return math.exp(
        -5.8002206e3 / t
        + 1.3914993
        + t * (-4.8640239e-2 + t * (4.1764768e-5 - 1.4452093e-8 * t))
        + 6.5459673 * math.log(t)
    )


@compiled
def humidity_ratio(vapour: float, pressure: float) -> float:
    """Water per dry air in kg/kg at a vapour pressure, Pa (eq. 20)."""
    return RATIO * vapour / (pressure - vapour)


@compiled
def saturated_ratio(temperature: float, pressure: float) -> float:
    """Water per dry air of saturated air, kg/kg."""
    return humidity_ratio(min(saturation_pressure(temperature), 0.9 * pressure), pressure)


@compiled
def enthalpy(temperature: float, ratio: float) -> float:
    """Enthalpy of moist air in J per kg of dry air, 0 at 0 degC (eq. 30)."""
    t = temperature - ZERO
    return HEAT * t + ratio * (LATENT + STEAM * t)


@compiled
def saturated_enthalpy(temperature: float, pressure: float) -> float:
    """Enthalpy of saturated air in J per kg of dry air."""
    return enthalpy(temperature, saturated_ratio(temperature, pressure))


@compiled
def air_density(temperature: float, ratio: float, pressure: float) -> float:
    """Moist air in kg/m3 (eqs. 10 and 11)."""
    volume = GAS * temperature * (1.0 + ratio / RATIO) / pressure
    return (1.0 + ratio) / volume


@compiled
def ratio_of_wet_bulb(dry_bulb: float, wet_bulb: float, pressure: float) -> float:
    """Water per dry air in kg/kg from dry and wet bulb, K (eqs. 33 and 35)."""
    t, star = dry_bulb - ZERO, wet_bulb - ZERO
    saturated = saturated_ratio(wet_bulb, pressure)
    if wet_bulb >= ZERO:
        top = (LATENT - 2326.0 * star) * saturated - HEAT * (t - star)
        return top / (LATENT + STEAM * t - WATER * star)
    top = (2.830e6 - 240.0 * star) * saturated - HEAT * (t - star)
    return top / (2.830e6 + STEAM * t - 2100.0 * star)


@compiled
def wet_bulb_of(dry_bulb: float, ratio: float, pressure: float) -> float:
    """Wet bulb in K from dry bulb in K and water per dry air, by bisection of eqs. 33 and 35.

    Within 1e-6 K of the root; saturated (and fog) is the dry bulb itself.
    """
    if ratio >= saturated_ratio(dry_bulb, pressure):
        return dry_bulb
    low, high = 200.0, dry_bulb
    while high - low > 1e-6:
        middle = 0.5 * (low + high)
        if ratio_of_wet_bulb(dry_bulb, middle, pressure) > ratio:
            high = middle
        else:
            low = middle
    return 0.5 * (low + high)


@compiled
def wet_bulb_of_humidity(dry_bulb: float, humidity: float, pressure: float) -> float:
    """Wet bulb in K from dry bulb in K and relative humidity, 0 to 1."""
    vapour = max(humidity, 0.0) * saturation_pressure(dry_bulb)
    return wet_bulb_of(dry_bulb, humidity_ratio(min(vapour, 0.9 * pressure), pressure), pressure)


@compiled
def wet_bulb_of_dew_point(dry_bulb: float, dew_point: float, pressure: float) -> float:
    """Wet bulb in K from dry bulb and dew point in K."""
    vapour = saturation_pressure(min(dew_point, dry_bulb))
    return wet_bulb_of(dry_bulb, humidity_ratio(min(vapour, 0.9 * pressure), pressure), pressure)


@compiled
def dew_point_of(ratio: float, pressure: float) -> float:
    """Dew point (frost point below 0 degC) in K from water per dry air; within 1e-6 K."""
    vapour = pressure * ratio / (RATIO + ratio)
    low, high = 173.15, 473.15
    while high - low > 1e-6:
        middle = 0.5 * (low + high)
        if saturation_pressure(middle) > vapour:
            high = middle
        else:
            low = middle
    return 0.5 * (low + high)


@compiled
def wet_bulbs(dry_bulb: Floats, humidity: Floats, pressure: Floats, out: Floats) -> None:
    """Fill `out` with wet bulbs in K of dry bulbs in K and relative humidities; all [T]."""
    for i in range(len(out)):
        out[i] = wet_bulb_of_humidity(dry_bulb[i], humidity[i], pressure[i])


@compiled_inline
def saturation_slope(cold: float, warm: float, pressure: float) -> float:
    """Change of saturated air's enthalpy between two temperatures over theirs, J/(kg K)."""
    if warm - cold < 1e-3:
        warm = cold + 1e-3
    low, high = saturated_enthalpy(cold, pressure), saturated_enthalpy(warm, pressure)
    return (high - low) / (warm - cold)
