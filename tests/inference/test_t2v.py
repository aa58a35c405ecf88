"""Laws of sampling: seeds, batches, guidance, shapes."""

import dataclasses

import numpy as np
import pytest
import torch

from console import UserError
from inference.pipeline import Shape
from inference.prompts import Request
from inference.sampling import Sampling
from inference.t2i import generate_images
from inference.t2v import generate, noise, sample_latent, to_pixels, to_values

FAST = Sampling(steps=4, guidance=2.0)
RED, BLUE = Request("a red ball", 0), Request("a blue star moves to the left", 1)


def test_a_clip_has_the_trained_size(pipeline):
    clips = generate(pipeline, [RED], FAST)
    assert clips.shape == (1, 8, 32, 32, 3)
    assert clips.dtype == np.uint8


def test_the_same_seed_gives_the_same_clip(pipeline):
    assert np.array_equal(generate(pipeline, [RED], FAST), generate(pipeline, [RED], FAST))


def test_another_seed_gives_another_clip(pipeline):
    first, second = generate(pipeline, [RED, RED._replace(seed=9)], FAST)
    assert np.abs(first.astype(int) - second).mean() > 1


def test_another_prompt_gives_another_clip(pipeline):
    first, second = generate(pipeline, [RED, RED._replace(prompt="a blue ball")], FAST)
    assert not np.array_equal(first, second)


def test_a_clip_does_not_depend_on_its_neighbours(pipeline):
    alone = sample_latent(pipeline, [RED], FAST, pipeline.shape)
    crowd = [BLUE, RED, BLUE._replace(seed=5), RED._replace(prompt="x" * 30)]
    among = sample_latent(pipeline, crowd, FAST, pipeline.shape)[1:2]
    torch.testing.assert_close(alone, among, atol=1e-4, rtol=1e-4)
    difference = generate(pipeline, [RED], FAST)[0].astype(int) - generate(pipeline, crowd, FAST)[1]
    assert np.abs(difference).max() <= 1


def test_noise_is_standard_normal_and_each_seed_has_its_own(pipeline):
    shape = Shape(frames=8, height=512, width=512)
    first, again, other = noise(pipeline, [3, 3, 4], shape)
    assert torch.equal(first, again)
    assert abs(first.mean()) < 0.02
    assert abs(first.std() - 1) < 0.02
    assert abs((first * other).mean()) < 0.02


def test_guidance_one_is_the_conditional_model_and_zero_the_negative(pipeline):
    def latents(prompt: str, scale: float, negative: str = "") -> torch.Tensor:
        sampling = Sampling(steps=4, guidance=scale, negative=negative)
        return sample_latent(pipeline, [Request(prompt, 0)], sampling, pipeline.shape)

    conditional = latents("a red ball", 1)
    torch.testing.assert_close(latents("a red ball", 1.000001), conditional, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(latents("a red ball", 0, "a star"), latents("a star", 1), atol=1e-4, rtol=1e-4)
    assert (latents("a red ball", 3) - conditional).abs().max() > 1e-3


def test_a_negative_prompt_equal_to_the_prompt_cancels_guidance(pipeline):
    same = Sampling(steps=4, guidance=5, negative=RED.prompt)
    plain = Sampling(steps=4, guidance=1)
    torch.testing.assert_close(
        sample_latent(pipeline, [RED], same, pipeline.shape),
        sample_latent(pipeline, [RED], plain, pipeline.shape),
        atol=1e-4,
        rtol=1e-4,
    )


def test_every_solver_step_is_reported_once(pipeline):
    seen = []
    generate(pipeline, [RED, BLUE], FAST, on_step=seen.append)
    assert seen == [1, 2, 3, 4]


def test_schedules_differ(pipeline):
    straight = dataclasses.replace(FAST, schedule="linear")
    assert not np.array_equal(generate(pipeline, [RED], FAST), generate(pipeline, [RED], straight))


@pytest.mark.parametrize("method", ["midpoint", "heun", "dopri5"])
def test_every_method_makes_the_clip_of_its_prompt_whatever_it_is_sampled_beside(pipeline, method):
    def sampled(name, steps, prompts):
        sampling = Sampling(method=name, steps=steps, guidance=2.0, schedule="linear", tolerance=1e-5)
        return generate(pipeline, prompts, sampling).astype(float)

    red, blue = sampled("euler", 200, [RED, BLUE])
    beside, alone = sampled(method, 30, [BLUE, RED])[1], sampled(method, 30, [RED])[0]
    assert np.abs(beside - red).mean() < 0.2 * np.abs(beside - blue).mean()
    assert np.abs(beside - alone).mean() < 0.1  # of 255: rounding, which dopri5 may answer by another step


def test_guidance_on_no_time_at_all_is_no_guidance(pipeline):
    off = Sampling(steps=4, guidance=5.0, guidance_from=0.001, guidance_until=0.001)
    assert np.array_equal(
        generate(pipeline, [RED], off), generate(pipeline, [RED], Sampling(steps=4, guidance=1))
    )


def test_an_image_is_a_clip_of_one_frame(pipeline):
    single = Shape(frames=1, height=32, width=32)
    images = generate_images(pipeline, [RED, BLUE], FAST)
    assert images.shape == (2, 32, 32, 3)
    assert np.array_equal(images, generate(pipeline, [RED, BLUE], FAST, single)[:, 0])


def test_a_size_outside_the_buckets_is_refused_with_their_list(pipeline):
    with pytest.raises(UserError, match=r"no bucket 16x32x8.*32x32x8.*--off-bucket"):
        pipeline.checked(Shape(frames=8, height=32, width=16))


@pytest.mark.parametrize(
    "shape",
    [
        Shape(frames=8, height=32, width=80),
        Shape(frames=8, height=24, width=32),
        Shape(frames=17, height=32, width=32),
        Shape(frames=8, height=0, width=32),
        Shape(frames=0, height=32, width=32),
    ],
    ids=str,
)
def test_what_the_tables_cannot_hold_is_refused_with_their_end(pipeline, shape):
    for take in (pipeline.fitting, lambda wrong: generate(pipeline, [RED], FAST, wrong)):
        with pytest.raises(UserError, match=rf"cannot hold {shape}.*multiples of 16.*end at 64x64x16"):
            take(shape)


def test_a_size_that_no_bucket_has_is_made_where_the_tables_hold_it(pipeline):
    assert generate(pipeline, [RED], FAST, Shape(frames=11, height=48, width=16)).shape == (1, 11, 48, 16, 3)


def test_every_bucket_of_training_is_accepted(pipeline):
    facts = {**pipeline.facts, "buckets": ["16x32x16"]}
    wide = dataclasses.replace(pipeline, facts=facts)
    tall = wide.checked(Shape(frames=16, height=32, width=16))
    assert generate(wide, [RED], FAST, tall).shape == (1, 16, 32, 16, 3)
    assert wide.checked(dataclasses.replace(tall, frames=1))


def test_statistics_of_the_facts_scale_the_latent(pipeline):
    latent = torch.randn(2, 1, 4, 3, 3)
    back = pipeline.denormalise(latent)
    mean, std = (torch.tensor(pipeline.facts[name]) for name in ("latent_mean", "latent_std"))
    torch.testing.assert_close(back.movedim(2, -1), latent.movedim(2, -1) * std + mean)


def test_all_levels_of_grey_survive_the_way_to_values_and_back():
    frames = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 1, 16, 16, 3)
    values = to_values(frames)
    assert values.min() == -1
    assert values.max() == 1
    assert np.array_equal(to_pixels(values), frames)
