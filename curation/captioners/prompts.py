"""Prompt templates: text files in configs/curation/prompts with fields in braces."""

from pathlib import Path
from string import Formatter

from console import UserError
from curation.settings import suggest
from curation.stage import Row

FIELDS = ("frames", "seconds")


def read_prompt(name: str) -> str:
    """The template of that name, or of the file at that path. A UserError names what is wrong with it."""
    here = Path(__file__).parents[2] / "configs" / "curation" / "prompts"
    for candidate in (Path("configs/curation/prompts") / f"{name}.txt", here / f"{name}.txt", Path(name)):
        if candidate.is_file():
            return check_prompt(candidate.read_text(encoding="utf-8").strip(), str(candidate))
    known = sorted(path.stem for path in here.glob("*.txt"))
    raise UserError(
        f"There is no prompt {name!r}{suggest(name, known)}. Known: {', '.join(known)}, or give a path."
    )


def check_prompt(text: str, where: str) -> str:
    """`text`, if it says something and has known fields only."""
    try:
        fields = [field for _, field, _, _ in Formatter().parse(text) if field is not None]
    except ValueError as error:
        raise UserError(f"{where}: {error}. A brace that is meant as such is written twice.") from error
    unknown = [field for field in fields if field not in FIELDS]
    if unknown or not text:
        what = f"unknown field {{{unknown[0]}}}" if unknown else "the prompt is empty"
        raise UserError(f"{where}: {what}. Fields are {', '.join(f'{{{field}}}' for field in FIELDS)}.")
    return text


def filled(template: str, row: Row, frames: int) -> str:
    """The prompt of one clip."""
    return template.format(frames=frames, seconds=f"{row['seconds']:.1f}")
