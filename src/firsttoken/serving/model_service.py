"""What can be declared about a service: model, engine, replicas, traffic, goals."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from firsttoken.serving.model_traffic import Traffic
from firsttoken.twin.schema import Annotated, Declared, Quantity, Value, default

Precision = Literal["bf16", "fp16", "fp8", "int8", "fp4", "int4", "nvfp4", "mxfp4"]
RANKS = 1 << 20
"""Most ranks of one kind: more than any cluster has."""
Count = Annotated[Value, Quantity("each", at_least=0, at_most=1e8)]
Share = Annotated[Value, Quantity("", at_least=0, at_most=1, series=False)]
Ratio = Annotated[Value, Quantity("", above=0, series=False)]
Duration = Annotated[Value, Quantity("s", above=0, series=False)]
Delay = Annotated[Value, Quantity("s", at_least=0, series=False)]


class Parallel(Declared):
    """How one replica lies on GPUs: `tensor x pipeline x data` of them."""

    tensor: int = Field(1, ge=1, le=RANKS, description="Ranks over which each layer is split.")
    pipeline: int = Field(1, ge=1, le=RANKS, description="Stages of layers.")
    data: int = Field(1, ge=1, le=RANKS, description="Ranks of (attention) data parallelism.")
    expert: int | None = Field(
        None, ge=1, description="Ranks over which experts are spread; none: `tensor x data`."
    )
    expert_tensor: int | None = Field(
        None, ge=1, description="Ranks over which an expert is split; none: what `expert` leaves."
    )


class Precisions(Declared):
    """Number formats."""

    weights: Precision = Field("bf16", description="Weights.")
    experts: Precision | None = Field(None, description="Weights of experts; none: as `weights`.")
    kv: Precision | None = Field(None, description="KV cache; none: 16 bits, or FP8 below.")
    compute: Precision | None = Field(
        None, description="Operands of matrix products; none: as `weights`, where the GPU can."
    )


class Speculation(Declared):
    """Speculative decoding, or multi-token prediction."""

    tokens: int = Field(1, ge=1, le=64, description="Tokens drafted in a step.")
    acceptance: Share = default("80 %", description="Share of drafted tokens that are right.")


class Engine(Declared):
    """Serving software and how it is set."""

    name: str = Field("", description="vllm, sglang, trtllm, ...; empty: the mean of all.")
    release: str = Field("", description="Its release; empty: the newest that is known.")
    tables: Literal["aiconfigurator"] | None = Field(
        None,
        description="Times of operators measured under this engine, in place of the physics and "
        "its calibration; none: physics. `aiconfigurator` needs the extra `aisim`.",
    )
    speed: Ratio = default(
        1, description="Speed as a multiple of what calibration predicts: a better release."
    )
    calibrated: bool = Field(
        True,
        description="Whether measured points correct the physics, and say how far off it may be.",
    )
    sequences: int = Field(
        256, ge=1, le=1 << 16, description="Most sequences in a batch of a replica, each data rank."
    )
    chunk: int = Field(
        8192,
        ge=1,
        le=1 << 20,
        description="Most tokens in a step (chunked prefill), each data rank.",
    )
    memory: Annotated[Value, Quantity("", above=0, at_most=1, series=False)] = default(
        "90 %", description="Share of the HBM that weights and KV cache may take."
    )
    block: int = Field(16, ge=1, le=1 << 16, description="Tokens of a KV block.")
    prefix_cache: bool = Field(True, description="Whether KV of known prompts is used again.")
    overlap: float = Field(
        0,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Share of the exchange between experts' ranks that runs beside other work, as "
        "two half batches take turns.",
    )
    speculation: Speculation | None = Field(None, description="Speculative decoding; none: none.")


class Scaling(Declared):
    """Replicas that come and go with the load."""

    least: int = Field(1, ge=0, description="Fewest replicas.")
    most: int | None = Field(None, ge=1, description="Most replicas; none: as many as there are.")
    target: Share = default(
        "70 %", description="Load at which it holds: sequences running over `engine.sequences`."
    )
    interval: Duration = default("30 s", description="Time between looks at the load.")
    startup: Delay = default("3 minute", description="Time until a new replica serves.")
    cooldown: Delay = default("5 minute", description="Least time of low load until one stops.")


class Pool(Declared):
    """Replicas of one kind on one pool of GPUs."""

    on: str | None = Field(None, description="Pool of `accelerators`; none: the only one.")
    precision: Precisions | None = Field(
        None, description="Number formats; none: FP8 if the GPU has it, else BF16."
    )
    parallel: Parallel | None = Field(
        None, description="Layout of a replica; none: the one that `plan` finds best."
    )
    replicas: Count | None = Field(None, description="Replicas.")
    gpus: Count | None = Field(None, description="GPUs, instead of `replicas`.")
    share: Annotated[Value, Quantity("", at_least=0, at_most=1)] | None = Field(
        None, description="Share of the pool's GPUs, instead of `replicas`."
    )
    scaling: Scaling | None = Field(
        None, description="Replicas follow the load, up to those given; none: all always serve."
    )


class Goals(Declared):
    """What a service promises (SLO)."""

    ttft: Duration | None = Field(None, description="Time to first token.")
    tpot: Duration | None = Field(None, description="Time per output token after the first.")
    e2e: Duration | None = Field(None, description="Time from request to last token.")
    share: Share = default("95 %", description="Share of the requests that must reach all goals.")


class Choices(Declared):
    """What `plan` may choose from for a service, and within which budget."""

    gpus: Annotated[Value, Quantity("each", above=0, series=False)] | None = Field(
        None, description="GPUs that it may use; none: all of its pool."
    )
    power: Annotated[Value, Quantity("W", above=0, series=False)] | None = Field(
        None, description="Power that it may take at the GPUs and hosts; none: no limit."
    )
    rate: Annotated[Value, Quantity("each/s", above=0, series=False)] | None = Field(
        None, description="Requests that must be served; none: as many as the budget allows."
    )
    precisions: list[Precision] = Field([], description="Formats of weights; empty: as declared.")
    disaggregation: bool = Field(True, description="Whether prefill may have GPUs of its own.")
    objective: Literal["throughput", "cost", "energy"] = Field(
        "throughput", description="What counts among those that reach the goals."
    )


class Service(Pool):
    """A model that answers requests."""

    description: str = Field("", description="What it is and does.")
    model: str = Field(description="One of `models`, or a language model of the library.")
    engine: Engine = Field(Engine(), description="Serving software.")
    prefill: Pool | None = Field(
        None,
        description="Replicas that only prefill; the service's own then only decode. What it "
        "leaves out is as of the service.",
    )
    traffic: dict[str, Traffic] = Field({}, description="Streams of requests, by tenant.")
    slo: Goals = Field(Goals(), description="Goals.")
    routing: Literal["round_robin", "least_loaded", "prefix", "session"] = Field(
        "least_loaded", description="How requests find a replica."
    )
    mode: Literal["requests", "fluid", "hybrid"] = Field(
        "requests",
        description="`requests`: every request; `fluid`: flows of tokens, for whole factories; "
        "`hybrid`: flows, and one replica in `sample` request by request.",
    )
    sample: int = Field(100, ge=1, description="Mode `hybrid`: one replica in so many.")
    search: Choices | None = Field(
        None,
        description="What `plan` may choose from; none: only a layout that is missing is looked "
        "for, on all GPUs of the pool.",
    )
