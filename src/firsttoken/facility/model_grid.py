"""The grid's view of a site: what jobs do to its power within seconds, and what a utility allows.

Training jobs compute and communicate in step on all their racks, so their power swings together.
Utilities limit ramps, the range of power within a short time, and oscillation in the band of the
grid's own modes (Choukse et al., Power Stabilization for AI Training Datacenters, 2025).
"""

from __future__ import annotations

from pydantic import Field

from firsttoken.twin.schema import Annotated, Declared, Quantity, Value, default

Duration = Annotated[Value, Quantity("s", at_least=0, series=False)]
Period = Annotated[Value, Quantity("s", above=0, series=False)]
Share = Annotated[Value, Quantity("", at_least=0, at_most=1, series=False)]
Level = Annotated[Value, Quantity("", at_least=0, series=False)]
Ramp = Annotated[Value, Quantity("W/s", above=0, series=False)]
Power = Annotated[Value, Quantity("W", above=0, series=False)]
Frequency = Annotated[Value, Quantity("1/s", above=0, series=False)]
Number = Annotated[Value, Quantity("each", at_least=0, series=False)]


class Smoothing(Declared):
    """What power shelves and GPUs do to keep a rack's power steady, within the racks' ramps."""

    time: Duration = default(
        "0 s", description="Time over which the rack's storage averages its power; 0: not at all."
    )
    floor: Share = default(
        0,
        description="Least power while a job runs, as a share of the rack's power: GPUs burn "
        "the difference.",
    )
    hold: Duration = default(
        "0 s", description="Time for which the floor is held after the work has ended."
    )


class Job(Declared):
    """A job whose racks work in step."""

    racks: str = Field(description="Group of racks it runs on.")
    count: Number | None = Field(None, description="Racks of it; none: all of the group.")
    step: Period = Field(description="Time of one iteration.")
    compute: Share = default(0.8, description="Share of the iteration at high power.")
    high: Level = default(1, description="Power while computing, as a share of the rack's power.")
    low: Level = default(0.4, description="Power while communicating, as a share of it.")
    spread: Share = default(
        0, description="Standard deviation of an iteration's time, as a share of it."
    )
    checkpoint_every: Period | None = Field(None, description="Time between checkpoints.")
    checkpoint: Duration = default("0 s", description="Time of a checkpoint, at low power.")
    start: Duration = default("0 s", description="When it starts within the window.")
    stop: Duration | None = Field(None, description="When it ends or fails; none: it goes on.")
    smoothing: Smoothing | None = Field(
        None,
        description="Smoothing of its racks: storage, floor, and their `ramp_up` and `ramp_down`; "
        "none: switched off.",
    )


class Specification(Declared):
    """What the utility allows at the point of connection; none of a limit: not limited."""

    ramp: Ramp | None = Field(None, description="Fastest change of power, up or down.")
    ramp_window: Period = default("1 s", description="Time over which the ramp is measured.")
    range: Power | None = Field(None, description="Most that power may vary within a time.")
    range_window: Period = default("10 s", description="That time.")
    oscillation: Power | None = Field(
        None, description="Most oscillation (root mean square) within the band."
    )
    band_low: Frequency = default("0.1 Hz", description="Lower end of the band.")
    band_high: Frequency = default("20 Hz", description="Upper end of the band.")


class Grid(Declared):
    """Power quality at the point of connection."""

    jobs: dict[str, Job] = Field(description="Jobs that run at the same time.")
    allowed: Specification = Field(
        default_factory=lambda: Specification.model_validate({}),
        description="The utility's specification.",
    )
    window: Period = default("300 s", description="Time simulated.")
    sample: Period = default("20 ms", description="Time between samples; twice the band's needs.")
    losses: Share = default(
        0.06,
        description="Losses and cooling between racks and grid that follow the racks' power "
        "within seconds.",
    )
