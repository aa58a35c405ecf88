"""An ONNX model on one core, and what it takes and gives."""

from pathlib import Path

import numpy as np
import onnxruntime

from console import UserError


class Model:
    """Loaded once per worker. `name` says in errors which setting or package a file is from."""

    def __init__(self, path: Path, name: str):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # one worker = one core
        options.log_severity_level = 3
        self.name = name
        try:
            self.session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime has no common class of its errors
            raise UserError(f"{name}: {path} is no ONNX model: {error}") from error

    def takes(self) -> list[list[int | str | None]]:
        """Shapes of the inputs; a length that is free has a name or None."""
        return [list(one.shape) for one in self.session.get_inputs()]

    def kind(self) -> str:
        """Type of the first input, such as `tensor(float)`."""
        return self.session.get_inputs()[0].type

    def run(self, *inputs: np.ndarray) -> list[np.ndarray]:
        """All outputs, of inputs in the order of the file."""
        names = [one.name for one in self.session.get_inputs()]
        return [np.asarray(one) for one in self.session.run(None, dict(zip(names, inputs, strict=True)))]


def files_of(path: Path) -> dict[str, Path]:
    """The file and those that hold its weights beside it, by name, as exporters name them."""
    beside = [path.with_suffix(".data"), Path(f"{path}.data"), Path(f"{path}_data")]
    return {one.name: one for one in (path, *beside) if one.is_file()}
