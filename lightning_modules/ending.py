"""How a command ends when it is stopped: exit codes that a scheduler understands, and Slurm's requeue."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from lightning.fabric.plugins.environments import ClusterEnvironment, SLURMEnvironment
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import MisconfigurationException, SIGTERMException

from console import UserError
from lightning_modules.callbacks.stop import Stopped
from lightning_modules.checkpoint_io import check_fits, open_checkpoint
from lightning_modules.meeting import Place

PARENT = "MOVIEGEN_PARENT"  # names the process that a command was typed as to those that it starts
PATIENCE = 60  # seconds for scontrol to answer


def guarded(
    trainer: Trainer,
    model: LightningModule,
    run: Callable[..., Any],
    kwargs: dict[str, Any],
    *,
    requeue: bool,
) -> Any:
    """Run the trainer; signals and faults of the input leave as what `console.command` understands."""
    try:
        return run(**kwargs)
    except Stopped as stop:
        _stopped(stop.signum, stop.step, requeue=requeue)
    except SIGTERMException:
        _stopped(signal.SIGTERM, trainer.global_step, requeue=requeue)
    except SystemExit:
        if trainer.interrupted:  # how Lightning answers Ctrl-C
            raise KeyboardInterrupt from None
        raise
    except MisconfigurationException as error:
        raise UserError(str(error)) from error
    except RuntimeError as error:
        path = kwargs.get("ckpt_path")
        if path and "loading state_dict" in str(error):
            check_fits(Path(path), open_checkpoint(Path(path))["state_dict"], model.state_dict())
        if (fault := compiler_fault(error)) is not None:
            raise UserError(fault) from error
        lost = Place(trainer.global_rank, trainer.world_size).lost(error) if trainer.world_size > 1 else None
        if lost is not None:
            raise lost from error
        raise


def compiler_fault(error: RuntimeError) -> str | None:
    """What to do about an `error` of torch.compile; None for any other."""
    from torch._dynamo.exc import BackendCompilerFailed  # seconds that only a failure costs
    from torch._inductor.exc import TritonMissing

    if not isinstance(error, (BackendCompilerFailed, TritonMissing)):
        return None
    said = str(getattr(error, "inner_exception", error)).strip().partition("\n")[0]
    return (
        f"torch.compile cannot compile the blocks: {said or repr(error)}. On processors it needs a C++ "
        "compiler (install g++, or name one in CXX), on GPUs Triton and a C compiler. Or set "
        "execution.compile to false, which trains the same, slower."
    )


def no_other_requeue(plugins: list[Any]) -> list[Any]:
    """`plugins`, and Slurm's environment without Lightning's requeue, which would save amid a step."""
    given = any(isinstance(plugin, ClusterEnvironment) for plugin in plugins)
    if given or not SLURMEnvironment.detect():
        return plugins
    try:
        return [*plugins, SLURMEnvironment(auto_requeue=False)]
    except RuntimeError as error:  # how Lightning tells of options of srun that it does not know
        raise UserError(str(error)) from error


def requeue_job() -> None:
    """Ask Slurm to start this job again from its beginning, once the processes of it have ended."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    job = f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID")
    if job is None:
        say("--requeue has no effect: this is no job of Slurm (SLURM_JOB_ID is not set).")
        return
    try:
        done = subprocess.run(
            ["scontrol", "requeue", job], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        fault = done.stderr.strip() or f"exit code {done.returncode}" if done.returncode else None
    except (OSError, subprocess.TimeoutExpired) as error:
        fault = str(error)
    say(f"Slurm did not requeue job {job}: {fault}." if fault else f"Slurm will start job {job} again.")


def be_the_parent() -> None:
    """Leave word for the processes that Lightning starts from this one."""
    os.environ.setdefault(PARENT, str(os.getpid()))


def is_started_by_us() -> bool:
    """Whether Lightning started this process from the one that the command was typed as."""
    return os.environ.get(PARENT) == str(os.getppid())


@rank_zero_only
def say(text: str) -> None:
    """One line for the user, beside progress and errors."""
    print(text, file=sys.stderr, flush=True)


def _stopped(signum: int, step: int, *, requeue: bool) -> NoReturn:
    if signum == signal.SIGINT:
        raise KeyboardInterrupt
    name = signal.Signals(signum).name
    say(f"Stopped by {name} after step {step}; the same command goes on from there.")
    if requeue and rank_zero_only.rank == 0:
        requeue_job()
    # Lightning kills the process that the command was typed as once one that it started ends otherwise
    raise SystemExit(0 if is_started_by_us() else 128 + signum)
