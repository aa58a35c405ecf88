"""The long text tower learns on clips, by its positions and biases alone, and opens as an encoder."""

import warnings

import lightning as L
import pytest
import torch

from console import UserError
from datamodules.clips import ClipData
from lightning_modules.long_clip import CLIP_FOLDER, MEAN, STD, LongClipModule
from lightning_modules.optimization import OptimizerConfig
from models.text import open_text_encoder
from models.text.clip_folder import read_clip
from tests.datamodules.shard_sets import write_clips
from tests.models.text.tiny_encoders import metaclip_folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return metaclip_folder(tmp_path_factory.mktemp("clip"))


def test_a_run_moves_positions_and_biases_alone_and_leaves_an_encoder_with_more_room(clip, tmp_path):
    module = LongClipModule(str(clip), OptimizerConfig(lr=1e-2))
    before = {key: value.clone() for key, value in module.clip.state_dict().items()}
    data = ClipData(str(write_clips(tmp_path / "clips", train=4, val=2)), batch_size=2, memory=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Lightning, about workers and batches
        L.Trainer(
            max_steps=2, accelerator="cpu", logger=False, enable_checkpointing=False,
            default_root_dir=tmp_path / "run", enable_progress_bar=False, enable_model_summary=False,
        ).fit(module, datamodule=data)  # fmt: skip
    after = read_clip(tmp_path / "run" / CLIP_FOLDER).tensors
    moved = {key for key in before if not torch.equal(before[key], after[key])}
    assert "positional_embedding" in moved
    unread = (tensors["positional_embedding"][200:] for tensors in (before, after))  # no gradient, no decay
    assert torch.equal(*unread)
    assert all(key == "positional_embedding" or key.endswith("bias") for key in moved)
    assert not [key for key in moved if key.startswith("visual.")]
    encoder = open_text_encoder(str(tmp_path / "run" / CLIP_FOLDER), 500)
    assert encoder.encode(["ball " * 200]).mask.sum() == 202


def test_images_are_middle_frames_at_clips_size_and_scale(clip):
    video = torch.stack([torch.full((3, 24, 32), value) for value in (-1.0, 0.5, 1.0)])[None]
    (image,) = LongClipModule(str(clip))._images(video)
    assert image.shape == (3, 16, 16)
    expected = (torch.full((3,), 0.75) - torch.tensor(MEAN)) / torch.tensor(STD)
    torch.testing.assert_close(image.mean(dim=(1, 2)), expected, atol=1e-4, rtol=1e-4)


def test_a_missing_clip_is_explained():
    with pytest.raises(UserError, match="No text encoder at '/nowhere'"):
        LongClipModule("/nowhere")
