"""RunCheckpoint: the state of a run every N steps and at its end, so that a kill changes nothing."""

import math
import time
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from torch.distributed.checkpoint.staging import DefaultStager, StagingOptions
from typing_extensions import override

from lightning_modules.background import Background
from lightning_modules.callbacks.non_finite import BadStepError
from lightning_modules.position import follow_loader
from lightning_modules.random_state import branch_off, random_state, set_random_state
from lightning_modules.run_folder import RunFolder
from lightning_modules.sealed import remove_checkpoint, write_checkpoint
from lightning_modules.snapshot import Snapshot, take_apart, weight_names
from lightning_modules.team import Team

BETTER = {"lowest": -1.0, "highest": 1.0}
LAST_WORDS = 60.0  # seconds that a failing run waits for a checkpoint that is being written


class RunCheckpoint(Checkpoint):
    """Keeps checkpoints in `<run folder>/checkpoints` (the run folder is the trainer's root): the newest, and
    that of the best validation. Training stops for a copy in memory; a thread writes it to the disk.

    Args:
        every: Optimizer steps between two checkpoints.
        keep: How many of the newest to keep.
        best: A number of the validation, such as val/loss, whose best checkpoint is made and kept too.
        best_is: Whether the best is the "lowest" or the "highest".
        background: Write while the training goes on. False waits until all is on the disk.
    """

    def __init__(
        self,
        every: int = 500,
        keep: int = 2,
        best: str | None = None,
        best_is: str = "lowest",
        background: bool = True,
    ) -> None:
        if every < 1 or keep < 1:
            raise ValueError(
                f"checkpoint.every and checkpoint.keep must be at least 1; {every} and {keep} came."
            )
        if best_is not in BETTER:
            raise ValueError(f"checkpoint.best_is must be lowest or highest; '{best_is}' came.")
        self.every = every
        self.keep = keep
        self.best = best
        self.best_is = best_is
        self.background = background
        self.stalled = 0.0  # seconds that training stood still for the latest checkpoint
        self._writer = Background()
        self._stager = stager()
        self._team: Team | None = None
        self._best_value: float | None = None
        self._saved_step = 0
        self._last_step = 0
        self._between_steps = True  # no gradient is half accumulated, no optimizer step half made
        self._random: dict[str, Any] | None = None
        self._processes = 1  # of the run that wrote the checkpoint which this one goes on from

    def save(self, trainer: Trainer) -> None:
        """Write the checkpoint of this step (once) and drop those beyond `keep`; all processes together."""
        rehearsal = trainer.fast_dev_run  # pyright: ignore[reportAttributeAccessIssue]
        if rehearsal or self._saved_step == trainer.global_step:
            return
        began = time.perf_counter()
        self._writer.wait()  # one at a time: the copy in memory is used again
        self._saved_step = step = trainer.global_step
        team = self._team = self._team or Team.of_all(apart=True)
        snapshot = self._snapshot(trainer)
        folder = RunFolder(trainer.default_root_dir)

        def write() -> None:
            write_checkpoint(folder.checkpoint(step), snapshot, team, step)
            if team.rank == 0:
                self._drop(folder)

        self._writer.start(write)
        if not self.background:
            self._writer.wait()
        self.stalled = time.perf_counter() - began

    def finish(self) -> None:
        """Wait until all that was saved is on the disk."""
        self._writer.wait()

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._saved_step = self._last_step = trainer.global_step
        self._between_steps = True
        follow_loader(trainer)
        if self.best is not None:
            self._best_value = RunFolder(trainer.default_root_dir).best_value(self.best)
        if self._random is not None:  # last of all that starts a run, since set-up draws numbers too
            set_random_state(self._random)
            if trainer.global_rank >= self._processes:
                branch_off(self._random, trainer.global_rank)
            self._random = None

    @override
    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        self._between_steps = False

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._between_steps = trainer.global_step > self._last_step
        self._last_step = trainer.global_step
        if self._writer.failed and trainer.world_size == 1:  # of several, all hear of it at the next save
            self._writer.wait()
        if self._between_steps and trainer.global_step % self.every == 0:
            self.save(trainer)

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the checkpoint of this step, if no validation before was as good."""
        if self.best is None or trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        value = self._measured(trainer)
        sign = BETTER[self.best_is]
        if not math.isfinite(value) or (
            self._best_value is not None and sign * value <= sign * self._best_value
        ):
            return
        self._best_value = value
        self.save(trainer)
        step, folder, metric = trainer.global_step, RunFolder(trainer.default_root_dir), self.best
        if trainer.is_global_zero:
            self._writer.start(lambda: self._promote(folder, step, metric, value))

    @override
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.global_step > self._saved_step:
            self.save(trainer)
        self.finish()

    @override
    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Save what was learnt, unless the exception came amid a step or the weights are in doubt.

        One process of several saves nothing by itself: it cannot know whether the others are there.
        """
        doubtful = isinstance(exception, (BadStepError, OSError)) or not trainer.training
        alone = trainer.world_size == 1
        if alone and not doubtful and self._between_steps and trainer.global_step > self._saved_step:
            progress: Any = trainer.fit_loop.epoch_loop.batch_progress.current
            loader: Any = trainer.train_dataloader
            if progress.ready > progress.processed and hasattr(loader, "put_back"):
                loader.put_back()
            self.save(trainer)
        self._writer.wait(LAST_WORDS)

    @override
    def state_dict(self) -> dict[str, Any]:
        processes = self._team.size if self._team else 1
        return {"random": random_state(), "processes": processes}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._random = state_dict.get("random")
        self._processes = state_dict.get("processes", 1)

    def _snapshot(self, trainer: Trainer) -> Snapshot:
        """All that this process has, copied, so that training may change its own."""
        connector: Any = trainer._checkpoint_connector
        checkpoint = connector.dump_checkpoint(weights_only=False)
        names = [weight_names(trainer.lightning_module, optimizer) for optimizer in trainer.optimizers]
        snapshot = take_apart(checkpoint, names)
        config = RunFolder(trainer.default_root_dir).path / "config.yaml"
        snapshot.plain["config"] = config.read_text(encoding="utf-8") if config.is_file() else None
        return Snapshot(self._stager.stage(snapshot.tensors), snapshot.plain)  # type: ignore[arg-type]

    def _measured(self, trainer: Trainer) -> float:
        if self.best not in trainer.callback_metrics:
            known = ", ".join(sorted(map(str, trainer.callback_metrics))) or "nothing"
            raise ValueError(f"checkpoint.best: there is no '{self.best}'; the validation logged {known}.")
        return float(trainer.callback_metrics[self.best])

    def _promote(self, folder: RunFolder, step: int, metric: str, value: float) -> None:
        folder.mark_best(step, metric, value)
        self._drop(folder)

    def _drop(self, folder: RunFolder) -> None:
        for old in folder.whole_checkpoints()[: -self.keep]:
            if old != folder.best():
                remove_checkpoint(old)


def stager() -> DefaultStager:
    """Copies tensors into memory of the host, which it keeps for the next time."""
    device = torch.cuda.is_available()
    return DefaultStager(
        StagingOptions(
            use_pinned_memory=device,
            use_shared_memory=False,
            use_async_staging=False,
            use_non_blocking_copy=device,
        )
    )
