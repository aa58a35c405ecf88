"""What a user asks for: prompts from the command line or a file, each with its seed."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from console import UserError
from models.text import TextEncoder


class Request(NamedTuple):
    """One clip to make. The seed alone decides its noise, whatever else is in the batch."""

    prompt: str
    seed: int


def requests(prompts: Sequence[str], seed: int, count: int) -> list[Request]:
    """`count` seeds from `seed` on for each prompt, in order and without repeats."""
    if count < 1:
        raise UserError(f"--count must be at least 1; {count} came.")
    pairs = [Request(_checked(prompt), seed + offset) for prompt in prompts for offset in range(count)]
    return list(dict.fromkeys(pairs))


def read_prompts(path: Path | str) -> list[str]:
    """Prompts of a file: one a line, or where the name ends in .jsonl, JSON lines with a "prompt" each.

    Empty lines are passed over, and in plain files lines that begin with #.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The prompt file '{path}' cannot be read: {error}") from error
    numbered = [(number, line.strip()) for number, line in enumerate(lines, start=1) if line.strip()]
    if path.suffix == ".jsonl":
        prompts = [_from_json(path, number, line) for number, line in numbered]
    else:
        prompts = [line for _, line in numbered if not line.startswith("#")]
    if not prompts:
        raise UserError(f"'{path}' holds no prompt. Write one a line.")
    return prompts


def warn_of_cuts(prompts: Sequence[str], text: TextEncoder) -> None:
    """Say on stderr which prompts are longer than the encoder reads."""
    for prompt in dict.fromkeys(prompts):
        tokens = text.count(prompt)
        if tokens > text.max_tokens:
            print(
                f"warning: '{prompt[:40]}...' has {tokens:,} tokens; the text encoder reads the first "
                f"{text.max_tokens} and the rest has no effect.",
                file=sys.stderr,
            )


def _checked(prompt: str) -> str:
    prompt = " ".join(prompt.split())
    if not prompt:
        raise UserError('The prompt is empty. Say what to show, such as "a red ball moves left".')
    return prompt


def _from_json(path: Path, number: int, line: str) -> str:
    try:
        return _checked(json.loads(line)["prompt"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f'{path}, line {number}: a line must be {{"prompt": "..."}}; {line[:60]} came.'
        ) from error
