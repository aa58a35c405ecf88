"""A user's segmentation model: one that was trained here, and files that do not fit."""

import numpy as np
import pytest
import torch
from torch import nn

from console import UserError
from curation.scores.face_crops import Square
from curation.scores.faces import UPRIGHT, Face
from curation.scores.head_masks import Segmented
from curation.scores.portrait_model import PortraitModel
from curation.stages.faces import SCALES
from evaluation.toy_world.faces import Pose, draw_identity, portrait, portrait_mask
from evaluation.toy_world.settings import Format
from tests.curation.onnx_files import constant, image_tower, sound_tower, write_onnx

SHAPE = Format(width=64, height=64, frames=1, fps=8)
FACE = Face((17, 10, 30, 40), UPRIGHT * 0.3 + (16, 12), 0.9)  # of a portrait of 64 pixels


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A portrait and its mask."""
    rng = np.random.default_rng(seed)
    person, pose = draw_identity(rng), Pose(*(float(value) for value in rng.uniform(-0.2, 0.2, 3)))
    ground = (("wall", "sky", "grass", "sand", "night")[seed % 5], (float(rng.uniform(0, 5)), 0.0))
    return portrait(person, pose, ground, SHAPE), portrait_mask(person, pose, SHAPE)


@pytest.fixture(scope="module")
def network() -> nn.Sequential:
    """A small segmentation network, trained on portraits in ImageNet's scale; gives logits."""
    torch.manual_seed(0)
    layers = [
        nn.Conv2d(5, 12, 5, 1, 2),
        nn.ReLU(),
        nn.Conv2d(12, 12, 5, 1, 2),
        nn.ReLU(),
        nn.Conv2d(12, 1, 5, 1, 2),
    ]
    made, pictures = nn.Sequential(*layers), [drawn(seed) for seed in range(40)]
    x = torch.stack([torch.from_numpy(scaled(rgb)) for rgb, _ in pictures])
    y = torch.stack([torch.from_numpy(mask).float()[None] for _, mask in pictures])
    x = torch.cat([x, torch.from_numpy(PLACES).expand(len(x), -1, -1, -1)], 1)
    optimiser = torch.optim.Adam(made.parameters(), 1e-2)
    for step in range(60):
        part = slice(step * 8 % 40, step * 8 % 40 + 8)
        loss = nn.functional.binary_cross_entropy_with_logits(made(x[part]), y[part])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return made


def scaled(rgb: np.ndarray) -> np.ndarray:
    """As ImageNet's models take pictures."""
    mean, deviation = (np.array(one, np.float32)[:, None, None] for one in SCALES["imagenet"])
    return (rgb.transpose(2, 0, 1).astype(np.float32) / 255 - mean) / deviation


PLACES = np.stack(np.meshgrid(*[np.linspace(-1, 1, 64, dtype=np.float32)] * 2))[None]


def exported(network: nn.Sequential, path, *, shares: bool, side=64):
    """The network as an ONNX file: planes of x and y are joined to the picture, then its layers."""
    weights, last = {"places": PLACES}, "joined"
    nodes: list[tuple] = [("Concat", ["x", "places"], last, {"axis": 1})]
    for number, layer in enumerate(network):
        name = "logits" if number == len(network) - 1 else f"layer{number}"
        if isinstance(layer, nn.Conv2d):
            assert layer.bias is not None
            weights[f"w{number}"] = layer.weight.detach().numpy()
            weights[f"b{number}"] = layer.bias.detach().numpy()
            nodes.append(("Conv", [last, f"w{number}", f"b{number}"], name, {"pads": [2] * 4}))
        else:
            nodes.append(("Relu", [last], name, {}))
        last = name
    nodes.append(("Sigmoid" if shares else "Identity", [last], "y", {}))
    return write_onnx(path, [1, 3, side, side], [1, 1, "h", "w"], nodes, weights)


def seen(rgb: np.ndarray) -> Square:
    return Square(rgb, np.ones(rgb.shape[:2], bool), FACE)


