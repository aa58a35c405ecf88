"""How files are handled that others made: none of it changes a result."""

from dataclasses import dataclass

from console import UserError


@dataclass(frozen=True, kw_only=True)
class Handling:
    """Limits on the files of a run."""

    memory_gb: float = 4.0
    """Memory that a worker may take for one file or clip beyond what it holds already; a row that needs more
    gets an error. 0 for no limit"""

    def __post_init__(self):
        if self.memory_gb < 0:
            raise UserError(f"files.memory_gb is {self.memory_gb}; it must be above 0, or 0 for no limit.")
