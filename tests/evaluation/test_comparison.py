"""What a comparison must hold to: limits, order, unequal sizes, several processes, honest names."""

import itertools
import json

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from console import UserError
from evaluation.autoencoders import Coded, Factors
from evaluation.comparison import Comparison, ComparisonConfig, open_comparison
from evaluation.judges import Judges, JudgesConfig, open_judges
from evaluation.metrics import psnr, ssim
from evaluation.metrics.extractors import ClipFeatures
from evaluation.metrics.frechet import Moments, frechet_distance
from evaluation.metrics.psnr import CEILING
from evaluation.pixels import to_pixels
from evaluation.toy_world.render import render
from evaluation.toy_world.scene import draw_scene
from models.tae import TAE, TAEConfig


class Noisy:
    """Gives back what it gets, with noise that depends on the clips alone."""

    factors, channels, parameters = Factors(4, 8), 16, 1_500_000

    def __init__(self, strength: float) -> None:
        self.strength = strength

    def __call__(self, video: torch.Tensor) -> Coded:
        noise = [
            torch.randn(
                clip.shape, generator=torch.Generator().manual_seed(int(1e4 * float(clip.mean() + 1)))
            )
            for clip in video
        ]
        again = (video + self.strength * torch.stack(noise)).clamp(-1, 1)
        return Coded(again, video.numel() // 48)


def colours(pixels: torch.Tensor) -> torch.Tensor:
    """Features of frames that cost nothing: means of colours and of their squares."""
    frames = pixels.flatten(0, 1).double() / 255
    return torch.cat([frames.mean(dim=(1, 2)), frames.square().mean(dim=(1, 2))], dim=1)


def far(pictures: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    return (pictures - others).abs().mean(dim=(1, 2, 3))


def cheap() -> Judges:
    frames = type("Colours", (), {"name": "colours", "__call__": lambda self, pixels: colours(pixels)})()
    names = {name: name for name in ("psnr", "ssim", "perceptual", "rfid_like", "rfvd_like")}
    return Judges(names, far, frames, ClipFeatures(frames))  # pyright: ignore[reportArgumentType]


def clips(count: int, size: int = 32, frames: int = 5, seed: int = 0) -> torch.Tensor:
    """Videos of the toy world "b t 3 h w" in [-1, 1]."""
    rng = np.random.default_rng(seed)
    videos = np.stack([render(draw_scene(rng), size, size, frames, 8) for _ in range(count)])
    return torch.from_numpy(videos).permute(0, 1, 4, 2, 3).float() / 127.5 - 1


def keys(count: int, name: str = "clip") -> list[str]:
    return [f"{name}{number}" for number in range(count)]


def test_what_comes_back_as_it_was_is_perfect_by_every_measure():
    comparison = Comparison({"tae": Noisy(0)}, open_judges(JudgesConfig(), torch.device("cpu")))
    comparison.update(clips(3), keys(3))
    (row,) = comparison.result().rows
    assert (row.psnr, row.clips, row.resolution) == (CEILING, 3, "32x32x5")
    assert row.ssim == pytest.approx(1)
    assert row.perceptual == pytest.approx(0, abs=1e-6)
    assert row.rfid_like == pytest.approx(0, abs=1e-6)
    assert row.rfvd_like == pytest.approx(0, abs=1e-6)


def test_more_noise_is_worse_by_every_measure():
    strengths = {"tae": 0.02, "second": 0.1, "third": 0.5}
    judges = open_judges(JudgesConfig(), torch.device("cpu"))
    comparison = Comparison({name: Noisy(value) for name, value in strengths.items()}, judges)
    comparison.update(clips(4), keys(4))
    rows = comparison.result().rows
    assert [row.autoencoder for row in rows] == list(strengths)
    for better, worse in itertools.pairwise(rows):
        assert better.psnr > worse.psnr
        assert better.ssim > worse.ssim
        assert better.perceptual < worse.perceptual
        assert better.rfid_like < worse.rfid_like
        assert better.rfvd_like < worse.rfvd_like


def test_every_clip_weighs_the_same_whatever_its_batch_and_resolution():
    small, large = clips(7), clips(2, size=48, frames=3, seed=1)
    noisy = Noisy(0.1)
    comparison = Comparison({"tae": noisy}, cheap())
    for part in (small[:3], small[3:6]):
        comparison.update(part, keys(3, f"{float(part.mean())}"))
    comparison.update(large, keys(2, "large"))
    comparison.update(small[6:], ["last"])  # a short batch
    rows = {row.resolution: row for row in comparison.result().rows}
    each = {}
    for name, videos in (("32x32x5", small), ("48x48x3", large)):
        pairs = zip(to_pixels(noisy(videos).video).numpy(), to_pixels(videos).numpy(), strict=True)
        each[name] = [(psnr(*pair), ssim(*pair)) for pair in pairs]
    assert list(rows) == ["32x32x5", "48x48x3", "all"]
    each["all"] = each["32x32x5"] + each["48x48x3"]
    for name, values in each.items():
        assert rows[name].clips == len(values)
        assert (rows[name].psnr, rows[name].ssim) == pytest.approx(tuple(np.mean(values, axis=0)))


def test_distances_of_sets_are_those_of_all_frames_and_clips_at_once():
    videos, noisy = clips(6), Noisy(0.1)
    comparison = Comparison({"tae": noisy}, cheap())
    for start in (0, 4):
        comparison.update(videos[start : start + 4], keys(6)[start : start + 4])
    back, pixels = to_pixels(noisy(videos).video), to_pixels(videos)
    judges = cheap()
    for name, extract in (("rfid_like", judges.frames), ("rfvd_like", judges.clips)):
        whole = frechet_distance(Moments.of(extract(back)), Moments.of(extract(pixels)))
        assert getattr(comparison.result().rows[0], name) == pytest.approx(whole, rel=1e-8)
        assert whole > 0


def test_a_lone_clip_has_no_distance_of_sets_of_clips():
    comparison = Comparison({"tae": Noisy(0.1)}, cheap())
    comparison.update(clips(1), keys(1))
    row = comparison.result().rows[0]
    assert row.rfvd_like is None
    assert row.rfid_like > 0
    assert "test/rfvd_like" not in comparison.result().logged("test")


def test_images_are_compared_as_frames_and_never_as_clips():
    comparison = Comparison({"tae": Noisy(0.1)}, cheap())
    comparison.update(clips(3, frames=1), keys(3, "image"))
    comparison.update(clips(3), keys(3))
    rows = {row.resolution: row for row in comparison.result().rows}
    assert rows["32x32x1"].rfvd_like is None
    assert rows["32x32x1"].rfid_like > 0
    assert rows["all"].rfvd_like == rows["32x32x5"].rfvd_like
    assert rows["all"].clips == 6


def test_singular_covariances_are_told_with_the_number_of_features():
    comparison = Comparison({"tae": Noisy(0.1)}, cheap())
    comparison.update(clips(7), keys(7))
    found = comparison.result()
    assert found.singular == {"rfvd_like": 12}  # 35 frames of 6 features, 7 clips of 12
    assert "12 features" in found.notes[0]


def test_columns_carry_the_names_of_their_networks():
    names = open_judges(JudgesConfig(), torch.device("cpu")).names
    assert names["perceptual"] == "LPIPS-like (efficientnet-lite0)"
    assert names["rfid_like"] == "rFID-like (efficientnet-lite0)"
    assert names["rfvd_like"] == "rFVD-like (efficientnet-lite0 over time)"


def test_a_table_names_each_autoencoder_its_size_and_its_speed(capsys):
    comparison = Comparison({"tae": Noisy(0), "wan": Noisy(0.1)}, cheap())
    for name in ("a", "b", "c"):
        comparison.update(clips(2), keys(2, name))
    found = comparison.result()
    tae, wan = found.autoencoders
    assert wan.latent_per_pixel == pytest.approx(3 / 48, rel=0.01)
    assert tae.frames_per_second > 0
    found.print()
    printed = capsys.readouterr().out
    for told in ("wan", "4x8x8, 16", "1.50", "6 clips", "100.00", "32x32x5"):
        assert told in printed
    logged = found.logged("test")
    assert logged["test/psnr"] == CEILING
    assert logged["test/wan/psnr"] == found.rows[1].psnr
    assert json.loads(json.dumps(found.as_json()))["rows"][1]["autoencoder"] == "wan"


def test_the_first_call_is_timed_only_where_it_is_the_only_one(monkeypatch):
    times = iter([0, 10, 100, 101, 200, 202])
    monkeypatch.setattr("evaluation.comparison._now", lambda device: next(times))
    comparison = Comparison({"tae": Noisy(0)}, cheap())
    speeds = []
    for name in ("a", "b", "c"):
        comparison.update(clips(2), keys(2, name))
        speeds.append(comparison.result().autoencoders[0].frames_per_second)
    assert speeds == pytest.approx([10 / 10, 10 / 1, 20 / 3])


def test_values_that_are_no_numbers_are_not_scored():
    class Broken(Noisy):
        def __call__(self, video: torch.Tensor) -> Coded:
            return Coded(torch.full_like(video, torch.nan), 1)

    with pytest.raises(UserError, match="'wan' gives values that are no numbers"):
        Comparison({"wan": Broken(0)}, cheap()).update(clips(1), keys(1))


@pytest.mark.parametrize("name", ["tae", "all", "a/b"])
def test_a_peer_has_a_name_of_its_own(name):
    with pytest.raises(ValueError, match=f"cannot be called '{name}'"):
        ComparisonConfig(peers={name: "somewhere"})


def test_a_wrong_path_is_told_before_anything_is_measured(tmp_path):
    tae = TAE(TAEConfig(halves="compact", widths=(8, 8, 8), blocks=1, latent_channels=4))
    wrong = ComparisonConfig(peers={"wan": str(tmp_path / "nowhere")})
    with pytest.raises(UserError, match="nowhere"):
        open_comparison(wrong, tae, torch.device("cpu"))
    with pytest.raises(ValueError, match="needs the path"):
        open_comparison(ComparisonConfig(perceptual="lpips-vgg"), tae, torch.device("cpu"))


def _measure_in(rank: int, world: int, folder: str) -> None:
    """Rank r has the batches r, r + world, ...; in the last round a clip comes twice."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=world)
    comparison = Comparison({"tae": Noisy(0.1)}, cheap())
    videos = {"a": clips(3), "b": clips(2, seed=1), "c": clips(1, size=48, seed=2)}
    comparison.update(videos["ab"[rank]], keys(3 - rank, "ab"[rank]))
    comparison.update(videos["c"], ["c0"])
    found = comparison.result().as_json()
    for facts in found["autoencoders"]:
        facts.pop("frames_per_second")
    with open(f"{folder}/{rank}.json", "w", encoding="utf-8") as file:
        json.dump(found["rows"], file)
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_count_as_one_and_no_clip_twice(tmp_path):
    mp.start_processes(_measure_in, (2, str(tmp_path)), nprocs=2, start_method="spawn")
    alone = Comparison({"tae": Noisy(0.1)}, cheap())
    for name, videos in (("a", clips(3)), ("b", clips(2, seed=1)), ("c", clips(1, size=48, seed=2))):
        alone.update(videos, keys(len(videos), name))
    expected = alone.result().as_json()["rows"]
    for rank in (0, 1):
        rows = json.loads((tmp_path / f"{rank}.json").read_text())
        assert len(rows) == 3
        for row, wanted in zip(rows, expected, strict=True):
            numbers = {key: value for key, value in wanted.items() if isinstance(value, float)}
            assert {key: row[key] for key in numbers} == pytest.approx(numbers, rel=1e-6)
            assert {key: row[key] for key in row.keys() - numbers} == {
                key: wanted[key] for key in row.keys() - numbers
            }


def test_tallies_of_two_processes_merge_to_that_of_one():
    parts = [Comparison({"tae": Noisy(0.1)}, cheap()) for _ in range(2)]
    alone = Comparison({"tae": Noisy(0.1)}, cheap())
    for number, (name, videos) in enumerate((("a", clips(3)), ("b", clips(2, seed=1)))):
        for comparison in (parts[number], alone):
            comparison.update(videos, keys(len(videos), name))
    parts[0].originals.merge(parts[1].originals)
    parts[0].tallies["tae"].merge(parts[1].tallies["tae"])
    (merged,), (whole,) = parts[0].result().rows, alone.result().rows
    assert merged.clips == 5
    for name in ("psnr", "ssim", "perceptual", "rfid_like", "rfvd_like"):
        assert getattr(merged, name) == pytest.approx(getattr(whole, name), rel=1e-8)
