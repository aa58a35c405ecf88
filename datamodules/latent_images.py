"""Images among the batches of latents: joint training on images and videos (Sec. 3.1, 3.2.2)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from console import UserError
from datamodules.budget import Sizes
from datamodules.latent_format import MADE_BY, Encoded, LatentFormat
from datamodules.loader import BatchLoader
from datamodules.plan import Batch
from datamodules.shards import Bucket, ShardSet


@dataclass(frozen=True, kw_only=True)
class LatentImages:
    """How many training batches are of images, whence they come, and how large they are."""

    share: float = 0.0
    """Of all training batches; the paper's one batch of images to ten of videos is 0.0909."""
    latents: str | None = None
    """Folder of latents of one frame, which `encode --images` makes; its val/ is validated on, too. Without
    it the first frames of the videos, which `encode --first-frame` keeps beside them."""
    batch_size: Sizes | None = None
    """Images in a batch of each process, or a number for each bucket, as {64x64x1: 64}; without it as many
    as have the tokens of the largest batch of videos."""

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise ValueError(f"data.images.share must be in [0, 1); {self.share} came.")
        if self.latents is not None and not self.share:
            raise ValueError("data.images.latents has no effect without data.images.share: give both.")


class FirstFrameFormat(LatentFormat):
    """The first frame of each clip alone, as an image."""

    @override
    def collate(self, items: list[Encoded], numbers: Batch, epoch: int | None) -> dict[str, Any]:
        missing = [item.clip_id for item in items if item.first is None]
        if missing:
            raise UserError(
                f"The latent of '{missing[0]}' has no first frame, which data.images takes for an image. "
                f"Encode with --first-frame ({MADE_BY} --first-frame ...), or name a folder in "
                "data.images.latents."
            )
        images = [
            item._replace(
                latent=item.first, text=item.first_text or item.text, bucket=image_bucket(item.bucket)
            )
            for item in items
        ]
        return super().collate([image._replace(first=None) for image in images], numbers, epoch)


class OneAfterAnother:
    """Batches of several loaders that keep their order, for validation."""

    def __init__(self, *loaders: BatchLoader) -> None:
        self._loaders = loaders

    def __len__(self) -> int:
        return sum(map(len, self._loaders))

    def __iter__(self) -> Iterator[Any]:
        for loader in self._loaders:
            yield from loader


def image_bucket(bucket: str) -> str:
    """The bucket of single frames of a bucket's clips."""
    return "{0.width}x{0.height}x1".format(Bucket.parse(bucket))


def check_images(images: ShardSet, videos: ShardSet) -> None:
    """Images are of one frame, and of the TAE and the text encoder of the videos."""
    longer = [bucket for bucket in images.buckets if Bucket.parse(bucket).frames != 1]
    if longer:
        raise UserError(
            f"data.images.latents: '{images.folder}' holds videos ({', '.join(longer)}), and images have one "
            f"frame. Make it with: {MADE_BY} --images ..."
        )
    for key, part in (("tae", "TAE"), ("text", "text encoder")):
        one, other = images.index[key], videos.index[key]
        if one != other:
            raise UserError(
                f"'{images.folder}' is of the {part} {str(one)[:16]}, '{videos.folder}' of "
                f"{str(other)[:16]}. Encode both with the same: {MADE_BY}"
            )
