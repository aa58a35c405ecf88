"""Breaks distributed training on purpose and shows that the suite notices: python -m tests.parallel.mutants

Each mutant is a fault that shipped somewhere, or that one would make here: the forward pass stays right, or
nearly, and nothing raises. For each a case of the suite, or the contracts of contracts.py, runs on two
processes. Takes some minutes; exits with 1 if a mutant survives. `--only WORD` takes those with WORD in their
name.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed as dist

from lightning_modules.strategy import MeshStrategy
from parallel import collectives, context, gradients
from parallel.mesh import Mesh, MeshConfig
from tests.datamodules.shard_sets import write_latents
from tests.parallel.contracts import SAMPLES, seen, violations
from tests.parallel.ranks import RankError, run_ranks
from tests.parallel.suite import TWO, run_cases, too_far


class Mutant(NamedTuple):
    """A fault, and what must notice it: a case of the suite, or for a mesh's axis the contracts."""

    broken: Callable[[], None]
    case: str | None = None
    axis: str | None = None


def keys_keep_their_own_gradient() -> None:
    """K and V get the gradient of this process's queries alone (slime #1366)."""
    collectives._Gather.backward = staticmethod(  # type: ignore[method-assign]
        lambda ctx, gradient: (collectives._own(gradient, ctx.dim, ctx.group), None, None)
    )


def exchange_is_not_undone() -> None:
    """Ulysses sends gradients nowhere (diffusers #13319 in its silent form)."""
    collectives._Exchange.backward = staticmethod(lambda ctx, gradient: (gradient, None))  # type: ignore


def sequence_is_not_scaled() -> None:
    """The average over cp in place of the sum (FastVideo #1138)."""
    joined = collectives.join
    context.join = lambda x, dim, group, scale: joined(x, dim, group, scale=1.0)


def loss_is_divided_twice() -> None:
    """The loss is scaled for accumulation by Lightning and once more."""
    step = MeshStrategy.training_step
    MeshStrategy.training_step = lambda self, *args: step(self, *args) / 2  # type: ignore


def padding_is_attended() -> None:
    """Keys of the padding take part."""

    def before(self: Any, _: Any, args: Any) -> Any:
        query, key, value = args
        return query, *collectives.all_gather(torch.stack([key, value]), 3, self.sequence.group)

    context.GatheredKeys.before = before  # type: ignore[method-assign]


def whole_weights_are_not_averaged() -> None:
    """Weights that FSDP does not hold are left as they are (cosmos-predict2.5 #143)."""
    sys.modules["lightning_modules.strategy"].average_gradients = lambda *args: None  # type: ignore


def whole_weights_are_summed() -> None:
    """A sum in place of the average."""

    def total(weights: Any, mesh: Any) -> None:
        for weight in weights:
            if weight.grad is not None:
                dist.all_reduce(weight.grad, group=mesh.get_group())

    sys.modules["lightning_modules.strategy"].average_gradients = total  # type: ignore


def shards_are_summed() -> None:
    """FSDP sums gradients in place of averaging them."""
    from models.transformer import parallelize

    sharded = parallelize.fully_shard

    def summed(module: Any, **options: Any) -> Any:
        sharded(module, **options).set_gradient_divide_factor(1.0)

    parallelize.fully_shard = summed


def sequence_parts_keep_their_own_gradient() -> None:
    """What all processes of a tp group share gets the gradient of a part of the sequence."""
    collectives._SummedGradient.backward = staticmethod(lambda ctx, gradient: (gradient, None))  # type: ignore


def norm_is_of_this_process() -> None:
    """Clipping by the norm of the shards here (each process scales otherwise)."""

    def local(weights: Any) -> torch.Tensor:
        parts = [weight.grad.to_local() for weight in weights if weight.grad is not None]
        return torch.nn.utils.get_total_norm(parts)

    gradients.total_norm = local


def seeds_are_equal() -> None:
    """One seed on all processes: the same noise on all data ranks (torchtitan #1946)."""
    Mesh.data_rank = property(lambda self: 0)  # type: ignore[assignment]


