"""What torch's own memory tracker sees of two steps on a fake process group."""

import multiprocessing
import warnings

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.fsdp2_mem_tracker import FSDPMemTracker

from models.transformer import Transformer, TransformerConfig
from parallel.plan.layout import Layout
from parallel.plan.shape import Batch
from tests.parallel.plan.fake_group import feed, rank_of, sharded

GRID = (4, 16, 16)


def tracked_peak(config: TransformerConfig, batch: Batch, layout: Layout) -> dict[str, int]:
    """Bytes by kind at the fullest moment of the second of two steps in Lightning's order."""
    with rank_of(layout.world), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = sharded(config, layout)
        with FakeTensorMode(allow_non_fake_inputs=True):
            return _track(model.to_empty(device="cpu"), batch)


def _track(model: Transformer, batch: Batch) -> dict[str, int]:
    optimizer = torch.optim.AdamW(model.parameters(), foreach=False)
    latent, time, text = feed(batch, GRID)
    tracker = FSDPMemTracker(model, optimizer)
    tracker.track_inputs((latent, time, *text[0]))
    with tracker:
        for step in range(2):
            loss = model(latent, time, text).float().pow(2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step == 0:
                tracker.reset_mod_stats()
    (snapshot,) = tracker.get_tracker_snapshot("peak").values()
    return {str(kind): size for kind, size in snapshot.items()}


def tracked_apart(config: TransformerConfig, batch: Batch, layout: Layout) -> dict[str, int]:
    """`tracked_peak` in a process that checks no shapes: cut modules take and give parts of a sequence."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(tracked_peak, (config, batch, layout))
