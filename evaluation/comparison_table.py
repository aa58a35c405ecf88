"""Compared: what a comparison of autoencoders found, as a table, as JSON, and as numbers to log."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

ALL = "all"  # the name of what is counted over all resolutions
MEASURES = {"psnr": ".2f", "ssim": ".4f", "perceptual": ".4f", "rfid_like": ".4g", "rfvd_like": ".4g"}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One autoencoder at one resolution; a distance of sets is None where there are fewer than two."""

    autoencoder: str
    resolution: str
    clips: int
    psnr: float
    ssim: float
    perceptual: float
    rfid_like: float | None
    rfvd_like: float | None


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What an autoencoder is, whatever it is shown."""

    name: str
    time_factor: int
    space_factor: int
    channels: int
    parameters: int
    latent_per_pixel: float
    """Numbers of its latents for each pixel of these clips: what was padded to its lengths counts."""
    frames_per_second: float
    """There and back, of each process."""

    @property
    def compression(self) -> str:
        """As "8x8x8, 16": frames, rows and columns of a position, and its channels."""
        return f"{self.time_factor}x{self.space_factor}x{self.space_factor}, {self.channels}"


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Rows of all resolutions, those over all of them last."""

    names: dict[str, str]
    """The heading of each measure, with the network behind it."""
    rows: list[Row]
    autoencoders: list[Facts]
    singular: dict[str, int]
    """Features of each distance of sets whose covariance is singular at some resolution."""

    @property
    def notes(self) -> list[str]:
        """What must be known to read the numbers."""
        return [
            f"{self.names[name]}: no more samples than its {features:,} features at some resolution, so the "
            "covariance is singular: compare it within this table, with no number from elsewhere."
            for name, features in self.singular.items()
        ]

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain values."""
        return {**dataclasses.asdict(self), "notes": self.notes}

    def logged(self, prefix: str) -> dict[str, float]:
        """Overall as PREFIX/psnr, of a resolution as PREFIX/psnr/64x64x16, of a peer below PREFIX/NAME."""
        resolutions = {row.resolution for row in self.rows}
        overall = {ALL} & resolutions or resolutions
        ours = self.autoencoders[0].name if self.autoencoders else ""
        found: dict[str, float] = {}
        for row in self.rows:
            start = prefix if row.autoencoder == ours else f"{prefix}/{row.autoencoder}"
            end = "" if row.resolution in overall else f"/{row.resolution}"
            values = {name: getattr(row, name) for name in MEASURES}
            found |= {f"{start}/{name}{end}": value for name, value in values.items() if value is not None}
        for facts in self.autoencoders:
            start = prefix if facts.name == ours else f"{prefix}/{facts.name}"
            found[f"{start}/frames_per_second"] = facts.frames_per_second
        return found

    def print(self) -> None:
        """The table on stdout: a column for each autoencoder, a section for each resolution; notes below."""
        from rich.console import Console
        from rich.table import Table

        table = Table(title="Reconstructions of the same clips", title_justify="left")
        table.add_column("")
        for facts in self.autoencoders:
            table.add_column(facts.name, justify="right")
        for heading, tell in DESCRIBED.items():
            table.add_row(heading, *map(tell, self.autoencoders))
        for resolution in dict.fromkeys(row.resolution for row in self.rows):
            rows = [row for row in self.rows if row.resolution == resolution]
            table.add_section()
            table.add_row(f"[bold]{resolution}[/bold]", *(f"{row.clips:,} clips" for row in rows))
            for name, form in MEASURES.items():
                table.add_row(self.names[name], *(_number(getattr(row, name), form) for row in rows))
        console = Console()
        whole = console.measure(table, options=console.options.update(width=10_000)).maximum
        console.width = max(console.width, whole)
        console.print(table)  # a name that is cut or folded says nothing, so a narrow terminal folds lines
        for note in self.notes:
            console.print(note, style="dim", highlight=False)


def shown(compared: Mapping[str, Any]) -> dict[str, list[Any]]:
    """What `Compared.as_json` gave, as headings and a line of text for each row."""
    headings = ["autoencoder", "clips", "of", *(compared["names"][name] for name in MEASURES), *DESCRIBED]
    facts = {each["name"]: Facts(**each) for each in compared["autoencoders"]}
    lines = [
        [
            row["autoencoder"], str(row["clips"]), row["resolution"],
            *(_number(row[name], form) for name, form in MEASURES.items()),
            *(tell(facts[row["autoencoder"]]) for tell in DESCRIBED.values()),
        ]
        for row in compared["rows"]
    ]  # fmt: skip
    return {"headings": headings, "lines": lines, "notes": compared["notes"]}


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


DESCRIBED: dict[str, Callable[[Facts], str]] = {
    "frames x rows x columns to 1, channels": lambda facts: facts.compression,
    "numbers of the latent per pixel": lambda facts: f"{facts.latent_per_pixel:.3g}",
    "parameters, millions": lambda facts: f"{facts.parameters / 1e6:.2f}",
    "frames/s there and back": lambda facts: f"{facts.frames_per_second:,.1f}",
}
