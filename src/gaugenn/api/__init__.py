"""The verbs as functions, under the names they have on the command line.

::

    from gaugenn import api

    result = api.study("samples", "study", settings=api.BenchSettings(launches=5))
    print(result.report)
    api.query("study", "SELECT format, count(*) FROM models GROUP BY format").to_pandas()
"""

from gaugenn.api._engines import (
    EngineInfo,
    engines_install,
    engines_list,
    engines_missing,
    engines_named,
    engines_remove,
)
from gaugenn.api._report import figures, query, report, report_figure, write_csv
from gaugenn.api._study import StudyResult, bench, scan, study
from gaugenn.doctor import Check, doctor
from gaugenn.pipeline.inspect import Inspection, inspect
from gaugenn.pipeline.measure import BenchSettings
from gaugenn.records import InputShape

__all__ = [
    "BenchSettings",
    "Check",
    "EngineInfo",
    "InputShape",
    "Inspection",
    "StudyResult",
    "bench",
    "doctor",
    "engines_install",
    "engines_list",
    "engines_missing",
    "engines_named",
    "engines_remove",
    "figures",
    "inspect",
    "query",
    "report",
    "report_figure",
    "scan",
    "study",
    "write_csv",
]
