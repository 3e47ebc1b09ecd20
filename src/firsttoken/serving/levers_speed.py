"""What cooling and a cap on power leave of a replica's speed, at the load that it has.

As in the simulations: cooling leaves a share of the speed, and under a cap the power above idle
goes with the speed to the power `POWER_EXPONENT`, down to `LOWEST_SPEED`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from firsttoken.serving.perf_memory import replica_gpus
from firsttoken.serving.requests_system import LOWEST_SPEED, POWER_EXPONENT
from firsttoken.serving.search_point import Load, decode_watts, prefill_seconds, prefill_watts
from firsttoken.serving.system import Floats, Layout


class Slowdown(NamedTuple):
    """What slows a replica in moments of equal length, f8[k] each.

    Attributes
    ----------
    throttle : share of its speed that cooling leaves.
    room : W of all its GPUs that a cap leaves; infinite: no cap.
    more : W that a cap higher by a tenth would leave it beyond.
    """

    throttle: Floats
    room: Floats
    more: Floats

    def cooled(self) -> Slowdown:
        """The same without throttling."""
        return self._replace(throttle=np.ones_like(self.throttle))

    def uncapped(self) -> Slowdown:
        """The same without a cap."""
        return self._replace(room=np.full_like(self.room, np.inf))

    def raised(self) -> Slowdown:
        """The same under a cap higher by a tenth."""
        return self._replace(room=self.room + self.more)


class Draw(NamedTuple):
    """Power of one replica, all its GPUs together: at full speed above idle (f8[n]), idle; W."""

    above: Floats
    idle: float


def pace_of(slowdown: Slowdown | None, draw: Draw) -> Floats:
    """Mean of time of the share of its speed that a replica keeps, at each of its loads, f8[n].

    Where cooling leaves nothing a replica stands.
    """
    above = np.maximum(np.atleast_1d(draw.above), 1e-9)
    if slowdown is None:
        return np.ones_like(above)
    left = np.maximum(slowdown.room - draw.idle, 0.0)[:, None]
    capped = np.minimum(left / above, 1.0) ** (1.0 / POWER_EXPONENT)
    throttle = np.clip(slowdown.throttle, 0.0, 1.0)[:, None]
    paces = np.where(throttle > 0.0, np.maximum(np.minimum(throttle, capped), LOWEST_SPEED), 0.0)
    return np.asarray(paces.mean(axis=0))


def draw_of(load: Load, layout: Layout, running: Any, tokens: Any, speed: float) -> Draw:
    """Power of a replica that makes output tokens/s at the speed of the physics.

    Parameters
    ----------
    running : sequences that decode, f8[n].
    tokens : output tokens/s, f8[n]; their prompts are prefilled here too. 0: they are not;
        infinite: nothing is decoded.
    speed : of its software over that of the physics; the energy of a step stays.
    """
    spent = np.minimum(prefill_seconds(load, layout) * tokens / load.output, 1.0)
    watts = spent * prefill_watts(load, layout)
    watts = watts + (1.0 - spent) * decode_watts(load, layout, np.asarray(running))
    gpus = float(replica_gpus(layout))
    idle, limit = float(np.asarray(load.hardware.idle)), float(np.asarray(load.hardware.tgp))
    above = np.minimum((watts - idle) * speed, limit - idle)
    return Draw(gpus * np.atleast_1d(above), gpus * idle)
