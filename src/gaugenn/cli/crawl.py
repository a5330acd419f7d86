"""`gaugenn crawl`."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from gaugenn import api
from gaugenn.cli._options import out_folder, printing, workers_option
from gaugenn.cli._output import EXIT_FAILED, Output


@click.command()
@click.argument("source", metavar="SOURCE")
@click.argument("address", required=False, metavar="[ADDRESS]")
@out_folder
@click.option("--query", "text", metavar="TEXT", help="Only apps with this in package or title.")
@click.option(
    *("--category", "categories"),
    multiple=True,
    metavar="NAME",
    help="Only apps of this category; can be repeated.",
)
@click.option(
    *("--market", "markets"),
    multiple=True,
    metavar="NAME",
    help="Only apps that an archive has from this store; can be repeated.",
)
@click.option("--top", type=click.IntRange(1), metavar="N", help="Only ranks 1 to N of a chart.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="At most so many apps.")
@click.option("--all-versions", is_flag=True, help="Every version of an app, not the newest only.")
@click.option("--scan", is_flag=True, help="Then find and read the models in what was fetched.")
@click.option("--snapshot", metavar="NAME", help="Name of what this records; by default the time.")
@click.option(
    "--packages",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder for the packages; by default one in the study.",
)
@click.option(
    "--metadata",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="What a store says of apps (charts, categories), or a copy of the source's list.",
)
@click.option("--fingerprint", metavar="HEX", help="Who must have signed the source's index.")
@click.option("--device-profile", metavar="NAME", help="The device to ask a store as.")
@click.option("--locale", metavar="xx_YY", help="Language and country to ask a store in.")
@click.option(
    "--rate",
    type=click.FloatRange(0.001, 1000),
    default=1.0,
    show_default=True,
    metavar="N",
    help="At most so many requests a second.",
)
@click.option(
    "--daily-limit", type=click.IntRange(1), metavar="N", help="At most so many apps a day (UTC)."
)
@workers_option
@printing
def command(
    source: str,
    address: str | None,
    out: Path,
    text: str | None,
    categories: tuple[str, ...],
    markets: tuple[str, ...],
    top: int | None,
    limit: int | None,
    all_versions: bool,
    scan: bool,
    snapshot: str | None,
    packages: Path | None,
    metadata: Path | None,
    fingerprint: str | None,
    device_profile: str | None,
    locale: str | None,
    rate: float,
    daily_limit: int | None,
    workers: int | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Get packages from a store, an archive, a device or a folder into the study in DIR.

    SOURCE is fdroid, androzoo, play, device or folder; ADDRESS is where it is: a repository, a serial,
    a folder. Press Ctrl-C at any time: the same command goes on later.
    """
    output = Output(quiet, as_json)
    settings = api.CrawlSettings(
        query=api.AppQuery(
            text=text,
            categories=categories,
            markets=markets,
            top=top,
            all_versions=all_versions,
        ),
        limit=limit,
        snapshot=snapshot,
        packages=packages,
        daily_limit=daily_limit,
        fingerprint=fingerprint,
        metadata=metadata,
        device_profile=device_profile,
        locale=locale,
        requests_per_s=rate,
    )
    with output.watcher() as watcher:
        result = api.crawl(
            source, address, out, settings=settings, scan=scan, workers=workers, watcher=watcher
        )
    if as_json:
        plain = asdict(result) | {"files": [str(path) for path in result.files]}
        print(json.dumps(plain, indent=2))
    else:
        if result.signer_sha256:
            output.remark(f"Signed by {result.signer_sha256}")
        output.remark(
            f"{result.snapshot}: {result.listed:,} apps listed, {result.fetched:,} here, "
            f"{result.failed:,} failed"
        )
        if result.stopped:
            output.remark(f"Not finished: {result.stopped}")
        elif not result.finished:
            output.remark("Not finished: the same command tries again what failed")
        print(out)
    return 0 if result.finished else EXIT_FAILED
