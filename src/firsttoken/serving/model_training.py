"""What can be declared about a training job: model, layout, batch, failures, checkpoints."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from firsttoken.twin.schema import Annotated, Declared, Quantity, Value, default

Duration = Annotated[Value, Quantity("s", above=0, series=False)]
Delay = Annotated[Value, Quantity("s", at_least=0, series=False)]
EachDelay = Annotated[Value, Quantity("s", at_least=0, series=False, drawn="each time")]
Share = Annotated[Value, Quantity("", at_least=0, at_most=1, series=False)]
Ratio = Annotated[Value, Quantity("", above=0, series=False)]


class TrainingLayout(Declared):
    """How the job lies on GPUs; what is left of them are data-parallel replicas."""

    tensor: int = Field(1, ge=1, description="Ranks over which each layer is split (TP).")
    pipeline: int = Field(1, ge=1, description="Stages of layers (PP).")
    chunks: int = Field(1, ge=1, description="Model chunks of a stage, interleaved (VP).")
    context: int = Field(1, ge=1, description="Ranks over which a sequence is split (CP).")
    expert: int = Field(1, ge=1, description="Ranks over which experts are spread (EP).")
    sharded: bool = Field(False, description="Whether replicas share the weights too (FSDP).")


class Failure(Declared):
    """A kind of failures."""

    description: str = Field("", description="What fails.")
    mtbf: Duration = Field(description="Time between such failures of one GPU.")
    detect: EachDelay = default(
        "5 minute", description="Time until it is noticed and understood; the job stands."
    )
    replace: Share = default(
        1, description="Share of these failures that takes the node away for repair."
    )
    planned: bool = Field(False, description="Whether a checkpoint is written before it.")


class Checkpoints(Declared):
    """How the job is saved."""

    interval: Duration | None = Field(
        None, description="Training between two checkpoints; none: the optimum of Daly (2006)."
    )
    pause: Delay = default("10 s", description="Time for which each stops the job.")
    write: Delay = default("2 minute", description="Time after that until it is safe.")
    load: EachDelay = default("3 minute", description="Time to read one at a restart.")


class Training(Declared):
    """One training job."""

    description: str = Field("", description="What is trained.")
    model: str = Field(description="One of `models`, or a language model of the library.")
    on: str | None = Field(None, description="Pool of `accelerators`; none: the only one.")
    gpus: Annotated[Value, Quantity("each", above=0, at_most=1e8, series=False)] = Field(
        description="GPUs of the job, spares not counted."
    )
    begin: Annotated[Value, Quantity("date", series=False)] | None = Field(
        None, description="Day on which it begins; none: the twin's start."
    )
    tokens: Annotated[Value, Quantity("token", above=0, series=False)] | None = Field(
        None, description="Tokens to train; none: it goes on to the end."
    )
    # A step
    batch: int = Field(ge=1, le=1 << 30, description="Sequences of a step (global batch).")
    micro_batch: int = Field(1, ge=1, le=1 << 20, description="Sequences of a microbatch.")
    sequence: int = Field(ge=1, le=1 << 30, description="Tokens of a sequence.")
    parallel: TrainingLayout = Field(TrainingLayout(), description="Layout.")
    precision: Literal["bf16", "fp8", "mxfp8", "nvfp4"] = Field(
        "bf16", description="Format of matrix products; `fp8`: one scale a tensor."
    )
    recompute: Literal["none", "selective", "full"] = Field(
        "none", description="What backward computes again to save memory."
    )
    adapters: bool = Field(False, description="Whether only adapters are trained (LoRA).")
    capacity: bool = Field(False, description="Whether experts drop tokens above a fixed capacity.")
    imbalance: Annotated[Value, Quantity("", at_least=1, series=False)] = default(
        1, description="Tokens of the busiest rank of experts over the mean."
    )
    release: str = Field(
        "", description="Release of the training software, as yy.mm; empty: the newest measured."
    )
    speed: Ratio = default(1, description="Speed as a multiple of what calibration predicts.")
    step_time: Duration | None = Field(
        None, description="Time of a step; none: predicted, with its uncertainty."
    )
    activity: Share | None = Field(
        None,
        description="Power of the GPUs while they train, between idle (0) and their limit (1); "
        "none: from what a step consists of.",
    )
    # Failures
    failures: dict[str, Failure] = Field(
        {}, description="Kinds of failures; empty: none but the pool's `mtbf`."
    )
    checkpoints: Checkpoints = Field(Checkpoints(), description="How it is saved.")
    restart: EachDelay = default(
        "5 minute", description="Time to start the job on its nodes, checkpoint not counted."
    )
    repair: EachDelay = default("24 hour", description="Time until a node taken away is back.")
    node: int | None = Field(
        None, ge=1, description="GPUs that fail together; none: 4 in NVL72 racks, else 8."
    )
    spares: Annotated[Value, Quantity("each", at_least=0, at_most=1e6, series=False)] = default(
        0, description="Nodes held ready beside the job's."
    )
    elastic: bool = Field(
        False, description="Whether it goes on with fewer replicas while nodes are missing."
    )
