"""Clip: the one record that stages pass along. Every column of the clip table, and what a training shard says
of a clip.

Times are seconds on the clock of the file (its container's start is zero, as players show it); spans are half
open.
"""

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any, NamedTuple

import pyarrow as pa

SCHEMA_VERSION = 1  # raised when a column changes its meaning; part of every fingerprint

TEXT, REAL, WHOLE, FLAG = pa.string(), pa.float64(), pa.int64(), pa.bool_()


class Column(NamedTuple):
    """The type and the meaning of one column."""

    type: pa.DataType
    meaning: str


COLUMNS: dict[str, Column] = {
    # ingest: one row per file
    "source": Column(TEXT, "path of the file inside the input folder"),
    "sha256": Column(TEXT, "hash of the file's bytes"),
    "bytes": Column(WHOLE, "size of the file"),
    "container": Column(TEXT, "name of the container format"),
    "codec": Column(TEXT, "video codec"),
    "width": Column(WHOLE, "columns of a frame as shown, in pixels"),
    "height": Column(WHOLE, "rows of a frame as shown, in pixels"),
    "rotation": Column(WHOLE, "clockwise turn in degrees that a player applies"),
    "pixel_aspect": Column(REAL, "width of a pixel as shown over its height"),
    "short_side": Column(WHOLE, "smaller of width and height, in pixels"),
    "aspect": Column(REAL, "width over height, as shown"),
    "orientation": Column(TEXT, "landscape | portrait | square"),
    "file_fps": Column(REAL, "mean frames per second by presentation times"),
    "vfr": Column(FLAG, "the frames are not evenly spaced in time"),
    "file_frames": Column(WHOLE, "video packets in the file"),
    "file_start": Column(REAL, "when the first frame is shown, on the clock of the container, in seconds"),
    "file_seconds": Column(REAL, "from the first to the end of the last video frame, in seconds"),
    "header_seconds": Column(REAL, "length that the header claims, null where it claims none"),
    "time_base": Column(TEXT, "seconds per tick of the presentation times, as a fraction"),
    "video_streams": Column(WHOLE, "number of video streams; the first is used"),
    "audio_streams": Column(WHOLE, "number of audio streams; the first is used"),
    "audio": Column(TEXT, "codec of the first audio stream"),
    "audio_rate": Column(WHOLE, "its samples per second"),
    "audio_channels": Column(WHOLE, "its channels"),
    "audio_seconds": Column(REAL, "its length by presentation times"),
    "audio_lag": Column(REAL, "seconds by which it begins after the first frame; negative before"),
    "audio_fault": Column(TEXT, "why its beginning cannot be decoded"),
    "sidecar": Column(
        TEXT, "captions by people, JSON: [{start, end, text}], start and end null for the whole file"
    ),
    "sidecar_error": Column(TEXT, "why a caption file beside the video could not be read"),
    "listed": Column(TEXT, "what the list of files says of it besides, JSON"),
    # split: one row per candidate clip
    "video_row": Column(WHOLE, "row of the clip's file in the ingest unit of the same name"),
    "clip_id": Column(TEXT, "hash of the file's bytes and the span"),
    "shot": Column(WHOLE, "which shot of the file, from 0"),
    "shots": Column(WHOLE, "how many shots the file has"),
    "start_pts": Column(WHOLE, "presentation time of the first frame, in ticks of time_base"),
    "end_pts": Column(WHOLE, "end of the last frame, in ticks of time_base"),
    "start": Column(REAL, "seconds"),
    "end": Column(REAL, "seconds"),
    "seconds": Column(REAL, "length"),
    "frames": Column(WHOLE, "frames of the source in the span"),
    "fps": Column(REAL, "frames per second of the source in the span"),
    "usable": Column(FLAG, "long enough to be a clip; other spans are kept as rows but not measured"),
    # keyframes
    "key_frames": Column(WHOLE, "keyframes in the clip"),
    "key_text": Column(REAL, "text_score of the keyframes that were read: the clip's is as large"),
    "key_border": Column(REAL, "border as the keyframes show it, where there are two or more"),
    "packet_bits": Column(
        REAL, "bits per pixel of the median packet that is no keyframe: near 0 where nothing moves"
    ),
    # visual
    "border": Column(REAL, "largest part of the frame that bars at one pair of sides cover, 0 to 1"),
    "text_score": Column(REAL, "word detection x word recognition score, largest over the sampled frames"),
    "text_area": Column(REAL, "part of the frame inside text boxes, largest over the sampled frames"),
    "text_fixed": Column(
        REAL, "text_score of words that stay in one place on all sampled frames: captions, stamps, marks"
    ),
    "brightness": Column(REAL, "mean luma, 0 to 1"),
    "contrast": Column(REAL, "standard deviation of luma, 0 to 1"),
    "sharpness": Column(REAL, "variance of the Laplacian of luma (0 to 255) on the middle frame"),
    "colourfulness": Column(REAL, "Hasler and Suesstrunk's measure, 0 for gray to about 100"),
    "niqe": Column(REAL, "distance from the statistics of natural pictures, lower is better"),
    "aesthetics": Column(REAL, "LAION's aesthetic predictor on the middle frame, about 1 to 10"),
    # motion
    "vmaf_motion": Column(
        REAL, "mean VMAF motion score of the frames after the first, at 360 pixels or less"
    ),
    "mv_mean": Column(
        REAL, "mean length of the codec's motion vectors over frame area and time, pixels per frame"
    ),
    "mv_patch_min": Column(
        REAL, "least of the same over any 256 x 256 pixels of a grid, each averaged over its area"
    ),
    "frozen": Column(REAL, "part of the frame steps without a visible change, 0 to 1"),
    "jumps": Column(WHOLE, "frame steps that change most of the picture at once"),
    "slideshow": Column(
        REAL, "part of the clip's change that happens in single steps between still frames, 0 to 1"
    ),
    "darkest": Column(
        REAL, "mean luma of the darkest frame over that of the median frame: small where a clip fades"
    ),
    "shots_per_second": Column(
        REAL, "cuts that a content detector without a minimum length sees, per second"
    ),
    "shake": Column(REAL, "median jerk of the camera path, per mille of the frame's diagonal per frame step"),
    "drift_x": Column(REAL, "mean shift of the picture to the right, frame widths per second"),
    "drift_y": Column(REAL, "mean shift of the picture downwards, frame heights per second"),
    "camera_motion": Column(
        TEXT,
        "zoom in | zoom out | push in | pull out | pan or truck left | right | tilt or pedestal up | down | "
        "arc | tracking | static | handheld shot; without parallax pan, tilt and zoom stand for what goes",
    ),
    "camera_confidence": Column(REAL, "how sure that is, 0 to 1"),
    "ken_burns": Column(REAL, "part of the clip in which one even motion of the whole picture explains all"),
    "flashes": Column(REAL, "swings of the light and back, per second"),
    "mixing": Column(REAL, "how much like a dissolve the most suspect second is, 0 to 1"),
    # embed
    "embedding": Column(pa.list_(pa.float32()), "mean feature of the sampled frames, length 1"),
    "mirrored": Column(pa.list_(pa.float32()), "the same of the mirrored frames"),
    "signature": Column(
        pa.binary(), "sampled frames as tiny RGB pictures: a byte k, a byte s, uint8 [k s s 3]"
    ),
    "meaning": Column(
        pa.list_(pa.float32()), "mean of the sampled frames in the space of embed.clip, length 1"
    ),
    "copy": Column(pa.list_(pa.float32()), "mean of the sampled frames by embed.copies, length 1"),
    # faces
    "face_counts": Column(pa.list_(WHOLE), "faces on each frame that was sampled, one a second"),
    "face_rate": Column(REAL, "part of these frames with at least one face"),
    "single_face": Column(REAL, "part of these frames with exactly one face"),
    "face_similarity": Column(
        REAL, "least cosine of the faces of neighbouring sampled frames that have exactly one each"
    ),
    "face_embedding": Column(pa.list_(pa.float32()), "mean embedding of the lone faces, length 1"),
    "face_view": Column(
        pa.list_(pa.float32()), "median turn and nod of the lone faces (curation.scores.faces.view_of)"
    ),
    "people": Column(WHOLE, "different people that the sampled frames show"),
    "face_tracks": Column(
        pa.list_(WHOLE),
        "person of each face of each sampled frame, surest first; from 0 by first appearance, -1 for no one",
    ),
    "face_references": Column(
        pa.list_(pa.binary()), "JPEG files of the lone faces of frames spread over the clip, in their order"
    ),
    # audio
    "audio_coverage": Column(REAL, "part of the clip for which there is sound that can be decoded, 0 to 1"),
    "loudness": Column(REAL, "integrated loudness by EBU R128 in LUFS; -70 is its gate, as for silence"),
    "silence": Column(REAL, "part of the clip in which every channel is below -60 dB of full scale, 0 to 1"),
    "clipping": Column(REAL, "part of the samples that rest at full scale, three or more in a row"),
    "speech": Column(REAL, "part of the clip in which somebody speaks, 0 to 1"),
    "dnsmos_speech": Column(REAL, "DNSMOS: how good the speech is, 1 to 5; none where hardly anybody speaks"),
    "dnsmos_noise": Column(REAL, "DNSMOS: how little the background disturbs, 1 to 5"),
    "dnsmos_overall": Column(REAL, "DNSMOS: both together, 1 to 5"),
    "audio_tags": Column(pa.list_(TEXT), "likeliest AudioSet classes, surest first"),
    "audio_tag_scores": Column(pa.list_(REAL), "their likelihoods in the quarter of the clip that has most"),
    "voice_likelihood": Column(REAL, "of a human voice, as the likeliest of its classes, 0 to 1"),
    "music_likelihood": Column(REAL, "of music, likewise"),
    "sound_likelihood": Column(REAL, "of other sounds, likewise"),
    "speech_likelihood": Column(REAL, "of speech, likewise"),
    "singing_likelihood": Column(REAL, "of singing, likewise"),
    "audio_class": Column(TEXT, "sound, voice and music, those that are heard, joined by +; or silence"),
    "audio_quality": Column(REAL, "predictor of the user, 1 to 10"),
    "diegetic": Column(REAL, "cosine of the embeddings of sound and pictures, by towers of the user"),
    "audio_caption": Column(TEXT, "what the clip sounds like, in the words of Table 26"),
    "audio_captioner": Column(TEXT, "who described it: tags (no captioning model)"),
    # identities
    "identity": Column(TEXT, "clip_id that names the clips of one person; of clips with lone faces"),
    # content
    "quality": Column(REAL, "rank among near-duplicates: the highest is kept"),
    "duplicate_group": Column(
        TEXT, "clip_id that names the group of near-duplicates, null for a clip without any"
    ),
    "similarity": Column(REAL, "largest cosine with another clip of its group"),
    "cluster": Column(WHOLE, "merged k-means cluster of the meaning, or else of the embedding"),
    "concept": Column(TEXT, "nearest of the concepts of the taxonomy that found the clip"),
    "human": Column(FLAG, "a human verb or expression of the taxonomy found the clip"),
    # caption
    "caption": Column(TEXT, "what the clip shows"),
    "caption_source": Column(TEXT, "sidecar | model | measured: what kind of author it has"),
    "captioner": Column(TEXT, "who wrote it: people | describer (no model) | the name of a captioner"),
}

