"""The demo's own commands, at a size of seconds: from no file at all to a clip and a report, then again."""

import json
import re
import shlex
import shutil
import sqlite3
from contextlib import closing
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SMALL = [  # of the demo's sizes
    (r"--clips \d+", "--clips 24"),
    (r"(configs/curation/demo.yaml)", r"\1 --set shards.val_fraction=0.3"),
    (
        r"(lightning fit -c \S+)",
        r"\1 --trainer.max_steps 2 --trainer.val_check_interval 2 --data.init_args.batch_size 2",
    ),
    (r"--prompts \d+", "--prompts 2 --steps 2"),
    (r"(inference.run t2v )", r"\1--steps 2 "),
]


def run(line: str) -> int | None:
    """A command as its program runs it, in this process: torch is imported once for all of them."""
    program, *words = shlex.split(line)
    if program == "lightning":
        return import_module("lightning_modules.cli").run(words)
    _, module, *arguments = words
    entry = import_module(f"{module}.__main__" if module == "evaluation.toy_world" else module)
    return entry.main(arguments)


def small(line: str) -> str:
    for size, smaller in SMALL:
        line = re.sub(size, smaller, line)
    return line


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with the configs, as the working folder: nothing that lies in the checkout can help."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


def results(folder: Path) -> dict[str, int]:
    """Every file that takes long to make and when it was written; what is cheap may be written again."""
    kept = [folder / name for name in ("data", "runs", "outputs")]
    cheap = {"eval", "eval.json", "report", ".lock", ".lock-tasks"}
    found = [path for top in kept for path in top.rglob("*") if path.is_file() and not cheap & {*path.parts}]
    return {str(path): path.stat().st_mtime_ns for path in found}


@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore:The number of training batches")
def test_the_demo_at_a_small_size_ends_in_a_clip_and_a_report(
    elsewhere: Path, steps_of_the_demo: list[str]
) -> None:
    for line in steps_of_the_demo:
        assert not run(small(line)), line
    check_results(elsewhere)
    before = results(elsewhere)
    for line in steps_of_the_demo:
        assert not run(small(line)), line
    assert {path for path, written in results(elsewhere).items() if before.get(path) != written} == set()


def check_results(folder: Path) -> None:
    train = json.loads((folder / "data/demo/curated/shards/train/index.json").read_text())
    assert train["samples"] == sum(shard["samples"] for shard in train["shards"]) > 0
    assert list((folder / "data/demo/latents/val").glob("*.tar"))
    for stage in ("tae", "t2v"):
        model = folder / "runs/demo" / stage / "model"
        assert {path.name for path in model.iterdir()} == {"config.json", "model.safetensors"}
    assert probe(folder / "outputs/clip.mp4") == (64, 64, 16)
    assert (folder / "outputs/clip.png").stat().st_size > 0
    page = (folder / "report/index.html").read_text()
    score = json.loads((folder / "runs/demo/tae/eval.json").read_text())
    assert f"{score['psnr']['mean']:.2f}" in page
    assert page.count("<video") >= 4
    runs = "SELECT experiments.name, status FROM runs JOIN experiments USING (experiment_id)"
    with closing(sqlite3.connect(folder / "mlflow.db")) as store:
        recorded = store.execute(runs).fetchall()
    assert {status for _, status in recorded} == {"FINISHED"}
    assert {name for name, _ in recorded} >= {"curation", "tae", "t2v"}


def probe(path: Path) -> tuple[int, int, int]:
    """Width, height and decoded frames."""
    import av

    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return frames[0].width, frames[0].height, len(frames)
