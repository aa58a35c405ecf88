"""How to go from noise to data: method, schedule, guidance, with the paper's defaults (Sec. 3.4)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from console import UserError
from flow.adaptive import GaveUpError, Tolerance, dopri5
from flow.loss import Velocity
from flow.schedule import SCHEDULES
from flow.solvers import METHODS, OnStep, solve


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How to go from noise to data; the defaults are the paper's (Sec. 3.4)."""

    method: str = "euler"
    """Name in flow.solvers.METHODS; or dopri5, which chooses its own steps."""
    steps: int = 50
    """Steps of all methods but dopri5."""
    guidance: float = 7.5
    """Scale of classifier-free guidance; 1 is the conditional model alone."""
    guidance_from: float = 0.0
    """Flow time from which guidance is on: 0 is noise, 1 is data."""
    guidance_until: float = 1.0
    """Flow time until which guidance is on."""
    schedule: str = "linear-quadratic"
    """Name in flow.schedule.SCHEDULES; dopri5 needs none."""
    emulated: int = 250
    """Linear steps that a linear-quadratic schedule imitates."""
    tolerance: float = 1e-3
    """Error that dopri5 allows in a step, relative and absolute."""
    cache: float = 0.0
    """Relative change of the first block up to which the others are skipped; 0 skips none."""
    negative: str = ""
    """What to steer away from; empty is the null condition of training."""

    def __post_init__(self) -> None:
        for kind, name, known in (
            ("schedule", self.schedule, SCHEDULES),
            ("method", self.method, (*METHODS, "dopri5")),
        ):
            if name not in known:
                raise UserError(f"There is no {kind} '{name}'. Take one of: {', '.join(known)}.")
        if not math.isfinite(self.guidance):
            raise UserError(f"The scale of guidance must be a finite number; {self.guidance} came.")
        if not 0 <= self.cache < 1:
            raise UserError(f"The cache's tolerance must be at least 0 and below 1; {self.cache} came.")
        if self.cache and self.method == "dopri5":
            raise UserError("dopri5 measures its own error, which a cache would hide. Take another method.")
        if not 0 <= self.guidance_from <= self.guidance_until <= 1:
            raise UserError(
                f"Guidance from {self.guidance_from:g} until {self.guidance_until:g}: times must rise within "
                "0 (noise) to 1 (data)."
            )
        try:
            self.times()
            self._tolerance()
        except ValueError as error:
            raise UserError(str(error)) from error

    def times(self) -> Float[Tensor, " nodes"]:
        """Nodes of the solver from 0 to 1."""
        make = SCHEDULES[self.schedule]
        return make(self.steps) if self.schedule == "linear" else make(self.steps, self.emulated)

    @property
    def progress(self) -> int | None:
        """Steps that will be reported; None where the solver chooses them as it goes."""
        return None if self.method == "dopri5" else self.steps

    def solve(self, velocity: Velocity, noise: Tensor, on_step: OnStep | None = None) -> Tensor:
        """From noise to data along `velocity`, by the method; a UserError where dopri5 cannot get there."""
        if self.method == "dopri5":
            try:
                return dopri5(velocity, noise, self._tolerance(), on_step)
            except GaveUpError as error:
                raise UserError(str(error)) from error
        return solve(velocity, noise, self.times(), METHODS[self.method], on_step)

    def _tolerance(self) -> Tolerance:
        return Tolerance(relative=self.tolerance, absolute=self.tolerance)


def idle(sampling: Sampling, asked: Mapping[str, Any]) -> list[str]:
    """Names of settings that were `asked` for and have no effect beside the others."""
    without = {
        "tolerance": sampling.method != "dopri5",
        "steps": sampling.method == "dopri5",
        "schedule": sampling.method == "dopri5",
        "emulated": sampling.method == "dopri5" or sampling.schedule == "linear",
        **dict.fromkeys(("negative", "guidance_from", "guidance_until"), sampling.guidance == 1),
    }
    return [name for name, value in asked.items() if value is not None and without.get(name, False)]


def sampling_for(facts: Mapping[str, Any], **asked: Any) -> Sampling:
    """What was asked for; where that is None, what the model's facts recommend; else the paper's defaults."""
    given = {name: value for name, value in asked.items() if value is not None}
    return Sampling(**{**facts.get("sampling", {}), **given})