# Columns that rules of the project's subsets ask for and no stage writes yet: `select` says so.
PLANNED: dict[str, Column] = {}
COLUMNS |= PLANNED


def error_column(stage: str) -> str:
    """Name of the column that says why a stage has no result for a row."""
    return f"{stage}_error"


def skipped_column(stage: str) -> str:
    """Name of the column that says why the cascade spared a stage the work on a row."""
    return f"{stage}_skipped"


def schema(names: tuple[str, ...], stage: str) -> pa.Schema:
    """Arrow schema of the table that `stage` writes."""
    notes = [(error_column(stage), TEXT), (skipped_column(stage), TEXT)]
    return pa.schema([(name, COLUMNS[name].type) for name in names] + notes)


@dataclass(frozen=True, kw_only=True)
class Clip:
    """What `{clip_id}.json` of a training shard says."""

    clip_id: str
    source: str
    start: float
    end: float
    width: int
    height: int
    fps: float
    frames: int
    duration: float
    caption: str
    caption_source: str
    captioner: str = "none"
    bucket: str
    "WxHxF: columns, rows and frames of the batch that the clip belongs to"
    camera_motion: str | None = None
    camera_confidence: float | None = None
    "How sure the motion is, 0 to 1; None where nobody measured it"
    scores: dict[str, Any] = field(default_factory=dict)
    lineage: dict[str, Any] = field(default_factory=dict)
    "Source hash, subset and the fingerprints of the stages"

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Clip":
        known = {f.name for f in fields(cls)}
        return cls(**{key: value for key, value in json.loads(text).items() if key in known})
