"""A list with files and tars goes all the way to shards and the report, and what it says of a file too."""

import json
import tarfile
from pathlib import Path

from curation import pipeline
from curation.report import write_report
from tests.curation.conftest import moving, write_video
from tests.curation.sources.test_catalogue import write_tar


def test_a_list_becomes_shards_with_its_captions_and_columns(config, serial, tmp_path):
    root = tmp_path / "in"
    write_video(root / "a film.mp4", moving(1))
    packed = {
        f"k{seed}.mp4": write_video(tmp_path / f"{seed}.mp4", moving(seed)).read_bytes() for seed in (2, 3)
    }
    write_tar(root / "t" / "0.tar", {**packed, "k2.txt": b"from the tar"})
    rows = ["path,caption,licence", "a film.mp4,from the list,CC0", "t/0.tar,,CC-BY", "gone.mp4,,"]
    (root / "list.csv").write_text("\n".join(rows))
    everything = tmp_path / "all.yaml"
    everything.write_text("rules: [{name: whole shot, score: usable, equals: true}]")
    settings = config(f"subset={everything}", "shards.val_fraction=0", source=root / "list.csv")
    outcome = pipeline.run_all(settings, serial)
    page = write_report(settings, outcome)
    told = json.loads(page.with_name("curation.json").read_text())
    assert (told["files"]["all"], told["files"]["unreadable"]) == (4, 1)
    assert [len(clip["frames"]) for clip in told["examples"]["kept"]] == [4, 4]
    found = {clip["source"]: clip for clip in shard_clips(Path(settings.out) / "shards" / "train")}
    said = {name: (clip["caption"], clip["lineage"]["listed"]["licence"]) for name, clip in found.items()}
    assert said["a film.mp4"] == ("from the list", "CC0")
    assert said["t/0.tar::k2.mp4"] == ("from the tar", "CC-BY")
    assert said["t/0.tar::k3.mp4"][1] == "CC-BY"


def shard_clips(folder: Path) -> list[dict]:
    found = []
    for path in folder.glob("*.tar"):
        with tarfile.open(path) as tar:
            found += [json.load(tar.extractfile(one)) for one in tar if one.name.endswith(".json")]
    return found
