"""Sound is where the file says that it is, whatever the container, the start and the channels."""

import av
import numpy as np
import pytest

from curation.sound import RATE, mono, read_sound
from tests.curation.sounds import RATE as NATIVE
from tests.curation.sounds import tone, write_film


@pytest.fixture(scope="module")
def noise():
    return 0.3 * np.random.default_rng(0).uniform(-1, 1, (2, 4 * NATIVE)).astype(np.float32)


@pytest.mark.parametrize(("suffix", "codec"), [("mkv", "flac"), ("mp4", "flac"), ("mkv", "pcm_f32le")])
@pytest.mark.parametrize("start", [0.0, 0.3, 1.7])
def test_a_span_is_the_same_as_its_part_of_the_whole(noise, tmp_path, suffix, codec, start):
    path = write_film(tmp_path / f"a.{suffix}", noise, codec=codec)
    found = read_sound(path, start, start + 1.5)
    assert found is not None
    assert (found.rate, found.layout) == (NATIVE, "stereo")
    first = round(start * NATIVE)
    assert np.abs(found.native - noise[:, first : first + round(1.5 * NATIVE)]).max() < 1e-4
    assert found.coverage == 1.0


def test_lossy_sound_does_not_depend_on_where_reading_began(tmp_path):
    chord = tone(4.0, 220, 0.1) + tone(4.0, 554, 0.1) + tone(4.0, 1760, 0.1)
    path = write_film(tmp_path / "a.mp4", chord, codec="aac")  # for noise the decoder throws dice
    whole, part = read_sound(path, 0, 3.5), read_sound(path, 2.0, 3.5)
    assert whole is not None
    assert part is not None
    np.testing.assert_allclose(part.native, whole.native[:, 2 * NATIVE :], atol=1e-4)


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_a_late_start_is_silence_and_counted(tmp_path, suffix):
    path = write_film(tmp_path / f"late.{suffix}", tone(2.0), late=1.0)
    found = read_sound(path, 0.0, 3.0)
    assert found is not None
    assert found.coverage == pytest.approx(2 / 3, abs=0.02)
    heard = np.flatnonzero(np.abs(found.native[0]) > 0.01)[0] / NATIVE
    assert heard == pytest.approx(1.0, abs=0.02)
    after = read_sound(path, 3.2, 3.9)
    assert after is not None
    assert after.coverage == 0.0
    assert not after.native.any()


def test_a_file_without_sound_has_none(tmp_path):
    assert read_sound(write_film(tmp_path / "a.mp4", None), 0.0, 1.0) is None


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_named(tmp_path, bad):
    sound = tone(2.0)
    sound[0, 5000] = bad
    path = write_film(tmp_path / "a.mkv", sound, codec="pcm_f32le")
    with pytest.raises(ValueError, match="no finite numbers"):
        read_sound(path, 0.0, 1.0)


def test_what_cannot_be_decoded_is_left_out_or_named(tmp_path):
    path = write_film(tmp_path / "a.mkv", tone(4.0), codec="aac")
    broken = _spoilt(path, every=3)
    some = read_sound(broken, 0.0, 4.0)
    assert some is not None
    assert 0.3 < some.coverage < 0.95
    with pytest.raises(ValueError, match="no sound can be decoded"):
        read_sound(_spoilt(path, every=1), 0.0, 4.0)


def _spoilt(path, every: int):
    """A copy in which one of `every` packets of sound is rubbish."""
    target = path.with_name(f"every {every}.mkv")
    with av.open(str(path)) as source, av.open(str(target), "w") as copy:
        made = {stream.index: copy.add_stream_from_template(stream) for stream in source.streams}
        for number, packet in enumerate(source.demux()):
            if packet.dts is None:
                continue
            place = made[packet.stream.index]
            if packet.stream.type == "audio" and number % every == 0:
                rubbish = av.Packet(b"\x55" * packet.size)
                rubbish.pts, rubbish.dts, rubbish.time_base = packet.pts, packet.dts, packet.time_base
                packet = rubbish
            packet.stream = place
            copy.mux(packet)
    return target


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("rate", [8000, 44_100, 48_000])
def test_mono_keeps_the_length_the_pitch_and_the_place(tmp_path, channels, rate):
    sound = np.repeat(np.pad(tone(1.0, 500.0, 0.1, rate), ((0, 0), (rate, rate))), channels, axis=0)
    found = read_sound(write_film(tmp_path / "a.mkv", sound, rate=rate), 0.0, 3.0)
    assert found is not None
    samples = mono(found)
    assert len(samples) == 3 * RATE
    spectrum = np.abs(np.fft.rfft(samples[RATE : 2 * RATE]))
    assert spectrum.argmax() == 500
    loud = np.flatnonzero(np.abs(samples) > 0.03)
    assert loud[0] / RATE == pytest.approx(1.0, abs=0.005)
    assert loud[-1] / RATE == pytest.approx(2.0, abs=0.005)
