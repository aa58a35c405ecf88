"""The page: whole in one file, honest about what is missing, and safe against what captions hold."""

import json
import re
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pytest

from console import UserError
from evaluation.comparison_table import Compared, Facts, Row
from evaluation.report.build import build_report
from evaluation.report.sections import SHOWN, WRONG_SHOWN, choose
from inference.video import write_video
from storage import write_json, write_text

RUN = {
    "time": "2026-01-01T10:00:00+00:00",
    "cpu": "a processor",
    "cores": 2,
    "memory_gb": 8.0,
    "gpu": None,
    "system": "Linux",
    "python": "3.11",
    "torch": "2.6",
    "commit": "abc123",
    "command": "python -m evaluation.run x",
}
NASTY = '<script>alert("a & b")</script>'


def clip(path, level: int = 90) -> None:
    write_video(path, np.full((4, 32, 32, 3), level, np.uint8), 8)


def curated(folder, raw) -> None:
    """What curation leaves: one example whose source is there, one whose source is gone."""
    clip(raw / "ball.mp4")
    example = {"clip_id": "c", "source": "ball.mp4", "start": 0.0, "end": 0.5, "caption": NASTY, "frames": []}
    gone = {**example, "source": "gone.mp4", "frames": ["data:image/jpeg;base64,AA"], "reasons": ["shake"]}
    step = {"rule": "short", "says": "at least 2 s", "left": 1130, "rejected": 270, "fails": 270, "alone": 9}
    shake = {"score": "shake", "edges": [0, 1, 2], "counts": [3, 1], "lines": [{"at": 1, "says": "<= 1"}]}
    told = {
        "format": 1,
        "input": str(raw),
        "subset": "demo",
        "files": {"all": 12, "unreadable": 1, "exact_copies": 0, "hours": 0.5, "errors": []},
        "clips": {"all": 1400, "kept": 1130, "train": 1000, "val": 130},
        "funnel": [step],
        "histograms": [shake],
        "examples": {"kept": [{**example, "reasons": []}], "rejected": [gone]},
        "cpu_seconds": {"motion": 3.0},
    }
    write_json(folder / "report" / "curation.json", told)


COMPARED = Compared(
    names={"psnr": "PSNR, dB", "ssim": "SSIM", "perceptual": "LPIPS-like (net)",
           "rfid_like": "rFID-like (net)", "rfvd_like": "rFVD-like (net)"},
    rows=[Row(autoencoder="<wan>", resolution="64x64x16", clips=1, psnr=30.125, ssim=0.9, perceptual=0.1,
              rfid_like=7.75, rfvd_like=None)],
    autoencoders=[Facts(name="<wan>", time_factor=4, space_factor=8, channels=16, parameters=127_000_000,
                        latent_per_pixel=0.0625, frames_per_second=12.5)],
    singular={"rfid_like": 1280},
)  # fmt: skip


def reconstructed(run) -> None:
    """What the TAE's fit and its measurement leave."""
    clip(run / "eval" / "c.mp4")
    summary = {"mean": 27.25, "median": 27.0, "worst": 21.5, "best": 33.0}
    scored = {"clip_id": "c", "caption": NASTY, "psnr": 27.25, "ssim": 0.9}
    result = {
        "count": 1,
        "bucket": "64x64x16",
        "psnr": summary,
        "ssim": {**summary, "mean": 0.91},
        "clips": [scored],
        "comparison": COMPARED.as_json(),
        "videos": [{"file": "eval/c.mp4", **scored}],
        "run": RUN,
    }
    write_json(run / "eval.json", result)
    lines = ["step,seconds,train/loss,val/psnr", "0,100,2,", "50,130,1,20", "100,160,0.5,27", ""]
    write_text(run / "metrics.csv", "\n".join(lines))
    write_text(run / "config.yaml", "trainer: {max_steps: 100}\n")


def generated(run) -> None:
    """What the T2V model's fit and its measurement leave: three clips, the first in a wrong direction."""
    rows = []
    for number in range(3):
        clip(run / "eval" / "clips" / f"{number}.mp4")
        shown = {"colour": "red", "direction": "left" if number else "right"}
        row = {"file": f"clips/{number}.mp4", "prompt": f"a red ball moves left {number}", "seed": number}
        rows.append({**row, "expected": {"colour": "red", "direction": "left"}, "measured": shown})
    result = {
        "prompts": 3,
        "sampling": {"steps": 50, "guidance": 3.0, "schedule": "linear"},
        "shape": "64x64x16",
        "accuracy": {"direction": 2 / 3, "colour": 1.0},
        "chance": {"direction": 0.25, "colour": 1 / 7},
        "true_clips": {"direction": 1.0, "colour": 1.0},
        "through_tae": {"direction": 0.97, "colour": 0.99},
        "clips": rows,
        "run": RUN,
    }
    write_json(run / "eval" / "eval.json", result)
    write_text(run / "metrics.csv", "step,seconds,train/loss,val/loss\n0,100,2,2.1\n50,190,1,1.1\n")


