"""`gaugenn compare`."""

import json
from dataclasses import asdict

import click

from gaugenn import api
from gaugenn.bench.settings import parse_share
from gaugenn.cli._options import parsed, printing
from gaugenn.cli._output import Output, print_table
from gaugenn.errors import GaugennError, StorageFullError, UsageError

EXIT_REGRESSION = 1
EXIT_UNDECIDED = 4
EXIT_NOT_COMPARED = 5


@click.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option(
    "--fail-above",
    type=parsed(parse_share),
    metavar="SHARE",
    help="Exit with 1 if B is slower than A by more than this, as in 5%.",
)
@click.option(
    "--threshold",
    type=parsed(parse_share),
    default=f"{api.COMPARISON_THRESHOLD:.0%}",
    show_default=True,
    metavar="SHARE",
    help="Differences up to this do not matter.",
)
@click.option("--force", is_flag=True, help="Compare under unlike conditions too, and show them.")
@click.option(
    "--no-rerun",
    is_flag=True,
    help="Do not launch suspected regressions again before they count.",
)
@printing
@click.pass_context
def command(
    ctx: click.Context,
    first: str,
    second: str,
    fail_above: float | None,
    threshold: float,
    force: bool,
    no_rerun: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Say whether B is faster or slower than A, model by model.

    A and B are studies, or some experiments of a study: STUDY:TERM,TERM. A term is an engine (litert),
    an engine and version (litert==2.3.0) or a setting (threads=2). B may leave the study out.

    \b
    gaugenn compare before after --fail-above 5%
    gaugenn compare study:litert==2.2.0 :litert==2.3.0
    gaugenn compare study:litert,threads=1 :litert,threads=2

    Exit codes: 0 no regression, 1 a regression (after a re-run, where one is possible), 2 unusable
    arguments, 3 disk full, 4 with --fail-above: a regression is neither shown nor excluded,
    5 not compared: unlike conditions, invalid runs, or no study.
    """  # noqa: D301 - a mark of click's
    output = Output(quiet, as_json)
    try:
        with output.watcher() as watcher:
            found = api.compare(
                first,
                second,
                threshold=threshold,
                fail_above=fail_above,
                force=force,
                rerun=not no_rerun,
                watcher=watcher,
            )
    except (StorageFullError, UsageError):
        raise
    except GaugennError as error:
        # What failed must not look like a regression to whoever reads the exit code alone.
        output.failure(str(error))
        ctx.exit(EXIT_NOT_COMPARED)
    if as_json:
        print(json.dumps(_plain(found), indent=2))
    else:
        _print(found, output)
    ctx.exit(_exit_code(found))


def _exit_code(found: api.Comparison) -> int:
    if found.regressions:
        return EXIT_REGRESSION
    if found.refused and (found.fail_above is not None or found.refused == len(found.models)):
        return EXIT_NOT_COMPARED
    return EXIT_UNDECIDED if found.undecided else 0


def _plain(found: api.Comparison) -> dict[str, object]:
    rows = [{**asdict(row), "is_regression": row.is_regression} for row in found.models]
    totals = {name: getattr(found, name) for name in ("regressions", "refused", "undecided")}
    return {**asdict(found), "models": rows, **totals}


def _print(found: api.Comparison, output: Output) -> None:
    rows = [
        (
            row.model,
            row.first.label,
            row.second.label,
            *_numbers(row),
            "refused" if row.refused else row.outcome,
            _remarks(row),
        )
        for row in found.models
    ]
    columns = ("model", "A", "B", "B/A", "95 % interval", "p", "launches", "outcome", "remarks")
    print_table(columns, rows, numbers=("B/A", "p"))
    overall = found.overall
    if overall is not None and overall.n > 1:
        interval = ""
        if overall.low is not None and overall.high is not None:
            interval = f" [{overall.low:.3f}, {overall.high:.3f}]"
        output.remark(f"Geometric mean over {overall.n} models: {overall.value:.3f}{interval}")
    for side, count in (("A", found.only_first), ("B", found.only_second)):
        if count:
            output.remark(f"Models that only {side} has: {count}")
    if found.fail_above is not None:
        output.remark(
            f"Slower by more than {100 * found.fail_above:.3g}%: {found.regressions}; "
            f"not excluded: {found.undecided}; not compared: {found.refused}"
        )


def _numbers(row: api.ModelComparison) -> tuple[str, str, str, str]:
    found = row.difference
    if found is None:
        return "", "", "", f"{row.first.launches}, {row.second.launches}"
    interval = "none"
    if found.low is not None and found.high is not None:
        interval = f"{found.low:.3f} to {found.high:.3f}"
    counts = f"{found.pairs} in turns" if found.pairs else f"{found.first}, {found.second}"
    p_value = "" if row.p_value is None else f"{row.p_value:.2g}"
    return f"{found.ratio:.3f}", interval, p_value, counts


def _remarks(row: api.ModelComparison) -> str:
    parts = [] if row.refused is None else [row.refused]
    parts += [f"{name}: {a} | {b}" for name, (a, b) in row.differing.items()]
    for side, name in ((row.first, "A"), (row.second, "B")):
        if row.refused is None and side.reasons:
            parts.append(f"{name}: {', '.join(side.reasons)}")
    if row.confirmation is not None:
        parts.append(f"regression {row.confirmation}")
    return "; ".join(parts)
