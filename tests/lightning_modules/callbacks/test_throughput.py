"""What a second of training does is counted as by hand, and its operations as torch counts them."""

from types import SimpleNamespace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from lightning_modules.callbacks import throughput
from lightning_modules.callbacks.throughput import Throughput
from lightning_modules.optimization import OptimizerConfig
from lightning_modules.t2v import T2VModule
from lightning_modules.work import work_of
from models.transformer import TransformerConfig

SHAPE = TransformerConfig(
    width=16, layers=2, heads=2, feed_forward=24, latent_channels=4, grid=(2, 4, 4), text_widths=(6, 5)
)


class Strategy:
    """One process of several that all counted the same."""

    root_device = torch.device("cpu")

    def __init__(self, world: int, data_ranks: int) -> None:
        self.world = world
        self.distributed_sampler_kwargs = {"num_replicas": data_ranks, "rank": 0}

    def reduce(self, tensor, reduce_op):
        assert reduce_op == "sum"
        return tensor * self.world


def stage() -> T2VModule:
    module = T2VModule(SHAPE, OptimizerConfig())
    module.logged = {}
    module.log_dict = module.logged.update
    return module


def batch(size: int = 3) -> dict:
    """`size` clips of 64 x 48 pixels and 16 frames: 2 x 4 x 3 tokens; texts of 5 and 4 tokens, 3 padded."""
    mask = torch.ones(size, 5, dtype=torch.bool)
    mask[0, 2:] = False
    texts = [
        {"embedding": torch.randn(size, 5, 6), "mask": mask},
        {"embedding": torch.randn(size, 4, 5), "mask": torch.ones(size, 4, dtype=torch.bool)},
    ]
    latent = torch.randn(size, 2, 4, 6, 8)
    return {"latent": latent, "text": texts, "bucket": "64x48x16", "clip_id": ["a"] * size}


def run(monkeypatch, module, steps, world=1, data_ranks=1, peak: float | None = 1e9) -> dict:
    """Steps of 2 s each, with 1 s of waiting before each, and what is logged behind the last."""
    clock = iter(range(0, 1000, 2))
    monkeypatch.setattr(throughput.time, "perf_counter", lambda: float(next(clock)))
    loader = SimpleNamespace(waited=5.0)
    trainer = SimpleNamespace(
        train_dataloader=loader, log_every_n_steps=steps, world_size=world, global_step=0,
        strategy=Strategy(world, data_ranks),
    )  # fmt: skip
    callback = Throughput(peak=peak)
    callback.on_train_start(trainer, module)
    for step in range(steps):
        loader.waited += 1.0
        trainer.global_step = step + 1
        callback.on_train_batch_start(trainer, module, batch(), step)
        callback.on_train_batch_end(trainer, module, None, batch(), step)
    return {name.removeprefix("throughput/"): value for name, value in module.logged.items()}


@pytest.mark.parametrize(("world", "data_ranks"), [(1, 1), (4, 4), (8, 2)])
def test_counts_are_those_of_all_data_ranks_and_mfu_of_all_devices(monkeypatch, world, data_ranks):
    module = stage()
    found = run(monkeypatch, module, steps=4, world=world, data_ranks=data_ranks)
    seconds = 4 * (2 + 1)
    flops = module.work(batch()).flops
    assert found == pytest.approx(
        {
            "clips_per_second": data_ranks * 4 * 3 / seconds,
            "frames_per_second": data_ranks * 4 * 3 * 16 / seconds,
            "tokens_per_second": data_ranks * 4 * 3 * 24 / seconds,
            "seconds_per_step": 3.0,
            "data_wait": 1 / 3,
            "text_padding": 3 / (3 * 9),
            "flops_per_step": data_ranks * flops,
            "flops_per_second": data_ranks * flops / 3,
            "mfu": data_ranks * flops / 3 / (world * 1e9),
        }
    )


def test_the_operations_of_a_batch_are_those_that_torch_counts():
    """Forward and backward; the counter leaves out what only the fused attention of a processor repeats."""
    module, given = stage(), batch()
    module.__dict__["nulls"] = (torch.zeros(1, 6), torch.zeros(1, 5))
    module.log = lambda *args, **kwargs: None
    counter = FlopCounterMode(display=False)
    with counter, torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        module.training_step(given, 0).backward()
    assert module.work(given).flops == counter.get_total_flops()


def test_work_counts_frames_by_the_bucket_and_padding_by_the_masks():
    module = stage()
    work = work_of({**batch(), "bucket": "64x48x13"}, module._backbone, patch=2)
    assert (work.frames, work.tokens, work.text, int(work.padding)) == (39, 72, 27, 3)


def test_a_stage_that_counts_no_work_shows_clips_alone(monkeypatch):
    module = SimpleNamespace(logged={})
    module.log_dict = module.logged.update
    assert set(run(monkeypatch, module, steps=2)) == {"clips_per_second", "seconds_per_step", "data_wait"}


def test_a_processor_is_measured_and_a_peak_that_means_nothing_is_refused():
    assert throughput.measured_peak() > 1e8
    assert throughput.peak_of(torch.device("meta")) is None
    with pytest.raises(ValueError, match=r"throughput\.peak"):
        Throughput(peak=0)
