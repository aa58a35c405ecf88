"""A text tower with more room: old texts unchanged, new places to learn, and nothing else that learns."""

import copy

import pytest
import torch

from models.text import open_text_encoder
from models.text.clip_folder import read_clip, whole_model, write_clip
from models.text.stretch import contrastive_loss, stretch, train_positions_and_biases
from tests.models.text.tiny_encoders import metaclip_folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("clips")
    short = metaclip_folder(root / "short")
    write_clip(root / "long", stretch(read_clip(short)))
    return short, root / "long"


def test_texts_that_fitted_are_read_exactly_as_before(folders):
    short, longer = (open_text_encoder(str(folder), 500) for folder in folders)
    assert (short.max_tokens, longer.max_tokens) == (77, 256)
    for text in ("a red ball", "ball " * 75):
        before, after = short.encode([text]), longer.encode([text])
        torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-4)


def test_long_texts_are_read_to_their_end(folders):
    short, longer = (open_text_encoder(str(folder), 500) for folder in folders)
    one, other = "ball " * 200 + "red", "ball " * 200 + "blue"
    assert torch.equal(*(short.encode([text]).embedding for text in (one, other)))
    assert not torch.allclose(*(longer.encode([text]).embedding for text in (one, other)))
    assert longer.encode([one]).mask.sum() == 203


def test_the_position_table_and_the_biases_of_the_text_tower_learn_and_nothing_else(folders):
    model = whole_model(read_clip(folders[1])).train()
    names = train_positions_and_biases(model)
    assert "positional_embedding" in names
    assert all(name == "positional_embedding" or name.endswith("bias") for name in names)
    assert not [name for name in names if name.startswith("visual.")]
    before = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], lr=1e-2, weight_decay=0.1
    )
    images, texts = torch.randn(4, 3, 16, 16), torch.randint(1, 49000, (4, 256))
    losses = []
    for _ in range(8):
        image, text, scale = model(images, texts)
        loss = contrastive_loss(image, text, scale)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    moved = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    assert moved <= set(names)
    assert "positional_embedding" in moved
    assert (model.positional_embedding[200] != before["positional_embedding"][200]).any()


def test_the_loss_is_least_where_partners_agree_and_the_same_both_ways():
    features = torch.nn.functional.normalize(torch.eye(4), dim=-1)
    scale = torch.tensor(20.0)
    assert contrastive_loss(features, features, scale) < 1e-6
    shuffled = features.roll(1, 0)
    assert contrastive_loss(features, shuffled, scale) > 10
    image, text = (torch.nn.functional.normalize(torch.randn(5, 8), dim=-1) for _ in range(2))
    torch.testing.assert_close(contrastive_loss(image, text, scale), contrastive_loss(text, image, scale))


def test_a_table_is_never_cut(folders):
    with pytest.raises(ValueError, match="room for 77 tokens; 60 would cut"):
        stretch(read_clip(folders[0]), tokens=60)
