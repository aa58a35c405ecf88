"""`python -m parallel.plan`: a table, a YAML that the trainer takes, a picture, and refusals that teach."""

from pathlib import Path

import pytest
import yaml

from console import UserError
from parallel.plan.__main__ import main
from parallel.plan.report import bars
from parallel.plan.stage import layout_of

ROOT = Path(__file__).parents[3]
PAPER = str(ROOT / "configs/paper/t2v_768px.yaml")
SMALL = ["-c", str(ROOT / "configs/t2v.yaml"), "--bucket", "64x64x16"]


def test_it_shows_the_best_plan_and_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan, picture = tmp_path / "plan.yaml", tmp_path / "deep" / "plan.png"
    assert (
        main(["-c", PAPER, "--gpus", "6144", "--gpu", "h100", "--yaml", str(plan), "--png", str(picture)])
        == 0
    )
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("29.38B", "6144 x h100", "MFU", "tokens a day", "optimizer", "$"))
    assert "one of 15 buckets" in shown
    assert "1 x 1024x576x128 (36,864 tokens), 1 x 672x896x256 (75,264 tokens)" in shown
    trainer = yaml.safe_load(plan.read_text())["trainer"]
    layout = layout_of(trainer)
    assert layout.world == 6144 == trainer["devices"] * trainer["num_nodes"]
    assert layout.bytes_compute == 2
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_it_judges_the_configs_own_mesh(capsys: pytest.CaptureFixture[str]) -> None:
    main([*SMALL, "--gpus", "4", "--as-configured"])
    assert "replicate 1 x shard 4 x cp 1 x tp 1, checkpointing none" in capsys.readouterr().out


def test_what_cannot_fit_is_refused_with_three_fixes() -> None:
    with pytest.raises(UserError) as refused:
        main(["-c", PAPER, "--gpus", "64", "--gpu", "h100", "--as-configured", "--memory", "25"])
    message = str(refused.value)
    assert "on each of 64 devices; there are 25.0" in message
    assert [f"  {number}. " in message for number in (1, 2, 3)] == [True] * 3
    assert "mesh.cp: 2" in message
    with pytest.raises(UserError, match=r"there are 0\.0"):
        main([*SMALL, "--gpus", "4", "--memory", "0.001"])


@pytest.mark.parametrize("gpus", ["0", "-3"])
def test_a_world_without_devices_is_refused(gpus: str) -> None:
    with pytest.raises(UserError, match="--gpus"):
        main([*SMALL, "--gpus", gpus])


def test_bars_are_as_long_as_their_values() -> None:
    long, short = bars([("a", 4.0), ("bb", 1.0)], "GB")
    assert long.count("█") == 4 * short.count("█") == 40
    assert short.endswith("1 GB")
