"""Tiles give what the whole gives: exactly where they can, closely elsewhere, and without visible seams."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.tae import TAE, TAEConfig, tiling
from models.tae.seams import seam_contrast
from models.tae.tiling import COLUMNS, ROWS, TIME, TiledTAE, TilingConfig, fade, spans, stitch, windows
from tests.models.tae.test_autoencoder import SMALL

PAPER = TilingConfig()
PARTS = TilingConfig(pixels=32, pixel_overlap=16)


def build(name: str, scatter: float = 0.05) -> TAE:
    """Random weights; without `scatter` the temporal halves of inflated layers are identities."""
    torch.manual_seed(0)
    model = TAE(SMALL[name]).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(scatter * torch.randn_like(parameter))
    return model


@pytest.fixture(params=sorted(SMALL))
def tae(request) -> TAE:
    return build(request.param)


def waves(frames: int, height: int = 16, width: int = 16) -> torch.Tensor:
    """Moving waves "1 t 3 h w" in [-1, 1]."""
    t, h, w = (torch.arange(length).float() for length in (frames, height, width))
    phase = t[:, None, None] / 5 + h[:, None] / 4 + w / 6
    return torch.stack([phase.sin(), phase.cos(), (2 * phase).sin()], dim=1)[None]


def distance(one: torch.Tensor, other: torch.Tensor) -> float:
    """Root mean square of the difference over the deviation of `other`."""
    return ((one - other).square().mean().sqrt() / other.std()).item()


def test_the_defaults_are_the_papers():
    assert (PAPER.frames, PAPER.overlap, PAPER.pixels) == (32, 16, None)


@pytest.mark.parametrize("frames", [1, 7, 32])
def test_one_tile_is_the_whole(tae, frames):
    video, tiled = waves(frames), TiledTAE(tae, PAPER)
    with torch.no_grad():
        whole = tae.encode(video)
        decoded = tae.decode(whole.mean, frames)
    assert torch.equal(tiled.encode(video).mean, whole.mean)
    assert torch.equal(tiled.encode(video).logvar, whole.logvar)
    assert torch.equal(tiled.decode(whole.mean, frames), decoded)


@pytest.mark.parametrize("frames", [1, 31, 33, 40, 49, 70, 96])
@pytest.mark.parametrize("size", [(16, 16), (40, 72)])
def test_shapes_are_those_of_the_whole(frames, size):
    model = build("compact")
    tiled, video = TiledTAE(model, PARTS), waves(frames, *size)
    latent = tiled.encode(video).mean
    with torch.no_grad():
        assert latent.shape == model.encode(video).mean.shape
    assert tiled.decode(latent, frames).shape == video.shape


def test_a_still_video_is_the_same_in_tiles_of_time(tae):
    """Repeated ends are what a still video has anyway, so no tile misses its neighbours. Compact decoders
    are left out: they give the frames of one latent different values, still or not."""
    still, tiled = waves(1).expand(-1, 80, -1, -1, -1), TiledTAE(tae, PAPER)
    with torch.no_grad():
        whole = tae.encode(still).mean
        decoded = tae.decode(whole)
    torch.testing.assert_close(tiled.encode(still).mean, whole, atol=1e-5, rtol=1e-5)
    if tae.config.halves != "compact":
        torch.testing.assert_close(tiled.decode(whole), decoded, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["framewise", "inflated", "inflated_4x"])
def test_an_autoencoder_just_inflated_needs_no_neighbours_in_time(name):
    """Its temporal halves are the identity, so tiles are exact for every video. The 3D variant attends to
    all frames from the start."""
    model, video = build(name, scatter=0), waves(70)
    tiled = TiledTAE(model, PAPER)
    with torch.no_grad():
        whole = model.encode(video).mean
        decoded = model.decode(whole)
    torch.testing.assert_close(tiled.encode(video).mean, whole, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(tiled.decode(whole), decoded, atol=1e-5, rtol=1e-5)


def test_away_from_seams_tiles_are_the_whole():
    """Compact layers see less than two latents far, so what no other tile shares is exact."""
    model = build("compact")
    tiled = TiledTAE(model, TilingConfig(frames=64, overlap=16, pixels=128, pixel_overlap=32))
    latent = torch.randn(1, 20, 16, 24, 16)
    with torch.no_grad():
        whole = model.decode(latent)
    found = tiled.decode(latent)
    inside = (slice(None), [*range(48), *range(64, 96), *range(112, 160)])
    columns = slice(0, 128)  # one tile wide
    rows = slice(0, spans(24, 16, 4)[1][0] * 8)
    torch.testing.assert_close(
        found[inside][..., rows, columns], whole[inside][..., rows, columns], atol=1e-5, rtol=1e-5
    )
    assert not torch.allclose(found, whole, atol=1e-4)  # blends are not


@pytest.mark.parametrize("name", ["compact", "compact_2x", "inflated", "inflated_4x"])
def test_tiles_of_time_are_close_to_the_whole(name):
    """Within a tenth of the signal's deviation, where a tile's ends repeat what it cannot see."""
    model, video = build(name, scatter=0.02), waves(96)
    tiled = TiledTAE(model, PAPER)
    with torch.no_grad():
        whole = model.encode(video).mean
        decoded = model.decode(whole)
    assert distance(tiled.encode(video).mean, whole) < 0.1
    assert distance(tiled.decode(whole), decoded) < 0.1


def test_tiles_of_rows_and_columns_are_close_to_the_whole():
    """Of compact layers, whose norms see one position; group norms of a tile see that tile alone."""
    model, video = build("compact"), waves(32, 64, 80)
    tiled = TiledTAE(model, PARTS)
    with torch.no_grad():
        whole = model.encode(video).mean
        decoded = model.decode(whole)
    assert distance(tiled.encode(video).mean, whole) < 0.1
    assert distance(tiled.decode(whole), decoded) < 0.1


def wrong_way(before: torch.Tensor, after: torch.Tensor, axis: int) -> torch.Tensor:
    """The weights of Sec. 3.1.1 to the letter."""
    return fade(after, before, axis)


@pytest.mark.parametrize(
    ("name", "axis", "shape"),
    [("inflated", TIME, (96, 16, 16)), ("framewise", ROWS, (4, 48, 48)), ("framewise", COLUMNS, (4, 48, 48))],
)
def test_the_blend_hides_seams_that_the_wrong_one_shows(name, axis, shape, monkeypatch):
    model = build(name)
    tiled = TiledTAE(model, PARTS)
    with torch.no_grad():
        latent = model.encode(waves(*shape)).mean
        whole = model.decode(latent)
    seams = tiled.seams(*shape)[axis]
    before = seam_contrast(whole, seams, axis)  # blocks of 8 frames or pixels are seen without any tile
    right = seam_contrast(tiled.decode(latent), seams, axis)
    monkeypatch.setattr(tiling, "fade", wrong_way)
    wrong = seam_contrast(tiled.decode(latent), seams, axis)
    assert right < 1.2 * before
    assert wrong > 1.5 * before


def test_the_seams_are_where_tiles_begin_and_end():
    tiled = TiledTAE(build("compact"), TilingConfig(pixels=32, pixel_overlap=8))
    assert tiled.seams(64, 32, 56) == {TIME: [16, 32, 48], ROWS: [], COLUMNS: [24, 32]}
    assert tiled.seams(32, 8, 8) == {TIME: [], ROWS: [], COLUMNS: []}
    assert TiledTAE(build("compact"), TilingConfig(frames=64, overlap=16)).seams(130, 8, 8)[TIME] == [
        48, 64, 96, 112,
    ]  # fmt: skip


def test_a_tile_has_full_weight_where_the_next_begins_and_fades_from_there():
    before, after = torch.zeros(1, 4, 3, 2, 2), torch.ones(1, 4, 3, 2, 2)
    assert fade(before, after, TIME)[0, :, 0, 0, 0].tolist() == [0, 0.25, 0.5, 0.75]


@given(
    length=st.integers(1, 60), size=st.integers(1, 12), overlap=st.integers(0, 6), pieces=st.integers(1, 9)
)
def test_windows_of_one_signal_join_to_that_signal(length, size, overlap, pieces):
    overlap = min(overlap, size // 2)
    signal = torch.arange(length).float()[None]
    cut = list(windows(signal.split(pieces, dim=1), size, overlap))
    assert all(part.shape[1] == size for part in cut[:-1])
    assert overlap < cut[-1].shape[1] <= size or len(cut) == 1
    torch.testing.assert_close(torch.cat(list(stitch(cut, overlap, TIME)), dim=1), signal)


@given(length=st.integers(1, 200), tile=st.integers(1, 40), overlap=st.integers(0, 20))
def test_spans_cover_the_whole_with_tiles_of_nearly_one_size(length, tile, overlap):
    overlap = min(overlap, tile // 2)
    found = spans(length, tile, overlap)
    signal = torch.arange(length).float()[None]
    parts = [signal.narrow(1, *span) for span in found]
    torch.testing.assert_close(torch.cat(list(stitch(parts, overlap, 1)), dim=1), signal)
    assert max(size for _, size in found) <= tile
    assert len({size for _, size in found[:-1]}) <= 1


def test_a_stream_gives_frames_before_it_has_seen_the_end():
    model = build("compact")
    tiled, seen = TiledTAE(model, PAPER), []

    def frames():
        for number in range(200):
            seen.append(number)
            yield waves(1)

    first = next(tiled.decode_stream(p.mean for p in tiled.encode_stream(frames())))
    assert first.shape[1] == 16
    assert len(seen) <= 64


def test_how_a_stream_is_cut_into_pieces_does_not_matter():
    tiled, video = TiledTAE(build("compact"), PAPER), waves(75)
    expected = tiled.encode(video).mean
    for pieces in (1, 8, 50):
        parts = [posterior.mean for posterior in tiled.encode_stream(video.split(pieces, dim=1))]
        assert torch.equal(torch.cat(parts, dim=1), expected)
        decoded = torch.cat(list(tiled.decode_stream(expected.split(pieces, dim=1))), dim=1)
        assert torch.equal(decoded[:, :75], tiled.decode(expected, 75))


@pytest.mark.parametrize(
    "fields",
    [
        {"frames": 0},
        {"frames": 32, "overlap": 24},
        {"overlap": -8},
        {"pixels": 64, "pixel_overlap": 40},
        {"pixel_overlap": 8},
    ],
)
def test_tiles_that_cannot_be_are_refused(fields):
    with pytest.raises(ValueError, match=r"at least 1, and may share|without tiles"):
        TilingConfig(**fields)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"frames": 20}, "20 frames .* multiples of 8"),
        ({"overlap": 4}, "share 4.* multiples of 8"),
        ({"pixels": 36}, "36 pixels .* multiples of 8"),
    ],
)
def test_tiles_that_are_no_whole_latents_are_refused(fields, complaint):
    with pytest.raises(ValueError, match=complaint):
        TiledTAE(TAE(TAEConfig(halves="compact", widths=(8, 8, 8), blocks=1)), TilingConfig(**fields))
