"""Laws of heat exchangers, pumps, fans and chillers: small functions of numbers.

Heat exchangers: effectiveness by number of transfer units (Kays and London, Compact Heat
Exchangers, 1984), told as conductance G = effectiveness x smaller heat capacity flow, so that heat
is G (T_hot,in - T_cold,in).  A wet tower is the same with enthalpies (Braun, Klein and Mitchell,
ASHRAE Transactions 95(2) (1989) 164): its cold side is a fluid with the heat capacity of saturated
air between wet bulb and entering water.
"""

from __future__ import annotations

import math

from firsttoken.kernel.compiled import compiled, compiled_inline

__all__ = [
    "branch_flow",
    "chiller_power",
    "cold_speed",
    "conductance",
    "decay_means",
    "flow_law",
    "heat_transfer",
    "pump_capacity",
    "pump_power",
    "pump_speed",
    "transfer_of_conductance",
]

SHUT_OFF = 1.25
"""Head of a radial pump without flow over that at its rating: usual are 1.1 to 1.3 (Guelich,
Centrifugal Pumps, 2014, ch. 4)."""

LEAST_LIFT = 3.0
"""Least lift between the waters, K: below it the expansion valve has no pressure."""


@compiled
def flow_law(temperature: float, scale: float, limit: float, exponent: float, unit: float) -> float:
    """Coolant flow that a rack needs at full power: unit (scale / (limit - T)) ^ exponent, m3/s.

    Parameters
    ----------
    temperature : supply temperature T, K.
    scale, limit, exponent, unit : of the law, in K, K, 1 and m3/s; inf from the limit on.
    """
    if temperature >= limit:
        return math.inf
    return unit * math.pow(scale / (limit - temperature), exponent)


@compiled_inline
def decay_means(x: float) -> tuple[float, float]:
    """Means over a step of a decay e^-x t, and of what a source of 1 leaves under it; x >= 0.

    They are ``m = (1 - e^-x) / x`` and ``(1 - m) / x``.
    """
    if x < 1e-2:
        mean = 1.0 - x * (0.5 - x * (1.0 / 6.0 - x / 24.0))
        return mean, 0.5 - x * (1.0 / 6.0 - x * (1.0 / 24.0 - x / 120.0))
    mean = -math.expm1(-x) / x if x < 40.0 else 1.0 / x
    return mean, (1.0 - mean) / x


@compiled
def conductance(hot: float, cold: float, ua: float) -> float:
    """Counterflow conductance in W/K of heat capacity flows and heat transfer in W/K."""
    small, large = min(hot, cold), max(hot, cold)
    if small <= 0.0 or ua <= 0.0:
        return 0.0
    ntu, ratio = ua / small, small / large
    if 1.0 - ratio < 1e-5:
        return small * ntu / (1.0 + ntu)
    left = math.exp(-ntu * (1.0 - ratio))
    return small * (1.0 - left) / (1.0 - ratio * left)


def transfer_of_conductance(hot: float, cold: float, given: float) -> float:
    """Heat transfer in W/K that gives a conductance: the inverse of `conductance`.

    A conductance beyond 0.995 of the smaller flow, which no exchanger reaches, counts as that.
    """
    small, large = min(hot, cold), max(hot, cold)
    effectiveness, ratio = min(given / small, 0.995), small / large
    if 1.0 - ratio < 1e-5:
        return small * effectiveness / (1.0 - effectiveness)
    inside = (1.0 - effectiveness * ratio) / (1.0 - effectiveness)
    return small * math.log(inside) / (1.0 - ratio)


@compiled_inline
def heat_transfer(
    ua: float, hot_side: float, cold_share: float, exponent: float, speed: float
) -> float:
    """Heat transfer at a share `speed` of the cold side's full flow, W/K.

    Parameters
    ----------
    ua : at the rating.
    hot_side : resistance of the hot side as a share of all at the rating; negative: a tower, where
        the hot side is the factor ``-hot_side`` on the transfer.
    cold_share : resistance of the cold side at the rating.
    exponent : of its flow.
    """
    if hot_side < 0.0:
        return -ua * hot_side * math.pow(speed, exponent)
    return ua / (hot_side + cold_share * math.pow(speed, -exponent))


