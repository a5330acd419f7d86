"""What the measurements ran on."""

from gaugenn.report import _text
from gaugenn.report._contract import Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._results import NOT_MEASURED
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, digests, names, numbers


class Environments(Figure):
    """One row an environment."""

    section = Section.SPEED
    order = 450
    title = "Environment"
    question = "On what did the launches run?"
    query = """
        SELECT e.*, count(r.launch) AS launches, min(r.started_at) AS first_at,
               max(r.started_at) AS last_at
        FROM (SELECT DISTINCT ON (environment_sha256) * FROM environments
              ORDER BY environment_sha256) e
        LEFT JOIN (SELECT DISTINCT job_sha256, launch, started_at, environment_sha256 FROM runs) r
            USING (environment_sha256)
        GROUP BY ALL ORDER BY launches DESC, environment_sha256
    """
    empty = NOT_MEASURED

    def table(self, frame: Frame) -> Table:
        """One row an environment."""
        return Table(
            columns=(
                names("Device", frame.texts("device")),
                names("Kind", frame.texts("device_kind")),
                names("Processor", frame.texts("processor_model")),
                names("Architecture", frame.texts("architecture")),
                numbers("Cores", frame.integers("logical_cores")),
                numbers("Memory", frame.integers("memory_bytes"), _text.size),
                numbers("Top frequency", frame.integers("maximum_frequency_hz"), _hertz),
                names("Governor", frame.texts("governor")),
                names("System", frame.texts("operating_system")),
                names("Kernel", frame.texts("kernel")),
                names("gaugenn", frame.texts("gaugenn_version")),
                numbers("Launches", frame.integers("launches")),
                names("First (UTC)", frame.texts("first_at")),
                names("Last (UTC)", frame.texts("last_at")),
                digests("Environment", frame.texts("environment_sha256")),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """When environments are equal."""
        return (
            f"n = {_text.plural(frame.total, 'environment')}, "
            f"{_text.plural(summary.launches, 'launch', 'launches')}. Numbers from different "
            "environments are never put into one estimate without a remark. Logical cores."
        )


def _hertz(value: float | None) -> str:
    return _text.metric(value, "Hz")
