"""Samples are ordinary videos, and writing them does not disturb the training's random numbers."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from inference.video import read_video
from lightning_modules.callbacks.samples import SampleVideos, file_name, heat_map, to_pixels


class Copies:
    """Reconstructs by inverting the colours, and draws a random number on the way."""

    def reconstruct(self, batch):
        torch.rand(1)
        return -batch["video"]


class Dotted(Copies):
    """One position of the latent, 4 x 4 in 2 frames for 16 x 16 in 4, is an outlier in the second frame."""

    def outliers(self, batch):
        values = torch.full((len(batch["video"]), 2, 4, 4), 0.5)
        values[:, 1, 0, 3] = 7.0
        return values


class Prompted:
    def __init__(self):
        self.asked = []

    def sample(self, prompts, seed):
        self.asked.append((tuple(prompts), seed, torch.rand(1).item()))
        return torch.zeros(len(prompts), 4, 3, 16, 16)

    def exported_model(self):
        return torch.nn.Identity()

    def facts(self):
        return {"fps": 4.0}


def validate(callback, trainer, stage, batch):
    callback.on_validation_batch_start(trainer, stage, batch, 0)
    callback.on_validation_batch_start(trainer, stage, {"video": None}, 1)
    callback.on_validation_end(trainer, stage)


@pytest.fixture
def trainer(tmp_path):
    return SimpleNamespace(
        global_step=300,
        sanity_checking=False,
        fast_dev_run=False,
        is_global_zero=True,
        world_size=1,
        default_root_dir=str(tmp_path),
        loggers=[],
    )


@pytest.fixture
def batch():
    return {"video": torch.full((3, 4, 3, 16, 16), 0.5), "caption": ["a", "b", "c"]}


def test_reconstructions_stand_right_of_their_originals(trainer, batch, tmp_path):
    validate(SampleVideos(count=2), trainer, Copies(), batch)
    names = sorted(path.name for path in (tmp_path / "samples").iterdir())
    assert names == [f"step-0000300-reconstruction-{i}.mp4" for i in range(2)]
    video = read_video(tmp_path / "samples" / names[0])
    assert video.shape == (4, 16, 32, 3)
    assert np.abs(video[:, :, :14].astype(int) - 191).max() < 12
    assert np.abs(video[:, :, 18:].astype(int) - 64).max() < 12


def test_outliers_of_the_latent_are_red_where_and_when_they_are(trainer, batch, tmp_path):
    validate(SampleVideos(count=1), trainer, Dotted(), batch)
    video = read_video(next((tmp_path / "samples").iterdir())).astype(int)
    assert video.shape == (4, 16, 48, 3)
    latent = video[:, :, 32:]
    assert np.abs(latent[1] - 128).max() < 40  # grey: what lossy video makes of it
    red = latent[3, :4, 12:].mean(axis=(0, 1))
    assert red[0] > 180
    assert max(red[1:]) < 90
    assert np.abs(latent[3, 8:, :8] - 128).max() < 40


def test_a_heat_map_is_grey_up_to_the_threshold_and_red_beyond():
    values = torch.tensor([0.0, 0.5, 1.0, 1.01, 50.0]).reshape(1, 1, 1, 5)
    map_ = heat_map(values, like=torch.zeros(1, 1, 3, 1, 5))[0, 0, :, 0]
    assert map_.T.tolist() == [[-1] * 3, [0] * 3, [1] * 3, [1, -1, -1], [1, -1, -1]]


def test_prompts_are_sampled_with_one_seed_in_every_round(trainer, batch, tmp_path):
    stage, callback = Prompted(), SampleVideos(prompts=["A red ball, moving!"], seed=3)
    for _ in range(2):
        torch.rand(1)
        validate(callback, trainer, stage, batch)
    assert stage.asked[0] == stage.asked[1]
    assert stage.asked[0][:2] == (("A red ball, moving!",), 3)
    assert [path.name for path in (tmp_path / "samples").iterdir()] == ["step-0000300-a-red-ball-moving.mp4"]


def test_captions_of_the_validation_set_stand_in_for_prompts(trainer, batch):
    stage = Prompted()
    validate(SampleVideos(count=2), trainer, stage, batch)
    assert stage.asked[0][0] == ("a", "b")


def test_only_every_nth_validation_is_shown(trainer, batch):
    stage, callback = Prompted(), SampleVideos(every=3)
    for _ in range(7):
        validate(callback, trainer, stage, batch)
    assert len(stage.asked) == 2
    resumed = SampleVideos(every=3)
    resumed.load_state_dict(callback.state_dict())
    validate(resumed, trainer, stage, batch)
    assert len(stage.asked) == 2
    validate(resumed, trainer, stage, batch)
    assert len(stage.asked) == 3


def test_training_goes_on_with_the_same_random_numbers(trainer, batch):
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    validate(SampleVideos(), trainer, Copies(), batch)
    assert torch.equal(torch.rand(2), expected)


def test_pixels_are_rounded_and_clamped():
    video = torch.tensor([-2.0, -1.0, 0.0, 1.0, 9.0]).reshape(5, 1, 1, 1).expand(5, 3, 2, 2)
    assert to_pixels(video)[:, 0, 0, 0].tolist() == [0, 0, 128, 255, 255]


@pytest.mark.parametrize("prompt", ["", "///", "../../etc", "ein Käfer" * 30, "日本"])
def test_a_prompt_makes_a_harmless_file_name(prompt):
    name = file_name(prompt)
    assert name
    assert len(name) <= 60
    assert not set(name) & set("/\\. ")
