"""MetricsFile: every logged number in one CSV in the run's folder; a resumed run goes on in it."""

import csv
import io
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only
from typing_extensions import override

from storage import write_text

FIXED = ["step", "seconds"]  # seconds since 1970


class MetricsFile(Logger):
    """Columns step, seconds and one a metric; a row has what was logged together, other cells are empty."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._rows: list[dict[str, Any]] | None = None
        self._columns = list(FIXED)

    @property
    @override
    def name(self) -> str:
        return "metrics"

    @property
    @override
    def version(self) -> str:
        return ""

    @rank_zero_only
    def forget_after(self, step: int) -> None:
        """Drop rows beyond `step`, from which a run goes on: they will come again."""
        self._rows = [row for row in self._read() if int(row["step"]) < step]
        self._write()

    @override
    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        if self._rows is None:
            self._rows = self._read()
        metrics = {name: value for name, value in metrics.items() if name != "epoch"}
        if not metrics:
            return
        row = {"step": step or 0, "seconds": round(time.time(), 2), **metrics}
        self._rows.append(row)
        fresh = [name for name in metrics if name not in self._columns]
        self._columns += fresh
        if fresh or not self._path.is_file():
            self._write()
        else:
            with open(self._path, "a", encoding="utf-8", newline="") as file:
                file.write(self._text([row]))

    @override
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """config.yaml has them."""

    def _read(self) -> list[dict[str, Any]]:
        if not self._path.is_file():
            return []
        with open(self._path, encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows = [row for row in reader if None not in row.values() and (row["step"] or "").isdigit()]
        self._columns = list(reader.fieldnames or FIXED)
        return rows

    def _write(self) -> None:
        write_text(self._path, ",".join(self._columns) + "\n" + self._text(self._rows or []))

    def _text(self, rows: list[dict[str, Any]]) -> str:
        text = io.StringIO()
        writer = csv.DictWriter(text, self._columns, restval="", lineterminator="\n")
        writer.writerows(rows)
        return text.getvalue()
