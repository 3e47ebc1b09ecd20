"""What can be declared about the money that a GPU costs, apart from its energy."""

from __future__ import annotations

from pydantic import Field

from firsttoken.twin.schema import Annotated, Declared, Quantity, Value

Share = Annotated[Value, Quantity("", at_least=0, at_most=1, series=False)]
Duration = Annotated[Value, Quantity("s", above=0, series=False)]


class Costs(Declared):
    """What owning a GPU costs; what is not written is a fact of the library."""

    price: Annotated[Value, Quantity("USD", at_least=0, series=False)] | None = Field(
        None,
        description="Price of a GPU with its share of the rack; none: that of a rack of the "
        "library that holds it.",
    )
    network: Share | None = Field(
        None,
        description="Cables, switches and storage beyond the rack, as a share of `price`; none: "
        "fact(cluster.network_share).",
    )
    life: Duration | None = Field(
        None, description="Time over which it is paid off; none: fact(server.life)."
    )
    interest: Share | None = Field(
        None, description="Interest a year; none: fact(capital.interest)."
    )
    upkeep: Share | None = Field(
        None,
        description="Staff, spares and support a year, as a share of `price`; none: "
        "fact(cluster.upkeep).",
    )
    site: Annotated[Value, Quantity("USD/W", at_least=0, series=False)] | None = Field(
        None, description="Building, power and cooling for a W of IT; none: fact(dc.cost)."
    )
    site_life: Duration | None = Field(
        None, description="Time over which the site is paid off; none: fact(dc.life)."
    )
