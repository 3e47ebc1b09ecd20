"""What can be declared about traffic: traces, or rates and lengths."""

from __future__ import annotations

from pydantic import Field

from firsttoken.twin.schema import Annotated, Declared, Quantity, Value, default

Ratio = Annotated[Value, Quantity("", at_least=0)]
Share = Annotated[Value, Quantity("", at_least=0, at_most=1, series=False)]
Length = Annotated[Value, Quantity("token", at_least=0, drawn="each time", series=False)]
Factor = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Traffic(Declared):
    """A stream of requests: a trace, or a rate with lengths of prompts and outputs."""

    description: str = Field("", description="Who asks, and what.")
    trace: str | None = Field(
        None,
        description="CSV or JSONL file of requests: arrival, prompt and output tokens, and block "
        "hashes if known; Azure, Mooncake and BurstGPT files as published.",
    )
    repeat: bool = Field(False, description="Whether the trace begins again after its end.")
    scale: Ratio = default(1, description="Factor on the number of requests.")
    rate: Annotated[Value, Quantity("each/s", at_least=0, at_most=1e7)] | None = Field(
        None, description="Requests per time, instead of a trace."
    )
    day: list[Factor] = Field(
        [], description="24 factors on `rate`, by hour of the day (UTC); empty: none."
    )
    week: list[Factor] = Field([], description="7 factors on `rate`, Monday first; empty: none.")
    burstiness: Annotated[Value, Quantity("", above=0, series=False)] = default(
        1, description="Coefficient of variation of the time between requests; 1: Poisson."
    )
    prompt: Length | None = Field(None, description="Tokens of a prompt.")
    output: Length | None = Field(None, description="Tokens of an answer.")
    cached: Share = default(
        0, description="Share of the prompt tokens whose KV is in the prefix cache."
    )
    priority: int = Field(0, description="Who goes first: higher before lower.")
