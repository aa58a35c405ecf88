"""The page: gather the sections, fill the template, write one file."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from evaluation.facts import run_facts
from evaluation.report.curation import curation_section
from evaluation.report.sections import Missing, Tile, t2v_section, tae_section
from storage import write_text


def build_report(out: Path, curation: Path, tae: Path, t2v: Path) -> list[Missing]:
    """Write the page of one chain of runs to `out`; returns the parts that were not there."""
    sections = {"curation": curation_section(curation), "tae": tae_section(tae), "t2v": t2v_section(t2v)}
    environment = Environment(
        loader=PackageLoader("evaluation.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    page = environment.get_template("page.html.j2").render(
        **sections,
        tiles=_tiles(sections),
        facts=_facts(sections),
        commands=_commands(sections),
        style=Markup((Path(__file__).parent / "style.css").read_text(encoding="utf-8")),
        made_by=f"python -m evaluation.run report --out {out}",
        made_on=datetime.now(UTC).strftime("%d %B %Y, %H:%M UTC"),
    )
    write_text(out, page)
    return [section for section in sections.values() if isinstance(section, Missing)]


def _tiles(sections: dict[str, Any]) -> list[Tile]:
    """The numbers that a reader wants first."""
    tiles = []
    t2v, tae, curation = sections["t2v"], sections["tae"], sections["curation"]
    if not isinstance(t2v, Missing):
        tiles += [
            Tile(f"{100 * bar['value']:.0f}", "%", f"of clips show the {bar['name']} that was asked for")
            for bar in t2v["bars"]
            if bar["name"] in ("colour", "direction", "background")
        ]
    if not isinstance(tae, Missing):
        tiles.append(
            Tile(f"{tae['scores']['psnr']['mean']:.1f}", "dB", "PSNR of held-out clips through the TAE")
        )
    if not isinstance(curation, Missing):
        tiles.append(
            Tile(f"{curation['kept']:,}", "", f"of {curation['total']:,} candidate clips kept by curation")
        )
    minutes = [
        section["training"]["minutes"]
        for section in (tae, t2v)
        if not isinstance(section, Missing) and section["training"] and section["training"]["minutes"]
    ]
    if minutes:
        tiles.append(Tile(f"{sum(minutes):.0f}", "min", "of training, both models together"))
    return tiles


def _facts(sections: dict[str, Any]) -> list[tuple[str, Any]]:
    """Machine and code of each measurement, and of this page."""
    rows = []
    for title, name in (("TAE measured", "tae"), ("Text to video measured", "t2v")):
        if not isinstance(sections[name], Missing):
            rows.append((title, _said(sections[name]["scores"]["run"])))
    return [*rows, ("This page", _said(run_facts()))]


def _said(facts: dict[str, Any]) -> str:
    machine = f"{facts['cpu']}, {facts['cores']} cores" + (
        f", {facts['gpu']}" if facts["gpu"] else ", no GPU"
    )
    versions = f"Python {facts['python']}, torch {facts['torch']}"
    return f"{facts['time']}; {machine}; {versions}; code at {facts['commit'] or 'an unknown commit'}"


def _commands(sections: dict[str, Any]) -> list[str]:
    """The demo's commands; those that measured are as they were typed."""

    def measured(name: str, default: str) -> str:
        section = sections[name]
        return default if isinstance(section, Missing) else section["scores"]["run"]["command"]

    return [
        "python -m evaluation.toy_world make --out data/demo/raw --clips 1200 --seed 0 --size 1.3 --pace 0.4",
        "python -m curation.run -c configs/curation/demo.yaml",
        "lightning fit -c configs/tae.yaml",
        measured("tae", "python -m evaluation.run tae"),
        "python -m inference.run encode --shards data/demo/curated/shards --tae runs/demo/tae/model "
        "--out data/demo/latents",
        "lightning fit -c configs/t2v.yaml",
        measured("t2v", "python -m evaluation.run t2v --prompts 64 --size 1.3 --pace 0.4"),
        'python -m inference.run t2v "a red ball moves left" --out outputs/clip.mp4',
    ]
