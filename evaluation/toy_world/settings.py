"""What a world is made of: numbers and shares, checked. The texts become the options' help."""

import argparse
import math
from dataclasses import dataclass, field
from typing import Any

from console import UserError
from evaluation.toy_world.scene import USUAL, Staging

FORMAT = 2  # of the folder; raised when the same settings come to mean other clips
STREAMS = (
    "moving",
    "camera",
    "bounce",
    "still",
    "reel",
    "spoiler",
    "identity",
    "edit",
    "counted",
)  # of chance, by number
VIEWS = 4  # clips of each identity
MIN_FRAMES, MIN_SIDE = 6, 32  # a clip must hold the cuts and slides of the spoilers, and a picture of its own


@dataclass(frozen=True, kw_only=True)
class Format:
    """The shape of a clip: pixels, frames, frames per second."""

    width: int
    height: int
    frames: int
    fps: float


def _say(text: str) -> dict[str, str]:
    return {"help": text}


def add_staging(parser: argparse.ArgumentParser) -> None:
    """Add `--size`, `--pace` and `--gap` to a command that measures clips of a world."""
    for name in ("size", "pace", "gap"):
        text = f"as the world was made with (default {getattr(USUAL, name):g})"
        parser.add_argument(f"--{name}", type=float, default=getattr(USUAL, name), help=text)


def checked_staging(staging: Staging) -> Staging:
    """The staging, or in the options' names why it cannot be."""
    size, pace, gap = staging.size, staging.pace, staging.gap
    if not (size > 0 and pace > 0 and gap >= 0 and staging.has_room()):
        raise UserError(
            f"--size {size:g} with --pace {pace:g} and --gap {gap:g} leaves sprites no room on their way "
            "through the frame. Give numbers above 0, one of them lower: --size 1.3 goes with --pace 0.4 and "
            "--gap 0.02, 1.2 with 0.4 and 0.08."
        )
    return staging


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The files of a world. What the shares and numbers leave are clips of one moving sprite."""

    clips: int = field(metadata=_say("number of files of every kind together"))
    seed: int = field(metadata=_say("the same seed gives the same bytes on one machine"))
    width: int = field(default=64, metadata=_say("pixels, even"))
    height: int = field(default=64, metadata=_say("pixels, even"))
    frames: int = field(default=16, metadata=_say("frames of a clip; a reel has several times as many"))
    fps: float = field(default=8.0, metadata=_say("frames per second"))
    size: float = field(default=USUAL.size, metadata=_say("factor of every sprite's radius"))
    pace: float = field(default=USUAL.pace, metadata=_say("factor of the ways that sprites and cameras go"))
    gap: float = field(
        default=USUAL.gap, metadata=_say("least distance of sprites that are counted, sides of the frame")
    )
    spoilers: float = field(default=0.10, metadata=_say("share of spoilt files, of every kind in turn"))
    camera: float = field(default=0.05, metadata=_say("share of clips in which the camera moves"))
    counted: float = field(
        default=0.0, metadata=_say("share of clips of one to three sprites whose captions count them")
    )
    stills: float = field(default=0.02, metadata=_say("share of still images"))
    bounces: float = field(
        default=0.05, metadata=_say("share of clips in which a sprite bounces with a sound")
    )
    reels: float = field(default=0.02, metadata=_say("share of long files of several shots, cut hard"))
    identities: int = field(default=0, metadata=_say(f"number of people, each seen in {VIEWS} clips"))
    edits: int = field(default=0, metadata=_say("number of pairs before and after an edit"))
    held_out: bool = field(
        default=False, metadata=_say("make only the combinations that are kept from training")
    )

    def __post_init__(self) -> None:
        if self.clips < 1:
            raise UserError(f"--clips is {self.clips}; a world needs at least 1 file.")
        if self.seed < 0:
            raise UserError(f"--seed is {self.seed}; give 0 or more.")
        for name in ("width", "height"):
            side = getattr(self, name)
            if side < MIN_SIDE or side % 2:
                raise UserError(
                    f"--{name} is {side}; video needs an even number of at least {MIN_SIDE} pixels."
                )
        if self.frames < MIN_FRAMES:
            raise UserError(
                f"--frames is {self.frames}; give {MIN_FRAMES} or more (single images: --stills 1)."
            )
        if not 1 <= self.fps <= 240:
            raise UserError(f"--fps is {self.fps:g}; give 1 to 240 frames per second.")
        checked_staging(self.staging)
        self._check_shares()

    def _check_shares(self) -> None:
        for name in ("spoilers", "camera", "counted", "stills", "bounces", "reels"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(
                    f"--{name} is {getattr(self, name):g}; it is a share of all files, from 0 to 1."
                )
        if min(self.identities, self.edits) < 0:
            raise UserError("--identities and --edits are numbers of 0 or more.")
        counts = self.counts()
        if counts["moving"] < 0:
            wanted = self.clips - counts["moving"]
            raise UserError(
                f"The shares and numbers ask for {wanted} files, but --clips is {self.clips}. "
                "Raise --clips or lower a share, --identities or --edits."
            )
        if counts["spoiler"] and not counts["moving"]:
            raise UserError(
                "Spoilers copy clips of a moving sprite, and these settings leave none: lower a share."
            )

    @property
    def staging(self) -> Staging:
        """How large things are and how far they go."""
        return Staging(size=self.size, pace=self.pace, gap=self.gap)

    @property
    def shape(self) -> Format:
        """The format of every clip."""
        return Format(width=self.width, height=self.height, frames=self.frames, fps=self.fps)

    def counts(self) -> dict[str, int]:
        """Number of files of each stream; `moving` takes what the others leave."""
        shares: dict[str, Any] = {
            "camera": self.camera,
            "bounce": self.bounces,
            "still": self.stills,
            "reel": self.reels,
            "spoiler": self.spoilers,
            "counted": self.counted,
        }
        counts = {name: math.floor(share * self.clips + 0.5) for name, share in shares.items()}
        counts |= {"identity": VIEWS * self.identities, "edit": 2 * self.edits}
        return {"moving": self.clips - sum(counts.values()), **counts}
