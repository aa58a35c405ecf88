"""The curation run as an MLflow run: funnel, costs, config and report, written by the parent process only."""

import logging
import os
from dataclasses import asdict
from pathlib import Path

from curation.config import Config
from curation.pipeline import Outcome

STORE = "sqlite:///mlflow.db"  # embedded: no server


def log_run(config: Config, outcome: Outcome, report: Path) -> None:
    """Log one finished run to MLFLOW_TRACKING_URI, or to the store in this folder."""
    import mlflow

    for name in ("mlflow", "alembic"):  # they tell at length how they make their tables
        logging.getLogger(name).setLevel(logging.WARNING)
    mlflow.set_tracking_uri(os.environ.get("MLFLOW_TRACKING_URI", STORE))
    mlflow.set_experiment(config.experiment)
    verdicts = outcome.verdicts
    with mlflow.start_run(run_name=f"{verdicts.subset.name} {Path(config.out).name}"):
        top = {key: value for key, value in asdict(config).items() if not isinstance(value, dict)}
        mlflow.log_params(
            {**top, **{f"fingerprint/{n}": node.fingerprint for n, node in outcome.graph.nodes.items()}}
        )
        mlflow.log_dict(asdict(config), "config.yaml")
        mlflow.log_metrics(_metrics(outcome))
        for path in (report, report.with_name("curation.json")):
            mlflow.log_artifact(str(path), "report")


def _metrics(outcome: Outcome) -> dict[str, float]:
    verdicts = outcome.verdicts
    funnel = {
        f"funnel/{k:02d} {_plain(step.rule)}": step.left for k, step in enumerate(verdicts.funnel, start=1)
    }
    costs = {f"cpu_seconds/{name}": seconds for name, seconds in outcome.cpu_seconds.items()}
    return {"clips/all": len(outcome.clips), "clips/kept": int(verdicts.kept.sum()), **funnel, **costs}


def _plain(text: str) -> str:
    """Only what MLflow allows in a metric's name."""
    return "".join(letter if letter.isalnum() or letter in "_-. /" else "-" for letter in text)
