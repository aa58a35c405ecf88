"""StageCLI: LightningCLI over all stages, with a folder for each run, which goes on where it stopped."""

import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from typing_extensions import override

from console import UserError
from lightning_modules.allocator import keep_freed_memory
from lightning_modules.callbacks.checkpoint import RunCheckpoint
from lightning_modules.callbacks.export import ExportModel
from lightning_modules.callbacks.memory import MemoryGuard
from lightning_modules.callbacks.non_finite import BadStepError, NonFinite
from lightning_modules.callbacks.plateau import CutOnPlateau
from lightning_modules.callbacks.progress import TrainingProgress
from lightning_modules.callbacks.rollback import RollBack
from lightning_modules.callbacks.samples import SampleVideos
from lightning_modules.callbacks.seeds import SeedSteps
from lightning_modules.callbacks.stop import GracefulStop
from lightning_modules.callbacks.throughput import Throughput
from lightning_modules.callbacks.watchdog import Watchdog
from lightning_modules.checkpoint_io import AtomicCheckpointIO
from lightning_modules.ending import be_the_parent, guarded, no_other_requeue, say
from lightning_modules.measurement import Tabulated, keep_measurement, record_measurement
from lightning_modules.metrics_file import MetricsFile
from lightning_modules.mistakes import describe, explain, merged_config, unknown_keys
from lightning_modules.mlflow_logger import RunLogger, Tracking
from lightning_modules.run_folder import RunFolder
from lightning_modules.sealed import DamagedCheckpointError
from storage import atomic_path

TRAINER_DEFAULTS = {
    "log_every_n_steps": 10,
    "num_sanity_val_steps": 0,
    "val_check_interval": 500,
    "check_val_every_n_epoch": None,  # val_check_interval counts steps, not epochs
    "use_distributed_sampler": False,  # our loaders deal the data themselves
    "enable_model_summary": False,
}


class ConfigError(Exception):
    """What the parser says, before it is one message for the user."""


class StageParser(LightningArgumentParser):
    """A parser that raises where jsonargparse prints its usage and exits."""

    @override
    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        raise ConfigError(message) from ex


