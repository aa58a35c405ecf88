"""The offline default: one sentence from measurements alone. `captioner` says so in every row."""

from curation.stage import Row

NAME = "describer"  # what the column `captioner` says of it


def describe(row: Row) -> str:
    """One sentence from measurements alone; the words change at fixed values, so equal rows give equal
    sentences."""
    shape = "wide" if row["aspect"] > 1.05 else "tall" if row["aspect"] < 0.95 else "square"
    light = "dark" if row["brightness"] < 0.25 else "bright" if row["brightness"] > 0.65 else "evenly lit"
    detail = "soft" if row["sharpness"] < 60 else "finely detailed" if row["sharpness"] > 800 else "clear"
    return (
        f"A {shape}, {light}, {detail} shot of {row['seconds']:.1f} seconds with {_pace(row)}{_camera(row)}."
    )


def _pace(row: Row) -> str:
    if row["frozen"] > 0.9:
        return "no visible motion"
    pace = row["vmaf_motion"]
    return "slight motion" if pace < 1.0 else "calm motion" if pace < 4.0 else "fast motion"


def _camera(row: Row) -> str:
    if row["shake"] > 10:
        return " from an unsteady camera"
    across, down = row["drift_x"], row["drift_y"]
    if max(abs(across), abs(down)) < 0.1:  # of the frame per second
        return ""
    if abs(across) >= abs(down):
        return f" as the picture slides {'right' if across > 0 else 'left'}"
    return f" as the picture slides {'down' if down > 0 else 'up'}"
