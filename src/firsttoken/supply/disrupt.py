"""What disruptions do to a network: factors, terms, shifts and losses by activity.

A disruption names a target by its path; `targets` says what that touches.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from firsttoken.supply import model
from firsttoken.supply.targets import Key, problem, touched
from firsttoken.twin import scenario as said
from firsttoken.twin.effects import acting, parameter_of, slip_of, span_of
from firsttoken.twin.parameters import BEGINNING, ParameterBuilder
from firsttoken.twin.twin import Twin


@dataclass(frozen=True, slots=True)
class Loss:
    """A share of what lies and is in work at a location is scrapped at a time."""

    location: str
    time: int
    share: int


@dataclass(slots=True)
class Effects:
    """Series and parameters by target; nothing where nothing happens.

    Attributes
    ----------
    closed, capacity, lead_factor, yields : series to multiply with.
    lead_add : products of series to add to the lead time.
    slips : (parameter of the delay, from in seconds from the twin's start).
    tariffs : (series 1 outside the change, series 1 inside it, series of its rate).
    """

    closed: dict[Key, list[int]] = field(default_factory=dict)
    capacity: dict[Key, list[int]] = field(default_factory=dict)
    lead_factor: dict[Key, list[int]] = field(default_factory=dict)
    lead_add: dict[Key, list[list[int]]] = field(default_factory=dict)
    yields: dict[Key, list[int]] = field(default_factory=dict)
    slips: dict[Key, list[tuple[int, float]]] = field(default_factory=dict)
    tariffs: dict[str, list[tuple[int, int, int]]] = field(default_factory=dict)
    losses: list[Loss] = field(default_factory=list)


def build_effects(twin: Twin, name: str, net: model.Network, build: ParameterBuilder) -> Effects:
    """Compile the disruptions of a twin that aim at one network, `supply.<name>`.

    Raises
    ------
    TwinError
        If a disruption aims at something that it cannot act on.
    """
    compiler = _EffectCompiler(net, build)
    for disruption, keys in acting(twin, "supply", name, partial(problem, net)):
        compiler.add(disruption, keys)
    return compiler.effects


class _EffectCompiler:
    def __init__(self, net: model.Network, build: ParameterBuilder) -> None:
        self.net, self.build, self.effects = net, build, Effects()

    def add(self, disruption: said.Disruption, parts: tuple[str, ...]) -> None:
        target = (parts[0], parts[1])
        if isinstance(disruption, said.TariffChange):
            self._tariff(disruption, parts[1])
        elif isinstance(disruption, said.Loss):
            time = self._parameter(disruption, "at")
            self.effects.losses.append(Loss(parts[1], time, self._parameter(disruption, "share")))
        elif isinstance(disruption, said.Slip):
            self._slip(disruption, target)
        else:
            assert isinstance(disruption, said.Timed)
            self._timed(disruption, target)

    def _parameter(self, disruption: said.Disruption, name: str) -> int:
        return parameter_of(disruption, name, self.build)

    def _window(self, disruption: said.Timed, inside: int, outside: float) -> int:
        """Series: the parameter `inside` within the span, else the number `outside`."""
        start, end = span_of(disruption, self.build)
        normal = self.build.constant(outside)
        knots = [(self.build.constant(BEGINNING), normal), (start, inside)]
        if end is not None:
            knots.append((end, normal))
        return self.build.steps(knots)

    def _timed(self, disruption: said.Timed, target: Key) -> None:
        effects, one = self.effects, self.build.constant(1.0)
        if isinstance(disruption, said.Closure):
            shut = self._window(disruption, self.build.constant(0.0), 1.0)
            for key in touched(self.net, disruption, target):
                effects.closed.setdefault(key, []).append(shut)
        elif isinstance(disruption, said.CapacityChange):
            factor = self._recovering(disruption)
            for key in touched(self.net, disruption, target):
                effects.capacity.setdefault(key, []).append(factor)
        elif isinstance(disruption, said.YieldChange):
            factor = self._window(disruption, self._parameter(disruption, "factor"), 1.0)
            for key in touched(self.net, disruption, target):
                if key[0] == "operations":
                    effects.yields.setdefault(key, []).append(factor)
        elif isinstance(disruption, said.LeadTimeChange):
            for key in touched(self.net, disruption, target):
                if disruption.factor is not None:
                    factor = self._window(disruption, self._parameter(disruption, "factor"), 1.0)
                    effects.lead_factor.setdefault(key, []).append(factor)
                else:
                    length = self.build.of_parameter(self._parameter(disruption, "add"))
                    inside = self._window(disruption, one, 0.0)
                    effects.lead_add.setdefault(key, []).append([length, inside])

    def _recovering(self, disruption: said.CapacityChange) -> int:
        """Series: the factor within the span, then straight back to 1 in the recovery time."""
        build = self.build
        factor, one = self._parameter(disruption, "factor"), build.constant(1.0)
        start, end = span_of(disruption, self.build)
        if end is None:
            return self._window(disruption, factor, 1.0)
        recovery = self._parameter(disruption, "recovery")
        if build.fixed(recovery) == 0.0:
            return self._window(disruption, factor, 1.0)
        # A line needs a little width to fall: one second.
        before = build.total(start, build.constant(-1.0))
        back = build.total(end, recovery)
        return build.ramp([(before, one), (start, factor), (end, factor), (back, one)])

    def _tariff(self, change: said.TariffChange, name: str) -> None:
        one, nothing = self.build.constant(1.0), self.build.constant(0.0)
        outside = self._window(change, nothing, 1.0)
        inside = self._window(change, one, 0.0)
        rate = self.build.of_parameter(self._parameter(change, "rate"))
        self.effects.tariffs.setdefault(name, []).append((outside, inside, rate))

    def _slip(self, slip: said.Slip, target: Key) -> None:
        delay = slip_of(slip, self.build)
        for key in touched(self.net, slip, target):
            self.effects.slips.setdefault(key, []).append(delay)
