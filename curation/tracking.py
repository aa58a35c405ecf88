"""The curation run as an MLflow run, written by the parent process only: how far each stage is while it runs,
then funnel, costs, config and report."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from console.board import Numbers
from curation.config import Config
from curation.pipeline import Outcome

STORE = "sqlite:///mlflow.db"  # embedded: no server


class Tracker:
    """One open MLflow run."""

    def __init__(self, mlflow: Any, config: Config):
        self.mlflow, self.config = mlflow, config

    def listen(self, stage: str, numbers: Numbers, final: bool) -> None:
        """Log the numbers that the terminal shows; the step is the number of items done."""
        plain = {
            "done": numbers.done, "total": numbers.total, "rows": numbers.rows,
            "rows_per_second": numbers.rate, "seconds_left": numbers.left,
        }  # fmt: skip
        found = {f"stages/{stage}/{key}": float(value) for key, value in plain.items() if value is not None}
        found |= {f"stages/{stage}/rejected/{why}": float(n) for why, n in numbers.rejects.items()}
        self._metrics(found, numbers.done)

    def finish(self, outcome: Outcome, report: Path) -> None:
        """Log what a whole run came to."""
        nodes = outcome.graph.nodes.items()
        self.mlflow.log_params({f"fingerprint/{name}": node.fingerprint for name, node in nodes})
        self._metrics(_metrics(outcome), None)
        for path in (report, report.with_name("curation.json")):
            self.mlflow.log_artifact(str(path), "report")

    def _metrics(self, found: dict[str, float], step: int | None) -> None:
        self.mlflow.log_metrics({_plain(name): value for name, value in found.items()}, step=step)


@contextmanager
def tracked(config: Config) -> Iterator[Tracker]:
    """A run at MLFLOW_TRACKING_URI, or in the store of this folder; FAILED where the block ends badly."""
    import mlflow

    for name in ("mlflow", "alembic"):  # they tell at length how they make their tables
        logging.getLogger(name).setLevel(logging.WARNING)
    mlflow.set_tracking_uri(os.environ.get("MLFLOW_TRACKING_URI", STORE))
    mlflow.set_experiment(config.experiment)
    subset = Path(config.subset).stem
    with mlflow.start_run(run_name=f"{subset} {Path(config.out).name}"):
        content = asdict(config)
        mlflow.log_params({key: value for key, value in content.items() if not isinstance(value, dict)})
        mlflow.log_dict(content, "config.yaml")
        yield Tracker(mlflow, config)


def _metrics(outcome: Outcome) -> dict[str, float]:
    verdicts = outcome.verdicts
    funnel = {f"funnel/{k:02d} {step.rule}": step.left for k, step in enumerate(verdicts.funnel, start=1)}
    costs = {f"cpu_seconds/{name}": seconds for name, seconds in outcome.cpu_seconds.items()}
    return {"clips/all": len(outcome.clips), "clips/kept": int(verdicts.kept.sum()), **funnel, **costs}


def _plain(text: str) -> str:
    """Only what MLflow allows in a metric's name."""
    return "".join(letter if letter.isalnum() or letter in "_-. /" else "-" for letter in text)