class StageCLI(LightningCLI):
    """Adds the run's folder and what every fit needs, and decides whether to begin, go on or leave it."""

    @override
    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--run_dir", type=str, help="The run's folder, as runs/demo/tae.")
        parser.add_argument(
            "--restart",
            type=bool,
            default=False,
            help="Move an earlier run of this folder aside and begin anew.",
        )
        parser.add_argument(
            "--requeue",
            type=bool,
            default=False,
            help="After a stop by SIGTERM or SIGUSR1, ask Slurm to start the job again.",
        )
        parser.add_lightning_class_args(RunCheckpoint, "checkpoint")
        parser.add_lightning_class_args(SampleVideos, "samples")
        parser.add_lightning_class_args(Watchdog, "watchdog")
        parser.add_lightning_class_args(RollBack, "rollback")
        parser.add_lightning_class_args(NonFinite, "non_finite")
        parser.add_lightning_class_args(MemoryGuard, "memory")
        parser.add_lightning_class_args(Throughput, "throughput")
        parser.add_argument("--mlflow", type=Tracking, default=Tracking(), help="Where the run is recorded.")
        parser.link_arguments("run_dir", "trainer.default_root_dir")

    @override
    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        name, *rest = args
        known = self._parser(name)
        dests = [action.dest for action in known._actions]
        tree, sources = merged_config(rest)
        for mistake in unknown_keys(dict.fromkeys(tree), dests):  # jsonargparse lets empty ones pass
            raise UserError(describe(mistake, sources[mistake.path], dests))
        try:
            self.config = parser.parse_args(args)
        except ConfigError as error:
            raise UserError(explain(str(error), rest, dests)) from None

    @override
    def _parse_ckpt_path(self) -> None:
        """The config says what is built; a checkpoint does not change it behind the user's back."""

    @override
    def instantiate_classes(self) -> None:
        try:
            super().instantiate_classes()
        except (
            ValueError,
            MisconfigurationException,
        ) as error:  # ValueError is for the user throughout the project
            raise UserError(str(error)) from error

    @override
    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        asked = self._get(self.config_init, "trainer")
        if asked["accelerator"] == "cpu" or not torch.cuda.is_available():
            keep_freed_memory()
        loggers = self._loggers(asked["logger"]) if self.subcommand == "fit" else []
        self._exporter = ExportModel()
        ours = [GracefulStop(), SeedSteps(), TrainingProgress(), CutOnPlateau(), self._exporter]
        if loggers:
            ours.append(LearningRateMonitor(logging_interval="step"))
        theirs = asked["callbacks"] or []
        return super().instantiate_trainer(
            logger=loggers,
            plugins=[AtomicCheckpointIO(), *no_other_requeue(_listed(asked["plugins"]))],
            callbacks=[*ours, *_listed(theirs)],
            **kwargs,
        )

    @property
    def folder(self) -> RunFolder:
        """The folder of this run."""
        return RunFolder(self._get(self.config, "run_dir"))

    @property
    def config_text(self) -> str:
        """The resolved config of this run, as it can be given to -c again."""
        name = str(self.subcommand)
        return self._parser(name).dump(self.config[name], skip_none=False)

    def fit(self, **kwargs: Any) -> None:
        """Train until the limits are met, from the newest checkpoint of the run's folder if there is one."""
        if self._get(self.config, "trainer")["fast_dev_run"]:
            self._guarded(self.trainer.fit, kwargs)
            return
        be_the_parent()
        self._get(self.config_init, "watchdog").requeue = self._get(self.config, "requeue")
        folder, config = self.folder, self.config_text
        if not self._prepare(folder, config):
            return
        self._train(kwargs)
        if self._exporter.needs_validation(self.trainer, self.model):
            last = {"model": self.model, "datamodule": self.datamodule, "verbose": False}
            results = self._guarded(self.trainer.validate, last)
            say("  ".join(f"{name} {value:.4g}" for result in results for name, value in result.items()))
        self._exporter.finish(self.trainer, self.model)
        if rank_zero_only.rank == 0:
            folder.finish(config, self.trainer.global_step)
            say(f"Finished after step {self.trainer.global_step}: {folder.path}")

    def validate(self, **kwargs: Any) -> None:
        """Measure the newest checkpoint on the validation set."""
        self._measure(self.trainer.validate, kwargs)

    def test(self, **kwargs: Any) -> None:
        """Measure the newest checkpoint on the test set."""
        self._measure(self.trainer.test, {**kwargs, "verbose": not isinstance(self.model, Tabulated)})

    def predict(self, **kwargs: Any) -> None:
        """Write the predictions of the newest checkpoint to `<run>/predictions.pt`."""
        kwargs["ckpt_path"] = self._needed_checkpoint(kwargs.get("ckpt_path"))
        predictions = self._guarded(self.trainer.predict, kwargs)
        target = self.folder.path / "predictions.pt"
        with atomic_path(target) as temporary:
            torch.save(predictions, temporary)
        say(f"Predictions: {target}")

    def _prepare(self, folder: RunFolder, config: str) -> bool:
        """Make the folder ready for this fit; False, in every process, where nothing is left to do."""
        leads, restart = rank_zero_only.rank == 0, self._get(self.config, "restart")
        if leads and restart and (old := folder.set_aside()):
            say(f"The earlier run is now in {old}.")
        data = self.datamodule.fingerprint() if hasattr(self.datamodule, "fingerprint") else None
        made_of = self.datamodule.made_of() if hasattr(self.datamodule, "made_of") else None
        if leads or not restart:  # else the first process is moving the folder
            folder.check_same(config, data, made_of)
            step = folder.finished(config)
            if step is not None:
                say(f"'{folder.path}' is finished (step {step}). To go on, raise trainer.max_steps or")
                say("trainer.max_time; to begin anew, give --restart true.")
                return False
        if leads:
            folder.clean()
            folder.reopen()
            folder.write_config(config)
            folder.add_facts(data=data, made_of=made_of)
        return True

    def _train(self, kwargs: dict[str, Any]) -> None:
        """Fit from the newest checkpoint whose bytes are those that were written."""
        asked, passed = kwargs.get("ckpt_path"), set[Path]()
        while True:
            kwargs["ckpt_path"] = self._checkpoint(asked, passed)
            try:
                self._guarded(self.trainer.fit, kwargs)
            except DamagedCheckpointError as error:
                if error.path.parent != self.folder.checkpoints:
                    raise  # it was asked for
                say(f"The checkpoint '{error.path}' is damaged: {error.files}. It is passed over.")
                passed.add(error.path)
            except BadStepError as error:
                if not self._get(self.config_init, "rollback").ready or self.folder.newest() is None:
                    raise
                say(f"{error}\nGoing back to the last checkpoint, without those clips.")
            else:
                return

    def _checkpoint(self, asked: str | None, passed: set[Path]) -> str | None:
        """The newest checkpoint of the folder goes before the one that was asked for as a start."""
        whole = [path for path in self.folder.whole_checkpoints() if path not in passed]
        if not whole:
            return asked
        say(f"Going on from {whole[-1]}.")
        for logger in self.trainer.loggers:
            if isinstance(logger, MetricsFile):
                logger.forget_after(int(whole[-1].name.removeprefix("step-")))
        return str(whole[-1])

    def _needed_checkpoint(self, asked: str | None) -> str:
        found = self.folder.best() if asked == "best" else asked or self.folder.newest()
        if found is None:
            raise UserError(
                f"'{self.folder.path}' has no checkpoint. Train first (lightning fit with this config), "
                "or give one with --ckpt_path FILE."
            )
        say(f"Weights: {found}")
        return str(found)

    def _measure(self, run: Callable[..., Any], kwargs: dict[str, Any]) -> None:
        kwargs["ckpt_path"] = self._needed_checkpoint(kwargs.get("ckpt_path"))
        results = self._guarded(run, kwargs)
        if rank_zero_only.rank == 0:
            target = self.folder.path / f"{self.subcommand}.json"
            keep_measurement(target, kwargs["ckpt_path"], results, self.model)
            if self.subcommand == "test":  # a validation's numbers are in the run: the fit's own
                record_measurement(self._get(self.config_init, "mlflow"), self.folder, target)
            say(f"Results: {target}")

    def _guarded(self, run: Callable[..., Any], kwargs: dict[str, Any]) -> Any:
        requeue = self.subcommand == "fit" and self._get(self.config, "requeue")
        return guarded(self.trainer, self.model, run, kwargs, requeue=requeue)

    def _loggers(self, asked: Any) -> list[Any]:
        """metrics.csv, MLflow and the loggers that the config names; none for `trainer.logger: false`."""
        if asked is False:
            return []
        tracking = self._get(self.config_init, "mlflow")
        stage = type(self.model).__module__.rpartition(".")[2]
        ours: list[Any] = [MetricsFile(self.folder.metrics)]
        if tracking.enabled:
            ours.append(RunLogger(tracking, stage, self.folder, self.config_text))
        return [*ours, *(_listed(asked) if asked is not True else [])]


def run_stage(args: list[str]) -> StageCLI:
    """Parse `args`, run the subcommand, and give back the CLI with its model and data."""
    for name in ("lightning.pytorch", "lightning.fabric"):  # devices, seeds, tips
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"jsonargparse|lightning")
    warnings.filterwarnings("ignore", message=r"`isinstance\(treespec", category=FutureWarning)
    return StageCLI(
        LightningModule,
        LightningDataModule,
        save_config_callback=None,
        trainer_defaults=TRAINER_DEFAULTS,
        seed_everything_default=0,
        parser_class=StageParser,
        subclass_mode_model=True,
        subclass_mode_data=True,
        args=args,
    )


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]
