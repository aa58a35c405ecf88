"""Clips and words in one space, and what a run makes of it: against open_clip's own reading."""

import numpy as np
import open_clip
import pytest
import torch

from console import UserError
from curation import pipeline, table
from curation.scores.concepts import read_taxonomy
from curation.scores.meaning import JointSpace
from curation.stages.embed import Embed
from tests.curation.conftest import texture
from tests.models.text.tiny_encoders import metaclip_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return metaclip_folder(tmp_path_factory.mktemp("clip"))


def test_both_towers_are_those_of_open_clip(folder):
    space = JointSpace(folder)
    model, _, prepare = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    model.eval()
    from PIL import Image

    with torch.no_grad():
        seen = model.encode_image(torch.stack([prepare(Image.fromarray(texture(k))) for k in (1, 2)]))
        said = model.encode_text(open_clip.tokenize(["a person waving", "a dog"]))
    for ours, theirs in ((space.pictures([texture(1), texture(2)]), seen),
                         (space.texts(["a person waving", "a dog"]), said)):  # fmt: skip
        np.testing.assert_allclose(ours, torch.nn.functional.normalize(theirs, dim=1).numpy(), atol=1e-5)


def test_many_texts_are_encoded_in_parts_and_stay_in_order(folder):
    space, texts = JointSpace(folder), [f"a person holding {k} things" for k in range(70)]
    np.testing.assert_allclose(space.texts(texts)[[0, 69]], space.texts([texts[0], texts[69]]), atol=1e-5)


def test_a_folder_that_is_no_model_is_refused(folder, tmp_path):
    with pytest.raises(UserError, match="lacks open_clip_config"):
        Embed(clip=str(tmp_path))
    (tmp_path / "open_clip_config.json").write_text("{}")
    (tmp_path / "open_clip_model.safetensors").write_bytes(b"torn")
    with pytest.raises(UserError, match=r"cannot read embed\.clip"):
        JointSpace(tmp_path)


def test_a_run_marks_people_by_the_words_that_are_near(config, serial, folder, tmp_path):
    words = tmp_path / "words.yaml"
    people, animals = (
        "{human: true, prompt: 'a person {}', concepts: [waving]}",
        "{prompt: 'a {}', concepts: [dog]}",
    )
    words.write_text(f"groups: {{people: {people}, animals: {animals}}}")
    given = [f"embed.clip={folder}", f"content.taxonomy={words}", "content.concept_cosine=-1"]
    settings = config(*given, "content.concept_clips=3")
    graph = pipeline.run_tables(settings, "content", serial)
    rows = table.load(graph, ["clip_id", "usable", "meaning", "concept", "human", "cluster"]).to_pylist()
    rows = list({row["clip_id"]: row for row in rows if row["usable"]}.values())
    texts = JointSpace(folder).texts([concept.text for concept in read_taxonomy(words)])
    cosines = np.array([row["meaning"] for row in rows]) @ texts.T
    near = {rows[k]["clip_id"] for k in np.argsort(-cosines[:, 0])[:2]}
    assert near <= {row["clip_id"] for row in rows if row["human"]}
    assert 0 < sum(row["human"] for row in rows) <= 3
    assert {row["concept"] for row in rows} <= {"waving", "dog", None}
    assert all(row["cluster"] is not None for row in rows)
    fewer = pipeline.survey(config(*given, "content.concept_clips=2"))
    assert fewer.nodes["content"].missing
    assert not fewer.nodes["embed"].missing


def test_without_a_model_its_settings_change_nothing(config):
    plain = pipeline.survey(config()).nodes["content"].fingerprint
    assert pipeline.survey(config("content.concept_clips=7")).nodes["content"].fingerprint == plain
    with pytest.raises(UserError, match=r"give only embed\.clip"):
        config("content.clip=elsewhere")
