"""The models of a text-to-video product, opened together and checked to belong together (Sec. 3.4)."""

import dataclasses
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from console import UserError
from inference.rates import known_rates, usual_rate
from inference.weights import load_model
from models.tae import TAE, TAEConfig
from models.text import TextEncoder, TextEnsemble
from models.text.ensemble import open_text as open_written
from models.text.prefix import whole_rate, worded
from models.transformer import Transformer


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Size of a clip in frames and pixels; one frame is an image."""

    frames: int
    height: int
    width: int

    def latent(self, tae: TAEConfig) -> tuple[int, int, int]:
        """Frames, rows and columns of the latent of a TAE of this shape."""
        space = tae.space_factor
        return -(-self.frames // tae.time_factor), self.height // space, self.width // space

    def __str__(self) -> str:
        return f"{self.width}x{self.height}x{self.frames}"


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """Transformer and TAE on one device, text encoder on any, and the facts that the first trained under."""

    transformer: Transformer
    tae: TAE
    text: TextEncoder | TextEnsemble
    facts: dict[str, Any]
    """Of the transformer: fps, rates, frames, size [h, w], latent_mean, latent_std."""
    hash: str = ""
    """SHA-256 of the transformer's weights; empty while it is in training."""
    fps: float | None = None
    """Frames a second that are asked for; None is the rate that most clips of a bucket were trained at."""

    @property
    def device(self) -> torch.device:
        """Where the transformer lives."""
        return next(self.transformer.parameters()).device

    @property
    def shape(self) -> Shape:
        """What the transformer was trained to make."""
        height, width = self.facts["size"]
        return Shape(frames=self.facts["frames"], height=height, width=width)

    def worded(self, prompt: str, shape: Shape) -> str:
        """What the model reads for `prompt`, as captions in training; the null text stays null."""
        return worded(prompt, shape.frames, self._prefix, self.rate(shape)) if prompt else ""

    def rate(self, shape: Shape) -> float:
        """Frames a second of what is generated in that shape."""
        if self.fps is not None:
            return self.fps
        usual = usual_rate(self.facts.get("rates", {}), str(shape))
        return self.facts["fps"] if usual is None else usual

    def at(self, fps: float | None, shape: Shape, *, untrained: bool = False) -> "Pipeline":
        """This pipeline at `fps`; a rate that clips of `shape` were not trained at is a UserError, or if
        `untrained` a warning."""
        if fps is None:
            return self
        if not 0 < fps < math.inf:
            raise UserError(f"--fps must be more than 0; {fps:g} came.")
        known = known_rates(self.facts.get("rates", {}), str(shape)) or [whole_rate(self.facts["fps"])]
        if whole_rate(fps) not in known:
            rates = ", ".join(map(str, known))
            says = f"the model was not trained at {fps:g} frames a second, but at: {rates}"
            if not untrained:
                raise UserError(
                    f"--fps {fps:g}: {says}. Ask for one of these, or add --off-bucket to try it."
                )
            print(f"warning: {says}.", file=sys.stderr)
        if "fps" not in self._prefix:
            says = "the model reads no frame rate; --fps decides only how fast the clip is played"
            print(f"warning: {says}.", file=sys.stderr)
        return dataclasses.replace(self, fps=fps)

    @property
    def _prefix(self) -> Sequence[str]:
        return self.facts.get("text", {}).get("prefix", ())

    def denormalise(self, latent: Tensor) -> Tensor:
        """From unit scale, where the transformer works, back to the TAE's latent "b t c h w"."""
        mean = torch.as_tensor(self.facts["latent_mean"], dtype=latent.dtype, device=latent.device)
        std = torch.as_tensor(self.facts["latent_std"], dtype=latent.dtype, device=latent.device)
        return latent * std[:, None, None] + mean[:, None, None]

    def normalise(self, latent: Tensor) -> Tensor:
        """The inverse of `denormalise`."""
        mean = torch.as_tensor(self.facts["latent_mean"], dtype=latent.dtype, device=latent.device)
        std = torch.as_tensor(self.facts["latent_std"], dtype=latent.dtype, device=latent.device)
        return (latent - mean[:, None, None]) / std[:, None, None]

    def checked(self, shape: Shape) -> Shape:
        """`shape` if the transformer was trained on it, or on clips whose single frames it is."""
        trained = list(dict.fromkeys([str(self.shape), *self.facts.get("buckets", ())]))
        sizes = {bucket.rpartition("x")[0] for bucket in trained}
        if str(shape) not in trained and not (shape.frames == 1 and f"{shape.width}x{shape.height}" in sizes):
            raise UserError(
                f"The model has no bucket {shape} (width x height x frames). It was trained on: "
                f"{', '.join(trained)}. Ask for one of these, add --off-bucket to try a size that it never "
                "saw, or train on clips of that size."
            )
        return self.fitting(shape)

    def fitting(self, shape: Shape) -> Shape:
        """`shape` if the TAE and the transformer's position tables can hold it, trained on it or not."""
        config = self.transformer.config
        unit = self.tae.config.space_factor * config.patch
        rows, columns = (size // unit for size in (shape.height, shape.width))
        frames, _, _ = shape.latent(self.tae.config)
        whole = shape.height % unit == 0 and shape.width % unit == 0
        if not whole or min(shape.frames, rows, columns) < 1 or not (
            frames <= config.grid[0] and rows <= config.grid[1] and columns <= config.grid[2]
        ):  # fmt: skip
            largest = Shape(
                frames=config.grid[0] * self.tae.config.time_factor,
                height=config.grid[1] * unit,
                width=config.grid[2] * unit,
            )
            raise UserError(
                f"The model cannot hold {shape} (width x height x frames): sides are multiples of {unit} "
                f"and its position tables end at {largest}."
            )
        return shape


def open_pipeline(model: Path | str, tae: Path | str | None = None, device: str = "auto") -> Pipeline:
    """Open a T2V model folder with the TAE (where its facts say, unless `tae` is given) and the text encoder.

    Another TAE or encoder than in training is a UserError: latents and tokens would mean other things.
    """
    loaded = load_model(model, expect=Transformer)
    facts = loaded.facts
    tae_folder = Path(tae if tae is not None else facts["tae_path"])
    tae_loaded = load_model(tae_folder, expect=TAE)
    if tae_loaded.hash != facts["tae"]:
        raise UserError(
            f"'{model}' was trained on latents of the TAE {facts['tae'][:12]}, but '{tae_folder}' is "
            f"{tae_loaded.hash[:12]}. Give --tae the folder of that TAE, or encode and train again with this."
        )
    place = pick_device(device)
    return Pipeline(
        transformer=loaded.model.to(place),
        tae=tae_loaded.model.to(place),
        text=open_text(facts["text"], place),
        facts=facts,
        hash=loaded.hash,
    )


def open_text(facts: dict[str, Any], device: torch.device) -> TextEncoder | TextEnsemble:
    """The text encoder that `facts` name, or several as one, checked by the fingerprint."""
    encoder = open_encoder(facts["encoder"], facts["max_tokens"], device)
    if encoder.fingerprint != facts["fingerprint"]:
        raise UserError(
            f"The text encoder '{facts['encoder']}' is {encoder.fingerprint} here, but the model was trained "
            f"with {facts['fingerprint']}. Install the version of then, or encode and train again."
        )
    return encoder


def open_encoder(source: str, max_tokens: int, device: torch.device) -> TextEncoder | TextEnsemble:
    """The text encoder of that name or folder on `device`, or several as one (`models.text.ensemble`)."""
    try:
        encoder = open_written(source, max_tokens)
    except (FileNotFoundError, ValueError) as error:
        raise UserError(str(error)) from error
    return encoder.to(device)


def pick_device(name: str) -> torch.device:
    """`auto` is the first GPU, or the CPU where there is none."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"The device '{name}' cannot be used: {str(error).splitlines()[0]}") from error
