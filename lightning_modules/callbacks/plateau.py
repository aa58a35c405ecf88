"""CutOnPlateau: shows the validation's loss to schedules of `optimizer.decay: plateau`."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_only
from typing_extensions import override

from console import UserError
from lightning_modules.ending import say
from lightning_modules.plateau import PlateauRate, apply, plateau_rates


class CutOnPlateau(Callback):
    """Does nothing for other schedules. All processes see the same numbers, and so cut at the same step.

    A run that goes on from a checkpoint of a step that had yet to be validated does that first: Lightning
    would pass it over, and the rate would be cut elsewhere than in a run that was never stopped.
    """

    def __init__(self) -> None:
        self._due = False

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        batches: Any = trainer.num_val_batches
        if any(self._rates(trainer)) and not sum(batches if isinstance(batches, list) else [batches]):
            raise UserError(
                "optimizer.decay is plateau, but nothing is validated: there are no held-out clips, or "
                "trainer.limit_val_batches is 0. Hold some out (shards.val_fraction), or name another decay."
            )
        self._due = self._is_due(trainer)

    @override
    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """The first moment of a run at which validation can be run."""
        if self._due:
            self._due, first = False, trainer._logger_connector._first_loop_iter
            trainer.validating = True  # as the training loop does it between two batches
            trainer.fit_loop.epoch_loop.val_loop.run()
            trainer.training = True
            trainer._logger_connector._first_loop_iter = first

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        for scheduler, rate in self._rates(trainer):
            value = self._measured(trainer, rate.config.metric)
            if rate.see(value, trainer.global_step):
                apply(scheduler)
                self._tell(trainer, rate, max(group["lr"] for group in scheduler.optimizer.param_groups))

    def _is_due(self, trainer: Trainer) -> bool:
        """Whether the step that the run goes on from is one to validate, and was not."""
        progress: Any = trainer.fit_loop.epoch_loop.batch_progress
        batches = (progress.total if trainer.check_val_every_n_epoch is None else progress.current).ready
        missed = any(rate.seen_at != trainer.global_step for _, rate in self._rates(trainer))
        return missed and trainer.global_step > 0 and batches % trainer.val_check_batch == 0

    def _rates(self, trainer: Trainer) -> list[tuple[Any, PlateauRate]]:
        schedulers = [config.scheduler for config in trainer.lr_scheduler_configs]
        return [(scheduler, rate) for scheduler in schedulers for rate in plateau_rates(scheduler)]

    @staticmethod
    def _measured(trainer: Trainer, metric: str) -> float:
        if metric not in trainer.callback_metrics:
            known = ", ".join(sorted(map(str, trainer.callback_metrics))) or "nothing"
            raise UserError(f"plateau.metric: there is no '{metric}'; the validation logged {known}.")
        return float(trainer.callback_metrics[metric])

    @staticmethod
    def _tell(trainer: Trainer, rate: PlateauRate, now: float) -> None:
        if rank_zero_only.rank == 0:
            say(
                f"Step {trainer.global_step}: {rate.config.metric} has not fallen below {rate.best:.4g} in "
                f"{rate.config.patience} validations. The learning rate is {now:.3g} now."
            )
