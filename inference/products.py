"""From the options of t2v and t2i to files: what is asked for, what of it is still to make, making it."""

import argparse
import dataclasses
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from console import UserError
from inference.image import read_image
from inference.jobs import Job, parse_shape, plan, run_jobs, unfinished
from inference.outputs import output_paths, write_clip, write_image
from inference.pipeline import Pipeline, Shape, open_pipeline
from inference.preview import write_previews
from inference.prompts import Request, read_prompts, requests, warn_of
from inference.rewriting import Rewriter, Rewrites, Rewritten
from inference.rewriting.endpoint import KEY, Endpoint, EndpointConfig
from inference.sampling import Sampling, idle, sampling_for
from inference.t2i import generate_images
from inference.t2v import generate
from models.text.ensemble import readers_of

WORDS = 80  # of a rewritten prompt, where the text encoder reads as many
WORDS_OF_A_TOKEN = 0.7  # English words that a token of a text encoder holds, with the full stops and commas


class Product(NamedTuple):
    """What sets one product of sampling apart from the others."""

    suffix: str
    generate: Callable[..., Any]
    write: Callable[[Job, Any], None]
    still: bool


VIDEO = Product(
    ".mp4", generate, lambda job, clip: write_clip(job.path, clip, job.facts["fps"], job.facts), still=False
)
IMAGE = Product(
    ".png", generate_images, lambda job, image: write_image(job.path, image, job.facts), still=True
)


def make_products(options: argparse.Namespace, product: Product) -> int:
    """Make what is not there yet of the `options` of inference.options.add_sampling, and print each path."""
    if bool(options.prompt) == bool(options.prompts):
        raise UserError('Give one prompt, such as "a red ball moves left", or --prompts FILE.')
    prompts = read_prompts(options.prompts) if options.prompts else [" ".join(options.prompt)]
    asked = requests(prompts, options.seed, options.count)
    if not product.still and options.image is not None:
        read_image(options.image)  # fails now, and not after the models are open
        asked = [request._replace(image=str(options.image)) for request in asked]
    paths = output_paths(options.out, asked, product.suffix)
    pipeline = open_pipeline(options.model, options.tae, options.device)
    written = _rewritten(options, pipeline, asked)
    asked = [request._replace(prompt=new.prompt) for request, new in zip(asked, written, strict=True)]
    sampling = _sampling(options, pipeline)
    shape = _shape(options, pipeline, product)
    if not product.still:
        pipeline = pipeline.at(options.fps, shape, untrained=options.off_bucket)
    prompts = [*(request.prompt for request in asked), *filter(None, [sampling.negative])]
    warn_of(prompts, pipeline.text, lambda prompt: pipeline.worded(prompt, shape))
    notes = [each.facts() for each in written] if options.rewrite else [{}] * len(asked)
    jobs = plan(pipeline, asked, paths, sampling, shape, notes)
    todo = jobs if options.overwrite else unfinished(jobs)
    if len(todo) < len(jobs):
        print(f"{len(jobs) - len(todo)} of {len(jobs)} are there already, made with the same settings.")

    def make(batch: Any, on_step: Any) -> Any:
        every = options.preview
        preview = None if every is None else write_previews(every, [job.path for job in batch])
        wanted = [job.request for job in batch]
        return product.generate(pipeline, wanted, sampling, shape, on_step, preview)

    for job, result in run_jobs(todo, options.batch, sampling.progress, make):
        product.write(job, result)
        print(job.path)
    return 0


def _rewritten(options: argparse.Namespace, pipeline: Pipeline, asked: Sequence[Request]) -> list[Rewritten]:
    """The prompts as the model will read them, in the length that each reader of whole prompts takes."""
    prompts = [request.prompt for request in asked]
    if options.rewrite is None:
        return [Rewritten(prompt, prompt, None) for prompt in prompts]
    room = [encoder.max_tokens for encoder, part in readers_of(pipeline.text) if part == "prompt"]
    words = min([WORDS, *(int(WORDS_OF_A_TOKEN * tokens) for tokens in room)])
    rewriter = open_rewriter(options, pipeline.device)
    return Rewrites(rewriter, options.rewrite_cache, words).rewrite(prompts)


def open_rewriter(options: argparse.Namespace, device: torch.device) -> Rewriter:
    """An endpoint where `--rewrite` is an address, else the language model of a folder."""
    if "://" not in options.rewrite:
        from inference.rewriting.local import LocalRewriter

        return LocalRewriter(Path(options.rewrite), device)
    return Endpoint(
        EndpointConfig(
            url=options.rewrite,
            model=options.rewrite_model,
            key=os.environ.get(KEY) or None,
            timeout=options.rewrite_timeout,
        )
    )


def _sampling(options: argparse.Namespace, pipeline: Pipeline) -> Sampling:
    asked = {field.name: getattr(options, field.name, None) for field in dataclasses.fields(Sampling)}
    sampling = sampling_for(pipeline.facts, **asked)
    never = sampling.progress is not None and (options.preview or 0) > sampling.progress
    for name in [*idle(sampling, asked), *(["preview"] if never else [])]:
        print(
            f"warning: --{name.replace('_', '-')} has no effect beside the other settings.", file=sys.stderr
        )
    return sampling


def _shape(options: argparse.Namespace, pipeline: Pipeline, product: Product) -> Shape:
    shape = parse_shape(options.size, None if product.still else options.frames, pipeline.shape)
    if product.still:
        shape = dataclasses.replace(shape, frames=1)
    return pipeline.fitting(shape) if options.off_bucket else pipeline.checked(shape)
