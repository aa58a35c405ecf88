"""Text to video: noise to latent by a guided solver, latent to pixels by the TAE (Sec. 3.4)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from console import UserError
from flow.adaptive import Tolerance, dopri5
from flow.guidance import guide
from flow.loss import Velocity
from flow.schedule import SCHEDULES
from flow.solvers import METHODS, OnStep, solve
from inference.pipeline import Pipeline, Shape
from inference.prompts import Request
from models.text import TextTokens


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How to go from noise to data; the defaults are the paper's (Sec. 3.4)."""

    method: str = "euler"
    """Name in flow.solvers.METHODS; or dopri5, which chooses its own steps."""
    steps: int = 50
    """Steps of all methods but dopri5."""
    guidance: float = 7.5
    """Scale of classifier-free guidance; 1 is the conditional model alone."""
    guidance_from: float = 0.0
    """Flow time from which guidance is on: 0 is noise, 1 is data."""
    guidance_until: float = 1.0
    """Flow time until which guidance is on."""
    schedule: str = "linear-quadratic"
    """Name in flow.schedule.SCHEDULES; dopri5 needs none."""
    tolerance: float = 1e-3
    """Error that dopri5 allows in a step, relative and absolute."""
    negative: str = ""
    """What to steer away from; empty is the null condition of training."""

    def __post_init__(self) -> None:
        for kind, name, known in (
            ("schedule", self.schedule, SCHEDULES),
            ("method", self.method, (*METHODS, "dopri5")),
        ):
            if name not in known:
                raise UserError(f"There is no {kind} '{name}'. Take one of: {', '.join(known)}.")
        if not 0 <= self.guidance_from <= self.guidance_until <= 1:
            raise UserError(
                f"Guidance from {self.guidance_from:g} until {self.guidance_until:g}: times must rise within "
                "0 (noise) to 1 (data)."
            )
        try:
            self.times()
            self._tolerance()
        except ValueError as error:
            raise UserError(str(error)) from error

    def times(self) -> Float[Tensor, " nodes"]:
        """Nodes of the solver from 0 to 1."""
        return SCHEDULES[self.schedule](self.steps)

    def solve(self, velocity: Velocity, noise: Tensor, on_step: OnStep | None = None) -> Tensor:
        """From noise to data along `velocity`, by the method of these settings."""
        if self.method == "dopri5":
            return dopri5(velocity, noise, self._tolerance(), on_step)
        return solve(velocity, noise, self.times(), METHODS[self.method], on_step)

    def _tolerance(self) -> Tolerance:
        return Tolerance(relative=self.tolerance, absolute=self.tolerance)


def sampling_for(facts: Mapping[str, Any], **asked: Any) -> Sampling:
    """What was asked for; where that is None, what the model's facts recommend; else the paper's defaults."""
    given = {name: value for name, value in asked.items() if value is not None}
    return Sampling(**{**facts.get("sampling", {}), **given})


def generate(
    pipeline: Pipeline,
    asked: Sequence[Request],
    sampling: Sampling,
    shape: Shape | None = None,
    on_step: Callable[[int], None] | None = None,
) -> UInt8[np.ndarray, "b t h w 3"]:
    """One clip for each request, in one batch; each depends on its own prompt and seed alone."""
    shape = pipeline.checked(shape or pipeline.shape)
    latent = sample_latent(pipeline, asked, sampling, shape, on_step)
    with torch.no_grad():
        video = pipeline.tae.decode(pipeline.denormalise(latent), frames=shape.frames)
    return to_pixels(video)


@torch.no_grad()
def sample_latent(
    pipeline: Pipeline,
    asked: Sequence[Request],
    sampling: Sampling,
    shape: Shape,
    on_step: Callable[[int], None] | None = None,
) -> Float[Tensor, "b t c h w"]:
    """The normalised latents of a batch of requests."""
    prompts = [request.prompt for request in asked]
    start = noise(pipeline, [request.seed for request in asked], shape)
    guided = sampling.guidance != 1  # at 1 the negative half would be computed and multiplied by zero
    text = pipeline.text.encode([*prompts, *[sampling.negative] * len(prompts)] if guided else prompts)
    text = text.to(pipeline.device)

    def velocity(point: Tensor, time: Tensor) -> Tensor:
        return pipeline.transformer(point, time, [TextTokens(*(part[: len(point)] for part in text))])

    interval = (sampling.guidance_from, sampling.guidance_until)
    return sampling.solve(
        guide(velocity, float(sampling.guidance), interval) if guided else velocity,
        start,
        on_step=None if on_step is None else lambda done, _: on_step(done),
    )


def noise(pipeline: Pipeline, seeds: Sequence[int], shape: Shape) -> Float[Tensor, "b t c h w"]:
    """Standard normal noise, drawn for each sample from its own seed on the CPU: the same on every device."""
    t, h, w = shape.latent(pipeline.tae.config)
    channels = pipeline.transformer.config.latent_channels
    drawn = [torch.randn(t, channels, h, w, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return torch.stack(drawn).to(pipeline.device)


def to_pixels(video: Float[Tensor, "b t 3 h w"]) -> UInt8[np.ndarray, "b t h w 3"]:
    """[-1, 1] to uint8, rounded."""
    scaled = ((video.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return rearrange(scaled, "b t c h w -> b t h w c").cpu().numpy()


def to_values(frames: UInt8[np.ndarray, "b t h w 3"]) -> Float[Tensor, "b t 3 h w"]:
    """uint8 to [-1, 1], the inverse of `to_pixels`."""
    return rearrange(torch.from_numpy(frames), "b t h w c -> b t c h w").float() / 127.5 - 1