def seeds_are_of_the_process() -> None:
    """A seed for each process: cp peers denoise one sample at different times (torchtitan's Flux)."""
    module = sys.modules["lightning_modules.strategy"]
    begin = module.begin_step  # type: ignore
    module.begin_step = lambda seed, step, micro, rank: begin(seed, step, micro, dist.get_rank())  # type: ignore


def seeds_ignore_the_step() -> None:
    """The same noise in each step."""
    module = sys.modules["lightning_modules.strategy"]
    begin = module.begin_step  # type: ignore
    module.begin_step = lambda seed, step, micro, rank: begin(seed, 0, 0, rank)  # type: ignore


def samples_are_dealt_to_processes() -> None:
    """cp peers read other clips."""
    MeshStrategy.distributed_sampler_kwargs = property(  # type: ignore[assignment]
        lambda self: {"num_replicas": dist.get_world_size(), "rank": dist.get_rank()}
    )


def samples_are_not_dealt() -> None:
    """Each process reads all clips (HunyuanVideo-1.5 #51, finetrainers)."""
    MeshStrategy.distributed_sampler_kwargs = property(  # type: ignore[assignment]
        lambda self: {"num_replicas": 1, "rank": 0}
    )


MUTANTS = {
    "cp: keys keep their own gradient": Mutant(keys_keep_their_own_gradient, "cp-gather"),
    "cp: exchange is not undone": Mutant(exchange_is_not_undone, "cp-ulysses"),
    "cp: sum becomes average": Mutant(sequence_is_not_scaled, "cp-gather"),
    "cp: padding is attended": Mutant(padding_is_attended, "cp-gather, 9 tokens"),
    "tp: shared parts keep their own gradient": Mutant(sequence_parts_keep_their_own_gradient, "tp"),
    "loss: divided twice": Mutant(loss_is_divided_twice, "fsdp"),
    "average: FSDP sums": Mutant(shards_are_summed, "fsdp"),
    "average: whole weights are left": Mutant(whole_weights_are_not_averaged, "whole on each"),
    "average: whole weights are summed": Mutant(whole_weights_are_summed, "whole on each"),
    "norm: of one process": Mutant(norm_is_of_this_process, "fsdp"),
    "seed: equal on data ranks": Mutant(seeds_are_equal, axis="dp_shard"),
    "seed: other on peers": Mutant(seeds_are_of_the_process, axis="cp"),
    "seed: the same each step": Mutant(seeds_ignore_the_step, axis="dp_shard"),
    "data: dealt to processes": Mutant(samples_are_dealt_to_processes, axis="cp"),
    "data: not dealt": Mutant(samples_are_not_dealt, axis="dp_shard"),
}


def check(rank: int, mutant: str | None, case: str | None, axis: str | None, folder: Path) -> Any:
    """What the suite finds on this process, with `mutant` at work or without any."""
    if mutant is not None:
        MUTANTS[mutant].broken()
    if case is not None:
        return list(too_far(run_cases(rank, {"case": TWO[case]}, 2)["case"]))
    assert axis is not None
    return seen(rank, folder, MeshConfig(**{axis: 2}).over(2), 2)


@cache
def noticed(mutant: str | None, case: str | None, axis: str | None, folder: Path) -> str:
    """What was found first; empty where nothing was."""
    try:
        answers = run_ranks(2, check, mutant, case, axis, folder)
    except RankError as error:
        return str(error).splitlines()[0]
    if axis is not None:
        return next(iter(violations(answers, MeshConfig(**{axis: 2}).over(2))), "")
    return next((f"{found[0]} and {len(found) - 1} more" for found in answers if found), "")


def main() -> int:
    """Run the mutants; 1 if one of them, or the code as it is, gets the wrong verdict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", default="", help="run the mutants with this word in their name")
    only = parser.parse_args().only
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        latents = write_latents(Path(folder), train=SAMPLES)
        for name, mutant in MUTANTS.items():
            if only in name:
                asked = (mutant.case, mutant.axis, latents)
                before, after = noticed(None, *asked), noticed(name, *asked)
                verdict = "red before it was broken!" if before else ("killed" if after else "SURVIVES")
                wrong += verdict != "killed"
                print(f"{name:<42} {verdict:<10} {before or after}", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
