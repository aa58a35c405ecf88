"""The caption stage in a run: people first, then models, else the describer, each by name; nothing that was
answered is asked for twice, whatever happens between."""

import json
import os
import re
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from console import UserError
from curation import pipeline
from curation.captioners.accounts import accounts
from curation.config import load as load_config
from curation.engines import limits
from curation.report import write_report
from curation.run import main
from curation.stages.caption import Caption, Captioning
from curation.table import load
from tests.curation.captioners.conftest import SAYS, completion, endpoint, serving
from tests.curation.conftest import moving, write_video

ROOT = Path(__file__).parents[2]
KEY = "sk-very-secret-0123456789"
MEASURED = {
    "usable": True,
    "sidecar": "[]", "start": 0.0, "end": 2.0, "seconds": 2.0, "aspect": 1.0, "brightness": 0.5,
    "sharpness": 100.0, "frozen": 0.0, "vmaf_motion": 3.0, "shake": 0.0, "drift_x": 0.0, "drift_y": 0.0,
    "camera_motion": "pan left", "camera_confidence": 0.9,
}  # fmt: skip


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Five clips without a caption and one with."""
    root = tmp_path_factory.mktemp("films")
    for seed in range(6):
        write_video(root / f"{seed}.mp4", moving(seed))
    (root / "0.txt").write_text("people wrote this")
    return root


def settings(url: str, **more) -> list[str]:
    """What stands behind --set for two captioners at one server."""
    one = {
        "name": "small",
        "model": "8b",
        "url": url,
        "weight": 0.5,
        "backoff": 0.01,
        "attempts": 2,
        "frames": 2,
    }
    mix = [{**one, **more}, {**one, "name": "large", "model": "70b", **more}]
    return [f"caption.mix={json.dumps(mix)}", "unit=100"]


def asked_for(server) -> list[str]:
    """What tells the requests apart: model and pictures."""
    return [json.dumps([body["model"], body["messages"]]) for body in server.asked]


def test_people_come_first_then_the_describer_under_its_name():
    work = Captioning(Caption(camera=2.0), Path())
    timed = json.dumps([{"text": "a dog", "start": None, "end": None}])
    by_hand = work({**MEASURED, "sidecar": timed})
    assert by_hand == {"caption": "a dog", "caption_source": "sidecar", "captioner": "people"}
    measured = work(MEASURED)
    assert (measured["caption_source"], measured["captioner"]) == ("measured", "describer")
    assert Captioning(Caption(describe=False), Path())(MEASURED) == {}


def test_a_sure_camera_stands_before_what_no_person_wrote():
    plain = Captioning(Caption(camera=2.0), Path())(MEASURED)["caption"]
    work = Captioning(Caption(), Path())
    assert work(MEASURED)["caption"] == f"pan left, {plain}"
    assert work({**MEASURED, "camera_confidence": 0.5})["caption"] == plain
    assert work({**MEASURED, "camera_motion": None, "camera_confidence": None})["caption"] == plain
    timed = json.dumps([{"text": "a dog", "start": None, "end": None}])
    assert work({**MEASURED, "sidecar": timed})["caption"] == "a dog"


def test_every_caption_names_its_author_and_the_costs_add_up(config, serial, films, monkeypatch, capsys):
    monkeypatch.setenv("CAPTION_KEY", KEY)
    prices = {"key_variable": "CAPTION_KEY", "price_in": 10.0, "price_out": 50.0}
    with serving(lambda _, body: completion(f"{body['model']}: {SAYS}")) as server:
        made = config(*settings(server.url, **prices), source=films)
        graph = pipeline.run_tables(made, "caption", serial)
    rows = load(graph, ["caption", "caption_source", "captioner"]).to_pylist()
    assert rows[0] == {"caption": "people wrote this", "caption_source": "sidecar", "captioner": "people"}
    for row in rows[1:]:
        model = {"small": "8b", "large": "70b"}[row["captioner"]]
        assert row["caption"].endswith(f"{model}: {SAYS}")
        assert row["caption_source"] == "model"
    spent = accounts(graph)
    assert sum(one["clips"] for one in spent.values()) == len(server.asked) == 5
    assert sum(one["cost"] for one in spent.values()) == pytest.approx(5 * (100 * 10 + 20 * 50) / 1e6)
    said = capsys.readouterr()
    assert KEY not in said.out + said.err
    assert all(KEY.encode() not in path.read_bytes() for path in made.work.rglob("*") if path.is_file())


def test_a_server_that_goes_down_loses_nothing(config, serial, films):
    said = pytest.raises(UserError, match="the same command goes on from there")
    with serving(lambda n, _: completion(SAYS) if n < 3 else (429, b"")) as server, said:
        pipeline.run_tables(config(*settings(server.url), source=films), "caption", serial)
    first = asked_for(server)[:3]
    with serving(lambda *_: completion(SAYS)) as server:  # at another address
        graph = pipeline.run_tables(config(*settings(server.url), source=films), "caption", serial)
    assert len(server.asked) == 2
    assert not set(first) & set(asked_for(server))
    spent = accounts(graph).values()
    assert [sum(one[key] for one in spent) for key in ("clips", "reused", "completion_tokens")] == [5, 3, 100]


def test_a_killed_run_asks_for_no_answer_twice(config, serial, films, tmp_path):
    killed: list[int] = []

    def reply(number, body):
        if number == 3 and not killed:
            killed.append(process.pid)
            os.killpg(process.pid, signal.SIGKILL)
        return completion(SAYS)

    with serving(reply) as server:
        changes = settings(server.url)
        pipeline.run_tables(config(*changes, source=films), "content", serial)
        sets = [
            part
            for change in ["visual.text_frames=1", "embed.size=32", *changes]
            for part in ("--set", change)
        ]
        words = ["-c", "configs/curation/demo.yaml", "--input", str(films), "--out", str(tmp_path / "out")]
        process = subprocess.Popen(
            [sys.executable, "-m", "curation.run", *words, *sets, "--stage", "caption", "--workers", "1"],
            cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        with process:
            said = process.communicate(timeout=120)[1].decode()
        assert killed, said
        graph = pipeline.run_tables(config(*changes, source=films), "caption", serial)
    answered = asked_for(server)[:3]
    assert not set(answered) & set(asked_for(server)[4:])
    assert len(server.asked) == 4 + 2
    assert load(graph, ["caption"]).column("caption").null_count == 0


def test_a_missing_key_is_told_before_anything_is_decoded(config, serial, films, monkeypatch):
    monkeypatch.delenv("CAPTION_KEY", raising=False)
    made = config(*settings("http://127.0.0.1:9/v1", key_variable="CAPTION_KEY"), source=films)
    with pytest.raises(UserError, match="CAPTION_KEY is not set"):
        pipeline.run_tables(made, None, serial)
    assert not list(made.work.rglob("*.parquet"))
    pipeline.run_tables(made, "split", serial)  # which needs no key


def test_the_report_shows_who_wrote_and_what_it_cost(config, serial, films):
    with serving(lambda *_: completion(SAYS)) as server:
        made = config(*settings(server.url, price_in=10.0), "shards.val_fraction=0.0", source=films)
        page = write_report(made, pipeline.run_all(made, serial))
    captions = json.loads(page.with_name("curation.json").read_text())["captions"]
    spent = captions["spent"]
    assert captions["by"] == {**{name: one["clips"] for name, one in spent.items()}, "people": 1}
    assert sum(one["prompt_tokens"] for one in spent.values()) == 500
    row = page.read_text().split("<tr><td>small</td>")[1].split("</tr>")[0]
    cells = [
        spent["small"][key] for key in ("clips", "failed", "requests", "prompt_tokens", "completion_tokens")
    ]
    assert re.findall(r">(\d+)<", row) == [str(cell) for cell in cells]
    names = {clip["captioner"] for clip in shard_records(Path(made.out) / "shards")}
    assert names == {"people", *spent}


def shard_records(folder: Path) -> list[dict]:
    """What the shards say of their clips."""
    found = []
    for path in folder.rglob("*.tar"):
        with tarfile.open(path) as tar:
            members = [tar.extractfile(one) for one in tar if one.name.endswith(".json")]
            found += [json.load(one) for one in members if one]
    return found


def test_a_nonsense_answer_is_an_error_in_the_table_and_keeps_the_clip_out(config, serial, films):
    from curation.rules import read_subset

    empty = lambda _, body: completion("" if body["model"] == "8b" else SAYS)  # noqa: E731
    with serving(empty) as server:
        made = config(*settings(server.url), source=films)
        graph = pipeline.run_tables(made, None, serial)
    rows = load(graph, ["caption", "captioner", "caption_error"]).to_pylist()
    bad = [row for row in rows if row["caption"] is None]
    assert 0 < len(bad) < 5
    assert {row["caption_error"] for row in bad} == {"captioner small: an empty answer, 2 times"}
    _, verdicts = pipeline.judge(graph, read_subset("demo"))
    assert [not kept for kept in verdicts.kept][1:] >= [row["caption"] is None for row in rows][1:]
    assert not any(kept for kept, row in zip(verdicts.kept, rows, strict=True) if row["caption"] is None)


def test_the_mix_of_the_paper_is_a_config():
    mix = load_config("configs/curation/captions.yaml", {}, []).caption.mix
    assert [one.weight for one in mix] == [0.7, 0.3]
    with pytest.raises(UserError, match=r"caption, mix: unknown key 'modle' \(did you mean 'model'"):
        load_config("configs/curation/default.yaml", {}, ["caption.mix=[{name: a, modle: b}]"])


def test_workers_are_not_taken_for_hung_while_they_wait_for_a_slow_server(config):
    slow = config("row_seconds=10.0", "workers=2", *settings("http://127.0.0.1:9/v1", timeout=30.0))
    assert limits(slow, 2).row_seconds == 2 * 2 * 30
    assert limits(config("row_seconds=10.0"), 2).row_seconds == 10


def test_a_mix_needs_a_folder_for_answers():
    with pytest.raises(UserError, match=r"caption\.answers"):
        Captioning(Caption(mix=(endpoint("http://127.0.0.1:9/v1"),)), Path())


def test_only_captions_that_failed_are_asked_for_again(config, serial, films, tmp_path, capsys):
    made = settings("http://127.0.0.1:9/v1", attempts=1, give_up=99)

    def curate(url: str, *more: str) -> list[dict]:
        words = ["-c", "configs/curation/demo.yaml", "--input", str(films), "--out", str(tmp_path / "out")]
        changes = ["visual.text_frames=1", "embed.size=32", *settings(url, attempts=1, give_up=99)]
        sets = [part for change in changes for part in ("--set", change)]
        assert main([*words, *sets, "--stage", "caption", "--workers", "1", *more]) == 0
        graph = pipeline.survey(config(*made, source=films))
        return load(graph, ["clip_id", "caption", "caption_error"]).to_pylist()

    with serving(lambda n, _: completion(SAYS) if n % 2 else completion("")) as server:
        before = curate(server.url)
    failed = [row["clip_id"] for row in before if row["caption_error"]]
    assert 0 < len(failed) < len(server.asked) == 5
    (tmp_path / "out" / "scores.parquet").write_text("of before")
    with serving(lambda *_: completion(SAYS)) as server:
        assert curate(server.url, "--retry", "files") == before
        assert not server.asked
        after = curate(server.url, "--retry", "captions")
        assert len(server.asked) == len(failed)
        assert curate(server.url, "--retry") == after
    assert len(server.asked) == len(failed)
    assert not any(row["caption_error"] for row in after)
    assert [row for row in before if not row["caption_error"]] == [
        row for row in after if row["clip_id"] not in failed
    ]
    assert not (tmp_path / "out" / "scores.parquet").exists()
    assert "once more" in capsys.readouterr().err
