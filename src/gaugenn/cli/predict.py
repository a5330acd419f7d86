"""`gaugenn predict`."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from gaugenn import api
from gaugenn.cli._output import EXIT_FAILED, Output, print_table


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option("--device", metavar="NAME", help="Only for this device.")
@click.option(
    "--engine", metavar="NAME[==VERSION]", help="Only for this library, or one release of it."
)
@click.option("--json", "as_json", is_flag=True, help="Print the predictions as JSON.")
def command(
    folder: Path, models: tuple[str, ...], device: str | None, engine: str | None, as_json: bool
) -> int:
    """Predict latencies of models of the study in DIR that were not measured, from those that were.

    A MODEL is a name or the beginning of a digest; without one: all that were read. Every number comes
    with an interval and with how wrong such numbers are on architectures that were left out, beside a
    law of operations alone. It needs models of ten architectures, measured with one library, its
    settings and device; and scikit-learn: pip install 'gaugenn[predict]'.
    """
    found = api.predict(folder, models, device=device, engine=engine)
    output = Output(quiet=False, as_json=as_json)
    if as_json:
        print(json.dumps(asdict(found), indent=2))
    else:
        print_table(
            (
                *("model", "library, device", "predicted, ms", "90 % interval", "law"),
                *("typical error", "operations alone", "models", "remark"),
            ),
            [
                (
                    found.names[row.model_sha256],
                    f"{row.engine}=={row.engine_version} threads={row.threads}, {row.device}",
                    f"{1e3 * row.latency_s:.3g}",
                    f"{1e3 * row.low_s:.3g} to {1e3 * row.high_s:.3g}",
                    row.law,
                    f"{row.error_factor:.2f} times",
                    f"{row.baseline_factor:.2f} times",
                    row.examples,
                    "beyond what was measured" if row.outside else "",
                )
                for row in found.rows
            ],
            numbers=("predicted, ms", "models"),
        )
    for setting, reason in found.refused.items():
        output.remark(f"{setting}: {reason}")
    for model, reason in found.left_out.items():
        output.remark(f"{found.names[model]}: {reason}")
    if not found.rows and not as_json:
        output.remark("Nothing is predicted.")
    return EXIT_FAILED if found.refused and not found.checks else 0
