"""The learning rate over a run, and who is decayed."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from lightning_modules.optimization import OptimizerConfig, hidden_matrices, optimizer_and_schedule, rate
from models.tae import TAE, TAEConfig
from models.tae.discriminator import DiscriminatorConfig, PatchDiscriminator
from models.transformer import Transformer, TransformerConfig
from models.transformer.execution import Execution
from models.transformer.position import FactorisedPosition

HALVES = ("inflated", "inflated_3d", "framewise", "compact")
SHAPE = TransformerConfig(
    width=16, layers=2, heads=2, feed_forward=24, latent_channels=4, grid=(2, 2, 2), text_widths=(6,)
)


def test_warm_up_rises_in_equal_steps_to_the_whole_rate():
    config = OptimizerConfig(warmup=4)
    assert [rate(step, config, 100) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("decay", ["linear", "cosine"])
def test_decays_fall_from_the_whole_rate_to_the_final_one(decay):
    config = OptimizerConfig(warmup=10, decay=decay, final=0.1)
    rates = [rate(step, config, 110) for step in range(10, 111)]
    assert rates[0] == 1.0
    assert rates[50] == pytest.approx(0.55)
    assert rates[-1] == pytest.approx(0.1)
    assert all(later < earlier for earlier, later in pairwise(rates))


def decays(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, float]:
    """The weight decay of each parameter."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {names[id(p)]: group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}


@pytest.mark.parametrize("kind", ["adamw", "muon"])
@pytest.mark.parametrize(
    "execution", [Execution(), Execution(empty=True), Execution(checkpointing="full", compile=True)]
)
def test_linear_maps_are_decayed_and_biases_norms_and_tables_are_not(kind, execution):
    with execution.building():
        model = Transformer(SHAPE)
    execution.put_on(model)
    config = OptimizerConfig(kind=kind, weight_decay=0.3)
    found = decays(optimizer_and_schedule(model, config, 10)["optimizer"], model)
    linear = {f"{name}.weight" for name, part in model.named_modules() if isinstance(part, nn.Linear)}
    assert found == {name: 0.3 if name in linear else 0.0 for name, _ in model.named_parameters()}
    tables = {"position.time", "position.row", "position.column"}
    tables |= {"blocks.0.table.weight", "blocks.1.table.weight"}
    assert {name for name, parameter in model.named_parameters() if parameter.ndim > 1} - linear == tables


@pytest.mark.parametrize(
    "network",
    [
        *(TAE(TAEConfig(halves=halves, widths=(8, 8), groups=4, blocks=1)) for halves in HALVES),
        *(PatchDiscriminator(DiscriminatorConfig(kind=kind, width=4)) for kind in ("frames", "clips")),
    ],
)
def test_of_a_tae_and_its_discriminator_all_convolutions_are_decayed(network):
    found = decays(optimizer_and_schedule(network, OptimizerConfig(), 10)["optimizer"], network)
    assert found == {name: 0.1 if p.ndim > 1 else 0.0 for name, p in network.named_parameters()}


def test_positions_that_no_token_visits_stay_as_they_are():
    model = FactorisedPosition((4, 4, 4), 8)
    before = model.time.detach().clone()
    optimizer = optimizer_and_schedule(model, OptimizerConfig(lr=0.1, weight_decay=0.5), 10)["optimizer"]
    for _ in range(3):
        optimizer.zero_grad()
        model(2, 4, 4).square().sum().backward()
        optimizer.step()
    assert torch.equal(model.time[2:], before[2:])
    assert not torch.equal(model.time[:2], before[:2])


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_moments_of_a_checkpoint_that_counted_tables_among_matrices_find_their_weights(kind):
    """Each weight's moments are filled with a number of its own."""
    model = Transformer(SHAPE)
    config = OptimizerConfig(kind=kind, weight_decay=0.3)
    now = optimizer_and_schedule(model, config, 10)["optimizer"]
    hidden = {id(weight) for weight in hidden_matrices(model)} if kind == "muon" else set()
    outer = [p for p in model.parameters() if id(p) not in hidden]
    parts = [[p for p in outer if p.ndim > 1], [p for p in outer if p.ndim == 1]]
    parts += [[p for p in model.parameters() if id(p) in hidden]] if hidden else []
    settings = [
        {key: value for key, value in group.items() if key != "params"}
        for group in now.state_dict()["param_groups"]
    ]
    older = type(now)([{**each, "params": part} for each, part in zip(settings, parts, strict=True)])
    for number, weight in enumerate(model.parameters()):
        older.state[weight] = {"step": torch.tensor(1.0), "first": torch.full_like(weight, number)}
    now.load_state_dict(older.state_dict())
    for number, weight in enumerate(model.parameters()):
        assert torch.equal(now.state[weight]["first"], torch.full_like(weight, number))
    assert decays(now, model)["position.time"] == 0.0


def test_muon_takes_the_matrices_of_repeated_layers_and_nothing_is_left_out():
    model = nn.ModuleDict(
        {
            "stem": nn.Linear(3, 4),
            "layers": nn.ModuleList([nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)), nn.Conv2d(4, 4, 3)]),
            "out": nn.Linear(4, 3),
        }
    )
    config = OptimizerConfig(kind="muon", weight_decay=0.3)
    optimizer = optimizer_and_schedule(model, config, 10)["optimizer"]
    names = {id(p): name for name, p in model.named_parameters()}
    by_muon = [names[id(p)] for g in optimizer.param_groups if g["orthogonal"] for p in g["params"]]
    assert by_muon == ["layers.0.0.weight", "layers.1.weight"]
    dealt = [names[id(p)] for group in optimizer.param_groups for p in group["params"]]
    assert sorted(dealt) == sorted(names.values())
    decayed = {names[id(p)] for g in optimizer.param_groups if g["weight_decay"] for p in g["params"]}
    assert decayed == {"stem.weight", "layers.0.0.weight", "layers.1.weight", "out.weight"}


def test_momentum_is_that_of_the_matrices_and_moves_them():
    """A smaller gradient the other way turns the step of little momentum, not that of much."""
    ends = []
    for momentum in (0.95, 0.5):
        model = nn.ModuleList([nn.Linear(2, 2, bias=False)])
        nn.init.zeros_(model[0].weight)
        config = OptimizerConfig(kind="muon", lr=0.1, weight_decay=0.0, momentum=momentum)
        optimizer = optimizer_and_schedule(model, config, 10)["optimizer"]
        for gradient in (torch.diag(torch.tensor([1.0, 1.0])), torch.diag(torch.tensor([1.0, -0.2]))):
            model[0].weight.grad = gradient
            optimizer.step()
        ends.append(model[0].weight[1, 1].item())
    assert ends[0] < -0.05
    assert abs(ends[1]) < 0.01


def test_the_schedule_drives_the_optimizer():
    parts = optimizer_and_schedule(nn.Linear(2, 2), OptimizerConfig(lr=1e-2, warmup=2, decay="linear"), 4)
    optimizer, schedule = parts["optimizer"], parts["lr_scheduler"]["scheduler"]
    seen = []
    for _ in range(4):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    torch.testing.assert_close(seen, [0.005, 0.01, 0.01, 0.005])


@pytest.mark.parametrize("fields", [{"lr": 0.0}, {"warmup": -1}, {"final": 2.0}, {"momentum": 1.0}])
def test_impossible_settings_are_refused(fields):
    with pytest.raises(ValueError, match=r"must be > 0"):
        OptimizerConfig(**fields)
