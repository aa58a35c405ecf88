"""Extractors of frames and clips: layouts, sizes, levels and lengths of ONNX files; the packaged network."""

import pytest
import torch

from console import UserError
from evaluation.metrics.extractors import (
    ClipFeatures,
    ExtractorConfig,
    FrameFeatures,
    open_clip_extractor,
    open_frame_extractor,
    over_time,
)
from tests.evaluation.metrics.onnx_files import write_mean_colour

CPU = torch.device("cpu")
LAYOUTS = {  # input of a file and the axes that its mean takes
    "frames first": (["n", 3, "h", "w"], (2, 3)),
    "frames last": (["n", "h", "w", 3], (1, 2)),
    "one at a time": ([1, 3, "h", "w"], (2, 3)),
    "three at a time": ([3, 3, "h", "w"], (2, 3)),
    "sized": (["n", 3, 6, 9], (2, 3)),
}
OF_CLIPS = {
    "channels first": (["n", 3, "t", "h", "w"], (2, 3, 4)),
    "frames first": (["n", "t", 3, "h", "w"], (1, 3, 4)),
    "channels last": (["n", "t", "h", "w", 3], (1, 2, 3)),
}


def clips(count: int = 2, frames: int = 4) -> torch.Tensor:
    """Clips whose every frame has one colour of its own."""
    colours = torch.randint(0, 256, (count, frames, 1, 1, 3), dtype=torch.uint8)
    return colours.expand(-1, -1, 12, 18, -1).contiguous()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_of_frames_sees_each_frame_whatever_its_layout(tmp_path, layout):
    path = write_mean_colour(tmp_path / "mean.onnx", *LAYOUTS[layout])
    pixels = clips()
    extractor = open_frame_extractor(ExtractorConfig(path=str(path)), CPU)
    assert extractor.name == "mean.onnx"
    expected = pixels[:, :, 0, 0].flatten(0, 1).float() / 127.5 - 1
    torch.testing.assert_close(extractor(pixels), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("layout", OF_CLIPS)
def test_a_file_of_clips_sees_each_clip_whatever_its_layout(tmp_path, layout):
    path = write_mean_colour(tmp_path / "mean.onnx", *OF_CLIPS[layout])
    pixels = clips()
    extractor = open_clip_extractor(ExtractorConfig(path=str(path)), FrameFeatures(CPU))
    expected = pixels.float().mean(dim=(1, 2, 3)) / 127.5 - 1
    torch.testing.assert_close(extractor(pixels), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("black", "white"), [(0.0, 1.0), (0.0, 255.0), (-1.0, 1.0)])
def test_black_and_white_are_what_the_file_takes_for_them(tmp_path, black, white):
    path = write_mean_colour(tmp_path / "mean.onnx", *LAYOUTS["frames first"])
    extractor = open_frame_extractor(ExtractorConfig(path=str(path), black=black, white=white), CPU)
    pixels = torch.stack([torch.zeros(1, 8, 8, 3), torch.full((1, 8, 8, 3), 255)]).to(torch.uint8)
    torch.testing.assert_close(extractor(pixels)[:, 0], torch.tensor([black, white]))


def test_a_file_of_bytes_sees_the_pixels_as_they_are(tmp_path):
    path = write_mean_colour(tmp_path / "mean.onnx", *LAYOUTS["frames first"], of_bytes=True)
    pixels = clips()
    extractor = open_frame_extractor(ExtractorConfig(path=str(path)), CPU)
    torch.testing.assert_close(extractor(pixels), pixels[:, :, 0, 0].flatten(0, 1).float())


def test_longer_clips_are_cut_into_as_many_as_fit(tmp_path):
    path = write_mean_colour(tmp_path / "mean.onnx", ["n", 3, 3, "h", "w"], (2, 3, 4))
    extractor = open_clip_extractor(ExtractorConfig(path=str(path)), FrameFeatures(CPU))
    pixels = clips(count=2, frames=7)
    pieces = [clip[start : start + 3] for clip in pixels for start in (0, 3)]
    expected = torch.stack([piece.float().mean(dim=(0, 1, 2)) for piece in pieces]) / 127.5 - 1
    torch.testing.assert_close(extractor(pixels), expected, atol=1e-5, rtol=1e-5)
    with pytest.raises(UserError, match="takes clips of 3 frames; a clip has 2"):
        extractor(pixels[:, :2])


def test_a_still_clip_does_not_change_and_a_flickering_one_does():
    still = torch.ones(1, 5, 7)
    torch.testing.assert_close(over_time(still), torch.cat([torch.ones(1, 7), torch.zeros(1, 7)], dim=1))
    flicker = still * torch.tensor([1.0, 3, 1, 3, 1])[:, None]
    torch.testing.assert_close(over_time(flicker)[:, 7:], torch.full((1, 7), 2.0))


def test_the_order_of_frames_counts_for_clips():
    features = torch.randn(1, 6, 7)
    shuffled = features[:, [0, 3, 1, 5, 2, 4]]
    torch.testing.assert_close(over_time(features)[:, :7], over_time(shuffled)[:, :7])
    assert not torch.allclose(over_time(features)[:, 7:], over_time(shuffled)[:, 7:])


def test_the_packaged_network_tells_pictures_apart_at_any_size():
    extractor = open_frame_extractor(ExtractorConfig(), CPU)
    pixels = torch.randint(0, 256, (2, 2, 40, 56, 3), dtype=torch.uint8)
    features = extractor(pixels)
    assert features.shape == (4, 1280)
    assert (features[0] - features[1]).norm() > 0.1
    torch.testing.assert_close(extractor(pixels[1:]), features[2:], atol=1e-4, rtol=1e-4)


def test_a_file_of_frames_given_for_clips_is_watched_over_time(tmp_path):
    path = write_mean_colour(tmp_path / "mean.onnx", *LAYOUTS["frames first"])
    extractor = open_clip_extractor(ExtractorConfig(path=str(path)), FrameFeatures(CPU))
    assert isinstance(extractor, ClipFeatures)
    assert extractor.name == "mean.onnx over time"
    assert extractor(clips()).shape == (2, 6)


def test_what_is_no_extractor_says_what_came(tmp_path):
    def refuse(name: str, told: str) -> None:
        with pytest.raises(UserError, match=told):
            open_frame_extractor(ExtractorConfig(path=str(tmp_path / name)), CPU)

    refuse("nowhere.onnx", "There is no extractor")
    (tmp_path / "text.onnx").write_text("no network")
    refuse("text.onnx", "is no ONNX file that can be run")
    write_mean_colour(tmp_path / "grey.onnx", ["n", 1, "h", "w"], (2, 3))
    refuse("grey.onnx", r"takes \['n', 1, 'h', 'w'\]")
    write_mean_colour(tmp_path / "clips.onnx", *OF_CLIPS["channels first"])
    refuse("clips.onnx", "takes clips, rFID-like compares frames")
    path = write_mean_colour(tmp_path / "maps.onnx", ["n", 3, "h", "w"], (2,))
    with pytest.raises(UserError, match=r"gives \[8, 3, 18\] for 8 inputs"):
        open_frame_extractor(ExtractorConfig(path=str(path)), CPU)(clips())
    with pytest.raises(ValueError, match="black and white to differ"):
        ExtractorConfig(black=1.0, white=1.0)
