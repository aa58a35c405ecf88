"""What `consolidate` writes of a run is what the run itself exports at that step."""

import pytest

from console import UserError
from inference.weights import CONFIG, TENSORS, load_model
from lightning_modules.consolidate import main
from lightning_modules.run_folder import RunFolder
from lightning_modules.stage_cli import run_stage
from tests.lightning_modules.test_tae import clips as clips  # fixtures
from tests.lightning_modules.test_tae import config as config


def fit(config, *options):
    run_stage(["fit", "-c", str(config), "--checkpoint.every", "2", "--checkpoint.keep", "9", *options])
    return RunFolder("runs/tae")


def test_the_folder_is_that_of_the_checkpoint_and_opens(config, capsys):
    folder = fit(config, "--checkpoint.best", "val/psnr", "--checkpoint.best_is", "highest")
    best = int(folder.best().name.removeprefix("step-"))
    for which, step in (((), 6), (("--step", "2"), 2), (("--best",), best)):
        assert main(["runs/tae", "--out", "out", *which]) == 0
        for name in (TENSORS, CONFIG):
            there = folder.checkpoint(step) / "model" / name
            assert (config.parent / "out" / name).read_bytes() == there.read_bytes()
        assert f"of step {step}" in capsys.readouterr().err
    assert load_model("out").facts["step"] == best
    assert main([str(folder.checkpoint(4)), "--out", "one", "--shard_size", "10KB"]) == 0
    assert len(list((config.parent / "one").glob("*.safetensors"))) > 1
    load_model("one")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            ("nowhere", "--out", "out"),
            "does not have a whole checkpoint of any of its steps; there are: none",
        ),
        (("runs/tae", "--step", "3", "--out", "out"), "step 3 of its steps; there are: step-0000002"),
        (("runs/tae", "--best", "--out", "out"), "the best of its steps"),
        (("runs/tae/checkpoints/step-0000002", "--step", "2", "--out", "out"), "is one checkpoint"),
        (("runs/tae", "--shard_size", "big", "--out", "out"), "such as 5GB"),
    ],
)
def test_what_cannot_be_done_is_said(config, options, told):
    fit(config, "--trainer.max_steps", "2")
    with pytest.raises(UserError, match=told):
        main(list(options))
    assert not (config.parent / "out").exists()


def test_a_damaged_checkpoint_is_not_made_into_a_model(config):
    folder = fit(config, "--trainer.max_steps", "2")
    (shard,) = folder.newest().glob("*.distcp")
    content = bytearray(shard.read_bytes())
    content[-100] ^= 1
    shard.write_bytes(content)
    with pytest.raises(UserError, match="is damaged"):
        main(["runs/tae", "--out", "out"])
