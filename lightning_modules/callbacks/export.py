"""ExportModel: the model folder that inference opens, beside every checkpoint and, at the end, as `<run>/model`."""

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from typing_extensions import override

from lightning_modules.run_folder import RunFolder


class ExportModel(Callback):
    """Calls `exported_model()` and `facts()` of the stage; a stage without them exports nothing."""

    @override
    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self._export(trainer, pl_module, RunFolder(trainer.default_root_dir).checkpoint(trainer.global_step))

    @override
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._export(trainer, pl_module, RunFolder(trainer.default_root_dir).model)

    @staticmethod
    def _export(trainer: Trainer, pl_module: LightningModule, target: Path) -> None:
        if not trainer.is_global_zero or not hasattr(pl_module, "exported_model"):
            return
        from inference.weights import save_model

        save_model(target.with_suffix(""), pl_module.exported_model(), pl_module.facts())
