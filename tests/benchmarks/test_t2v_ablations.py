"""The arms of the ablations differ in what they are named for, and in nothing else."""

from pathlib import Path

import pytest
import torch
import yaml

from benchmarks.t2v_ablations import ARMS, CONFIG, changes, held_out_loss
from models.transformer import Transformer, TransformerConfig

OF_TRANSFORMER = "--model.transformer."


def transformer(arm: str) -> Transformer:
    """The one that an arm trains, without weights."""
    shape = yaml.safe_load(CONFIG.read_text())["model"]["init_args"]["transformer"]
    for option in changes(arm):
        key, value = option.split("=")
        if key.startswith(OF_TRANSFORMER):
            shape[key.removeprefix(OF_TRANSFORMER)] = yaml.safe_load(value)
    tuples = {key: tuple(value) if isinstance(value, list) else value for key, value in shape.items()}
    with torch.device("meta"):
        return Transformer(TransformerConfig(**tuples))


def parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_has_as_many_parameters(arm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    ours, theirs = transformer(next(iter(ARMS))), transformer(arm)
    assert parameters(theirs) == pytest.approx(parameters(ours), rel=0.01)
    assert parameters(theirs.blocks[0]) == pytest.approx(parameters(ours.blocks[0]), rel=0.01)


def test_the_dit_arm_has_dits_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    assert type(transformer("DiT block").blocks[0]).__name__ == "DiTBlock"


def test_the_held_out_loss_is_the_last_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("step,train/loss,val/loss\n10,0.9,\n20,,0.5\n30,0.7,\n40,,0.25\n")
    assert held_out_loss(tmp_path) == 0.25
