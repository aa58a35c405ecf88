"""A run's folder: what was asked, the checkpoints, and whether the same command goes on, ends or would mix.

runs/demo/tae/
|-- config.yaml       the resolved config of the run
|-- run.json          fingerprint of the data, the MLflow run
|-- metrics.csv       every logged number
|-- checkpoints/      step-0000500/, a sealed folder each (lightning_modules/sealed.py), and best.json
|-- quarantine.json   samples that training leaves out, if there are any (datamodules/quarantine.py)
|-- samples/          videos written during validation
|-- model/            the model folder of the finished run
`-- finished.json     written last: at which step and under which limits the run ended
"""

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from console import UserError
from storage import is_sealed, read_seal, write_json, write_text

LIMITS = ("trainer.max_steps", "trainer.max_epochs", "trainer.max_time")
HARMLESS = (  # settings that do not change what is learnt; everything else does
    *LIMITS, "run_dir", "restart", "requeue", "ckpt_path", "weights_only", "checkpoint", "samples", "mlflow",
    "memory", "throughput", "non_finite", "rollback", "watchdog", "trainer.min_steps", "trainer.min_epochs",
    "trainer.logger", "trainer.default_root_dir",
    "trainer.log_every_n_steps", "trainer.val_check_interval", "trainer.check_val_every_n_epoch",
    "trainer.limit_val_batches", "trainer.num_sanity_val_steps", "trainer.profiler",
    "trainer.devices", "trainer.num_nodes", "trainer.strategy", "trainer.accumulate_grad_batches",
    "trainer.enable_progress_bar", "trainer.enable_model_summary", "trainer.enable_checkpointing",
    "trainer.accelerator", "data.init_args.stream.num_workers", "model.init_args.test",
)  # fmt: skip
BEST = "best.json"
CHECKPOINT = re.compile(r"step-(\d+)")


class RunFolder:
    """The files of one run; knows nothing of torch."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.checkpoints = self.path / "checkpoints"
        self.model = self.path / "model"
        self.samples = self.path / "samples"
        self.metrics = self.path / "metrics.csv"

    def checkpoint(self, step: int) -> Path:
        """Where the checkpoint of `step` is or will be."""
        return self.checkpoints / f"step-{step:07d}"

    def whole_checkpoints(self) -> list[Path]:
        """Checkpoints that were finished, the newest last: those with a seal, and every file of its size."""
        return [folder for step, folder in sorted(self._by_step().items()) if is_sealed(folder)]

    def newest(self) -> Path | None:
        """The newest whole checkpoint."""
        return (self.whole_checkpoints() or [None])[-1]

    def best(self) -> Path | None:
        """The whole checkpoint of the best validation, where the run keeps it (checkpoint.best)."""
        found = _read_json(self.checkpoints / BEST)
        path = self.checkpoint(found["step"]) if found else None
        return path if path is not None and is_sealed(path) else None

    def best_value(self, metric: str) -> float | None:
        """What `metric` was at the best validation."""
        found = _read_json(self.checkpoints / BEST)
        return found["value"] if found and found["metric"] == metric and self.best() else None

    def mark_best(self, step: int, metric: str, value: float) -> None:
        """Say that no validation was better than that of `step`."""
        write_json(self.checkpoints / BEST, {"step": step, "metric": metric, "value": value})

    def clean(self) -> None:
        """Remove what a killed process left half-written."""
        unfinished = [folder for folder in self._by_step().values() if read_seal(folder) is None]
        for folder in [*unfinished, *self.checkpoints.glob(".unfinished-*")]:
            shutil.rmtree(folder, ignore_errors=True)

    def set_aside(self) -> Path | None:
        """Move the whole folder to the first free `<name>.old-N`; a run then begins anew without loss."""
        if not self.path.exists():
            return None
        number = 1
        while (old := self.path.with_name(f"{self.path.name}.old-{number}")).exists():
            number += 1
        os.rename(self.path, old)
        return old

    def write_config(self, text: str) -> None:
        """Keep the resolved config (YAML)."""
        write_text(self.path / "config.yaml", text)

    def facts(self) -> dict[str, Any]:
        """What run.json holds: facts of the run that are not in its config."""
        return _read_json(self.path / "run.json") or {}

    def add_facts(self, **facts: Any) -> None:
        """Write `facts` over those of the same name in run.json."""
        write_json(self.path / "run.json", {**self.facts(), **facts})

    def check_same(self, config: str, data: str | None, made_of: Mapping[str, str] | None = None) -> None:
        """Refuse to continue a run of another config or other data: its result would be a silent mix.

        `made_of` says what the data are made of, by what a user calls it.
        """
        file = self.path / "config.yaml"
        if not file.is_file() or (self.newest() is None and not (self.path / "finished.json").is_file()):
            return  # nothing was learnt yet
        differences = list(changes(yaml.safe_load(file.read_text(encoding="utf-8")), yaml.safe_load(config)))
        before, then = self.facts().get("data"), self.facts().get("made_of") or {}
        if data is not None and before is not None and before != data:
            now = made_of or {}
            parts = [f"the data's {name}: {then[name]} then, {now[name]} now"
                     for name in now if name in then and then[name] != now[name]]  # fmt: skip
            differences += parts or [f"the data itself: its fingerprint was {before}, now {data}"]
        if differences:
            raise UserError(
                f"'{self.path}' holds a run that was made otherwise:\n  " + "\n  ".join(differences) + "\n"
                "Give this run another folder (--run_dir DIR), begin it anew (--restart true moves the old "
                "one aside), or take the old settings back. Limits such as trainer.max_steps may be raised."
            )

    def finished(self, config: str) -> int | None:
        """The step at which the run ended under these limits, or None where there is something left to do."""
        ended = _read_json(self.path / "finished.json")
        if ended is None or ended["limits"] != limits(yaml.safe_load(config)):
            return None
        return ended["step"]

    def reopen(self) -> None:
        """Raised limits: the run is not finished any more."""
        (self.path / "finished.json").unlink(missing_ok=True)

    def finish(self, config: str, step: int) -> None:
        """Say that all is done; written last."""
        write_json(self.path / "finished.json", {"step": step, "limits": limits(yaml.safe_load(config))})

    def _by_step(self) -> dict[int, Path]:
        files = self.checkpoints.iterdir() if self.checkpoints.is_dir() else ()
        named = [(CHECKPOINT.fullmatch(file.name), file) for file in files if file.is_dir()]
        return {int(name[1]): file for name, file in named if name}


def limits(config: dict[str, Any]) -> dict[str, Any]:
    """The settings that say when a run ends."""
    flat = dict(flatten(config))
    return {name: flat.get(name) for name in LIMITS}


def changes(before: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """One line for each setting that changes the result and differs."""
    old, new = dict(flatten(before)), dict(flatten(now))
    for key in sorted({*old, *new}):
        harmless = any(key == name or key.startswith(f"{name}.") for name in HARMLESS)
        if not harmless and old.get(key) != new.get(key):
            yield f"{key}: was {old.get(key)!r}, now {new.get(key)!r}"


def flatten(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a tree of dicts and lists with their dotted paths."""
    if isinstance(tree, dict) and tree:
        items = tree.items()
    elif isinstance(tree, list) and any(isinstance(item, (dict, list)) for item in tree):
        items = enumerate(tree)
    else:
        yield path, tree
        return
    for key, value in items:
        yield from flatten(value, f"{path}.{key}" if path else str(key))


def _read_json(file: Path) -> dict[str, Any] | None:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
