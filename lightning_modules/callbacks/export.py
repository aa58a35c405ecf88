"""ExportModel: the model folder that inference opens, in each checkpoint and at the end."""

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.tensor import DTensor
from typing_extensions import override

from lightning_modules.run_folder import RunFolder


@runtime_checkable
class Exportable(Protocol):
    """A stage whose model inference can open."""

    def exported_model(self) -> nn.Module:
        """The weights to export: the moving average where there is one."""
        ...

    def facts(self) -> dict[str, Any]:
        """What inference must know of them."""
        ...


class ExportModel(Callback):
    """Exports a stage that is `Exportable`; one that is not exports nothing.

    Facts may be measured in validation, so the end of a run asks `needs_validation` before it calls `finish`.
    """

    def __init__(self) -> None:
        self._validated_step: int | None = None  # in this process

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            self._validated_step = trainer.global_step

    @override
    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Say which of the stage's weights are the model, and what its folder says of them."""
        if isinstance(pl_module, Exportable):
            checkpoint["export"] = described(pl_module)

    def needs_validation(self, trainer: Trainer, pl_module: LightningModule) -> bool:
        """Whether the weights have moved since they were last validated."""
        possible = trainer.limit_val_batches != 0 and is_overridden("validation_step", pl_module)
        return possible and self._validated_step != trainer.global_step

    def finish(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the finished run's model folder."""
        self._export(trainer, pl_module, RunFolder(trainer.default_root_dir).model)

    @staticmethod
    def _export(trainer: Trainer, pl_module: LightningModule, target: Path) -> None:
        if not isinstance(pl_module, Exportable):
            return
        from inference.weights import describe_model, save_tensors

        model = pl_module.exported_model()
        tensors = whole_state(model)  # every process gives its shards
        if trainer.is_global_zero:
            save_tensors(target, tensors, describe_model(model, pl_module.facts()))


def whole_state(model: nn.Module) -> dict[str, Any]:
    """The tensors of `model`; those of a sharded one are brought together on the first process alone."""
    if not any(isinstance(weight, DTensor) for weight in model.parameters()):
        return model.state_dict()
    return get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))


def described(stage: LightningModule) -> dict[str, Any] | None:
    """How the names of the exported weights begin in the stage, and their description."""
    from inference.weights import describe_model

    assert isinstance(stage, Exportable)
    model = stage.exported_model()
    name = next((name for name, module in stage.named_modules() if module is model), None)
    if name is None:
        return None
    return {"prefix": f"{name}." if name else "", "description": describe_model(model, stage.facts())}
