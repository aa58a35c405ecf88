"""RunLogger: one MLflow run for one run folder, however often the fit is stopped and taken up again."""

import logging
import os
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch.loggers import MLFlowLogger
from lightning.pytorch.utilities import rank_zero_only
from typing_extensions import override

from lightning_modules.run_folder import RunFolder, flatten

DEFAULT_URI = (
    "sqlite:///mlflow.db"  # in the working directory; MLflow's own default, a folder of files, is retired
)
LONGEST = 500  # characters of a parameter's value
PACKAGES = ("moviegen-lightning", "torch", "lightning", "mlflow", "webdataset", "numpy")


@dataclass(frozen=True, kw_only=True)
class Tracking:
    """Where a run is recorded."""

    experiment: str | None = None
    """Name of the experiment; without it, the stage: the module of the model's class, as tae."""
    tracking_uri: str | None = None
    """Of the MLflow store; without it, MLFLOW_TRACKING_URI, else mlflow.db in the working directory."""
    enabled: bool = True
    """False keeps metrics.csv alone."""

    @property
    def uri(self) -> str:
        """The store that counts."""
        return self.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI


class RunLogger(MLFlowLogger):
    """Records the resolved config, git's state, the data's fingerprint and versions; never a checkpoint."""

    def __init__(self, tracking: Tracking, stage: str, folder: RunFolder, config: str) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        import mlflow  # sets up its own logging, and announces every table of a new store

        logging.getLogger(mlflow.__name__).setLevel(logging.WARNING)
        local = tracking.uri.startswith("sqlite:")
        super().__init__(
            experiment_name=tracking.experiment or stage,
            run_name=folder.path.name,
            tracking_uri=tracking.uri,
            artifact_location=Path("mlruns").resolve().as_uri() if local else None,
            log_model=False,
        )
        self._folder = folder
        self._config = config
        self._recorded = False
        self.killed = False  # a signal ended the fit: neither a success nor a failure

    @property
    @override
    def experiment(self) -> Any:
        """The MLflow client; at the first call the run is made or taken up again."""
        if self._recorded or rank_zero_only.rank != 0:
            return super().experiment
        self._recorded = True
        self._run_id = self._earlier_run()
        if self._run_id is None:
            self._make_experiment()
        client = super().experiment
        run = str(self._run_id)
        self._folder.add_facts(mlflow={"uri": self._tracking_uri, "run": run})
        client.update_run(run, status="RUNNING")
        self._record(client, run)
        return client

    @override
    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """The resolved config is recorded whole; the model's arguments are a part of it."""
        _ = self.experiment

    @rank_zero_only
    def log_artifact(self, path: Path, folder: str) -> None:
        """Copy a file into the run's artifacts."""
        self.experiment.log_artifact(self.run_id, str(path), folder)

    @override
    @rank_zero_only
    def finalize(self, status: str = "success") -> None:
        super().finalize("KILLED" if self.killed else status)

    def _make_experiment(self) -> None:
        """Lightning would make it with a warning, and stumble over one in the bin."""
        found = self._mlflow_client.get_experiment_by_name(self._experiment_name)
        if found is None:
            self._mlflow_client.create_experiment(self._experiment_name, self._artifact_location)
        elif found.lifecycle_stage == "deleted":
            self._mlflow_client.restore_experiment(found.experiment_id)

    def _earlier_run(self) -> str | None:
        """The run that this folder was recorded in, if the store still has it."""
        from mlflow.exceptions import MlflowException

        earlier = self._folder.facts().get("mlflow") or {}
        if earlier.get("uri") != self._tracking_uri:
            return None
        try:
            run = self._mlflow_client.get_run(earlier["run"])
        except MlflowException:  # the store was deleted
            return None
        return run.info.run_id if run.info.lifecycle_stage == "active" else None

    def _record(self, client: Any, run: str) -> None:
        from mlflow.entities import Param, RunTag

        known = client.get_run(
            run
        ).data.params  # parameters cannot change; a raised limit stays in the artifact
        flat = flatten(yaml.safe_load(self._config))
        params = [Param(key, str(value)[:LONGEST]) for key, value in flat if key not in known]
        for start in range(0, len(params), 100):  # MLflow takes 100 at a time
            client.log_batch(run, params=params[start : start + 100])
        git = git_state()
        tags = {
            "run_dir": str(self._folder.path.resolve()),
            "data": self._folder.facts().get("data"),
            "git.commit": git.get("commit"),
            "git.dirty": git.get("dirty"),
            **{f"version.{name}": _version(name) for name in PACKAGES},
        }
        client.log_batch(
            run, tags=[RunTag(key, str(value)) for key, value in tags.items() if value is not None]
        )
        client.log_text(run, self._config, "config.yaml")
        if git.get("diff"):
            client.log_text(run, git["diff"], "git.diff")


def git_state() -> dict[str, Any]:
    """Commit, whether files differ from it, and how; empty outside a repository or without git."""
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return {}
    dirty = bool(_git("status", "--porcelain"))
    return {"commit": commit, "dirty": dirty, "diff": _git("diff", "HEAD") if dirty else ""}


def _git(*args: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), *args],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
