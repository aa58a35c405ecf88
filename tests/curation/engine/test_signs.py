"""A sign that was written is read, whatever becomes of its writer."""

import multiprocessing
import os

from curation.engine.signs import FORM, Pen, folder_of_signs, read


def write_and_die(path):
    pen = Pen(path)
    for row in range(3):
        pen.write(7, row)
    os.kill(os.getpid(), 9)


def test_the_last_row_is_known_after_a_sudden_death(tmp_path):
    process = multiprocessing.get_context("fork").Process(target=write_and_die, args=(tmp_path / "1",))
    process.start()
    process.join()
    assert process.exitcode == -9
    assert read(tmp_path / "1") == (7, 2, 3)


def test_before_the_first_sign_there_is_no_attempt(tmp_path):
    assert read(tmp_path / "none")[0] == 0
    (tmp_path / "torn").write_bytes(b"x" * (FORM.size - 1))
    assert read(tmp_path / "torn")[0] == 0


def test_a_new_run_removes_the_signs_of_killed_ones(tmp_path):
    old = folder_of_signs(tmp_path)
    Pen(old / "1").write(1, 1)
    new = folder_of_signs(tmp_path)
    assert list(tmp_path.iterdir()) == [new]
