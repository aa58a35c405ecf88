"""The head on CLIP's features, in both published forms, against the same sum written out."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from console import UserError
from curation.scores.aesthetics import Predictor, read_head
from curation.stages.visual import Visual
from tests.curation.conftest import texture

WIDTH = 16
TINY = {
    "embed_dim": WIDTH,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
    "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A tiny CLIP by name, and its checkpoint."""
    import json

    import open_clip

    folder = tmp_path_factory.mktemp("clip")
    (folder / "tiny-for-tests.json").write_text(json.dumps(TINY))
    open_clip.add_model_config(folder)
    torch.manual_seed(0)
    model = open_clip.create_model("tiny-for-tests")
    torch.save(model.state_dict(), folder / "clip.pt")
    return folder / "clip.pt", model.eval()


def saved(path, *widths):
    """A predictor as it is published: layers by number, with dropout between, which holds no weights."""
    layers = nn.Sequential(*[nn.Linear(a, b) for a, b in pairwise(widths)])
    state = {f"layers.{2 * k}.{name}": value for k, layer in enumerate(layers) for name, value in
             layer.state_dict().items()}  # fmt: skip
    torch.save(state, path)
    return layers


@pytest.mark.parametrize("widths", [(WIDTH, 1), (WIDTH, 8, 4, 1)])
def test_the_score_is_the_head_on_features_of_length_one(tmp_path, clip, widths):
    path, model = clip
    layers = saved(tmp_path / "head.pth", *widths)
    predictor = Predictor("tiny-for-tests", path, tmp_path / "head.pth")
    picture = texture(5)
    from PIL import Image

    with torch.no_grad():
        features = model.encode_image(predictor.prepare(Image.fromarray(picture))[None])
        expected = layers(features / features.norm()).item()
    assert predictor.score(picture) == pytest.approx(expected, abs=1e-5)
    assert np.isfinite(expected)


def test_a_file_that_is_no_head_is_named(tmp_path):
    torch.save({"weight": torch.zeros(3, 4), "bias": torch.zeros(3)}, tmp_path / "three.pth")
    with pytest.raises(UserError, match="ends in one number"):
        read_head(tmp_path / "three.pth")
    (tmp_path / "no.pth").write_text("nothing")
    with pytest.raises(UserError, match="no file of weights"):
        read_head(tmp_path / "no.pth")


def test_one_file_without_the_other_and_files_that_are_not_there_are_refused(tmp_path):
    (tmp_path / "head.pth").write_bytes(b"x")
    with pytest.raises(UserError, match="together only"):
        Visual(aesthetics=str(tmp_path / "head.pth"))
    with pytest.raises(UserError, match="which is no file"):
        Visual(aesthetics=str(tmp_path / "none.pth"), clip=str(tmp_path / "none.pt"))


def test_the_fingerprint_follows_the_content_of_the_weights_not_their_place(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "head.pth").write_bytes(b"head")
        (tmp_path / name / "clip.pt").write_bytes(b"clip")
    of = lambda name: Visual(  # noqa: E731
        text_frames=0, aesthetics=str(tmp_path / name / "head.pth"), clip=str(tmp_path / name / "clip.pt")
    ).identity({})
    assert of("a") == of("b")
    (tmp_path / "b" / "head.pth").write_bytes(b"other")
    assert of("a") != of("b")
