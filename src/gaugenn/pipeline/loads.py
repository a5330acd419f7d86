"""What the special loads of a study show; see `gaugenn.analysis.loads`."""

from gaugenn.analysis import loads
from gaugenn.analysis.loads import RateLaunch, SideBySide, SustainedLaunch
from gaugenn.pipeline.request import model_names
from gaugenn.records import JobRecord, Run
from gaugenn.store import Study


def sustained_launches(study: Study) -> list[SustainedLaunch]:
    """Every launch with a steady phase of two minutes or more, back to back."""
    return loads.sustained_launches(study.rows(JobRecord), study.rows(Run), model_names(study))


def rate_launches(study: Study) -> list[RateLaunch]:
    """Every launch under a fixed rate."""
    return loads.rate_launches(study.rows(JobRecord), study.rows(Run), model_names(study))


def side_by_side(study: Study) -> list[SideBySide]:
    """Every experiment beside another model against itself alone."""
    return loads.side_by_side(study.rows(JobRecord), study.rows(Run), model_names(study))
