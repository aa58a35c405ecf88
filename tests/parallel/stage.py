"""A stage that trains a small transformer in float64 and records all that two runs can be compared by."""

import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import lightning as L
import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from flow.loss import flow_matching_loss
from lightning_modules.average import averaged, follow
from lightning_modules.optimization import OptimizerConfig, optimizer_and_schedule
from lightning_modules.strategy import MeshStrategy
from models.text import TextTokens
from models.transformer import Transformer, TransformerConfig
from models.transformer.execution import Checkpointing, checkpoint_blocks
from parallel.gradients import total_norm
from parallel.mesh import MeshConfig
from parallel.sharding import ShardingConfig

STEPS, SAMPLES, CLIP = 5, 4, 0.5  # optimizer steps, samples of a whole micro-batch, largest norm
MODEL = TransformerConfig(
    width=16, layers=2, heads=4, feed_forward=24, latent_channels=4, grid=(3, 4, 5), text_widths=(6, 10),
    qk_norm=True, extra_channels=2,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Case:
    """One way to compute what one process does."""

    mesh: MeshConfig
    sharding: ShardingConfig = field(default_factory=ShardingConfig)
    accumulate: int = 1
    recompute: Checkpointing = "none"
    """Activation checkpointing of each block."""
    optimizer: str = "adamw"
    frames: int = 2
    """Of the latents."""
    block: Literal["llama", "dit"] = "llama"
    """Kind of block."""
    plain: bool = False
    """A model that is no transformer: the strategy keeps it whole on every process, as it does the TAE."""
    rows: int = 4
    """Of the latents, whose tokens are frames x rows / 2 x 3."""

    @property
    def reference(self) -> "Case":
        """The same arithmetic on one process."""
        return Case(
            mesh=MeshConfig(),
            accumulate=self.accumulate,
            optimizer=self.optimizer,
            frames=self.frames,
            rows=self.rows,
            block=self.block,
            plain=self.plain,
        )


@dataclass
class Record:
    """What a run computed; gradients are those of the first and the last step."""

    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    gradients: list[dict[str, Tensor]] = field(default_factory=list)
    weights: dict[str, Tensor] = field(default_factory=dict)
    average: dict[str, Tensor] = field(default_factory=dict)


class Plain(nn.Module):
    """Answers as a transformer does, and has a part that never gets a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.mix, self.text = nn.Linear(4, 4), nn.Linear(MODEL.text_widths[0], 4)
        self.unused = nn.Linear(2, 2)

    def forward(self, latent: Tensor, time: Tensor, text: list[TextTokens], _: Tensor) -> Tensor:
        asked = self.text(text[0].embedding.mean(dim=1)) * time[:, None]
        return self.mix(latent.movedim(2, -1) + asked[:, None, None, None]).movedim(-1, 2)


def model(case: Case) -> Any:
    """The same weights on every process, none of them zero."""
    torch.manual_seed(0)
    made = Plain().double() if case.plain else Transformer(replace(MODEL, block=case.block)).double()
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    if not case.plain:
        checkpoint_blocks(made, case.recompute)
    return made


def micro_batch(case: Case, number: int, part: slice) -> dict[str, Tensor]:
    """The samples `part` of micro-batch `number`, with their noise, times and texts of two encoders."""
    g = torch.Generator().manual_seed(number)

    def draw(*shape: int) -> Tensor:
        return torch.randn(SAMPLES, *shape, generator=g, dtype=torch.float64)

    shape = (case.frames, MODEL.latent_channels, case.rows, 6)
    batch = {"latent": draw(*shape), "noise": draw(*shape), "time": draw().sigmoid()}
    batch["extra"] = draw(case.frames, MODEL.extra_channels, case.rows, 6)
    for index, (length, width) in enumerate(zip((5, 3), MODEL.text_widths, strict=True)):
        mask = draw(length) > -1
        mask[:, 0] = True
        batch |= {f"text{index}": draw(length, width), f"mask{index}": mask}
    return {name: value[part] for name, value in batch.items()}


def loss_of(transformer: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """Flow matching, the mean over samples."""
    text = [TextTokens(batch[f"text{index}"], batch[f"mask{index}"]) for index in range(2)]
    error = flow_matching_loss(
        lambda point, time: transformer(point, time, text, batch["extra"]),
        batch["latent"],
        batch["noise"],
        batch["time"],
    )
    return error.mean()


def whole(value: Tensor) -> Tensor:
    """All of a sharded tensor, as a copy."""
    value = value.detach()
    return (value.full_tensor() if isinstance(value, DTensor) else value).clone()


def gradients_of(module: nn.Module) -> dict[str, Tensor]:
    """All there are, whole."""
    return {name: whole(each.grad) for name, each in module.named_parameters() if each.grad is not None}


class Recorded(L.LightningModule):
    """Trains as the real stages do, with an average, and keeps a Record."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.case, self.record = case, Record()
        self.transformer = model(case)
        self.average = averaged(self.transformer, 0.5)
        self.micro_losses: list[float] = []

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        loss = loss_of(self.transformer, batch)
        self.micro_losses.append(loss.item())
        return loss

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        self.record.losses.append(sum(self.micro_losses) / len(self.micro_losses))
        self.micro_losses.clear()
        self.record.norms.append(total_norm(self.transformer.parameters()).item())
        if len(self.record.norms) in (1, STEPS):
            self.record.gradients.append(gradients_of(self.transformer))

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)
        follow(self.average, self.transformer)

    def on_train_end(self) -> None:
        self.record.weights = {name: whole(each) for name, each in self.transformer.named_parameters()}
        assert self.average is not None
        self.record.average = {name: whole(each) for name, each in self.average.module.named_parameters()}

    def configure_optimizers(self) -> dict[str, Any]:
        return optimizer_and_schedule(self.transformer, settings(self.case), STEPS)

    def train_dataloader(self) -> "Batches":
        share = self.trainer.strategy.distributed_sampler_kwargs  # type: ignore
        size = SAMPLES // share["num_replicas"]
        part = slice(share["rank"] * size, (share["rank"] + 1) * size)
        return Batches([micro_batch(self.case, each, part) for each in range(STEPS * self.case.accumulate)])


