"""What can be declared about a token factory: GPUs, language models, services, training.

One instance is one factory: pools of GPUs that services and training share.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from firsttoken.serving.model_hardware import Accelerators, LanguageModel
from firsttoken.serving.model_service import Service
from firsttoken.serving.model_training import Training
from firsttoken.twin.schema import Annotated, Declared, Quantity, Value, default


class Serving(Declared):
    """One token factory."""

    description: str = Field("", description="What it is, and where.")
    accelerators: dict[str, Accelerators] = Field({}, description="Pools of equal GPUs.")
    models: dict[str, LanguageModel] = Field(
        {}, description="Language models that the library does not have, or has otherwise."
    )
    services: dict[str, Service] = Field({}, description="Models that answer requests.")
    training: dict[str, Training] = Field(
        {},
        description="Training jobs; they take their GPUs before services, in the order given.",
    )
    power_cap: Annotated[Value, Quantity("W", above=0)] | None = Field(
        None, description="Power that all GPUs and their hosts together may take; none: no cap."
    )
    power_first: Literal["nobody", "services", "training"] = Field(
        "nobody",
        description="Who keeps its speed under `power_cap`: `services`: training slows down first; "
        "`training`: services do; `nobody`: all GPUs alike, by their limits.",
    )
    throttle: Annotated[Value, Quantity("", at_least=0, at_most=1)] = default(
        1, description="Share of their speed that cooling leaves to the GPUs."
    )
    pue: Annotated[Value, Quantity("", at_least=1)] = default(
        1, description="Energy of the site over that of the GPUs and hosts, for costs."
    )
    energy_price: Annotated[Value, Quantity("USD/J", at_least=0)] | None = Field(
        None, description="Price of energy; none: fact(energy.price.us_industrial)."
    )
    step: Annotated[Value, Quantity("s", above=0, series=False)] = default(
        "1 s", description="Time step of mode `fluid`, and of the course of power."
    )
    port_step: Annotated[Value, Quantity("s", above=0, series=False)] | None = Field(
        None,
        description="Time step of power in ports: 1 s shows a site what racks do second by second; "
        "none: the report period.",
    )
    trace: bool = Field(
        False, description="Whether every step of the first replication is kept as a table."
    )
    report: Literal["hour", "day", "month", "year"] = Field("day", description="Period of reports.")
