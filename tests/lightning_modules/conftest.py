"""A tiny set of clips and a config of the stand-in stage for all tests of the command."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.datamodules.shard_sets import write_clips


@pytest.fixture(scope="session")
def clips(tmp_path_factory) -> Path:
    """14 training clips and 3 held-out ones of 16 px and 4 frames."""
    return write_clips(tmp_path_factory.mktemp("clips"), train=14, val=3)


@pytest.fixture
def config(clips, tmp_path, monkeypatch) -> Path:
    """A config in an empty working directory, without MLflow: 10 steps, 4 an epoch, a checkpoint every 4."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return write_config(tmp_path / "stage.yaml", stage_config(clips))


def stage_config(clips: Path) -> dict[str, Any]:
    """The stand-in stage on `clips`."""
    return {
        "run_dir": "runs/stand_in",
        "model": {"class_path": "tests.lightning_modules.stand_in.StandIn"},
        "data": {
            "class_path": "datamodules.clips.ClipData",
            "init_args": {"shards": str(clips), "batch_size": 4, "memory": True},
        },
        "trainer": {"max_steps": 10, "val_check_interval": 4, "log_every_n_steps": 1},
        "checkpoint": {"every": 4},
        "samples": {"every": 0},
        "mlflow": {"enabled": False},
    }


def write_config(path: Path, config: dict[str, Any]) -> Path:
    """`config` as YAML at `path`."""
    path.write_text(yaml.safe_dump(config))
    return path
