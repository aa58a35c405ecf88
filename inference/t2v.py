"""Text to video: noise to latent by a guided solver, latent to pixels by the TAE (Sec. 3.4)."""

import sys
from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from flow.guidance import guide
from flow.path import PATHS
from flow.watch import Watched
from inference.block_cache import cache_blocks
from inference.image import condition
from inference.pipeline import Pipeline, Shape
from inference.pixels import to_pixels, to_values
from inference.preview import Preview
from inference.prompts import Request
from inference.sampling import Sampling
from models.text import TextSequence

__all__ = ["generate", "noise", "sample_latent", "to_pixels", "to_values"]

OnEstimate = Callable[[int, Tensor], None]  # steps done, and the data as the model sees them by now


def generate(
    pipeline: Pipeline,
    asked: Sequence[Request],
    sampling: Sampling,
    shape: Shape | None = None,
    on_step: Callable[[int], None] | None = None,
    preview: Preview | None = None,
) -> UInt8[np.ndarray, "b t h w 3"]:
    """One clip for each request, in one batch; each depends on its own prompt and seed alone.

    Any shape that the model's position tables hold is made; the caller asks whether it was trained so.
    """
    shape = pipeline.fitting(shape or pipeline.shape)

    @torch.no_grad()
    def decode(latent: Tensor) -> np.ndarray:
        return to_pixels(pipeline.tae.decode(pipeline.denormalise(latent), frames=shape.frames))

    def show(done: int, estimate: Tensor) -> None:
        if preview is not None and done % preview.every == 0:
            preview.show(done, decode(estimate))

    watch = None if preview is None else show
    return decode(sample_latent(pipeline, asked, sampling, shape, on_step, watch))


@torch.no_grad()
def sample_latent(
    pipeline: Pipeline,
    asked: Sequence[Request],
    sampling: Sampling,
    shape: Shape,
    on_step: Callable[[int], None] | None = None,
    on_estimate: OnEstimate | None = None,
) -> Float[Tensor, "b t c h w"]:
    """The normalised latents of a batch of requests; condition and null go through the model as one batch."""
    prompts = [request.prompt for request in asked]
    start = noise(pipeline, [request.seed for request in asked], shape)
    guided = sampling.guidance != 1  # at 1 the negative half would be computed and multiplied by zero
    asked_for = [*prompts, *[sampling.negative] * len(prompts)] if guided else prompts
    text = pipeline.text.encode([pipeline.worded(prompt, shape) for prompt in asked_for])
    text = TextSequence.of(text).to(pipeline.device)

    cached = cache_blocks(pipeline.transformer, sampling.cache) if sampling.cache else None
    transformer = pipeline.transformer if cached is None else cached.transformer

    extra = condition(pipeline, asked, shape)
    extra = extra if extra is None or not guided else torch.cat([extra, extra])

    def velocity(point: Tensor, time: Tensor) -> Tensor:
        rows = len(point)
        return transformer(point, time, text.first(rows), None if extra is None else extra[:rows])

    interval = (sampling.guidance_from, sampling.guidance_until)
    whole = guide(velocity, float(sampling.guidance), interval) if guided else velocity
    watched = Watched(whole, PATHS[pipeline.facts.get("path", "straight")])

    def report(done: int, _: Tensor) -> None:
        if on_step is not None:
            on_step(done)
        if on_estimate is not None:
            on_estimate(done, watched.data())

    latent = sampling.solve(watched, start, report)
    if cached is not None:
        print(f"cache: skipped blocks in {cached.cache.share:.0%} of the evaluations", file=sys.stderr)
    return latent


def noise(pipeline: Pipeline, seeds: Sequence[int], shape: Shape) -> Float[Tensor, "b t c h w"]:
    """Standard normal noise, drawn for each sample from its own seed on the CPU: the same on every device."""
    t, h, w = shape.latent(pipeline.tae.config)
    channels = pipeline.transformer.config.latent_channels
    drawn = [torch.randn(t, channels, h, w, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return torch.stack(drawn).to(pipeline.device)
