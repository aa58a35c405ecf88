"""Model averaging: the mean is a mean, and only of models that can have one."""

import json

import pytest
import torch

from console import UserError
from inference.average import WHOLE, Source, average_models
from inference.run import main
from inference.weights import load_model, save_model
from models.tae import TAE
from models.transformer import Transformer, TransformerConfig
from tests.inference.conftest import TAE_CONFIG, scatter, t2v_facts

CONFIG = TransformerConfig(
    width=32, layers=2, heads=2, feed_forward=64, latent_channels=4, grid=(2, 4, 4), text_widths=(8,)
)
FACTS = {**t2v_facts("tae-1", "runs/tae", {"fingerprint": "text-1"}), "buckets": ["32x32x8"]}


@pytest.fixture
def save(tmp_path):
    """Write a transformer with random weights; returns its folder."""

    def write(name: str, seed: int, config: TransformerConfig = CONFIG, **facts):
        save_model(tmp_path / name, scatter(Transformer(config), seed), {**FACTS, **facts})
        return tmp_path / name

    return write


def tensors(folder) -> dict[str, torch.Tensor]:
    return load_model(folder).model.state_dict()


def test_every_tensor_is_the_weighted_mean(save, tmp_path):
    a, b, c = (save(name, seed) for seed, name in enumerate("abc"))
    done = average_models([Source(a, 2), Source(b, 1), Source(c, 1)], tmp_path / "out")
    assert done.shares == (0.5, 0.25, 0.25)
    first, second, third, mean = map(tensors, (a, b, c, tmp_path / "out"))
    assert list(mean) == list(first)
    for key, value in mean.items():
        torch.testing.assert_close(value, first[key] / 2 + second[key] / 4 + third[key] / 4)
    assert load_model(tmp_path / "out").hash == done.hash


def test_of_one_model_twice_it_is_that_model_to_the_bit(save, tmp_path):
    a = save("a", 0)
    average_models([Source(a, 1), Source(a, 3)], tmp_path / "out")
    assert all(torch.equal(value, tensors(a)[key]) for key, value in tensors(tmp_path / "out").items())


def test_a_weight_of_zero_leaves_a_model_out(save, tmp_path):
    a, b = save("a", 0), save("b", 1)
    average_models([Source(a, 1), Source(b, 0)], tmp_path / "out")
    assert all(torch.equal(value, tensors(a)[key]) for key, value in tensors(tmp_path / "out").items())


def test_distances_are_those_of_the_weights(save, tmp_path):
    a, b = save("a", 0), save("b", 1)
    done = average_models([Source(a, 1), Source(b, 1)], tmp_path / "out")
    flat = [torch.cat([value.flatten().double() for value in tensors(folder).values()]) for folder in (a, b)]
    whole = {(found.first, found.second): found for found in done.distances if found.part == WHOLE}
    between = whole[str(a), str(b)]
    norm = (flat[0].norm() + flat[1].norm()) / 2
    assert between.relative == pytest.approx(float((flat[0] - flat[1]).norm() / norm))
    assert between.cosine == pytest.approx(float(torch.cosine_similarity(*flat, dim=0)))
    mean = sum(flat) / 2
    for folder, own in zip((a, b), flat, strict=True):  # the mean stands half way
        half = (flat[0] - flat[1]).norm() / (own.norm() + mean.norm())
        assert whole[str(folder), "average"].relative == pytest.approx(float(half), rel=1e-4)
    parts = {found.part for found in done.distances}
    assert parts == {WHOLE, *(name for name, _ in Transformer(CONFIG).named_children())}


def test_the_average_keeps_the_facts_names_its_models_and_knows_all_their_buckets(save, tmp_path):
    a, b = save("a", 0), save("b", 1, fps=16.0, buckets=["32x32x8", "16x32x8"], rates={"16x32x8": {"16": 2}})
    done = average_models([Source(a, 1), Source(b, 3)], tmp_path / "out")
    assert done.departing == ("fps",)
    facts = load_model(tmp_path / "out").facts
    assert (facts["tae"], facts["fps"], facts["buckets"]) == ("tae-1", 8.0, ["16x32x8", "32x32x8"])
    assert facts["rates"] == {"16x32x8": {"16": 2}}
    assert [each["share"] for each in facts["average_of"]] == [0.25, 0.75]
    assert facts["average_of"][1]["hash"] == load_model(b).hash


def test_models_of_other_shapes_are_refused_with_both(save, tmp_path):
    import dataclasses

    a, b = save("a", 0), save("b", 1, dataclasses.replace(CONFIG, layers=3))
    with pytest.raises(UserError, match=rf"layers is 2 in '{a}' and 3 in '{b}'"):
        average_models([Source(a, 1), Source(b, 1)], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "facts",
    [{"tae": "tae-2"}, {"text": {"fingerprint": "text-2"}}, {"latent_std": [1.0] * 4}, {"path": "cosine"}],
    ids=str,
)
def test_models_whose_numbers_mean_other_things_are_refused_with_both(save, tmp_path, facts):
    a, b = save("a", 0), save("b", 1, **facts)
    (key,) = facts
    with pytest.raises(UserError, match=rf"{key} is .* in '{a}' and .* in '{b}'"):
        average_models([Source(a, 1), Source(b, 1)], tmp_path / "out")


def test_a_model_of_another_kind_is_refused(save, tmp_path):
    save_model(tmp_path / "tae", scatter(TAE(TAE_CONFIG), 0), {})
    with pytest.raises(UserError, match=r"holds a models\.tae\.TAE"):
        average_models([Source(save("a", 0), 1), Source(tmp_path / "tae", 1)], tmp_path / "out")


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0], "at least 2 models"),
        ([0.0, 0.0], "not all 0"),
        ([1.0, -1.0], "at least 0"),
        ([1.0, float("nan")], "at least 0"),
    ],
)
def test_weights_that_make_no_mean_are_refused(save, tmp_path, weights, message):
    a = save("a", 0)
    with pytest.raises(UserError, match=message):
        average_models([Source(a, weight) for weight in weights], tmp_path / "out")


def test_an_average_does_not_replace_one_of_its_models(save):
    a, b = save("a", 0), save("b", 1)
    with pytest.raises(UserError, match="one of the models"):
        average_models([Source(a, 1), Source(b, 1)], b)


def test_the_command_writes_the_folder_and_prints_the_distances(save, tmp_path, capsys):
    a, b = save("a", 0), save("b", 1, fps=16.0)
    out = tmp_path / "out"
    assert main(["average", str(a), str(b), "--weights", "1", "3", "--out", str(out)]) == 0
    shown = capsys.readouterr()
    assert f"{a} and {b}: distance " in shown.out
    assert "  in blocks: distance" in shown.out
    assert "differ in 'fps'" in shown.err
    assert json.loads((out / "config.json").read_text())["facts"]["average_of"][0]["share"] == 0.25


def test_the_command_wants_a_weight_for_each_model(save, tmp_path):
    with pytest.raises(UserError, match="1 came for 2 models"):
        main(["average", *(str(save("a", 0)),) * 2, "--weights", "1", "--out", str(tmp_path / "out")])
