"""Files of a toy world: mp4 or png, the caption beside each, truth.jsonl last; goes on where it stopped."""

import json
import multiprocessing
import os
import platform
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from fractions import Fraction
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from console import UserError, track
from evaluation.toy_world.audio import RATE
from evaluation.toy_world.film import Film
from evaluation.toy_world.folder import check_folder
from evaluation.toy_world.settings import FORMAT, Settings
from evaluation.toy_world.world import Item, compose, plan, truth
from storage import atomic_path, write_json, write_text

# x264's AVX-512 kernels give other bytes from run to run; older ones give the same on every x86 processor.
SAME_EVERYWHERE = {"x264-params": "asm=sse4.2"} if platform.machine() in ("x86_64", "AMD64") else {}
CRF = 10  # x264 quality: the loss by halved colour resolution is larger than that by compression
AUDIO_BITS = 64_000  # per second
CLOCK = Fraction(1, 90_000)  # seconds: the unit of time stamps where frames are not evenly spaced
TRUTH, WORLD = "truth.jsonl", "world.json"


def make(settings: Settings, out: Path, workers: int) -> list[dict[str, Any]]:
    """Write the world of `settings` to the folder `out` and return its truth. Finished files are kept."""
    claim(settings, out)
    items = plan(settings)
    finished = (out / TRUTH).exists() and all(_is_there(item, out) for item in items)
    if finished:
        return [json.loads(line) for line in (out / TRUTH).read_text("utf-8").splitlines()]
    rows = list(
        track(
            _map(partial(write_item, settings=settings, out=out), items, workers), "Making clips", len(items)
        )
    )
    write_text(out / TRUTH, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return rows


def claim(settings: Settings, out: Path) -> None:
    """Mark `out` as the folder of this world, or say why it cannot be."""
    check_folder(out)
    facts = {"format": FORMAT, "settings": asdict(settings)}
    marker = out / WORLD
    if marker.exists():
        _compare(facts, marker)
    elif out.exists() and any(out.iterdir()):
        raise UserError(
            f"{out} holds files that are not of a toy world. Choose a new or empty folder for --out."
        )
    else:
        write_json(marker, facts)
    for left in out.glob(".*.tmp.*"):  # of a run that was killed
        left.unlink(missing_ok=True)


def _compare(facts: dict[str, Any], marker: Path) -> None:
    try:
        found = json.loads(marker.read_text("utf-8"))
        old = {"format": found["format"], **found["settings"]}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{marker} cannot be read. Choose a new folder for --out, or delete that one."
        ) from error
    new = {"format": facts["format"], **facts["settings"]}
    other = [
        f"{name} {old.get(name)} (now {new.get(name)})"
        for name in sorted(old | new)
        if old.get(name) != new.get(name)
    ]
    if other:
        raise UserError(
            f"{marker.parent} already holds another toy world: {', '.join(other)}. "
            "Choose a new folder for --out, or delete that one."
        )


def write_item(item: Item, settings: Settings, out: Path) -> dict[str, Any]:
    """Write one file and its caption, where they are not there yet, and return its row of truth."""
    film = compose(item, settings)
    if not _is_there(item, out):
        try:
            with atomic_path(out / item.file) as path:
                write_film(film, path)
            write_json(_sidecar(item, out), captions(film))
        except OSError as error:  # plain, so that it can pass from a worker process
            raise OSError(error.errno, error.strerror, str(out / item.file)) from None
    return truth(item, film)


def captions(film: Film) -> dict[str, Any]:
    """The caption file: one text, or one for each shot with its seconds."""
    if len(film.captions) == 1:
        return {"caption": film.captions[0].text}
    return {"captions": [asdict(one) for one in film.captions]}


def write_film(film: Film, path: Path) -> None:
    """Write the pixels and sound of `film` to `path`: an image for a single frame without sound, else mp4."""
    pixels = film.pixels()
    if film.sound is None:
        coded, data = cv2.imencode(".png", pixels[0][..., ::-1])
        assert coded
        path.write_bytes(data.tobytes())
        return
    _write_mp4(film, pixels, film.sound(), path)
    if film.cut is not None:
        os.truncate(path, int(path.stat().st_size * film.cut))


def _write_mp4(film: Film, pixels: np.ndarray, sound: np.ndarray, path: Path) -> None:
    rate = Fraction(film.format.fps).limit_denominator(1001)
    # the index goes first, so that a truncated file still opens
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(str(path), "w", format="mp4", options=options) as container:
        video = container.add_stream("libx264", rate=rate)
        video.width, video.height, video.pix_fmt = film.format.width, film.format.height, "yuv420p"
        video.thread_count = 1  # the same bytes on every run
        video.options = {
            "crf": str(CRF if film.crf is None else film.crf), "flags": "+bitexact", **SAME_EVERYWHERE
        }  # fmt: skip
        clock = 1 / rate if film.stamps is None else CLOCK
        video.codec_context.time_base = clock
        audio = container.add_stream(
            "aac", rate=RATE, layout="mono", bit_rate=AUDIO_BITS, options={"aac_coder": "fast"}
        )
        for index, picture in enumerate(pixels):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = index if film.stamps is None else round(film.stamps[index] / clock)
            frame.time_base = clock
            container.mux(video.encode(frame))
        container.mux(video.encode())
        wave = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
        wave.sample_rate, wave.pts, wave.time_base = RATE, 0, Fraction(1, RATE)
        container.mux(audio.encode(wave))
        container.mux(audio.encode())


def _is_there(item: Item, out: Path) -> bool:
    return (out / item.file).exists() and _sidecar(item, out).exists()


def _sidecar(item: Item, out: Path) -> Path:
    return out / f"{item.stem}.json"


def _map(work: Callable[[Item], dict[str, Any]], items: list[Item], workers: int) -> Iterator[dict[str, Any]]:
    """`work` of all items in their order, in `workers` processes. On Ctrl-C files at work are finished."""
    if workers == 1:
        yield from map(work, items)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
    try:
        yield from pool.map(work, items, chunksize=4)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, and end with it if it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
