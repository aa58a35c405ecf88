"""Every way that an image autoencoder is shipped gives the same tensors; what is no such file says so."""

import pickle
from datetime import date

import pytest
import torch
from safetensors.torch import save_file

from models.tae.image_file import WEIGHTS, read_image_autoencoder
from tests.models.tae.image_autoencoders import ldm_names, reference, save

OLDER = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


@pytest.fixture(scope="module")
def tensors() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    model = reference(4, maps=True)
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def older_names(tensors):
    renamed = {}
    for name, tensor in tensors.items():
        for new, old in OLDER.items():
            name = name.replace(f"attentions.0.{new}.", f"attentions.0.{old}.")
        renamed[name] = tensor
    return renamed


def prefixed(prefix, tensors):
    more = {
        "model.diffusion_model.out.0.weight": torch.ones(2),
        "loss.discriminator.main.0.bias": torch.ones(2),
    }
    return {prefix + name: tensor.contiguous() for name, tensor in tensors.items()} | more


def same(path, tensors) -> bool:
    found = read_image_autoencoder(path).tensors
    return found.keys() == tensors.keys() and all(torch.equal(found[name], tensors[name]) for name in tensors)


@pytest.mark.parametrize("options", [{}, {"safe_serialization": False}, {"max_shard_size": "20KB"}])
def test_a_folder_of_diffusers_is_read_whole_pickled_or_in_shards(tmp_path, tensors, options):
    model = reference(4, maps=True)
    model.load_state_dict(tensors)
    save(model, tmp_path / "pipeline" / "vae", **options)
    assert len(list(tmp_path.rglob(f"{WEIGHTS}*"))) == 1 or "max_shard_size" in options
    assert same(tmp_path / "pipeline" / "vae", tensors)
    assert same(tmp_path / "pipeline", tensors)


def test_half_precision_is_taken_only_where_there_is_nothing_better(tmp_path, tensors):
    model = reference(4, maps=True)
    model.load_state_dict(tensors)
    save(model.half(), tmp_path, variant="fp16")
    assert {tensor.dtype for tensor in read_image_autoencoder(tmp_path).tensors.values()} == {torch.float16}
    model.float().load_state_dict(tensors)
    save(model, tmp_path)
    assert same(tmp_path, tensors)


@pytest.mark.parametrize("prefix", ["", "first_stage_model.", "vae."])
@pytest.mark.parametrize("names", [lambda tensors: ldm_names(tensors, levels=4), older_names, dict])
def test_one_file_is_read_under_the_names_of_ldm_and_of_both_diffusers(tmp_path, tensors, prefix, names):
    file = tmp_path / "model.safetensors"
    save_file(prefixed(prefix, names(tensors)), file)
    assert same(file, tensors)
    torch.save({"state_dict": prefixed(prefix, names(tensors)), "global_step": 1}, tmp_path / "model.ckpt")
    assert same(tmp_path / "model.ckpt", tensors)


def test_the_names_of_ldm_are_those_that_diffusers_converts(tensors):
    single_file = pytest.importorskip("diffusers.loaders.single_file_utils")
    config = {"down_block_types": [None] * 4, "up_block_types": [None] * 4}
    converted = single_file.convert_ldm_vae_checkpoint(ldm_names(tensors, levels=4), config)
    assert converted.keys() == tensors.keys()
    assert all(torch.equal(converted[name], tensors[name]) for name in tensors)


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    file = tmp_path / "model.ckpt"
    file.write_bytes(pickle.dumps({"state_dict": date(2024, 10, 4)}))
    with pytest.raises(ValueError, match=r"take the \.safetensors file"):
        read_image_autoencoder(file)


def test_what_is_no_image_autoencoder_says_so(tmp_path):
    with pytest.raises(ValueError, match="There is no"):
        read_image_autoencoder(tmp_path / "absent")
    with pytest.raises(ValueError, match=r"no config\.json"):
        read_image_autoencoder(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match="is no JSON"):
        read_image_autoencoder(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match=r"no diffusion_pytorch_model\.safetensors"):
        read_image_autoencoder(tmp_path)
    save_file({"blocks.0.weight": torch.ones(2)}, tmp_path / "transformer.safetensors")
    with pytest.raises(ValueError, match="holds no image autoencoder"):
        read_image_autoencoder(tmp_path / "transformer.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(b"\x40\0\0\0\0\0\0\0{")
    with pytest.raises(ValueError, match="is damaged"):
        read_image_autoencoder(tmp_path / "cut.safetensors")
