"""Print requirements.lock: exact pins of what the demo, the tests and their tools need, as installed here.

    .venv/bin/python .ci/lock.py > requirements.lock

Unlike `pip freeze` it starts at pyproject.toml and follows what each distribution asks for, so that a package
that merely happens to be installed is not pinned, and one that is missing or too old is an error.
"""

import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

EXTRAS = ("samples", "dev")  # what the tests need of `ray`, `faces` and `audio` is in dev
LINUX = 'platform_system == "Linux"'  # torch asks for its CUDA libraries there and nowhere else
HEADER = """\
# Exact pins of what `make demo` and `make test` were tested with, on Linux x86-64 and Python 3.11.
# Written by `.venv/bin/python .ci/lock.py > requirements.lock`; do not edit.
"""


def closure(project: dict) -> dict[str, tuple[str, bool]]:
    """Version of every distribution that is needed, by name, and whether only Linux needs it."""
    roots = project["dependencies"] + [
        line for extra in EXTRAS for line in project["optional-dependencies"][extra]
    ]
    pins: dict[str, tuple[str, bool]] = {}
    seen: set[tuple[str, frozenset[str], bool]] = set()
    queue = [(Requirement(line), frozenset[str](), False) for line in roots]
    while queue:
        asked, extras_of_parent, linux_only = queue.pop()
        if asked.marker and not any(
            asked.marker.evaluate({"extra": extra}) for extra in extras_of_parent | {""}
        ):
            continue
        linux_only = linux_only or (asked.marker is not None and LINUX in str(asked.marker))
        name, extras = canonicalize_name(asked.name), frozenset(asked.extras)
        if (name, extras, linux_only) in seen:
            continue
        seen.add((name, extras, linux_only))
        version = _installed(asked)
        pins[name] = (version, linux_only and pins.get(name, ("", True))[1])
        queue += [(Requirement(line), extras, linux_only) for line in distribution(name).requires or []]
    return pins


def _installed(asked: Requirement) -> str:
    try:
        version = distribution(asked.name).version
    except PackageNotFoundError:
        sys.exit(
            f"error: {asked} is not installed here: pip install '{asked}', test, then write the lock again"
        )
    if not asked.specifier.contains(version, prereleases=True):
        sys.exit(f"error: {asked.name} {version} is installed, {asked} is needed")
    return version


def main() -> None:
    """Print the lock to stdout."""
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    print(HEADER, end="")
    for name, (version, linux_only) in sorted(closure(project).items()):
        print(f"{name}=={version}" + (f" ; {LINUX}" if linux_only else ""))


if __name__ == "__main__":
    main()
