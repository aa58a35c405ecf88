"""What all captioners have in common: settings that an answer depends on, whose share a clip is (70 % and
30 % of two models in the paper, Sec. 3.2.1), and what was spent."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

import numpy as np
from jaxtyping import UInt8

from console import UserError
from curation.captioners.prompts import read_prompt

FAULT = "captioner"  # how the error of a clip begins that another run may mend: --retry captions
POSITIVE = ("weight", "frames", "size", "max_tokens")


@dataclass
class Spent:
    """What the clips of one captioner cost, whenever they were paid for."""

    clips: int = 0
    "With a caption"
    reused: int = 0
    "Of them, those whose answer was there already"
    failed: int = 0
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0


class Voice(ABC):
    """A captioner that is ready to work, in one worker process."""

    @abstractmethod
    def write(self, prompt: str, frames: list[UInt8[np.ndarray, "h w 3"]], spent: Spent) -> str:
        """A caption; what it takes is added to `spent`. A ValueError says why there is none."""


@dataclass(frozen=True, kw_only=True)
class Writer:
    """Settings of one captioner."""

    name: str
    "What the column `captioner` calls it"
    model: str
    "Model, as the server knows it"
    weight: float = 1.0
    "Share of the clips, beside the weights of the others"
    prompt: str = "video"
    "Template: a name in configs/curation/prompts, or a path"
    frames: int = 8
    "Frames shown, spread evenly"
    size: int = 512
    "Pixels of the longer side of a frame, at most"
    max_tokens: int = 400
    "Longest answer; what is cut off there is no caption"
    price_in: float = field(default=0.0, metadata={"resource": True})
    "Of a million prompt tokens, in any currency"
    price_out: float = field(default=0.0, metadata={"resource": True})
    "Of a million tokens of answers"

    def __post_init__(self):
        self.check(POSITIVE, ("price_in", "price_out"))
        read_prompt(self.prompt)

    def check(self, positive: Sequence[str], not_negative: Sequence[str]) -> None:
        """A UserError names the setting that is too small."""
        for key in positive:
            if not getattr(self, key) > 0:
                raise UserError(f"caption, {self.name}: {key} must be above 0; {getattr(self, key)} came.")
        for key in not_negative:
            if not getattr(self, key) >= 0:
                raise UserError(f"caption, {self.name}: {key} is {getattr(self, key)}; least is 0.")

    def answers_to(self) -> dict[str, Any]:
        """What an answer depends on: not where a server is, nor what others share the work."""
        kept = {f.name: getattr(self, f.name) for f in fields(self) if not f.metadata.get("resource")}
        shared = {"name": None, "weight": None, "prompt": read_prompt(self.prompt)}
        return {**kept, **shared, "kind": type(self).__name__}

    def identity(self) -> dict[str, Any]:
        """What the captions of a run depend on."""
        return {**self.answers_to(), "name": self.name, "weight": self.weight}

    def pay(self, spent: Spent, prompt_tokens: int, completion_tokens: int) -> None:
        """Add the tokens of a request and their price."""
        spent.prompt_tokens += prompt_tokens
        spent.completion_tokens += completion_tokens
        spent.cost += (prompt_tokens * self.price_in + completion_tokens * self.price_out) / 1e6


Kind = TypeVar("Kind", bound=Writer)


def share(clip_id: str, writers: Sequence[Kind]) -> Kind:
    """Whose clip it is: by its id alone, so that every run and every worker says the same. When weights
    change, only clips between the old and the new boundaries change hands."""
    digest = hashlib.sha256(f"captioner {clip_id}".encode()).digest()
    left = int.from_bytes(digest[:8]) / 2**64 * sum(one.weight for one in writers)
    for writer in writers:
        left -= writer.weight
        if left < 0:
            return writer
    return writers[-1]