class Batches:
    """A loader of what it is given; Lightning takes a bare list for several loaders."""

    def __init__(self, batches: list[dict[str, Tensor]]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        return iter(self.batches)


def settings(case: Case) -> OptimizerConfig:
    """The optimizer of a case."""
    return OptimizerConfig(kind=case.optimizer, lr=1e-2, warmup=2)  # type: ignore


def trainer(strategy: MeshStrategy, world: int, **options: Any) -> L.Trainer:
    """A Trainer on `world` processes that were started already, without files and bars."""
    warnings.filterwarnings("ignore", module="lightning")
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return L.Trainer(
        accelerator="cpu", devices=world, strategy=strategy, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False, **options,
    )  # fmt: skip


def train(case: Case, world: int) -> Record:
    """Train a case through Lightning on all processes; its loss is the mean over the data ranks'."""
    stage = Recorded(case)
    strategy = MeshStrategy(mesh=case.mesh, sharding=case.sharding, timeout=60)
    fit = trainer(
        strategy, world, max_steps=STEPS, accumulate_grad_batches=case.accumulate, gradient_clip_val=CLIP
    )
    fit.fit(stage)
    losses = torch.tensor(stage.record.losses, dtype=torch.float64)
    torch.distributed.all_reduce(losses, group=strategy.mesh.data.get_group())
    stage.record.losses = (losses / strategy.mesh.config.data_ranks).tolist()
    return stage.record


def train_alone(case: Case) -> Record:
    """The same by a plain loop on one process: no Lightning, no mesh, all samples."""
    record, transformer = Record(), model(case)
    made = optimizer_and_schedule(transformer, settings(case), STEPS)
    optimizer, schedule = made["optimizer"], made["lr_scheduler"]["scheduler"]
    average = averaged(transformer, 0.5)
    for step in range(STEPS):
        optimizer.zero_grad()
        losses = []
        for micro in range(case.accumulate):
            batch = micro_batch(case, step * case.accumulate + micro, slice(None))
            loss = loss_of(transformer, batch)
            (loss / case.accumulate).backward()
            losses.append(loss.item())
        record.losses.append(sum(losses) / len(losses))
        gradients = gradients_of(transformer)
        record.norms.append(torch.nn.utils.clip_grad_norm_(transformer.parameters(), CLIP).item())
        if step in (0, STEPS - 1):
            record.gradients.append(gradients)
        optimizer.step()
        schedule.step()
        follow(average, transformer)
    record.weights = {name: each.detach() for name, each in transformer.named_parameters()}
    assert average is not None
    record.average = {name: each.detach() for name, each in average.module.named_parameters()}
    return record
