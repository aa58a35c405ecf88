"""UL2, MetaCLIP and ByT5 together, from captions over cached embeddings and training to a clip."""

import dataclasses
import gc
import json
import warnings
import weakref

import lightning as L
import numpy as np
import pytest
import torch

import lightning_modules.null_text as null_text
import lightning_modules.t2v as t2v
from console import UserError
from datamodules.latent_format import read_text
from datamodules.latent_images import LatentImages
from datamodules.latents import LatentData
from inference.encode import EncodeOptions, encode
from inference.picked import Picked
from inference.pipeline import open_pipeline, open_text
from inference.prompts import Request
from inference.shards import INDEX, read_samples, write_samples
from inference.t2v import Sampling, generate, sample_latent
from inference.weights import load_model, save_model
from lightning_modules.optimization import OptimizerConfig
from lightning_modules.t2v import T2VModule
from models.text import TextSequence
from models.text.ensemble import open_text as open_ensemble
from models.transformer import TransformerConfig
from tests.models.text.tiny_encoders import byt5_folder, metaclip_folder, ul2_folder

SHAPE = TransformerConfig(
    width=32, layers=1, heads=2, feed_forward=48, latent_channels=4, grid=(2, 4, 4), text_widths=(16, 8, 12)
)


@pytest.fixture(scope="module")
def spec(tmp_path_factory) -> str:
    """The paper's three encoders as a user names them."""
    root = tmp_path_factory.mktemp("encoders")
    ul2, clip = ul2_folder(root / "ul2"), metaclip_folder(root / "clip")
    return f"{ul2}@20+{clip}+{byt5_folder(root / 'byt5')}@30:quoted"


@pytest.fixture
def latents(shards, model_folders, spec, tmp_path, capsys):
    """Latents of `shards`, of whose captions the first of each split asks for letters."""
    for split, name in (("train", "shard-000000.tar"), ("val", "shard-000000.tar")):
        samples = list(read_samples(shards / split / name))
        facts = json.loads(samples[0].files["json"])
        caption = json.dumps({**facts, "caption": 'a sign reads "GO"', "camera_motion": "zoom in"})
        first = samples[0]._replace(files={**samples[0].files, "json": caption.encode()})
        write_samples(shards / split / name, [first, *samples[1:]])
    encode(shards, model_folders[0], tmp_path / "latents", EncodeOptions(text=spec, prefix=("fps", "camera")))
    assert "clips of" in capsys.readouterr().err  # the second clip of each shard names no camera
    return tmp_path / "latents"


