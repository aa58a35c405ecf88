"""How files are handled that others made: none of it changes a result."""

from dataclasses import dataclass, fields

from console import UserError


@dataclass(frozen=True, kw_only=True)
class Handling:
    """Limits on the files of a run."""

    memory_gb: float = 4.0
    """Memory that a worker may take for one file or clip beyond what it holds already; a row that needs more
    gets an error. 0 for no limit"""
    cache_gb: float = 100.0
    """Copies of remote files and of members of tars that are kept on this disk, in work/files; those that
    were not used for longest go first"""
    fetch_gb: float = 20.0
    "A remote file that is larger is not fetched"
    fetch_seconds: float = 480.0
    "Nor is one that takes longer, with all attempts"
    attempts: int = 3
    "How often a remote file is asked for, with growing pauses"

    def __post_init__(self):
        for one in fields(self):
            least = 0 if one.name == "memory_gb" else 1e-9
            if not getattr(self, one.name) >= least:
                raise UserError(f"files.{one.name} is {getattr(self, one.name)}; it must be above 0.")