@pytest.fixture
def folders(tmp_path):
    """Curation's output, a TAE run and a T2V run, as the commands leave them."""
    curated(tmp_path / "curated", tmp_path / "raw")
    reconstructed(tmp_path / "tae")
    generated(tmp_path / "t2v")
    return tmp_path / "curated", tmp_path / "tae", tmp_path / "t2v"


class Page(HTMLParser):
    """Tags that must be closed are, and every address that the page would fetch."""

    VOID = frozenset(["meta", "br", "img", "link", "path", "rect", "input", "hr"])

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [
            value for name, value in attrs if name in {"src", "href", "poster", "data", "srcset"}
        ]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def page(folders, tmp_path) -> str:
    assert build_report(tmp_path / "out" / "index.html", *folders) == []
    return (tmp_path / "out" / "index.html").read_text(encoding="utf-8")


def test_the_page_is_well_formed_and_needs_no_other_file(page):
    parsed = Page(page)
    assert parsed.open == []
    assert parsed.addresses
    assert all(address.startswith(("data:video/mp4", "data:image/jpeg", "#")) for address in parsed.addresses)
    assert not re.findall(r"https?://(?!www\.w3\.org)|url\(|@import|<link", page)


def test_every_section_is_there_with_its_numbers(page):
    anchors = [f'id="{name}"' for name in ("t2v", "tae", "curation", "run")]
    numbers = ["27.25 dB", "1,130", "66.7 %", "97.0 %", "100 steps", "1.0 minutes"]
    words = ["abc123", "a processor, 2 cores", "python -m evaluation.run x", "at least 2 s", "max_steps: 100"]
    for part in (*anchors, *numbers, *words):
        assert part in page, part


def test_all_videos_play_by_themselves(page):
    players = re.findall(r"<video[^>]*>", page)
    assert len(players) == 1 + 1 + 3  # a kept clip, a reconstruction, three generated clips
    assert all(word in player for player in players for word in ("autoplay", "muted", "loop", "playsinline"))


def test_a_clip_whose_source_is_gone_is_shown_by_its_frames(page):
    assert 'src="data:image/jpeg;base64,AA"' in page


def test_what_captions_hold_is_text_and_never_markup(page):
    assert "script" not in Page(page).tags
    assert "&lt;script&gt;" in page


def test_a_fault_is_marked_with_what_was_seen_and_what_was_asked(page):
    assert "✗ right, not left" in page
    assert page.count("✓ red") == 3


def test_the_same_folders_give_the_same_page_but_for_its_date(folders, tmp_path, page):
    build_report(tmp_path / "out" / "index.html", *folders)
    strip = re.compile(r"<dt>This page</dt>.*|<footer>.*")
    again = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert strip.sub("", again) == strip.sub("", page)


def test_a_page_of_nothing_says_which_commands_make_each_part(tmp_path):
    missing = build_report(tmp_path / "index.html", *(tmp_path / name for name in ("a", "b", "c")))
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert len(missing) == 3
    for part, remedy in missing:
        assert part in unescape(page)
        assert remedy in unescape(page)
    assert Page(page).open == []


def test_training_that_was_not_logged_is_left_out(folders, tmp_path):
    (folders[1] / "metrics.csv").unlink()
    assert build_report(tmp_path / "index.html", *folders) == []
    assert "100 steps" not in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_a_broken_result_is_named(folders, tmp_path):
    (folders[1] / "eval.json").write_text("{")
    with pytest.raises(UserError, match=r"eval\.json is not JSON"):
        build_report(tmp_path / "index.html", *folders)


def test_a_later_format_of_curation_is_refused(folders, tmp_path):
    path = folders[0] / "report" / "curation.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
    with pytest.raises(UserError, match="format 2"):
        build_report(tmp_path / "index.html", *folders)


@pytest.mark.parametrize("wrong", [0, 5, 20, 64])
def test_faults_are_shown_first_and_the_page_stays_playable(wrong):
    clips = [{"right": number >= wrong, "number": number} for number in range(64)]
    shown = choose(clips)
    assert len(shown) == SHOWN
    faults = [each for each in shown if not each["right"]]
    assert shown[: len(faults)] == faults
    assert len(faults) >= min(wrong, WRONG_SHOWN)


def test_the_autoencoders_that_were_compared_are_in_the_page_with_what_to_know(tmp_path):
    reconstructed(tmp_path / "tae")
    build_report(tmp_path / "page.html", tmp_path / "none", tmp_path / "tae", tmp_path / "none")
    page = unescape((tmp_path / "page.html").read_text())
    for told in ("rFID-like (net)", "<wan>", "30.12", "7.75", "4x8x8, 16", "127.00", "1,280 features"):
        assert told in page
    assert "<td>&lt;wan&gt;</td>" in (tmp_path / "page.html").read_text()


def test_a_measurement_from_before_comparisons_still_has_its_page(tmp_path):
    reconstructed(tmp_path / "tae")
    result = json.loads((tmp_path / "tae" / "eval.json").read_text())
    del result["comparison"]
    write_json(tmp_path / "tae" / "eval.json", result)
    build_report(tmp_path / "page.html", tmp_path / "none", tmp_path / "tae", tmp_path / "none")
    assert "27.25" in (tmp_path / "page.html").read_text()