def trained(latents, folder, resumed=None, **options) -> T2VModule:
    module = T2VModule(SHAPE, OptimizerConfig(), **options)
    data = LatentData(str(latents), batch_size=2, memory=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Lightning, about workers and batches
        trainer = L.Trainer(
            max_steps=2, accelerator="cpu", logger=False, enable_checkpointing=False, default_root_dir=folder,
            enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
        )  # fmt: skip
        trainer.fit(module, datamodule=data, ckpt_path=resumed, weights_only=False)
    return module


def test_each_encoder_has_its_embedding_of_its_part_behind_the_prefix(latents, spec):
    index = json.loads((latents / "val" / INDEX).read_text())
    text = open_text(index["text_encoder"], torch.device("cpu"))
    sample = next(read_samples(latents / "val" / "shard-000000.tar"))
    (latents / "one.npz").write_bytes(sample.files["text.npz"])
    found = np.load(latents / "one.npz")
    expected = text.encode(['FPS-8, zoom in, a sign reads "GO"'])
    assert sorted(found) == ["embedding", "embedding1", "embedding2"]
    for name, tokens in zip(sorted(found), expected, strict=True):
        np.testing.assert_allclose(found[name], tokens.embedding[0].numpy(), atol=1e-4)
    assert len(found["embedding2"]) == len("GO") + 1
    assert index["text"] == text.fingerprint
    assert index["text_encoder"]["prefix"] == ["fps", "camera"]


def test_a_model_trains_on_them_and_generates_with_them(latents, tmp_path):
    module = trained(latents, tmp_path / "run", text_drop=0.5)
    assert [tuple(null.shape) for null in module.nulls] == [(1, 16), (2, 8), (1, 12)]
    for encoder in module.exported_model().text.encoders:
        assert encoder[0].weight.grad is not None
    with torch.no_grad():  # two steps from zero: wake it up
        for weight in module.transformer.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    save_model(tmp_path / "model", module.exported_model(), module.facts())
    assert module.facts()["rates"] == {"32x32x8": {"8": 6}}
    pipeline = open_pipeline(tmp_path / "model")
    assert pipeline.worded("a red ball", pipeline.shape) == "FPS-8, a red ball"
    assert pipeline.worded("", pipeline.shape) == ""
    fast = Sampling(steps=2, guidance=2.0)
    asked = [Request(f'a sign reads "{letters}"', 0) for letters in ("GO", "NO")]
    one, other = sample_latent(pipeline, asked, fast, pipeline.shape)
    assert not torch.allclose(one, other)
    alone = sample_latent(pipeline, asked[:1], fast, pipeline.shape)
    torch.testing.assert_close(alone[0], one, atol=1e-4, rtol=1e-4)
    assert generate(pipeline, asked, fast).shape == (2, 8, 32, 32, 3)


class Opened:
    """Stands for `open_text`; counts encoders, and notes whether the last is still held."""

    def __init__(self) -> None:
        self.devices: list[str] = []
        self.held = lambda: None

    def __call__(self, facts, device):
        self.devices.append(str(device))
        text = open_text(facts, device)
        self.held = weakref.ref(text)
        return text


def watched(monkeypatch) -> Opened:
    opened = Opened()
    for module in (t2v, null_text):
        monkeypatch.setattr(module, "open_text", opened)
    return opened


def test_a_fit_without_samples_opens_no_text_encoder(latents, tmp_path, spec, monkeypatch):
    opened = watched(monkeypatch)
    module = trained(latents, tmp_path / "run", text_drop=0.5)
    assert opened.devices == []
    for found, tokens in zip(module.nulls, open_ensemble(spec).encode([""]), strict=True):
        torch.testing.assert_close(found, tokens.embedding[0])


@pytest.mark.parametrize("older", [True, False])
def test_another_null_text_or_older_latents_open_it_once_and_give_it_up(
    latents, tmp_path, spec, monkeypatch, older
):
    opened = watched(monkeypatch)
    text = "" if older else "blurred"
    if older:
        forget_null(latents)
    module = trained(latents, tmp_path / "run", null_text=text, text_drop=0.5)
    assert opened.devices == ["cpu"]
    gc.collect()
    assert opened.held() is None
    for found, tokens in zip(module.nulls, open_ensemble(spec).encode([text]), strict=True):
        torch.testing.assert_close(found, tokens.embedding[0])


def test_encoding_once_more_adds_the_null_text_that_older_latents_lack(latents, shards, model_folders, spec):
    before = (latents / "train" / INDEX).read_bytes()
    options = EncodeOptions(text=spec, prefix=("fps", "camera"))
    assert "nothing to do" in encode(shards, model_folders[0], latents, options)
    forget_null(latents)
    encode(shards, model_folders[0], latents, options)
    assert (latents / "train" / INDEX).read_bytes() == before
    assert [each.shape[1] for each in LatentData(str(latents)).null_tokens("")] == [16, 8, 12]


def test_a_null_text_that_cannot_be_read_is_named(latents):
    damages = (
        lambda path: path.write_bytes(path.read_bytes()[:-9]),
        lambda path: path.write_bytes(b"PK"),
        lambda path: path.write_bytes(b""),
        lambda path: path.unlink(),
    )
    for damage in damages:
        damage(latents / "train" / "null.npz")
        with pytest.raises(UserError, match=r"null\.npz', the null text of these latents, cannot be read"):
            LatentData(str(latents)).null_tokens("")


def forget_null(latents) -> None:
    """As an older `encode` left the folder."""
    for split in ("train", "val"):
        index = json.loads((latents / split / INDEX).read_text())
        del index["null"]
        (latents / split / INDEX).write_text(json.dumps(index))
        (latents / split / "null.npz").unlink()


def test_the_next_stage_begins_with_the_weights_of_the_one_before(latents, tmp_path):
    first = trained(latents, tmp_path / "one")
    save_model(tmp_path / "model", first.exported_model(), first.facts())
    before = load_model(tmp_path / "model").model.state_dict()
    second = T2VModule(SHAPE, OptimizerConfig(), start=str(tmp_path / "model"), ema=0.9)
    assert not torch.equal(second.transformer.state_dict()["blocks.0.attention.q.weight"],
                           before["blocks.0.attention.q.weight"])  # fmt: skip
    second.trainer = L.Trainer(default_root_dir=tmp_path / "two", accelerator="cpu", logger=False)
    second.trainer.datamodule = LatentData(str(latents), batch_size=2, memory=True)
    second.setup("fit")
    second.on_fit_start()
    for model in (second.transformer, second.exported_model()):
        assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_a_checkpoint_that_is_named_goes_before_the_stage_to_begin_with(latents, tmp_path):
    first = trained(latents, tmp_path / "one")
    save_model(tmp_path / "model", first.exported_model(), first.facts())
    first.trainer.save_checkpoint(tmp_path / "later.ckpt")
    with torch.no_grad():
        for weight in first.parameters():
            weight.add_(1)
    save_model(tmp_path / "other", first.exported_model(), first.facts())
    found = trained(latents, tmp_path / "two", start=str(tmp_path / "other"), resumed=tmp_path / "later.ckpt")
    assert found.global_step == 2  # all of its steps were made before
    expected = load_model(tmp_path / "model").model.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in found.transformer.state_dict().items())


