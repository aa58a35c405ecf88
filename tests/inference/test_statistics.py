"""A TAE's statistics are measured on clips, stored whole or not at all, and kept unless asked."""

import json
import shutil

import pytest
import torch

from console import UserError
from inference.run import main
from inference.statistics import measure, statistics_of
from inference.t2v import to_values
from inference.tiles import StreamOptions
from inference.video import read_video
from inference.weights import CONFIG, load_model, save_model
from models.tae import TAE
from models.tae.tiling import TiledTAE, TilingConfig
from tests.inference.films import even, make_film

OPTIONS = StreamOptions()


@pytest.fixture
def folder(tae, tmp_path):
    """A TAE that was never measured."""
    save_model(tmp_path / "tae", tae, {"latent_mean": None, "latent_std": None, "step": 7, "fps": 8.0})
    return tmp_path / "tae"


@pytest.fixture
def films(tmp_path):
    """Videos of mixed lengths and sizes in a folder and one below it."""
    for number, (frames, size) in enumerate([(1, (16, 16)), (40, (48, 64)), (9, (32, 24))]):
        (tmp_path / "films" / "more").mkdir(parents=True, exist_ok=True)
        make_film(tmp_path / "films" / ("more" if number else ".") / f"{number}.mp4", even(frames), size=size)
    return tmp_path / "films"


def expected(tae, films) -> tuple[torch.Tensor, torch.Tensor]:
    tiled = TiledTAE(tae, TilingConfig())
    paths = sorted(films.rglob("*.mp4"))
    means = [tiled.encode(to_values(read_video(path)[None])).mean for path in paths]
    values = torch.cat([mean.movedim(2, 0).flatten(1) for mean in means], dim=1).double()
    return values.mean(dim=1), values.std(dim=1, correction=0)


def test_they_are_those_of_every_position_of_every_clip(folder, films, tae):
    said = measure(films, folder, OPTIONS)
    mean, std = expected(tae, films)
    loaded = load_model(folder, expect=TAE)
    assert "3 clips" in said
    torch.testing.assert_close(statistics_of(loaded, folder).mean.double(), mean, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(statistics_of(loaded, folder).std.double(), std, atol=1e-5, rtol=1e-5)


def test_they_are_in_the_weights_and_the_facts_beside_what_was_there(folder, films, tae):
    measure(films, folder, OPTIONS)
    loaded = load_model(folder, expect=TAE)
    assert loaded.model.latent_mean.tolist() == loaded.facts["latent_mean"]
    assert loaded.model.latent_std.tolist() == loaded.facts["latent_std"]
    assert (loaded.facts["step"], loaded.facts["latent_step"], loaded.facts["fps"]) == (7, 7, 8.0)
    for name, values in tae.state_dict().items():
        if not name.startswith("latent_"):
            assert torch.equal(loaded.model.state_dict()[name], values)


def test_of_shards_the_training_clips_are_measured(folder, shards, tae):
    assert "6 clips" in measure(shards, folder, OPTIONS)
    found = load_model(folder).facts["latent_mean"]
    assert "2 clips" in measure(shards / "val", folder, OPTIONS, replace=True)
    assert load_model(folder).facts["latent_mean"] != found


def test_they_are_kept_unless_asked_and_the_tae_is_another_then(folder, films, shards):
    measure(films, folder, OPTIONS)
    before = load_model(folder).hash
    with pytest.raises(UserError, match=f"{before[:12]}.* already. With --replace"):
        measure(shards, folder, OPTIONS)
    said = measure(shards, folder, OPTIONS, replace=True)
    assert before[:12] in said
    assert load_model(folder).hash[:12] in said
    assert load_model(folder).hash != before


def test_a_broken_clip_is_left_out_and_named(folder, films, tae, capsys):
    (films / "aaa.mp4").write_bytes(b"no video")
    assert "3 clips" in measure(films, folder, OPTIONS)
    assert "aaa.mp4" in capsys.readouterr().err
    shutil.rmtree(films / "more")
    (films / "0.mp4").unlink()
    with pytest.raises(UserError, match="Not one clip"):
        measure(films, folder, OPTIONS, replace=True)


def test_a_place_without_clips_is_named(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    for place in ("empty", "absent"):
        with pytest.raises(UserError, match=f"neither shards nor videos in '.*{place}'"):
            measure(tmp_path / place, folder, OPTIONS)


def test_a_broken_tae_is_not_given_statistics(folder, films, tae):
    before = (folder / CONFIG).read_text()
    broken = TAE(tae.config)
    with torch.no_grad():
        next(broken.parameters()).fill_(float("nan"))
    save_model(folder, broken, json.loads(before)["facts"])
    with pytest.raises(UserError, match="no finite numbers"):
        measure(films, folder, OPTIONS)
    assert (folder / CONFIG).read_text() == before


def test_a_stopped_measurement_changes_nothing(folder, films, monkeypatch):
    import inference.statistics

    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    real = inference.statistics.pictures

    def stopped(*arguments):
        yield from list(real(*arguments))[:3]
        raise KeyboardInterrupt

    monkeypatch.setattr(inference.statistics, "pictures", stopped)
    with pytest.raises(KeyboardInterrupt):
        measure(films, folder, OPTIONS)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_the_command_measures(folder, films, capsys):
    assert main(["statistics", str(films), "--tae", str(folder), "--tile", "16x32"]) == 0
    assert "statistics of 3 clips" in capsys.readouterr().out
