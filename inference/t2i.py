"""Text to image: the same model asked for one frame, since an image is a one-frame video (Sec. 3.1)."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import UInt8

from inference.pipeline import Pipeline, Shape
from inference.prompts import Request
from inference.t2v import Sampling, generate


def generate_images(
    pipeline: Pipeline,
    asked: Sequence[Request],
    sampling: Sampling,
    shape: Shape | None = None,
    on_step: Callable[[int], None] | None = None,
) -> UInt8[np.ndarray, "b h w 3"]:
    """One image for each request."""
    single = dataclasses.replace(shape or pipeline.shape, frames=1)
    return generate(pipeline, asked, sampling, single, on_step)[:, 0]
