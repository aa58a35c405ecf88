"""The commands that work on models as a whole, as a user types them."""

import pytest
import torch

from console import UserError
from inference.run import main
from inference.weights import load_model
from models.text import open_text_encoder
from models.transformer import Transformer
from tests.models.text.tiny_encoders import metaclip_folder


@pytest.fixture(scope="module")
def t2v(model_folders):
    return str(model_folders[1])


def test_a_model_goes_out_in_shards_in_the_manner_of_diffusers_and_comes_back(t2v, tmp_path, capsys):
    out, back = str(tmp_path / "out"), str(tmp_path / "back")
    assert main(["export", "--model", t2v, "--form", "diffusers", "--shard-gb", "2e-5", "--out", out]) == 0
    assert main(["import", "--from", out, "--out", back]) == 0
    assert load_model(back).hash == load_model(t2v).hash
    assert capsys.readouterr().out.split() == [out, back]


def test_a_model_goes_out_as_a_folder_with_a_card(t2v, tmp_path):
    assert main(["export", "--model", t2v, "--out", str(tmp_path / "out")]) == 0
    assert load_model(tmp_path / "out").hash == load_model(t2v).hash
    assert (tmp_path / "out" / "README.md").is_file()
    with pytest.raises(UserError, match="must be positive"):
        main(["export", "--model", t2v, "--shard-gb", "-1", "--out", str(tmp_path / "other")])


def test_a_grown_model_has_the_new_tables_and_the_old_weights(t2v, tmp_path):
    grid = ["--grid", "3", "12", "12", "--scale", "1", "3", "3"]
    assert main(["grow", "--model", t2v, *grid, "--out", str(tmp_path / "grown")]) == 0
    before, after = load_model(t2v, expect=Transformer), load_model(tmp_path / "grown", expect=Transformer)
    assert after.model.config.grid == (3, 12, 12)
    assert after.facts == before.facts
    old, new = before.model.state_dict(), after.model.state_dict()
    torch.testing.assert_close(new["position.row"][1::3], old["position.row"])
    assert all(torch.equal(new[key], old[key]) for key in old if not key.startswith("position."))
    with pytest.raises(UserError, match="columns grow from 4 by 1 to 4; a grid of 2 came"):
        main(["grow", "--model", t2v, "--grid", "2", "4", "2", "--out", str(tmp_path / "less")])


def test_a_stretched_clip_is_a_text_encoder_with_more_room(tmp_path):
    clip = metaclip_folder(tmp_path / "clip")
    assert main(["stretch", "--clip", str(clip), "--out", str(tmp_path / "long")]) == 0
    assert open_text_encoder(str(tmp_path / "long"), 500).max_tokens == 256
    with pytest.raises(UserError, match="60 would cut"):
        main(["stretch", "--clip", str(clip), "--tokens", "60", "--out", str(tmp_path / "cut")])
    with pytest.raises(UserError, match="No text encoder"):
        main(["stretch", "--clip", str(tmp_path / "none"), "--out", str(tmp_path / "cut")])
