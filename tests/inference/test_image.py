"""The first frame as a user gives it: a file, of any size, for a model that takes one."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from PIL import Image

from console import UserError
from inference.image import condition, read_image
from inference.pipeline import Shape
from inference.pixels import to_values
from inference.prompts import Request
from inference.run import main
from inference.sampling import Sampling
from inference.t2v import generate, sample_latent
from inference.weights import load_model, save_model
from models.conditioning.first_frame import channels
from models.transformer import Transformer
from tests.inference.conftest import scatter, transformer

FAST = Sampling(steps=3, guidance=2.0)


@pytest.fixture
def picture(tmp_path):
    """A PNG of soft noise, wider than the clips."""
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
    Image.fromarray(pixels).save(tmp_path / "first.png")
    return str(tmp_path / "first.png")


def with_first_frames(text_width: int) -> Transformer:
    config = dataclasses.replace(transformer(text_width).config, extra_channels=channels(4))
    return scatter(Transformer(config), seed=1)  # pyright: ignore[reportReturnType]


@pytest.fixture(scope="module")
def given(pipeline):
    """The pipeline with a transformer that takes first frames."""
    return dataclasses.replace(pipeline, transformer=with_first_frames(pipeline.text.width))


def test_the_condition_holds_the_latent_of_the_image_alone(given, tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "exact.png")
    asked = [Request("a", 0, str(tmp_path / "exact.png")), Request("b", 0)]
    told = condition(given, asked, Shape(frames=16, height=32, width=32))
    assert told is not None
    assert told.shape == (2, 2, 5, 4, 4)
    assert not told[1].any()
    assert told[0, 0, 0].min() == 1
    with torch.no_grad():
        mean = given.tae.encode(to_values(pixels[None, None])).mean
    torch.testing.assert_close(given.denormalise(told[:1, :1, 1:]), mean, atol=1e-5, rtol=1e-5)


def test_a_wide_image_is_scaled_to_cover_the_clip_and_its_middle_is_taken(given, tmp_path):
    wide = np.zeros((16, 64, 3), np.uint8)
    wide[:, 24:40] = np.arange(16, dtype=np.uint8)[:, None, None] * 16  # the middle square
    for name, shown in (("wide", wide), ("middle", wide[:, 24:40])):
        Image.fromarray(shown).save(tmp_path / f"{name}.png")
    shape = Shape(frames=8, height=16, width=16)
    cut, whole = (
        condition(given, [Request("a", 0, str(tmp_path / f"{name}.png"))], shape)
        for name in ("wide", "middle")
    )
    assert torch.equal(cut, whole)


def test_without_images_there_is_no_condition(given):
    assert condition(given, [Request("a", 0)], given.shape) is None


def test_an_image_changes_its_clip_and_not_that_of_its_neighbour(given, picture):
    asked = [Request("a red ball", 0), Request("a blue star", 1)]
    shown = [asked[0]._replace(image=picture), asked[1]]
    plain = sample_latent(given, asked, FAST, given.shape)
    mixed = sample_latent(given, shown, FAST, given.shape)
    assert (plain[0] - mixed[0]).abs().max() > 1e-2
    torch.testing.assert_close(plain[1], mixed[1], atol=1e-4, rtol=1e-4)
    alone = sample_latent(given, shown[:1], FAST, given.shape)
    torch.testing.assert_close(alone[0], mixed[0], atol=1e-4, rtol=1e-4)


def test_where_guidance_is_off_the_image_still_counts(given, picture):
    late = dataclasses.replace(FAST, guidance_from=0.9)
    clip = generate(given, [Request("a", 0, picture)], late)
    assert not np.array_equal(clip, generate(given, [Request("a", 0)], late))


def test_a_model_that_takes_no_image_says_so(pipeline, picture):
    with pytest.raises(UserError, match=r"has 0 extra channels, 5 are needed.*configs/i2v\.yaml"):
        generate(pipeline, [Request("a", 0, picture)], FAST)


def test_the_command_takes_an_image_and_another_image_makes_the_clip_anew(model_folders, tmp_path, picture):
    loaded = load_model(model_folders[1])
    save_model(tmp_path / "i2v", with_first_frames(384), loaded.facts)
    out = tmp_path / "clip.mp4"
    command = ["t2v", "a red ball", "--model", str(tmp_path / "i2v"), "--steps", "2", "--out", str(out)]
    assert main(command) == 0
    plain = out.read_bytes()
    assert main([*command, "--image", picture]) == 0
    first = out.read_bytes()
    facts = json.loads(out.with_suffix(".json").read_text())
    assert facts["image"] == picture
    Image.new("RGB", (40, 40), "red").save(picture)
    assert main([*command, "--image", picture]) == 0
    assert len({plain, first, out.read_bytes()}) == 3
    assert json.loads(out.with_suffix(".json").read_text())["image_sha256"] != facts["image_sha256"]


def test_images_are_read_upright_and_in_three_colours(tmp_path):
    turned = Image.new("RGB", (4, 2), "blue")
    exif = turned.getexif()
    exif[0x0112] = 6  # lies on its side
    turned.save(tmp_path / "turned.jpg", exif=exif)
    Image.new("LA", (3, 3)).save(tmp_path / "grey.png")
    assert read_image(tmp_path / "turned.jpg").shape == (4, 2, 3)
    assert read_image(tmp_path / "grey.png").shape == (3, 3, 3)


@pytest.mark.parametrize("content", [None, b"", b"not an image", b"\x89PNG\r\n\x1a\n\x00\x00"])
def test_what_is_no_image_is_refused_before_any_model_is_opened(tmp_path, content):
    if content is not None:
        (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.png"):
        main(
            [
                "t2v",
                "a",
                "--image",
                str(tmp_path / "a.png"),
                "--model",
                "nowhere",
                "--out",
                str(tmp_path / "o"),
            ]
        )
