"""Every config in the repository builds what it describes."""

import itertools
import math
import re
from pathlib import Path

import pytest
import torch

from models.transformer import TransformerConfig
from parallel.plan.shape import bucket_grid

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"
STAGES = sorted(
    [
        *CONFIGS.glob("*.yaml"),
        *CONFIGS.glob("paper/*.yaml"),
        *CONFIGS.glob("small/*.yaml"),
        *CONFIGS.glob("toy/*.yaml"),
    ]
)
CURATION = sorted(CONFIGS.glob("curation/*.yaml"))
SUBSETS = sorted(CONFIGS.glob("curation/subsets/*.yaml"))
CONCEPTS = sorted(CONFIGS.glob("curation/concepts/*.yaml"))


def name(path: Path) -> str:
    return str(path.relative_to(CONFIGS))


def test_every_config_is_of_a_kind_that_is_checked_here() -> None:
    kinds = [STAGES, CURATION, SUBSETS, CONCEPTS]
    assert {path for kind in kinds for path in kind} == set(CONFIGS.rglob("*.yaml"))
    assert all(kinds)


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


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("paper/t2*.yaml")), ids=name)
def test_the_papers_30b_is_never_built_whole_on_a_process(path: Path) -> None:
    import yaml

    assert yaml.safe_load(path.read_text())["model"]["init_args"]["execution"]["empty"] is True


@pytest.mark.parametrize("path", CURATION, ids=name)
def test_a_curation_config_has_only_settings_that_exist(path: Path) -> None:
    from curation.config import load
    from curation.rules import read_subset

    config = load(path, {}, [])
    assert config.stages()
    assert read_subset(config.subset).rules


@pytest.mark.parametrize("path", CONCEPTS, ids=name)
def test_a_taxonomy_names_each_concept_once(path: Path) -> None:
    from curation.scores.concepts import read_taxonomy

    names = [concept.name for concept in read_taxonomy(path)]
    assert len(names) == len(set(names)) > 0


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


def read(path: Path) -> dict:
    import yaml

    return yaml.safe_load(path.read_text())


TABLE_3 = {  # GPUs, tp, cp, samples a step, rate, steps
    "t2i_256px": (1536, 1, 1, 9216, 1e-4, 210_000),
    "t2v_256px": (3072, 4, 1, 1536, 6e-5, 113_000),
    "t2v_256px_b": (6144, 4, 1, 3072, 6e-5, 72_000),
    "t2v_768px": (6144, 4, 1, 1536, 6e-5, 19_600),
    "t2v_768px_b": (6144, 4, 1, 1536, 3e-5, 11_000),
    "t2v_768px_c": (6144, 4, 2, 768, 2e-5, 15_900),
    "t2v_768px_d": (4096, 4, 2, 512, 1e-5, 28_000),
}


