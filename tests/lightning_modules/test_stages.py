"""The two stages: what each step looks at, what is dropped, what is averaged, what is measured."""

import dataclasses
from math import isfinite, nan

import pytest
import torch

from console import UserError
from lightning_modules.loss_parts import TIMES
from lightning_modules.optimization import OptimizerConfig
from lightning_modules.t2v import T2VModule, replace_text
from lightning_modules.tae import TAEModule
from lightning_modules.tae_objective import TAELossConfig
from models.tae import TAEConfig
from models.tae.losses import kl_divergence, outlier_penalty
from models.text import TextTokens
from models.transformer import TransformerConfig
from models.transformer.execution import Execution

SHAPE = TransformerConfig(
    width=16, layers=1, heads=2, feed_forward=16, latent_channels=4, grid=(2, 2, 2), text_widths=(6,)
)


def t2v(**options) -> T2VModule:
    module = T2VModule(SHAPE, OptimizerConfig(), **options)
    module.log = lambda *args, **kwargs: None
    module.__dict__["nulls"] = (torch.full((2, 6), 7.0),)  # tokens of the empty text, without an encoder
    return module


def batch(size: int) -> dict:
    return {
        "latent": torch.randn(size, 1, 4, 4, 4),
        "text": {"embedding": torch.randn(size, 5, 6), "mask": torch.ones(size, 5, dtype=torch.bool)},
    }


def seen_by(module: T2VModule, size: int) -> dict:
    """What the transformer gets in one training step."""
    seen = {}

    def look(_, args):
        seen.update(point=args[0], time=args[1], text=args[2][0])

    handle = module.transformer.register_forward_pre_hook(look)
    with torch.no_grad():
        module.training_step(batch(size), 0)
    handle.remove()
    return seen


@pytest.mark.parametrize("drop", [0.0, 0.1, 1.0])
def test_text_is_dropped_as_often_as_asked(drop):
    text = seen_by(t2v(text_drop=drop), 10_000)["text"]
    nulls = (text.embedding[:, :2] == 7).all(dim=(1, 2)) & (text.mask.sum(dim=1) == 2)
    assert nulls.float().mean().item() == pytest.approx(drop, abs=0.01)
    assert (text.mask.sum(dim=1)[~nulls] == 5).all()


def test_each_clip_has_a_time_and_a_noise_of_its_own():
    seen = seen_by(t2v(), 64)
    assert len(seen["time"].unique()) == 64
    assert len(seen["point"].flatten(1).unique(dim=0)) == 64


def test_times_are_the_papers_unless_the_config_moves_them():
    paper, moved = (torch.logit(seen_by(t2v(time_mean=mean), 20_000)["time"]) for mean in (0.0, -1.0))
    assert paper.mean().item() == pytest.approx(0, abs=0.03)
    assert moved.mean().item() == pytest.approx(-1, abs=0.03)
    assert moved.std().item() == pytest.approx(1, abs=0.03)


def test_the_null_text_takes_the_place_of_whole_rows():
    text = TextTokens(torch.randn(3, 4, 6), torch.tensor([[True] * 4, [True] * 3 + [False], [True] * 4]))
    null = torch.full((2, 6), 7.0)
    replaced = replace_text(text, torch.tensor([False, True, False]), null)
    torch.testing.assert_close(replaced.embedding[::2], text.embedding[::2])
    assert replaced.mask.tolist() == [[True] * 4, [True, True, False, False], [True] * 4]
    torch.testing.assert_close(replaced.embedding[1], torch.cat([null, torch.zeros(2, 6)]))


def test_a_null_text_longer_than_the_texts_is_not_cut():
    text = TextTokens(torch.randn(2, 3, 6), torch.tensor([[True] * 3, [True, False, False]]))
    null = torch.randn(5, 6)
    replaced = replace_text(text, torch.tensor([False, True]), null)
    torch.testing.assert_close(replaced.embedding[1], null)
    torch.testing.assert_close(replaced.embedding[0], torch.cat([text.embedding[0], torch.zeros(2, 6)]))
    assert replaced.mask.tolist() == [[True] * 3 + [False] * 2, [True] * 5]


def test_held_out_losses_are_those_of_the_clip_alone_in_every_quarter_of_the_times():
    module, held_out = t2v(), {**batch(3), "clip_id": ["a", "b", "c"]}
    with torch.no_grad():
        together = module._held_out_losses(held_out)
        alone = [module._held_out_losses(only(held_out, row)) for row in (2, 0, 1)]
    for row, each in zip((2, 0, 1), alone, strict=True):
        torch.testing.assert_close(each.losses, together.losses[row::3])
        assert torch.equal(each.times, together.times[row::3])
        assert (module._ranks(each.times) * TIMES).long().tolist() == list(range(TIMES))


