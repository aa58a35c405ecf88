"""Every command that a document or the Makefile shows is understood by the program that it names."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TYPED = re.compile(r"^(?:\d+\. |\$ )?((?:python -m|lightning|make|pre-commit|source) .*)$")


def commands(text: str) -> list[str]:
    """The command lines of the code blocks of a document: fenced, or indented by four spaces."""
    fenced = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    indented = re.findall(r"^ {4}(\S.*)$", text, flags=re.MULTILINE)
    lines = [line.strip() for block in fenced for line in block.replace("\\\n", " ").splitlines()] + indented
    parts = [part.split(" #")[0].strip() for line in lines for part in line.split(" && ")]
    return [match[1] for part in parts if (match := TYPED.match(part))]


def documented() -> list[str]:
    documents = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md")]
    return sorted({line for document in documents for line in commands(document.read_text())})


def check_make(words: list[str]) -> None:
    subprocess.run(["make", "--dry-run", *words], capture_output=True, cwd=ROOT, check=True)


def check_pre_commit(words: list[str]) -> None:
    assert words == ["install"]
    assert shutil.which("pre-commit", path=str(ROOT / ".venv" / "bin"))


def check_python(words: list[str]) -> None:
    """By the module's own parser, which refuses by SystemExit."""
    module, *arguments = words
    packages = ("evaluation.toy_world", "parallel.plan")
    entry = import_module(f"{module}.__main__" if module in packages else module)
    parser = (getattr(entry, "parser", None) or entry._parser)()
    if module == "curation.run" and not {*arguments[:1]} & {*entry.VERBS, "-h", "--help"}:
        arguments.insert(0, "run")  # its default verb
    assert not exit_code(lambda: parser.parse_args(arguments) and 0)


def check_lightning(words: list[str]) -> None:
    """By resolving the config, without building anything."""
    from lightning_modules.cli import run

    assert not exit_code(lambda: run([*words, "--print_config"]))


def exit_code(call: Callable[[], int | None]) -> int | str | None:
    try:
        return call()
    except SystemExit as end:
        return end.code


CHECKS: dict[str, Callable[[list[str]], None]] = {
    "make": check_make,
    "pre-commit": check_pre_commit,
    "lightning": check_lightning,
    "python": lambda words: check_python(words[1:]),
    "source": lambda words: None,
}


def check(line: str) -> None:
    program, *words = shlex.split(line)
    CHECKS[program](words)


@pytest.mark.parametrize("line", documented())
def test_a_documented_command_is_understood(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    check(line)


def test_the_steps_of_the_demo_are_understood(
    steps_of_the_demo: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert len(steps_of_the_demo) == 9
    for line in steps_of_the_demo:
        check(line)


def test_the_documents_show_the_commands_that_matter() -> None:
    """Guards `documented` against finding nothing."""
    found = " ".join(documented())
    wanted = ["make demo", "curation.run", "lightning fit", "inference.run t2v", "evaluation.run report"]
    assert [command for command in wanted if command not in found] == []
