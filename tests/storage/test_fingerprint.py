"""A fingerprint depends on the value and on nothing else."""

import dataclasses
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import fingerprint, hash_file

PLAIN = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
JSON = st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)


@dataclasses.dataclass(frozen=True)
class Blur:
    sigma: float


@dataclasses.dataclass(frozen=True)
class Sharpen:
    sigma: float


@dataclasses.dataclass(frozen=True)
class Settings:
    filter: Blur | Sharpen
    tags: frozenset[str] = frozenset()
    folder: Path = Path("data")


@given(st.dictionaries(st.text(), JSON))
def test_the_order_of_keys_does_not_matter(value: dict) -> None:
    assert fingerprint(value) == fingerprint(dict(reversed(value.items())))


@given(JSON, JSON)
def test_values_that_differ_get_names_that_differ(one: object, other: object) -> None:
    if repr(one) != repr(other):
        assert fingerprint([one]) != fingerprint([other]) or one == other


def test_two_classes_with_the_same_fields_differ_at_any_depth() -> None:
    assert fingerprint(Blur(1.0)) != fingerprint(Sharpen(1.0))
    assert fingerprint(Settings(Blur(1.0))) != fingerprint(Settings(Sharpen(1.0)))
    assert fingerprint(Settings(Blur(1.0))) == fingerprint(Settings(Blur(1.0)))


def test_it_is_the_same_in_every_process() -> None:
    """The hash of a string differs from process to process, and so does the order of a set."""
    program = "from storage import fingerprint; print(fingerprint({'tags': frozenset('abcdefgh')}))"
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2", "3")
    }
    assert found == {fingerprint({"tags": frozenset("abcdefgh")})}


def test_what_has_no_stable_text_is_refused() -> None:
    with pytest.raises(TypeError, match="object"):
        fingerprint(object())
    with pytest.raises(ValueError, match=r"(?i)nan|range"):
        fingerprint(float("nan"))


def test_a_file_is_named_by_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"x" * 3_000_000)
    assert hash_file(path) == hashlib.sha256(b"x" * 3_000_000).hexdigest()
