"""HeldOutParts: the loss of held-out clips, of videos and of images apart, and by parts."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from datamodules.shards import Bucket
from lightning_modules.loss_parts import LossParts

WHOLE = ("loss", "loss_images", "loss_first_frame")


class HeldOutParts(LossParts):
    """`loss` is of videos, as the paper's is (Sec. 3.2.2), and `loss_images` of the images beside them; where
    training is on images alone `loss` is of images. `loss_first_frame` is of clips given their first frame.
    """

    def __init__(self, buckets: Sequence[str] = (), trained: Sequence[str] = ()) -> None:
        """Buckets of what is held out, and of the training set."""
        super().__init__(buckets, WHOLE)
        joint = not all(map(_is_image, trained))
        self._images = {bucket for bucket in buckets if joint and _is_image(bucket)}

    @override
    def add(self, losses: Float[Tensor, " b"], ranks: Float[Tensor, " b"], bucket: str | None) -> None:
        super().add(losses, ranks, bucket)
        self.add_whole("loss_images" if bucket in self._images else "loss", losses)


def _is_image(bucket: str) -> bool:
    return Bucket.parse(bucket).frames == 1
