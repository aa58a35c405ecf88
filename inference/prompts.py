"""What a user asks for: prompts from the command line or a file, each with its seed."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from console import UserError
from models.text import TextEncoder, TextEnsemble
from models.text.ensemble import READS, readers_of
from models.text.quotes import find_quotes

STRANGER = "\U00010190"  # the Roman sextans: no text encoder was taught it

SEEDS = 2**64  # torch's generators take as many


class Request(NamedTuple):
    """One clip to make. The seed alone decides its noise, whatever else is in the batch.

    `image` is the path of its first frame, where one is given.
    """

    prompt: str
    seed: int
    image: str | None = None


def requests(prompts: Sequence[str], seed: int, count: int) -> list[Request]:
    """`count` seeds from `seed` on for each prompt, in order and without repeats."""
    if count < 1:
        raise UserError(f"--count must be at least 1; {count} came.")
    if not 0 <= seed <= SEEDS - count:
        raise UserError(f"Seeds must lie from 0 to {SEEDS - 1}; {seed} to {seed + count - 1} came.")
    pairs = [Request(_checked(prompt), seed + offset) for prompt in prompts for offset in range(count)]
    return list(dict.fromkeys(pairs))


def read_prompts(path: Path | str) -> list[str]:
    """Prompts of a file: one a line, or where the name ends in .jsonl, JSON lines with a "prompt" each.

    Empty lines are passed over, and in plain files lines that begin with #.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")  # other breaks may stand within a prompt
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


def warn_of(
    prompts: Sequence[str], text: TextEncoder | TextEnsemble, worded: Callable[[str], str] = str
) -> None:
    """Say on stderr what of the prompts a text encoder will not read, or may read as it was not meant.

    Each encoder is asked about its part of a prompt, behind the prefix that `worded` puts before it.
    """
    for prompt in dict.fromkeys(prompts):
        faults = []
        for encoder, part in readers_of(text):
            read = READS[part](worded(prompt))
            faults += [_cut(read, part, encoder), _unread(read, encoder)]
        for fault in dict.fromkeys(filter(None, [*faults, _unbalanced(prompt)])):
            print(f"warning: '{_short(prompt)}' {fault}", file=sys.stderr)


def _cut(read: str, part: str, text: TextEncoder) -> str | None:
    tokens = text.count(read)
    if tokens <= text.max_tokens:
        return None
    what = "tokens" if part == "prompt" else f"{part} tokens"
    return (
        f"has {tokens:,} {what}; the text encoder '{text.name}' reads the first {text.max_tokens}, the rest "
        "has no effect."
    )


def _unread(prompt: str, text: TextEncoder) -> str | None:
    """A sign is unknown to the encoder where it reads the same with a stranger in its place."""
    signs = sorted({letter for letter in prompt if not letter.isascii() and letter != STRANGER})
    unknown = [sign for sign in signs if _alike(text, prompt, prompt.replace(sign, STRANGER))]
    if not unknown:
        return None
    return (
        f"has {' '.join(unknown[:8])}{' ...' if len(unknown) > 8 else ''}, which the text encoder does not "
        "know: a word with such a sign says nothing about the clip. Write it in the encoder's language."
    )


def _alike(text: TextEncoder, prompt: str, other: str) -> bool:
    (known, strange), mask = text.encode([prompt, other])
    return torch.equal(mask[0], mask[1]) and torch.allclose(known, strange, atol=1e-5)


def _unbalanced(prompt: str) -> str | None:
    if find_quotes(prompt).balanced:
        return None
    return (
        "has a quotation mark without its partner: the mark is read as a letter, and what follows it is not "
        "taken for text to show. Close the quotation, or leave the mark out."
    )


def _short(prompt: str) -> str:
    return prompt if len(prompt) <= 60 else f"{prompt[:40]}..."


def _checked(prompt: str) -> str:
    prompt = " ".join(prompt.split())
    try:
        prompt.encode()
    except UnicodeEncodeError as error:  # bytes of an argument that are no UTF-8
        raise UserError(
            f"The prompt {prompt[:60]!r} is not UTF-8 text. Is the terminal set to it?"
        ) from error
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
