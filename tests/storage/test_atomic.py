"""A target is whole or absent, and what stood there before stays until the new one is whole."""

import errno
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from storage import atomic_path, write_json, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_under_its_name_and_nothing_else_stays(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "a.txt"
    write_text(target, "größe\n")
    assert target.read_text(encoding="utf-8") == "größe\n"
    assert names(target.parent) == ["a.txt"]


def test_json_comes_back_as_it_went_in(tmp_path: Path) -> None:
    value = {"b": [1, 2.5, None], "a": {"größe": True}}
    write_json(tmp_path / "a.json", value)
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == value


def test_the_path_to_write_to_keeps_the_name_and_is_not_seen_by_readers(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "clip.mp4") as temporary:
        temporary.write_bytes(b"half")
        assert temporary.name == "clip.mp4"
        assert list(tmp_path.glob("*.mp4")) == []
    assert list(tmp_path.glob("*.mp4")) == [tmp_path / "clip.mp4"]


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt(), OSError(errno.ENOSPC, "full")])
def test_a_failure_leaves_the_old_file_and_nothing_beside_it(error: BaseException, tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    write_text(target, "old")

    def write() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("new")
            raise error

    with pytest.raises(type(error)):
        write()
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_sync_that_fails_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some file systems report a full disk only when the bytes are forced out."""

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_text(tmp_path / "a.txt", "new")
    assert names(tmp_path) == []


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a.txt"):
        pass
    assert names(tmp_path) == []


def test_the_size_limit_of_a_process_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    write_text(target, "old")
    program = f"""
import resource
from storage import write_text
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
write_text({str(target)!r}, "x" * 5000)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "File too large" in result.stderr
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_kill_in_mid_write_leaves_the_old_file_and_the_next_write_works(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    write_text(target, "old")
    program = f"""
import time
from storage import atomic_path
with atomic_path({str(target)!r}) as temporary:
    with temporary.open("w") as file:
        file.write("ne"); file.flush()
        print("writing", flush=True)
        time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        process.send_signal(signal.SIGKILL)
    assert target.read_text() == "old"
    assert list(tmp_path.glob("*.txt")) == [target]
    write_text(target, "new")
    assert target.read_text() == "new"


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_the_umask_is_honoured(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        write_text(tmp_path / "a.txt", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o666 & ~umask


def test_the_longest_name_that_a_file_system_takes_can_be_written(tmp_path: Path) -> None:
    name = "p" * 251 + ".png"
    write_text(tmp_path / name, "x")
    assert names(tmp_path) == [name]