def test_clips_given_their_first_frame_have_a_held_out_loss_too_and_those_that_are_repeated_have_none():
    module = i2v(first_frame=0.5)
    held_out = {**batch(2), "clip_id": ["a", "b"], "bucket": "32x32x16", "first": torch.randn(2, 1, 4, 4, 4)}
    held_out["latent"] = torch.randn(2, 2, 4, 4, 4)
    with torch.no_grad():
        module.validation_step(held_out, 0)
        module.validation_step({**held_out, "latent": torch.full((2, 2, 4, 4, 4), nan), "repeated": True}, 1)
    found = module.held_out_parts.means("val", lambda sums: sums, torch.device("cpu"))
    assert isfinite(found["val/loss"])
    assert isfinite(found["val/loss_first_frame"])


def only(held_out: dict, row: int) -> dict:
    text = {name: value[row : row + 1] for name, value in held_out["text"].items()}
    part = slice(row, row + 1)
    return {"latent": held_out["latent"][part], "text": text, "clip_id": held_out["clip_id"][part]}


def test_with_an_average_that_is_what_is_exported_and_without_it_the_weights():
    averaged, plain = t2v(ema=0.9), t2v()
    assert averaged.exported_model() is averaged.average.module
    assert plain.exported_model() is plain.transformer


def i2v(**options) -> T2VModule:
    shape = dataclasses.replace(SHAPE, extra_channels=5)
    module = T2VModule(shape, OptimizerConfig(), **options)
    module.log = lambda *args, **kwargs: None
    module.__dict__["nulls"] = (torch.full((2, 6), 7.0),)
    return module


def told(module: T2VModule, size: int) -> torch.Tensor:
    """The condition that the transformer gets in one training step, whose masks say who has a frame."""
    seen = []
    handle = module.transformer.register_forward_pre_hook(lambda _, args: seen.append(args[3]))
    with torch.no_grad():
        module.training_step({**batch(size), "first": torch.randn(size, 1, 4, 4, 4)}, 0)
    handle.remove()
    return seen[0]


@pytest.mark.parametrize("share", [0.2, 1.0])
def test_first_frames_are_given_as_often_as_asked(share):
    extra = told(i2v(first_frame=share), 10_000)
    given = extra[:, 0, 0, 0, 0]
    assert given.mean().item() == pytest.approx(share, abs=0.02)
    assert not extra[given == 0].any()
    assert extra[given == 1, 0, 1:].any()


def test_without_first_frames_a_stage_gives_none_and_draws_the_same_numbers():
    assert told(i2v(), 4) is None
    torch.manual_seed(0)
    before = t2v().training_step(batch(4), 0)
    torch.manual_seed(0)
    assert torch.equal(t2v(first_frame=0.0).training_step(batch(4), 0), before)


def test_latents_without_first_frames_are_refused_by_a_stage_that_needs_them():
    with pytest.raises(UserError, match="encode --first-frame"):
        i2v(first_frame=0.5).training_step({**batch(2), "latent": torch.randn(2, 2, 4, 4, 4)}, 0)


def test_an_image_is_no_condition_of_itself():
    module, seen = i2v(first_frame=1.0), []
    module.transformer.register_forward_pre_hook(lambda _, args: seen.append(args[3]))
    module.training_step(batch(2), 0)
    assert seen == [None]


@pytest.mark.parametrize("share", [0.5, 1.5, -0.1])
def test_first_frames_need_channels_and_a_chance(share):
    with pytest.raises(ValueError, match=r"extra_channels must be 5"):
        t2v(first_frame=share)


def tae_module(**weights) -> TAEModule:
    config = TAEConfig(halves="compact", widths=(8, 8, 8), blocks=1, latent_channels=4)
    module = TAEModule(config, TAELossConfig(**weights), OptimizerConfig())
    module.log = module.log_dict = lambda *args, **kwargs: None
    return module


def test_the_tae_loss_is_the_weighted_sum_of_its_parts():
    video = {"video": torch.rand(2, 8, 3, 32, 32) * 2 - 1}
    losses = {}
    for weights in ((0.0, 0.0), (0.5, 0.0), (0.0, 2.0)):
        torch.manual_seed(0)
        module = tae_module(kl=weights[0], outlier=weights[1])
        torch.manual_seed(1)
        losses[weights] = module.training_step(video, 0)
    posterior = module.model.encode(video["video"])
    torch.manual_seed(1)
    latent = posterior.sample(torch.randn_like(posterior.mean))
    torch.testing.assert_close(losses[0.5, 0.0] - losses[0.0, 0.0], 0.5 * kl_divergence(posterior))
    torch.testing.assert_close(losses[0.0, 2.0] - losses[0.0, 0.0], 2 * outlier_penalty(latent))


def test_checkpointing_is_put_on_the_model_that_trains_and_keeps_its_loss_and_gradients():
    torch.manual_seed(0)
    plain = t2v(ema=0.9)
    torch.manual_seed(0)
    dropping = t2v(ema=0.9, execution=Execution(checkpointing="full"))
    assert "forward" in vars(dropping.transformer.blocks[0])
    assert "forward" not in vars(dropping.exported_model().blocks[0])
    losses = []
    for module in (plain, dropping):
        torch.manual_seed(1)
        losses.append(module.training_step(batch(3), 0))
        losses[-1].backward()
    assert torch.equal(*losses)
    for mine, theirs in zip(dropping.transformer.parameters(), plain.transformer.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)
