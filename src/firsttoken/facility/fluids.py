"""Properties of liquids: water, and water with propylene glycol.

Polynomials in u = (T - 323.15 K) / 50 K, fitted at 300 kPa between 0 and 100 degC to

water
    IAPWS-95 (Wagner and Pruss, J. Phys. Chem. Ref. Data 31 (2002) 387), IAPWS 2008 viscosity and
    2011 conductivity, by CoolProp 8.0.0 (Bell et al., Ind. Eng. Chem. Res. 53 (2014) 2498).
    Largest error: density 4e-6, heat capacity 4e-5, viscosity 2e-4, conductivity 2e-4.
propylene glycol, 10 to 60 % by volume
    ASHRAE Handbook - Fundamentals, chapter 31, by CoolProp's `APG`.  Largest error: density 3e-5,
    heat capacity 2e-4, viscosity 4 % (0.9 % at 25 %), conductivity 6e-4.

Shares of glycol below 10 % are interpolated between the two.  The trade's PG25 is 25 % by volume
(OCP, Guidelines for Using Propylene Glycol-Based Heat Transfer Fluids, 2023).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

PG25: Final = 0.25
"""Share of propylene glycol in PG25, by volume."""

_LEAST: Final = 0.1
"""Least share of glycol of the fits."""

_WATER: Final = {
    "density": (988.1219, -22.60979, -8.197115, 1.528532, -0.577704, 0.3277094, -0.1531953),
    "heat": (4180.874, 14.04569, 20.74478, -5.33961, 9.850789, -10.21182, 5.326589),
    "viscosity": (
        -7.51188,
        -0.8394933,
        0.2277182,
        -0.06850932,
        0.0268413,
        -0.01693141,
        0.007445366,
    ),
    "conductivity": (0.640708, 0.05617893, -0.02152572, 0.003029423, -0.002565281, 0.001539424),
}
_GLYCOL: Final = {
    "density": (
        (985.28522, -20.740232, -5.8827391, 0.0040881965),
        (113.78966, -35.040708, -2.6865438, -0.028268391),
        (-79.707587, 16.130891, 3.5036784, 0.042110775),
        (16.045662, -4.9798047, -0.5187925),
    ),
    "heat": (
        (4187.1028, 50.197151, -1.4389845, 0.54644011),
        (-531.75121, 306.0975, 12.201533, -3.2634376),
        (-1051.6525, -64.358160, -32.171752, 4.4236287),
        (-85.876102, 45.344385, 26.9868),
    ),
    "viscosity": (
        (-7.4356743, -0.76019690, 0.18392196, -0.041786505),
        (1.9305571, -1.3973352, 0.71812497, -0.43470331),
        (2.5569062, 0.26177869, 0.86929223, 0.40376563),
        (-2.1241346, -0.38975255, -1.6430715),
    ),
    "conductivity": (
        (0.64339741, 0.059439059, -0.024648548, -0.00023572948),
        (-0.66322146, -0.10473209, 0.036538339, 0.0018517234),
        (0.30126102, 0.036577477, -0.013729302, -0.0027663413),
        (-0.093938847, 4.9636925e-05, 0.0013691727),
    ),
}


def density(temperature: float, glycol: float = 0.0) -> float:
    """Density in kg/m3.

    Parameters
    ----------
    temperature : K, 273.15 to 373.15.
    glycol : share of propylene glycol by volume, 0 to 0.6.
    """
    return _property("density", temperature, glycol)


def heat_capacity(temperature: float, glycol: float = 0.0) -> float:
    """Specific heat capacity at constant pressure in J/(kg K); parameters as of `density`."""
    return _property("heat", temperature, glycol)


def viscosity(temperature: float, glycol: float = 0.0) -> float:
    """Dynamic viscosity in Pa s; parameters as of `density`."""
    return math.exp(_property("viscosity", temperature, glycol))


def conductivity(temperature: float, glycol: float = 0.0) -> float:
    """Thermal conductivity in W/(m K); parameters as of `density`."""
    return _property("conductivity", temperature, glycol)


def volumetric_heat(temperature: float, glycol: float = 0.0) -> float:
    """Heat capacity of a volume in J/(m3 K); parameters as of `density`."""
    return density(temperature, glycol) * heat_capacity(temperature, glycol)


def _property(name: str, temperature: float, glycol: float) -> float:
    u = (temperature - 323.15) / 50.0
    if glycol >= _LEAST:
        return _mixed(name, u, glycol)
    water = _polynomial(_WATER[name], u)
    if glycol <= 0.0:
        return water
    return water + (_mixed(name, u, _LEAST) - water) * glycol / _LEAST


def _mixed(name: str, u: float, glycol: float) -> float:
    return _polynomial([_polynomial(row, u) for row in _GLYCOL[name]], glycol)


def _polynomial(coefficients: Sequence[float], x: float) -> float:
    total = 0.0
    for coefficient in reversed(coefficients):
        total = total * x + coefficient
    return total