def test_a_trained_network_finds_people_it_never_saw_from_shares_and_from_logits(network, tmp_path):
    shares, logits = (
        PortraitModel(exported(network, tmp_path / f"{kind}.onnx", shares=kind), SCALES["imagenet"])
        for kind in (True, False)
    )
    wrongly_scaled = PortraitModel(tmp_path / "True.onnx", SCALES["half"])
    overlap = []
    for seed in range(100, 112):
        rgb, truth = drawn(seed)
        mask = shares.person(seen(rgb))
        assert (mask == logits.person(seen(rgb))).mean() > 0.9999
        x = torch.cat([torch.from_numpy(scaled(rgb))[None], torch.from_numpy(PLACES)], 1)
        assert (mask == (network(x)[0, 0] > 0).numpy()).mean() > 0.999
        overlap.append((mask & truth).sum() / (mask | truth).sum())
        assert (wrongly_scaled.person(seen(rgb)) != mask).any()
    assert np.mean(overlap) > 0.85


def test_it_cuts_references_as_grabcut_does(network, tmp_path):
    model = PortraitModel(exported(network, tmp_path / "a.onnx", shares=True), SCALES["imagenet"])
    rgb, _ = drawn(130)
    small = Face((22, 20, 20, 27), UPRIGHT * 0.2 + (21, 20), 0.9)
    cut = Segmented(model)(rgb, small, 96)
    assert cut.shape == (96, 96, 3)
    assert cut[48, 48].any()
    assert 0.2 < (cut.max(axis=2) > 0).mean() < 0.95


def test_a_file_with_free_sizes_takes_512_pixels(tmp_path):
    nodes = [("ReduceMean", ["x"], "mean", {"axes": [1], "keepdims": 1}), ("Sigmoid", ["mean"], "y", {})]
    free = PortraitModel(
        write_onnx(tmp_path / "a.onnx", ["n", 3, "h", "w"], ["n", 1, "h", "w"], nodes, {}), SCALES["half"]
    )
    assert free.side == 512
    white = np.zeros((512, 512, 3), np.uint8)
    white[100:300, 50:400] = 255
    np.testing.assert_array_equal(free.person(seen(white)), white[..., 0] > 0)
    wide = PortraitModel(
        write_onnx(tmp_path / "b.onnx", [1, 3, 16, 32], [1, 1, 16, 32], nodes, {}), SCALES["half"]
    )
    assert wide.side == 32
    assert wide.person(seen(white[:32, :32])).shape == (32, 32)


def echo(path, shape):
    """Gives what comes in."""
    write_onnx(path, shape, shape, [("Relu", ["x"], "y", {})], {})


@pytest.mark.parametrize(("make", "message"), [
    (lambda path: image_tower(path), r"gives \[1, 3\]. Needed is .*\[1, 1, h, w\]"),
    (lambda path: sound_tower(path), r"takes \[1, 8000\]"),
    (lambda path: image_tower(path, (4, 3, 16, 16)), r"takes \[4, 3, 16, 16\]"),
    (lambda path: echo(path, [1, 16, 16, 3]), "colours last"),
    (lambda path: echo(path, [1, 3, 8, 8]), r"gives \[1, 3, 8, 8\]"),
    (lambda path: constant(path, (1, 3, 8, 8), np.full((1, 4), np.nan)), "not finite|gives"),
    (lambda path: path.write_bytes(b"nothing"), "no ONNX model"),
])  # fmt: skip
def test_a_file_that_does_not_fit_is_refused_with_what_it_is(tmp_path, make, message):
    make(tmp_path / "a.onnx")
    with pytest.raises(UserError, match=message):
        PortraitModel(tmp_path / "a.onnx", SCALES["half"])


def test_numbers_that_are_no_mask_are_an_error_of_the_row(tmp_path):
    nodes = [("ReduceMean", ["x"], "mean", {"axes": [1], "keepdims": 1}), ("Mul", ["mean", "w"], "y", {})]
    path = write_onnx(
        tmp_path / "a.onnx", [1, 3, 8, 8], [1, 1, 8, 8], nodes, {"w": np.full((1, 1), 255, np.float32)}
    )
    model = PortraitModel(path, ((0.0,) * 3, (1.0,) * 3))
    with pytest.raises(ValueError, match="from 255 to 255, neither shares from 0 to 1 nor logits"):
        model.person(seen(np.full((8, 8, 3), 255, np.uint8)))
