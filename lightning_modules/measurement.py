"""What `validate` and `test` leave behind: a JSON, a table, and numbers in the MLflow run of the fit."""

import json
import re
import time
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from evaluation.comparison_table import Compared
from lightning_modules.mlflow_logger import Tracking
from lightning_modules.run_folder import CHECKPOINT, RunFolder
from storage import write_json


@runtime_checkable
class Tabulated(Protocol):
    """A stage whose test compares, and says more than single numbers."""

    compared: Compared | None


def keep_measurement(target: Path, checkpoint: str, results: list[Any], stage: Any) -> None:
    """Write the numbers, and the table where `stage` has made one, which is printed too."""
    content = {"checkpoint": checkpoint, "results": results}
    compared = stage.compared if isinstance(stage, Tabulated) else None
    if compared is not None:
        content["comparison"] = compared.as_json()
        compared.print()
    write_json(target, content)


def record_measurement(tracking: Tracking, folder: RunFolder, file: Path) -> None:
    """Log what `file` holds in the MLflow run of the fit, which stays as the fit left it otherwise.

    Nothing is logged where the fit logged nothing, or into another store.
    """
    known = folder.facts().get("mlflow") or {}
    if not tracking.enabled or known.get("uri") != tracking.uri:
        return
    from mlflow import MlflowClient
    from mlflow.entities import Metric
    from mlflow.exceptions import MlflowException

    content = json.loads(file.read_text(encoding="utf-8"))
    found = re.search(CHECKPOINT, Path(content["checkpoint"]).name)
    step, now = int(found[1]) if found else 0, int(time.time() * 1000)
    numbers = {name: value for result in content["results"] for name, value in result.items()}
    client = MlflowClient(tracking.uri)
    try:
        client.get_run(known["run"])
    except MlflowException:  # the store was deleted since
        return
    client.log_batch(known["run"], [Metric(name, value, now, step) for name, value in numbers.items()])
    client.log_artifact(known["run"], str(file), "measured")
