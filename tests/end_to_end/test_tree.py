"""Laws of the repository as a whole: sizes, names, pins, and documents that name only what exists."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
COMMANDS = [
    "curation.run",
    "parallel.plan",
    "inference.run",
    "evaluation.run",
    "evaluation.toy_world",
    "lightning_modules.cli",
    "lightning_modules.consolidate",
]

FILE_LINES = 300
FUNCTION_LINES = 50
VAGUE = {"utils", "util", "common", "misc", "helpers", "base"}


def sources() -> list[Path]:
    return sorted(path for package in [*PACKAGES, "tests", ".ci"] for path in (ROOT / package).rglob("*.py"))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_file_fits_on_a_few_pages() -> None:
    lines = {name(path): path.read_text().count("\n") for path in sources()}
    assert {path: count for path, count in lines.items() if count > FILE_LINES} == {}


def test_every_function_fits_on_a_page() -> None:
    def functions() -> Iterator[tuple[str, int]]:
        for path in sources():
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield f"{name(path)}:{node.name}", (node.end_lineno or 0) - node.lineno + 1

    assert {found: count for found, count in functions() if count > FUNCTION_LINES} == {}


def test_every_source_says_what_it_is() -> None:
    silent = [name(path) for path in sources() if ast.get_docstring(ast.parse(path.read_text())) is None]
    assert silent == []


def test_nothing_has_a_vague_name() -> None:
    assert [name(path) for path in sources() if VAGUE & {*path.relative_to(ROOT).with_suffix("").parts}] == []


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    home = re.compile(r"(?<![\w.$}/])/(home|root|work|Users|mnt)/\w")
    texts = [
        *sources(),
        *DOCUMENTS,
        *ROOT.glob("configs/**/*.yaml"),
        ROOT / "Makefile",
        ROOT / "requirements.lock",
    ]
    assert [name(path) for path in texts if home.search(path.read_text())] == []


def test_the_wheel_has_every_package() -> None:
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert found == set(PACKAGES)
    assert set(PROJECT["tool"]["importlinter"]["root_packages"]) == set(PACKAGES)
    assert set(PROJECT["tool"]["pyright"]["include"]) == set(PACKAGES)


def test_the_lock_pins_whatever_is_asked_for_and_no_window_opencv() -> None:
    lines = [
        line for line in (ROOT / "requirements.lock").read_text().splitlines() if not line.startswith("#")
    ]
    pins = {canonicalize_name(pin.name): pin for pin in map(Requirement, lines)}
    extras = PROJECT["project"]["optional-dependencies"]
    for asked in map(Requirement, PROJECT["project"]["dependencies"] + extras["samples"] + extras["dev"]):
        (exact,) = pins[canonicalize_name(asked.name)].specifier
        assert exact.operator == "=="
        assert asked.specifier.contains(exact.version), asked
    assert "opencv-python-headless" in pins
    assert not {"opencv-python", "scenedetect", "torchaudio"} & set(pins)
    assert not [line for line in lines if "://" in line or "@" in line or line.startswith("-")]


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_a_document_names_files_that_exist(document: Path) -> None:
    text = document.read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert [link for link in links if not (document.parent / link).exists()] == []
    code = rf"`((?:{'|'.join([*PACKAGES, 'tests', 'configs', 'docs'])})/[\w./-]*\w/?)`"
    paths = [
        path for path in re.findall(code, text) if not re.search("[A-Z]{4}", path)
    ]  # NAME is for the reader
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("module", COMMANDS)
def test_a_command_can_be_asked_for_help_without_waiting_for_torch(module: str) -> None:
    """The time itself depends on the machine; what is imported does not."""
    program = f"""
import runpy, sys
sys.argv = ["{module}", "--help"]
try:
    runpy.run_module("{module}", run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code
heavy = {{"torch", "lightning", "mlflow", "transformers", "cv2", "onnxruntime", "pandas", "scipy"}}
sys.exit(f"imported {{found}}" if (found := heavy & set(sys.modules)) else 0)
"""
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "usage" in result.stdout.lower()
