"""Every config in the repository builds what it describes."""

from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"
STAGES = sorted([*CONFIGS.glob("*.yaml"), *CONFIGS.glob("paper/*.yaml")])
CURATION = sorted(CONFIGS.glob("curation/*.yaml"))
SUBSETS = sorted(CONFIGS.glob("curation/subsets/*.yaml"))


def name(path: Path) -> str:
    return str(path.relative_to(CONFIGS))


def test_every_config_is_of_a_kind_that_is_checked_here() -> None:
    assert {*STAGES, *CURATION, *SUBSETS} == set(CONFIGS.rglob("*.yaml"))
    assert STAGES
    assert CURATION
    assert SUBSETS


@pytest.mark.parametrize("path", STAGES, ids=name)
def test_a_stage_builds_its_model_and_its_data(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the meta device: shapes are checked, no memory is taken, so that the paper's sizes build too."""
    import yaml
    from lightning.pytorch import LightningDataModule, LightningModule
    from lightning.pytorch.cli import LightningArgumentParser

    monkeypatch.chdir(ROOT)
    parser = LightningArgumentParser()
    parser.add_subclass_arguments(LightningModule, "model")
    parser.add_subclass_arguments(LightningDataModule, "data")
    content = yaml.safe_load(path.read_text())
    config = parser.parse_object({key: content[key] for key in ("model", "data")})
    with torch.device("meta"):
        built = parser.instantiate_classes(config)
    assert isinstance(built.data, LightningDataModule)
    parameters = list(built.model.parameters())
    assert parameters
    assert all(parameter.is_meta for parameter in parameters)


@pytest.mark.parametrize("path", CURATION, ids=name)
def test_a_curation_config_has_only_settings_that_exist(path: Path) -> None:
    from curation.config import load
    from curation.rules import read_subset

    config = load(path, {}, [])
    assert config.stages()
    assert read_subset(config.subset).rules


@pytest.mark.parametrize("path", SUBSETS, ids=name)
def test_a_subset_is_a_list_of_rules(path: Path) -> None:
    from curation.rules import read_subset

    assert read_subset(str(path)).rules


def test_the_papers_autoencoder_is_trained_as_far_as_the_paper_discloses_it() -> None:
    """8x8x8, 16 channels, Eq. 1 with r = 3 and 1e5, the usual losses, one batch of images to three."""
    import yaml
    from jsonargparse import ArgumentParser

    from datamodules.clips import ImageBatches
    from lightning_modules.tae_objective import TAELossConfig
    from models.tae import TAEConfig

    content = yaml.safe_load((CONFIGS / "paper/tae.yaml").read_text())
    parser = ArgumentParser()
    parser.add_argument("--tae", type=TAEConfig)
    parser.add_argument("--loss", type=TAELossConfig)
    parser.add_argument("--images", type=ImageBatches)
    model, data = content["model"]["init_args"], content["data"]["init_args"]
    given = {"tae": model["tae"], "loss": model["loss"], "images": data["images"]}
    built = parser.instantiate_classes(parser.parse_object(given))
    assert (built.tae.time_factor, built.tae.space_factor, built.tae.latent_channels) == (8, 8, 16)
    assert (built.tae.halves, built.loss.outlier, built.loss.outlier_r) == ("inflated", 1e5, 3)
    assert None not in (built.loss.perceptual, built.loss.adversary)
    assert built.loss.kl > 0
    assert built.images.share == 0.25
    assert model["inflate"]