def test_weights_that_would_mean_something_else_are_refused_by_both_names(latents, tmp_path):
    first = trained(latents, tmp_path / "one")
    save_model(tmp_path / "model", first.exported_model(), {**first.facts(), "tae": "0123456789abcdef"})
    with pytest.raises(UserError, match="trained on the TAE 0123456789abcdef, the latents here are of"):
        trained(latents, tmp_path / "two", start=str(tmp_path / "model"))
    other = TransformerConfig(**{**vars(SHAPE), "grid": (2, 3, 4)})
    module = T2VModule(other, OptimizerConfig(), start=str(tmp_path / "model"))
    module.trainer = L.Trainer(default_root_dir=tmp_path / "three", accelerator="cpu", logger=False)
    module.trainer.datamodule = LatentData(str(latents), batch_size=2, memory=True)
    with pytest.raises(UserError, match=r"tables \[2, 4, 4\] of .* do not grow into .* \[2, 3, 4\]"):
        module.setup("fit")


def test_another_encoder_in_one_place_is_refused(latents, spec, model_folders, shards):
    fewer = spec.rpartition("+")[0]
    with pytest.raises(UserError, match="holds latents of another TAE, text encoder"):
        encode(shards, model_folders[0], latents, EncodeOptions(text=fewer, prefix=("fps", "camera")))
    with pytest.raises(UserError, match="holds latents of another"):
        encode(shards, model_folders[0], latents, EncodeOptions(text=spec))


@pytest.mark.parametrize("images", [False, True])
def test_what_is_read_in_training_is_what_is_read_in_inference(
    shards, model_folders, pipeline, tmp_path, images
):
    """Of videos and of single frames, whether these are encoded as images or as first frames."""
    prefix = () if images else ("fps",)
    options = EncodeOptions(prefix=prefix, first_frame=not images, picked=Picked(images=images))
    encode(shards, model_folders[0], tmp_path / "out", options)
    index = json.loads((tmp_path / "out" / "train" / INDEX).read_text())
    assert index["text_encoder"].get("prefix", []) == list(prefix)
    minilm = open_text(index["text_encoder"], torch.device("cpu"))
    facts = {**pipeline.facts, "text": {"prefix": ["fps"]}}  # of a model that ends up with videos
    model = dataclasses.replace(pipeline, facts=facts)
    still = dataclasses.replace(pipeline.shape, frames=1)
    asked = {"text.npz": still} if images else {"text.npz": model.shape, "first.text.npz": still}
    for sample in read_samples(tmp_path / "out" / "train" / "shard-000000.tar"):
        caption = json.loads(sample.files["json"])["caption"]
        for file, shape in asked.items():
            (tokens,) = TextSequence.of(minilm.encode([model.worded(caption, shape)]))
            (found,) = read_text(sample.files[file])
            np.testing.assert_allclose(found, tokens.embedding[0].numpy(), atol=1e-4)
    assert model.worded("a cat", still) == "a cat"
    assert model.worded("a cat", model.shape) == "FPS-8, a cat"


def test_first_frames_come_to_training_with_their_own_text(shards, model_folders, tmp_path):
    encode(shards, model_folders[0], tmp_path / "out", EncodeOptions(prefix=("fps",), first_frame=True))
    images = LatentImages(share=0.5)
    data = LatentData(str(tmp_path / "out"), batch_size=2, memory=True, images=images)
    data.setup("fit")
    index = json.loads((tmp_path / "out" / "train" / INDEX).read_text())
    text = open_text(index["text_encoder"], torch.device("cpu"))
    for batch in data.train_dataloader():
        single = batch["bucket"].endswith("x1")
        read = [caption if single else f"FPS-8, {caption}" for caption in batch["caption"]]
        (expected,) = TextSequence.of(text.encode(read))
        torch.testing.assert_close(batch["text"]["embedding"], expected.embedding, atol=1e-4, rtol=1e-4)


def test_a_misspelt_list_of_encoders_is_explained(shards, model_folders, tmp_path):
    with pytest.raises(UserError, match=r"write it as SOURCE, SOURCE@TOKENS or SOURCE:quoted"):
        encode(shards, model_folders[0], tmp_path / "out", EncodeOptions(text="minilm@many"))
