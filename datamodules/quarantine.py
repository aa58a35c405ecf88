"""Quarantine: samples that training leaves out since a run went wrong on them or could not read them, in a
file for people too.

{"<fingerprint of the data>": {"<number of the sample>": {"clip_id": ..., "reason": ..., "step": ...}}}
"""

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from console import UserError
from storage import write_json

FILE = "quarantine.json"  # in the folder of the run
LOCK = ".quarantine.lock"


class Quarantine:
    """The file of one run. Validation does not look into it."""

    def __init__(self, folder: Path | str) -> None:
        self.path = Path(folder) / FILE

    def numbers(self, data: str) -> frozenset[int]:
        """The samples to leave out of the data of that fingerprint."""
        return frozenset(map(int, self._read().get(data, {})))

    def add(self, data: str, samples: Mapping[int, Mapping[str, Any]]) -> None:
        """Leave `samples` out from now on, with what is to be known of each; any process may say so."""
        with _alone_in(self.path.parent):
            content = self._read()
            known = content.get(data, {})
            content[data] = {**known, **{str(number): dict(facts) for number, facts in samples.items()}}
            write_json(self.path, content)

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            return {data: {str(int(number)): facts for number, facts in samples.items()}
                    for data, samples in content.items()}  # fmt: skip
        except FileNotFoundError:
            return {}
        except (ValueError, AttributeError) as error:
            raise UserError(
                f"'{self.path}' is no list of samples ({error}). Mend it, or remove it to train on all again."
            ) from error


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """One process at a time; the kernel lets go with the process, however that ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / LOCK, "a") as file:  # for writing: NFS locks no other
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
