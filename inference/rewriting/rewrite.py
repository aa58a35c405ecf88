"""Rewriting a list of prompts: the cache on disk, the checks, and the user's own prompt where they fail."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from inference.rewriting.rules import VERSION, faults, tidy
from storage import fingerprint, write_json


class RewriterError(Exception):
    """No answer came. `lasting` says that asking for the next prompt is no use either."""

    def __init__(self, message: str, *, lasting: bool) -> None:
        super().__init__(message)
        self.lasting = lasting


class Rewriter(Protocol):
    """A language model that can be asked."""

    name: str
    """Shown and stored; holds no secret."""
    identity: str
    """Changes with whatever changes the answers; part of the cache's key."""

    def ask(self, prompt: str, words: int) -> str:
        """Its raw answer to the rules' conversation for `prompt`, or a RewriterError."""
        ...


class Rewritten(NamedTuple):
    """What the user typed, what the model will read, and who wrote that: None is the user."""

    user: str
    prompt: str
    by: str | None

    def facts(self) -> dict[str, str | None]:
        """For the facts beside a result, whose "prompt" is what the model read."""
        return {"user_prompt": self.user, "rewritten_by": self.by}


class Rewrites:
    """Rewrites prompts and says so on stdout; where it cannot, it warns on stderr and keeps the user's.

    Args:
        rewriter: Who is asked.
        folder: Of answers that passed the checks, one JSON file each; they are not asked for again.
        words: Length that an answer may have.
    """

    def __init__(self, rewriter: Rewriter, folder: Path, words: int) -> None:
        self.rewriter, self.folder, self.words = rewriter, folder, words

    def rewrite(self, prompts: Sequence[str]) -> list[Rewritten]:
        """One for each of `prompts`; the same prompt is asked for once."""
        done: dict[str, Rewritten] = {}
        broken: str | None = None
        for prompt in prompts:
            if prompt in done:
                continue
            found = self._stored(prompt)
            if found is None and broken is None:
                found, broken = self._asked(prompt)
            elif found is None:
                _warn(prompt, f"was not rewritten either: {broken}")
            done[prompt] = found or Rewritten(prompt, prompt, None)
            if found is not None:
                print(f"your prompt: {prompt}\nrewritten:   {found.prompt}   (by {found.by})")
        return [done[prompt] for prompt in prompts]

    def _asked(self, prompt: str) -> tuple[Rewritten | None, str | None]:
        """The new prompt if there is a good one, and what keeps all others from being rewritten."""
        try:
            answer = self.rewriter.ask(prompt, self.words)
        except RewriterError as fault:
            _warn(prompt, f"was not rewritten: {fault}. Your own prompt is used.")
            return None, str(fault) if fault.lasting else None
        if wrong := faults(prompt, answer, self.words):
            _warn(
                prompt,
                f"was not rewritten: the answer of {self.rewriter.name} breaks the rules "
                f"({'; '.join(wrong)}). Your own prompt is used.",
            )
            return None, None
        rewritten = Rewritten(prompt, tidy(answer), self.rewriter.name)
        write_json(self._file(prompt), rewritten._asdict())
        return rewritten, None

    def _stored(self, prompt: str) -> Rewritten | None:
        """From the cache, unless what is there is damaged or breaks the rules."""
        try:
            stored = Rewritten(**json.loads(self._file(prompt).read_text(encoding="utf-8")))
            good = stored.user == prompt and not faults(prompt, stored.prompt, self.words)
        except (OSError, ValueError, TypeError, AttributeError):
            return None
        return stored if good else None

    def _file(self, prompt: str) -> Path:
        return self.folder / f"{fingerprint([VERSION, self.rewriter.identity, self.words, prompt])}.json"


def _warn(prompt: str, message: str) -> None:
    shown = prompt if len(prompt) <= 60 else f"{prompt[:40]}..."
    print(f"warning: '{shown}' {message}", file=sys.stderr)
