"""Array scripts are chained and waited for; sbatch is a stand-in that runs their tasks as processes here."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from console import UserError
from curation.engine.slurm import OnSlurm, Slurm, Step

HERE = Path(__file__).parent


@pytest.fixture
def scheduler(tmp_path, monkeypatch):
    """sbatch and scancel on PATH; the folder of their state."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sbatch", "scancel"):
        shutil.copy(HERE / "sbatch.sh", folder / name)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SLURM", str(tmp_path / "state"))
    return tmp_path / "state"


def note(path: Path, then: str = "") -> tuple[str, ...]:
    """A command of a task that writes its share to a file."""
    code = f"import sys; open({str(path)!r}, 'a').write(sys.argv[-1] + chr(10)); {then}"
    return (sys.executable, "-c", code)


def steps(folder: Path, then: str = "") -> list[Step]:
    return [Step(("a", "b"), 3, note(folder / "first", then)), Step(("c",), 1, note(folder / "second"))]


def test_each_task_of_each_step_runs_once_and_steps_wait_for_one_another(scheduler, tmp_path):
    slurm = Slurm(OnSlurm(), tmp_path / "out 1", tmp_path)
    again = f"print(open({str(tmp_path / 'first')!r}).read())"
    todo = [steps(tmp_path)[0], Step(("c",), 1, note(tmp_path / "second", again))]
    assert slurm.run(slurm.write(todo, ("true",)))
    assert sorted((tmp_path / "first").read_text().split()) == ["0/3", "1/3", "2/3"]
    assert (tmp_path / "second").read_text() == "0/1\n"
    (log,) = (tmp_path / "out 1" / "logs").glob("curation-c-*_0.log")
    assert len(log.read_text().split()) == 3  # the second began after all of the first


def test_a_failed_task_ends_the_chain(scheduler, tmp_path):
    slurm = Slurm(OnSlurm(), tmp_path / "out", tmp_path)
    assert not slurm.run(slurm.write(steps(tmp_path, "sys.exit(sys.argv[-1] == '1/3')"), ("true",)))
    assert len((tmp_path / "first").read_text().split()) == 3
    assert not (tmp_path / "second").exists()


def test_options_are_those_of_all_steps_and_of_the_stages_in_it(tmp_path):
    settings = OnSlurm(options=("--mem=8G",), stages={"b": ("--gres=gpu:1",), "z": ("--time=1",)})
    slurm = Slurm(settings, tmp_path, tmp_path)
    first, second = (path.read_text() for path in slurm.write(steps(tmp_path), ("true",)))
    assert "#SBATCH --array=0-2\n" in first
    assert "#SBATCH --mem=8G\n#SBATCH --gres=gpu:1\n" in first
    assert "gres" not in second
    assert "--time" not in first
    for wrong in ("mem=8G", "--mem=8G\nrm"):
        with pytest.raises(UserError, match="is no option of sbatch"):
            OnSlurm(options=(wrong,))


def test_the_chain_can_be_submitted_by_hand(scheduler, tmp_path):
    slurm = Slurm(OnSlurm(), tmp_path / "out", tmp_path)
    slurm.write(steps(tmp_path), ("touch", str(tmp_path / "the end")))
    said = subprocess.run(
        ["sh", str(slurm.folder / "submit.sh")], capture_output=True, text=True, timeout=20, check=True
    )
    assert said.stdout.split() == ["1-a+b:", "job", "101", "2-c:", "job", "102", "3-end:", "job", "103"]
    until = time.monotonic() + 20
    while not (scheduler / "103.code").exists() and time.monotonic() < until:
        time.sleep(0.1)
    assert (tmp_path / "the end").exists()


def test_ctrl_c_cancels_what_was_submitted(scheduler, tmp_path):
    code = (
        "from pathlib import Path; from console import command\n"
        "from curation.engine.slurm import OnSlurm, Slurm, Step\n"
        f"slurm = Slurm(OnSlurm(), Path({str(tmp_path / 'out')!r}), Path({str(tmp_path)!r}))\n"
        "todo = [Step(('a',), 2, ('sh', '-c', 'sleep 60')), Step(('b',), 1, ('true',))]\n"
        "command(lambda: int(not slurm.run(slurm.write(todo, ('true',)))))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, cwd=HERE.parents[2]
    )
    until = time.monotonic() + 20
    while not (scheduler / "102.pid").exists() and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    with process:
        said = process.communicate(timeout=20)[1]
    assert process.returncode == 130
    assert "Traceback" not in said
    assert (scheduler / "cancelled").read_text().split() == ["101", "102"]


def test_what_sbatch_says_against_a_script_is_passed_on(scheduler, tmp_path, monkeypatch):
    slurm = Slurm(OnSlurm(), tmp_path / "out", tmp_path)
    with pytest.raises(UserError, match=r"did not take .*none\.sh .*Unable to open file"):
        slurm.run([tmp_path / "none.sh"])
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match=r"sbatch, which is not on PATH.*submit=false"):
        slurm.run([tmp_path / "none.sh"])
