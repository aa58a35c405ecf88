"""Text to image: the same model asked for one frame, since an image is a one-frame video (Sec. 3.1)."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import UInt8

from inference.pipeline import Pipeline, Shape
from inference.preview import Preview
from inference.prompts import Request
from inference.sampling import Sampling
from inference.t2v import generate


def generate_images(
    pipeline: Pipeline,
    asked: Sequence[Request],
    sampling: Sampling,
    shape: Shape | None = None,
    on_step: Callable[[int], None] | None = None,
    preview: Preview | None = None,
) -> UInt8[np.ndarray, "b h w 3"]:
    """One image for each request."""
    single = dataclasses.replace(shape or pipeline.shape, frames=1)
    return generate(pipeline, asked, sampling, single, on_step, preview)[:, 0]
