"""Text in quotation marks: what a prompt wants to see written in the picture, kept letter by letter (A.1)."""

from typing import NamedTuple

CLOSES = {'"': '"', "\u201c": "\u201d", "\u201e": "\u201c\u201d", "\u00ab": "\u00bb"}  # no apostrophes
STRAY = {"\u201d", "\u00bb"}  # these close and never open


class Quotes(NamedTuple):
    """The quoted texts of a prompt in order, and whether each mark has its partner."""

    texts: tuple[str, ...]
    balanced: bool


def find_quotes(prompt: str) -> Quotes:
    """Quoted texts without their marks; what follows a mark that is never closed is not quoted."""
    texts, start, closes, balanced = [], 0, "", True
    for place, letter in enumerate(prompt):
        if closes and letter in closes:
            texts.append(prompt[start:place])
            closes = ""
        elif not closes and letter in CLOSES:
            start, closes = place + 1, CLOSES[letter]
        elif not closes and letter in STRAY:
            balanced = False
    return Quotes(tuple(texts), balanced and not closes)
