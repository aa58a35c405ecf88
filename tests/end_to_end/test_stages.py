"""The chain of small stages as docs/stages.md has it, at a size of seconds; each begins with another."""

import itertools
import json
import re
import subprocess
from pathlib import Path

import pytest
import torch

from inference.weights import load_model
from models.transformer import Transformer
from tests.end_to_end.test_chain import ROOT, elsewhere, probe, run, small  # noqa: F401, a fixture

TWINS = ("t2i_256px", "t2v_256px", "t2v_768px", "t2v_sft", "t2i_post_1024px")


def commands() -> list[str]:
    """The lines of the document's one block of commands, with its variable put in."""
    block = re.findall(r"```sh\n(.*?)```", (ROOT / "docs/stages.md").read_text(), flags=re.DOTALL)[0]
    (name, value), *lines = [
        line.split("=", 1) if line.startswith("S=") else line for line in block.splitlines()
    ]
    return [line.replace(f"${name}", value) for line in lines if line]


def fewer(line: str) -> str:
    """A fit of four steps, validated twice; two sampling steps."""
    steps = (
        "--trainer.max_steps 4 --trainer.val_check_interval 2 --trainer.log_every_n_steps 1 --samples.every 0"
    )
    line = re.sub(r"(lightning fit -c \S+)", rf"\1 {steps}", line)
    return re.sub(r"(inference.run t2[vi] )", r"\1--steps 2 ", line)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore:The number of training batches")
def test_the_stages_run_one_after_the_other(elsewhere: Path, steps_of_the_demo: list[str]) -> None:  # noqa: F811, the imported fixture
    for line in steps_of_the_demo[: next(i for i, s in enumerate(steps_of_the_demo) if "t2v.yaml" in s)]:
        assert not run(small(line)), line
    for line in commands():
        if line.startswith(("python", "lightning")):
            assert not run(fewer(line)), line
        else:
            subprocess.run(line, shell=True, check=True)
    check(elsewhere)


def check(folder: Path) -> None:
    models = {twin: load_model(folder / f"runs/small/{twin}/model", expect=Transformer) for twin in TWINS}
    grids = {twin: loaded.model.config.grid for twin, loaded in models.items()}
    assert [grids[twin] for twin in TWINS[:3]] == [(1, 2, 2), (2, 4, 4), (2, 8, 8)]
    buckets = {twin: set(loaded.facts["buckets"]) for twin, loaded in models.items()}
    assert buckets["t2i_256px"] == {"32x32x1"}
    assert buckets["t2v_256px"] == {"32x32x16", "32x32x1"}
    assert buckets["t2v_768px"] == {"64x64x16", "64x64x1"}
    assert buckets["t2v_sft"] == {"64x64x16"}
    assert buckets["t2i_post_1024px"] == {"64x64x1"}
    taes = {twin: loaded.facts["tae"] for twin, loaded in models.items()}
    assert len(set(list(taes.values())[:4])) == 1
    assert taes["t2i_post_1024px"] not in list(taes.values())[:4]
    for before, after in itertools.pairwise(TWINS[:4]):  # four steps move weights a little
        one, other = (models[twin].model.blocks[0].feed_forward.down.weight for twin in (before, after))
        assert torch.nn.functional.cosine_similarity(one.flatten(), other.flatten(), dim=0) > 0.9
    picked = json.loads((folder / "data/small/picked/train/index.json").read_text())
    assert picked["samples"] == len((folder / "data/small/picked.txt").read_text().split())
    assert probe(folder / "outputs/sft.mp4") == (64, 64, 16)
    assert (folder / "outputs/post.png").stat().st_size > 0
