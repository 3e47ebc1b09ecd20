"""What disruptions do to a network: factors, terms, shifts and losses by activity.

A disruption names a target by its path; `targets` says what that touches.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from firsttoken.supply import model
from firsttoken.supply.targets import Key, problem, touched
from firsttoken.twin import scenario as said
from firsttoken.twin.findings import Finding, TwinError
from firsttoken.twin.parameters import BEGINNING, ParameterBuilder
from firsttoken.twin.schema import quantities
from firsttoken.twin.twin import Twin, split_path


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
    for disruption in twin.disruptions:
        keys = split_path(twin.data, disruption.path)
        if keys[:2] == ("supply", name):
            compiler.add(disruption, keys[2:])
    return compiler.effects


class _EffectCompiler:
    def __init__(self, net: model.Network, build: ParameterBuilder) -> None:
        self.net, self.build, self.effects = net, build, Effects()

    def add(self, disruption: said.Disruption, parts: tuple[str, ...]) -> None:
        wrong = problem(self.net, disruption, parts)
        if wrong:
            raise TwinError(
                Finding(
                    f"{disruption.kind!r} cannot act on {disruption.path}",
                    wrong,
                    path=disruption.path,
                    code="disruption",
                )
            )
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
        quantity = quantities(type(disruption))[name]
        return self.build.scalar(
            getattr(disruption, name),
            f"disruption.{disruption.kind}.{disruption.path}.{name}",
            quantity.unit,
            date=quantity.unit == "date",
        )

    def _span(self, disruption: said.Timed) -> tuple[int, int | None]:
        """Parameters of the start and the end; None: for good."""
        start = self._parameter(disruption, "start")
        if disruption.duration is not None:
            return start, self.build.total(start, self._parameter(disruption, "duration"))
        if disruption.until is not None:
            return start, self._parameter(disruption, "until")
        return start, None

    def _window(self, disruption: said.Timed, inside: int, outside: float) -> int:
        """Series: the parameter `inside` within the span, else the number `outside`."""
        start, end = self._span(disruption)
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
        start, end = self._span(disruption)
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
        by = self._parameter(slip, "by")
        start = BEGINNING
        if slip.start is not None:
            fixed = self.build.fixed(self._parameter(slip, "start"))
            if fixed is None:
                raise TwinError(
                    Finding("'from' of a slip must be a certain date", path=slip.path, code="date")
                )
            start = fixed
        for key in touched(self.net, slip, target):
            self.effects.slips.setdefault(key, []).append((by, start))