@pytest.mark.parametrize("row", TABLE_3)
def test_a_row_of_table_3_is_what_the_paper_prints(row: str) -> None:
    content = read(CONFIGS / f"paper/{row}.yaml")
    trainer, data = content["trainer"], content["data"]["init_args"]
    mesh, gpus = trainer["strategy"]["init_args"]["mesh"], trainer["devices"] * trainer["num_nodes"]
    batches = {each * gpus // (mesh["tp"] * mesh["cp"]) for each in data["batch_size"].values()}
    lr = content["model"]["init_args"]["optimizer"]["lr"]
    assert (gpus, mesh["tp"], mesh["cp"], *batches, lr, trainer["max_steps"]) == TABLE_3[row]
    assert ("images" in data) == row.startswith("t2v")
    if "images" in data:
        assert round(1 / data["images"]["share"]) == 11  # one batch to ten


SHARDS = {  # which curation config the rows of the paper train on
    "256px": ["t2v_256px", "t2v_256px_b"],
    "768px": ["t2v_768px", "t2v_768px_b", "t2v_768px_c", "t2v_768px_d"],
    "sft": ["t2v_sft"],
}


def buckets_of(shards: str) -> set[str]:
    """Those of the tars that a curation config makes of clips of every aspect and length."""
    from curation.config import load
    from curation.stages.shards import plan

    stage = load(CONFIGS / f"curation/{shards}.yaml", {}, []).shards
    clips = itertools.product(stage.sizes, stage.lengths)
    rows = [
        {"clip_id": str(i), "sha256": str(i), "fps": 24.0, "aspect": w / h, "seconds": length.min_seconds}
        for i, ((w, h), length) in enumerate(clips)
    ]
    return {tar.bucket for tar in plan(rows, stage, {})}


def grids_of(shards: str, patch: int = 2) -> list[tuple[int, int, int]]:
    return [bucket_grid(bucket, patch) for bucket in buckets_of(shards)]


@pytest.mark.parametrize(("shards", "row"), [(shards, row) for shards in SHARDS for row in SHARDS[shards]])
def test_a_row_takes_every_bucket_of_its_shards(shards: str, row: str) -> None:
    """It names them all, each divides into patches and stands within the position tables."""
    from datamodules.plan import Order

    args = {part: read(CONFIGS / f"paper/{row}.yaml")[part]["init_args"] for part in ("model", "data")}
    transformer, order = shape_of(args["model"]["transformer"]), Order(batch_size=args["data"]["batch_size"])
    for bucket in buckets_of(shards):
        assert order.size(bucket) >= 1
        grid = bucket_grid(bucket, transformer.patch)
        assert all(size <= entries for size, entries in zip(grid, transformer.grid, strict=True)), bucket
    assert set(args["data"]["batch_size"]) == buckets_of(shards)
    assert len({bucket.rsplit("x", 1)[0] for bucket in buckets_of(shards)}) == 5  # aspects (Sec. 3.2.1)


def test_buckets_of_one_length_have_about_as_many_tokens() -> None:
    for shards in SHARDS:
        for frames in {grid[0] for grid in grids_of(shards)}:
            tokens = [math.prod(grid) for grid in grids_of(shards) if grid[0] == frames]
            assert max(tokens) < 1.05 * min(tokens)


def test_places_of_768_px_grow_from_places_that_clips_of_256_px_train() -> None:
    """Entry i at 768 px is drawn between the two nearest to (i + 0.5) / 3 - 0.5 at 256 px."""
    for axis in (1, 2):
        trained = max(grid[axis] for grid in grids_of("256px"))
        last = max(grid[axis] for grid in grids_of("768px")) - 1
        assert math.ceil((last + 0.5) / 3 - 0.5) < trained


@pytest.mark.parametrize(
    ("seconds", "fps"), [(10.5, None), (10.67, 24), (12.0, 24), (15.9, 24), (15.99, 16), (16.0, 16)]
)
def test_finetuning_clips_are_those_of_rows_1_and_2_of_table_2(seconds: float, fps: float | None) -> None:
    from curation.config import load

    stage = load(CONFIGS / "curation/sft.yaml", {}, []).shards
    found = stage.bucket({"seconds": seconds, "fps": 24.0, "aspect": 16 / 9})
    assert (found and (found[1].frames, found[1].rate(seconds))) == (fps and (256, fps))


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("paper/t2*.yaml")), ids=name)
def test_a_row_of_text_to_video_warms_up_until_adam_knows_its_gradients_and_clips_them(path: Path) -> None:
    """With no moments, the first corrected step moves each weight by the whole rate."""
    from lightning_modules.optimization import OptimizerConfig

    content = read(path)
    optimizer = OptimizerConfig(**content["model"]["init_args"]["optimizer"])
    looks_back = 1 / (1 - max(optimizer.betas))
    assert 5 * looks_back <= optimizer.warmup + 1e-6 <= content["trainer"]["max_steps"] / 2
    assert content["trainer"]["gradient_clip_val"] == 1.0


def shape_of(written: dict) -> TransformerConfig:
    return TransformerConfig(**{key: tuple(v) if isinstance(v, list) else v for key, v in written.items()})


def side(run: str) -> int:
    """Pixels on the side of a run's square pictures; finetuning, whose name says none, goes on at 768."""
    found = re.search(r"(\d+)px", run)
    pixels = int(found[1]) if found else 768
    return {256: 32, 768: 64, 1024: 64}[pixels] if "small" in run else pixels


@pytest.mark.parametrize("folder", ["paper", "small"])
def test_each_stage_begins_with_one_whose_weights_fit_it(folder: str) -> None:
    paths = [path for path in STAGES if path.parent.name == folder]
    runs = {f"{content['run_dir']}/model": content for path in paths for content in [read(path)]}
    given = {run: content["model"]["init_args"] for run, content in runs.items()}
    shape = {run: shape_of(args.get("transformer", {})) for run, args in given.items()}
    begun = 0
    for run, args in given.items():
        start = args.get("start")
        if start is None:
            continue
        start = start if isinstance(start, dict) else {"model": start}
        there, here = shape[start["model"]], shape[run]
        assert {**vars(there), "grid": here.grid} == vars(here)
        scale = start.get("scale", (1, 1, 1))
        assert all(old * factor <= new for old, factor, new in zip(there.grid, scale, here.grid, strict=True))
        finer = max(1, side(run) // side(start["model"]))
        assert tuple(scale) == (1, finer, finer)
        assert start.get("new_tae", False) == ("t2i_post" in run)
        begun += 1
    assert begun >= 4


def test_each_small_stage_is_the_twin_of_a_row_of_the_paper() -> None:
    twins = {path.name for path in CONFIGS.glob("small/*.yaml")} - {"tae_image.yaml"}
    assert twins < {path.name for path in CONFIGS.glob("paper/*.yaml")}
