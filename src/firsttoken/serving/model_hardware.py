"""What can be declared about GPUs and about language models.

The fields are those of `system.Hardware` and `system.Architecture`; `part` names the data sheet of
the library that fills what is not written.
"""

from __future__ import annotations

from pydantic import Field

from firsttoken.serving.model_costs import Costs
from firsttoken.twin.schema import Annotated, Declared, Quantity, Value, default

Count = Annotated[Value, Quantity("each", at_least=0, at_most=1e8)]
Number = Annotated[Value, Quantity("", at_least=0, series=False)]
Share = Annotated[Value, Quantity("", at_least=0, at_most=1, series=False)]
Peak = Annotated[Value, Quantity("FLOP/s", at_least=0, series=False)]
Memory = Annotated[Value, Quantity("byte", above=0, series=False)]
Rate = Annotated[Value, Quantity("byte/s", above=0, series=False)]
Power = Annotated[Value, Quantity("W", at_least=0, series=False)]
Duration = Annotated[Value, Quantity("s", above=0, series=False)]


class Accelerators(Declared):
    """A pool of equal GPUs."""

    part: str | None = Field(
        None, description="Part of the library whose data sheet gives what is not written here."
    )
    description: str = Field("", description="What they are.")
    count: Count | None = Field(None, description="GPUs.")
    racks: Count | None = Field(
        None, description="Racks or nodes, each of one NVLink domain, instead of `count`."
    )
    rent: Annotated[Value, Quantity("USD/s", at_least=0)] | None = Field(
        None, description="Cost of a GPU by time, but for its energy; none: from `costs`."
    )
    costs: Costs | None = Field(
        None, description="What owning a GPU costs; none: prices and facts of the library."
    )
    mtbf: Duration | None = Field(None, description="Time between failures of one GPU.")
    mttr: Duration | None = Field(
        None, description="Time until a replica that lost a GPU serves again."
    )
    # Data sheet
    bf16: Peak | None = Field(None, description="Peak of dense products in BF16 or FP16.")
    fp8: Peak | None = Field(None, description="The same in FP8; 0: not supported.")
    fp4: Peak | None = Field(None, description="The same in FP4; 0: not supported.")
    memory: Memory | None = Field(None, description="HBM of one GPU.")
    bandwidth: Rate | None = Field(None, description="Bandwidth of the HBM.")
    tgp: Power | None = Field(None, description="Power limit of one GPU.")
    idle: Power | None = Field(None, description="Power of one GPU without work.")
    host: Power | None = Field(
        None, description="Power of its share of the node: CPU, NIC, fans, losses."
    )
    domain: Annotated[Value, Quantity("each", above=0, series=False)] | None = Field(
        None, description="GPUs of one NVLink domain: 8 of a node, 72 of an NVL72 rack."
    )
    link: Rate | None = Field(None, description="One GPU's bandwidth in the domain, one way.")
    network: Rate | None = Field(None, description="The same between domains: its NIC.")


class LanguageModel(Declared):
    """A decoder-only transformer."""

    part: str | None = Field(
        None, description="Part of the library whose data sheet gives what is not written here."
    )
    description: str = Field("", description="What it is.")
    layers: Number | None = Field(None, description="Layers.")
    hidden: Number | None = Field(None, description="Width of the residual stream.")
    vocabulary: Number | None = Field(None, description="Tokens known.")
    heads: Number | None = Field(None, description="Attention heads for queries.")
    kv_heads: Number | None = Field(None, description="Heads for keys and values.")
    head_size: Number | None = Field(None, description="Width of a head.")
    value_size: Number | None = Field(
        None, description="Width of a value head; none: as `head_size`."
    )
    kv_rank: Number = default(
        0, description="MLA: latent width of keys and values; 0: grouped-query attention."
    )
    rope_size: Number = default(0, description="MLA: width of the decoupled positional part.")
    q_rank: Number = default(0, description="MLA: latent width of queries.")
    shared_kv: Number = default(
        0, description="1: the latent itself is key and value of every head."
    )
    out_rank: Number = default(
        0, description="Latent width of the output projection; 0: one matrix."
    )
    out_groups: Number = default(0, description="Groups of heads with such a latent of their own.")
    window: Number = default(0, description="Sliding window in tokens; 0: none.")
    windowed: Share = default(0, description="Share of the layers with a window.")
    linear: Share = default(
        0, description="Share of the layers whose state does not grow with the context."
    )
    linear_width: Number = default(
        0, description="Inner width of such a layer; 0: that of the attention's heads."
    )
    ffn: Number = default(0, description="Inner width of a dense feed-forward layer.")
    gated: Number = default(1, description="3 matrices (1) or 2 (0) in a feed-forward layer.")
    experts: Number = default(0, description="Experts of a MoE layer; 0: dense.")
    active: Number = default(0, description="Experts that a token uses.")
    shared: Number = default(0, description="Experts that all tokens use.")
    expert_ffn: Number = default(0, description="Inner width of an expert.")
    dense_layers: Number = default(
        0, description="First layers that are dense in spite of the experts."
    )
    tied: Number = default(0, description="1: input and output embedding are one matrix.")
    mtp: Number = default(0, description="Layers of multi-token prediction.")
    parameters: Number = default(0, description="Published total, for checks; 0: not known.")
    active_parameters: Number = default(0, description="Published active total; 0: not known.")
