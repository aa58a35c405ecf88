"""The folder to write to, checked before any work is done."""

import os
from pathlib import Path

from console import UserError


def check_folder(out: Path) -> None:
    """Say in the user's words why `out` cannot be a folder to write to, if it cannot."""
    for place in (out, *out.absolute().parents):
        if place.is_dir():
            if not os.access(place, os.W_OK | os.X_OK):
                raise UserError(f"{place} may not be written to. Choose another folder for --out.")
            return
        if place.exists() or place.is_symlink():
            raise UserError(f"{place} is not a folder; --out needs one. Choose another path.")
