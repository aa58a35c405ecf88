"""A step without a number leaves weights, moments and averages bit-equal; too many in a row stop the fit."""

import math

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn

from lightning_modules.average import averaged, follow
from lightning_modules.callbacks.non_finite import NonFinite, NonFiniteLossError


class Line(LightningModule):
    """Fits a line to batches of its number; those in `bad` have what the test wants to be wrong."""

    def __init__(self, bad=(), fault="loss"):
        super().__init__()
        self.line = nn.Linear(3, 1)
        self.average = averaged(self.line, 0.5)
        self.bad, self.fault = bad, fault

    def training_step(self, batch, batch_idx):
        bad = batch_idx in self.bad
        numbers = batch["numbers"] * (math.nan if bad and self.fault == "data" else 1)
        loss = self.line(numbers).square().mean()
        if bad and self.fault == "loss":
            loss = loss + math.inf  # its gradient is a number all the same
        if bad and self.fault == "gradient":
            loss = loss + (self.line.weight[0, 0] - self.line.weight[0, 0].detach()).abs().sqrt()
        return loss

    def optimizer_step(self, *args, **kwargs):
        super().optimizer_step(*args, **kwargs)
        follow(self.average, self.line)

    def configure_optimizers(self):
        return torch.optim.AdamW(self.line.parameters(), lr=0.1, weight_decay=0.5)


class Watch(Callback):
    """Keeps all that training changes, after every batch."""

    def __init__(self):
        self.states = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        moments = [value for state in trainer.optimizers[0].state.values() for value in state.values()]
        values = [*pl_module.state_dict().values(), *moments]
        self.states.append([value.detach().clone() for value in values])


def fit(module, guard, tmp_path, steps=6, **options):
    generator = torch.Generator().manual_seed(0)
    batches = [
        {"numbers": torch.randn(2, 3, generator=generator), "clip_id": [f"a{i}", f"b{i}"]}
        for i in range(steps * options.get("accumulate_grad_batches", 1))
    ]
    watch = Watch()
    trainer = Trainer(
        accelerator="cpu", max_epochs=1, callbacks=[guard, watch], default_root_dir=tmp_path, logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, **options,
    )  # fmt: skip
    loader = torch.utils.data.DataLoader(batches, batch_size=None)
    try:
        trainer.fit(module, loader)
    finally:
        watch.trainer = trainer
    return watch


def same(first, second):
    return len(first) == len(second) and all(map(torch.equal, first, second))


pytestmark = [
    pytest.mark.filterwarnings("ignore:The 'train_dataloader' does not have many workers"),
    pytest.mark.filterwarnings("ignore:`isinstance.treespec:FutureWarning"),
    pytest.mark.filterwarnings("ignore:The number of training batches"),
]


@pytest.mark.parametrize("fault", ["data", "loss", "gradient"])
@pytest.mark.parametrize("clip", [None, 1.0])
def test_a_left_out_step_changes_nothing_and_the_next_one_does(tmp_path, fault, clip):
    guard, module = NonFinite(), Line(bad={2, 4}, fault=fault)
    watch = fit(module, guard, tmp_path, gradient_clip_val=clip)
    equal = [same(watch.states[i - 1], watch.states[i]) for i in range(1, 6)]
    assert equal == [False, True, False, True, False]
    assert guard.skipped == 2
    assert all(value.isfinite().all() for value in watch.states[-1])
    assert watch.trainer.global_step == 6
    assert watch.trainer.callback_metrics["train/skipped_steps"] == 2


def test_a_run_without_such_steps_is_that_of_no_guard(tmp_path):
    states = []
    for guard in (NonFinite(), Callback()):
        torch.manual_seed(0)
        states.append(fit(Line(), guard, tmp_path).states[-1])
    assert same(*states)


def test_all_of_an_accumulated_step_is_left_out_and_all_its_clips_are_named(tmp_path):
    module = Line(bad={3})
    watch = fit(module, NonFinite(), tmp_path, steps=3, accumulate_grad_batches=2)
    assert same(watch.states[1], watch.states[3])  # batches 2 and 3 make the second step
    assert not same(watch.states[3], watch.states[5])
    with pytest.raises(NonFiniteLossError, match="Clips: a2, b2, a3, b3"):
        fit(Line(bad={3}), NonFinite(in_a_row=0), tmp_path, steps=3, accumulate_grad_batches=2)


def test_it_stops_after_so_many_in_a_row_and_not_after_so_many_in_all(tmp_path):
    fit(Line(bad={0, 1, 3, 4}), NonFinite(in_a_row=2), tmp_path)
    with pytest.raises(NonFiniteLossError, match=r"in step 4, as in 2 before it\. Clips: a3, b3"):
        fit(Line(bad={1, 2, 3, 4}, fault="data"), NonFinite(in_a_row=2), tmp_path)


def test_the_steps_in_a_row_are_counted_over_a_resume(tmp_path):
    guard, resumed = NonFinite(in_a_row=2), NonFinite(in_a_row=2)
    fit(Line(bad={4, 5}), guard, tmp_path)
    resumed.load_state_dict(guard.state_dict())
    with pytest.raises(NonFiniteLossError):
        fit(Line(bad={0}), resumed, tmp_path)


def test_a_negative_limit_is_refused():
    with pytest.raises(ValueError, match="at least 0; -1 came"):
        NonFinite(in_a_row=-1)
