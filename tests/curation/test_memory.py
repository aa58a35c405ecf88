"""A row may take no more memory than it is allowed; afterwards there is as much as before."""

import re
import resource

import av
import numpy as np
import pytest

from curation import pipeline
from curation.engine.pool import Pool
from curation.memory import at_most
from curation.table import files
from tests.curation.conftest import moving, write_video


def bomb(path, side: int):
    """A small file with one frame of side x side pixels of one colour."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=1)
        stream.width = stream.height = side
        stream.pix_fmt = "gray"
        frame = av.VideoFrame.from_ndarray(np.full((side, side), 90, np.uint8), format="gray")
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_what_is_allowed_is_given_and_what_is_more_is_refused():
    before = resource.getrlimit(resource.RLIMIT_AS)
    with at_most(0.5):
        assert np.ones(2**27, np.uint8).sum() == 2**27
    with pytest.raises(ValueError, match=r"more than 0\.25 GB .*files\.memory_gb"), at_most(0.25):
        np.ones(2**30, np.uint8)
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    with at_most(0):
        assert resource.getrlimit(resource.RLIMIT_AS) == before


def test_other_failures_keep_their_words():
    with pytest.raises(KeyError, match="what"), at_most(1.0):
        raise KeyError("what")


def test_a_file_that_asks_for_too_much_is_a_row_with_the_reason(config, tmp_path):
    """In a process of its own: one that has freed much memory has that still, and need not ask for more."""
    source = tmp_path / "strange"
    write_video(source / "good.mp4", moving(1))
    size = bomb(source / "bomb.mov", 8192).stat().st_size
    assert size < 2**20  # the frame itself is of 64 MB
    settings = config("files.memory_gb=0.03", source=source)
    with Pool(1) as pool:
        graph = pipeline.run_tables(settings, "split", pool)
    rows = {row["source"]: row["ingest_error"] for row in files(graph).to_pylist()}
    assert rows["good.mp4"] is None
    assert "more than 0.03 GB" in rows["bomb.mov"]


@pytest.mark.slow
def test_a_picture_of_16000_pixels_a_side_is_a_row_in_real_workers(config, tmp_path):
    """Refused by its header where frames are limited, and by the kernel where they are not."""
    source = tmp_path / "strange"
    write_video(source / "good.mp4", moving(1))
    assert bomb(source / "bomb.mov", 16000).stat().st_size < 2**20  # the frame is of 256 MB
    for k, (change, says) in enumerate(
        [
            ("unit=4", r"16000x16000 are larger than ingest\.megapixels"),
            ("ingest.megapixels=999", r"more than 0\.1 GB"),
        ]
    ):
        settings = config("files.memory_gb=0.1", change, source=source, out=tmp_path / str(k))
        with Pool(1) as pool:
            graph = pipeline.run_tables(settings, "split", pool)
        rows = {row["source"]: row["ingest_error"] for row in files(graph).to_pylist()}
        assert rows["good.mp4"] is None
        assert re.search(says, rows["bomb.mov"])
