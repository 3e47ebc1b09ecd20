"""What a plan of a site may choose from, and what it must reach."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from firsttoken.facility.model_cooling import Temperature
from firsttoken.facility.model_power import Count, Duration, Power, Share
from firsttoken.twin.schema import Annotated, Declared, Quantity, Value, default

Topology = Literal["N", "N+1", "2N", "4-to-make-3", "catcher"]
Plant = Literal["dry", "adiabatic", "tower", "chiller"]


class Design(Declared):
    """The search for the racks that fit, and for the power and cooling that cost least.

    Line-ups of one transformer, boards, UPS and a generator feed the racks; CDUs and air units
    take their heat to a plant.  Ratings, losses, prices and failures are those of the parts.
    """

    rack: str = Field(description="Group of `racks`, or part of the library.")
    racks: Count | None = Field(
        None, description="Racks that must fit; none: as many as the site can take."
    )
    feed: Power | None = Field(
        None, description="Power that the utility gives; none: limits or ratings of `feeds`."
    )
    circuits: int = Field(1, ge=1, description="Utility circuits, each for the whole site.")
    load: Share = default(1, description="Mean load of the racks, for energy and water.")
    overhead: Share = default("1 %", description="Light, offices, security; share of IT power.")
    availability: Share | None = Field(
        None, description="Share of the time in which a rack has power and cooling, at least."
    )
    percentile: Share = default(
        "99.6 %", description="Share of the hours of `weather` in which full load is cooled."
    )
    topologies: list[Topology] = Field(
        ["N", "N+1", "2N", "4-to-make-3", "catcher"],
        description="Redundancies to choose from: `N+1` a spare line-up on a common bus, "
        "`catcher` a spare behind static switches.",
    )
    block: int = Field(6, ge=1, description="Line-ups that share one spare in `N+1` and `catcher`.")
    main_transformers: list[str] = Field(
        ["transformer_60mva", "transformer_120mva"],
        description="Parts to choose from between the feed and medium voltage; empty: none.",
    )
    transformers: list[str] = Field(
        ["transformer_3mva"], description="Parts to choose from for the line-ups."
    )
    ups: list[str] = Field(
        ["ups_1250kw", "ups_2500kw"], description="UPS to choose from; empty: none."
    )
    generators: list[str] = Field(
        ["generator_2500kw", "generator_3mw"],
        description="Generators to choose from; empty: none.",
    )
    cdus: list[str] = Field(["cdu_1300kw", "cdu_2000kw"], description="CDUs to choose from.")
    cdu_group: int = Field(
        4, ge=1, description="CDUs that carry one group of racks; spares stand beside them."
    )
    plants: list[Plant] = Field(
        ["dry", "adiabatic", "tower", "chiller"],
        description="Heat rejection to choose from; with chillers for the hours that need them.",
    )
    chillers: bool = Field(True, description="Whether chillers may help other plants.")
    water: list[Temperature] = Field(
        ["20 degC", "25 degC", "30 degC", "35 degC", "40 degC"],
        description="Supply temperatures of the facility water to choose from.",
        validate_default=True,
    )
    air: Temperature = default(
        "30 degC", description="Supply air at the racks, for the heat that they give to the air."
    )
    cooling: Power | None = Field(
        None, description="Heat that the plant may reject: space, noise, permits; none: no limit."
    )
    price: Annotated[Value, Quantity("USD/J", at_least=0, series=False)] = default(
        "50 USD/MWh", description="Price of energy."
    )
    water_price: Annotated[Value, Quantity("USD/m**3", at_least=0, series=False)] = default(
        "2 USD/m**3", description="Price of water with its treatment and waste water."
    )
    life: Duration = default("10 year", description="Time over which running costs count.")
    interest: Share = default("7 %", description="Interest a year.")