@compiled
def cold_speed(
    target: float,
    hot: float,
    cold: float,
    ua: float,
    hot_side: float,
    cold_share: float,
    exponent: float,
    guess: float,
    tolerance: float,
) -> float:
    """Share of the cold side's full flow with which the conductance is `target`; at most 1.

    Secant steps between bounds, to `tolerance` of the target.  Parameters as of `heat_transfer` and
    `conductance`; `cold` is the full flow, `guess` where to begin.
    """
    low, high = 0.0, 1.0
    s = min(max(guess, 1e-4), 1.0)
    last_s, last_g = 0.0, 0.0
    for _ in range(40):
        g = conductance(hot, s * cold, heat_transfer(ua, hot_side, cold_share, exponent, s))
        if abs(g - target) <= tolerance * target:
            break
        if g < target:
            low = s
            if s >= 1.0:
                break
        else:
            high = s
        step = s * target / g if g == last_g else s + (target - g) * (s - last_s) / (g - last_g)
        if not low < step < high:
            step = 0.5 * (low + high)
            if high == 1.0 and low > 0.98:
                step = 1.0
        last_s, last_g = s, g
        s = step
    return s


@compiled
def branch_flow(pumps: float, flow: float, head: float, static: float) -> float:
    """Flow of `pumps` times the pumps needed, at full speed, in a system rated (flow, head).

    Pump curve: shut-off head less a square of the flow of each; system curve: static head plus a
    square of the flow.
    """
    if pumps <= 0.0 or flow <= 0.0:
        return 0.0
    if head <= static:
        return flow * min(pumps, 1.0)
    shut, curve = SHUT_OFF * head, (SHUT_OFF - 1.0) * head
    return flow * math.sqrt((shut - static) / (head - static + curve / (pumps * pumps)))


@compiled_inline
def pump_capacity(share: float, spare: float, flow: float, head: float, static: float) -> float:
    """Most flow of pumps of which `share` can run and `spare` times the need is installed."""
    return branch_flow(share * spare, flow, head, static)


@compiled_inline
def pump_speed(q: float, pumps: float, head: float, static: float) -> float:
    """Speed as a share of full speed, for `q` times the rated flow by the affinity laws."""
    needed = static + (head - static) * q * q
    curve = (SHUT_OFF - 1.0) * head * (q / pumps) ** 2
    return math.sqrt((needed + curve) / (SHUT_OFF * head))


@compiled
def pump_power(
    wanted: float, pumps: float, flow: float, head: float, static: float, efficiency: float
) -> float:
    """Electrical power of pumps on speed control in W.

    Parameters
    ----------
    wanted : flow, m3/s, at most that of `pump_capacity`.
    pumps : pumps that can run over pumps needed; those beyond need run only if they must.
    flow, head, static : rating, m3/s and Pa; static is the part of the head without flow.
    efficiency : pump, motor and drive at the rating; off it, efficiency follows a parabola of flow
        over speed with its peak at the rating.
    """
    if wanted <= 0.0 or pumps <= 0.0 or flow <= 0.0 or head <= 0.0:
        return 0.0
    q = wanted / flow
    running = min(pumps, 1.0) if q <= 1.0 else pumps
    needed = static + (head - static) * q * q
    x = q / running / pump_speed(q, running, head, static)
    off = max(x * (2.0 - x), 0.1)
    return wanted * needed / (efficiency * off)


@compiled
def chiller_power(
    heat: float, running: float, evaporator: float, lift: float, carnot: float, pinch: float
) -> float:
    """Electrical power in W of chillers that take `heat`.

    Carnot's efficiency at the lift and a constant beyond it, times a share of it, times the curve
    of part load of a variable-speed centrifugal chiller in EnergyPlus' data set
    (`ElectricEIRChiller Carrier 19XR 1407kW/6.04COP/VSD`).

    Parameters
    ----------
    running : load of the running units as a share of their rating.
    evaporator : leaving chilled water, K.
    lift : condenser's leaving water (or outside air) above it, K.
    carnot, pinch : share of Carnot's efficiency, and the lift beyond `lift`, K.
    """
    carnot_efficiency = evaporator / (max(lift, LEAST_LIFT) + pinch)
    part = 0.118888 + running * (0.672354 + running * 0.206875)
    return heat / (carnot * carnot_efficiency) * part / running / 0.998117
