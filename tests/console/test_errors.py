"""Every failure that a user can mend ends a command with one message and its own exit code."""

import errno
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from console import UserError, command

LIMIT = 100_000  # bytes


def run(main: Callable[[], int | None]) -> int:
    with pytest.raises(SystemExit) as stop:
        command(main)
    assert isinstance(stop.value.code, int)
    return stop.value.code


def fail_with(error: BaseException) -> Callable[[], int]:
    def main() -> int:
        raise error

    return main


def test_a_command_exits_with_what_it_returns() -> None:
    assert run(lambda: None) == 0
    assert run(lambda: 7) == 7


def test_a_users_fault_is_one_message_and_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(fail_with(UserError("Folder 'raw' holds no video. Name another."))) == 2
    captured = capsys.readouterr()
    assert captured.err == "error: Folder 'raw' holds no video. Name another.\n"
    assert captured.out == ""


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        command(lambda: 1 // 0)
    with pytest.raises(ValueError, match="plain"):
        command(fail_with(ValueError("plain")))
    with pytest.raises(FileNotFoundError):
        command(fail_with(FileNotFoundError(errno.ENOENT, "No such file", "a.mp4")))


def test_a_full_disk_is_code_3_and_names_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(fail_with(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "shards/a.tar"))) == 3
    message = capsys.readouterr().err
    assert "shards/a.tar" in message
    assert message.count("\n") == 1


def test_a_full_disk_is_found_below_the_error_that_wraps_it() -> None:
    def main() -> None:
        try:
            raise OSError(errno.ENOSPC, "full")
        except OSError as error:
            raise RuntimeError("the logger failed") from error

    assert run(main) == 3


def test_a_full_sqlite_store_is_code_3() -> None:
    def main() -> None:
        store = sqlite3.connect(":memory:")
        store.execute("PRAGMA max_page_count = 3")
        store.execute("CREATE TABLE run (metrics)")
        store.execute(f"INSERT INTO run VALUES (zeroblob({LIMIT}))")

    assert run(main) == 3


@pytest.mark.parametrize("writer", ["numpy", "safetensors", "torch", "parquet", "text"])
def test_each_writer_at_the_size_limit_is_code_3(writer: str, tmp_path: Path) -> None:
    """A limit on the size of a file fails in the midst of a write, as a full disk does."""
    writers = {
        "numpy": "import numpy; numpy.save(path, numpy.zeros(10**6))",
        "safetensors": "import numpy; from safetensors.numpy import save_file; "
        "save_file({'x': numpy.zeros(10**6)}, path)",
        "torch": "import torch; torch.save({'x': torch.zeros(10**6)}, path)",
        "parquet": "import numpy, pyarrow as pa; from pyarrow.parquet import write_table; "
        "write_table(pa.table({'x': numpy.random.rand(10**6)}), path)",
        "text": "open(path, 'w').write('x' * 10**6)",
    }
    program = f"""
import resource
from console import command
def main():
    path = {str(tmp_path / "file")!r}
    {writers[writer]}
resource.setrlimit(resource.RLIMIT_FSIZE, ({LIMIT}, {LIMIT}))
command(main)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 3, result.stderr
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


def test_ctrl_c_is_one_message_and_code_130() -> None:
    program = """
import time
from console import command
def main():
    print("ready", flush=True)
    time.sleep(60)
command(main)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, message = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "same command again" in message
    assert message.count("\n") == 1


def test_a_count_in_an_ordinary_message_is_no_full_disk() -> None:
    with pytest.raises(ValueError, match="shape"):
        command(fail_with(ValueError(f"shape {np.zeros(3).shape} requested")))
