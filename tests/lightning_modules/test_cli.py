"""What the command answers before it imports torch."""

import subprocess
import sys
from pathlib import Path

import pytest

from console import UserError
from lightning_modules import cli

ROOT = Path(cli.__file__).parents[1]


def test_help_lists_subcommands_examples_and_the_configs_at_hand(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/tae.yaml").write_text("# The TAE on the demo's clips.\nrun_dir: a\n")
    assert cli.run(["--help"]) == 0
    shown = capsys.readouterr().out
    for name in cli.SUBCOMMANDS:
        assert f"\n  {name}" in shown
    assert "lightning fit -c configs/tae.yaml" in shown
    assert "configs/tae.yaml  The TAE on the demo's clips." in shown


@pytest.mark.parametrize("name", cli.SUBCOMMANDS)
def test_help_of_a_subcommand_names_what_a_config_holds(name, capsys):
    assert cli.run([name, "-c", "some.yaml", "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: lightning {name}")
    for key in ("run_dir", "model", "data", "trainer", "checkpoint", "samples", "mlflow", "--print_config"):
        assert key in shown


def test_help_and_version_import_neither_torch_nor_lightning():
    code = (
        "import sys; from lightning_modules.cli import run\n"
        "run([]); run(['fit', '--help']); run(['--version'])\n"
        "print(sorted({'torch', 'lightning', 'mlflow', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("[]")


def test_version_names_what_training_stands_on(capsys):
    assert cli.run(["--version"]) == 0
    assert "lightning 2." in capsys.readouterr().out


def test_a_misspelt_subcommand_is_answered_with_the_nearest():
    with pytest.raises(UserError, match=r"no subcommand 'vaildate'. Did you mean 'validate'\?"):
        cli.run(["vaildate", "-c", "a.yaml"])


def test_the_process_exits_with_2_and_one_line_for_a_misspelt_subcommand():
    command = [sys.executable, "-m", "lightning_modules.cli", "fitt"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: There is no subcommand 'fitt'.")
