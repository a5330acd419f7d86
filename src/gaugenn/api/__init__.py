"""The verbs as functions, under the names they have on the command line.

::

    from gaugenn import api

    result = api.study("samples", "study", settings=api.BenchSettings(launches=5))
    print(result.report)
    api.query("study", "SELECT format, count(*) FROM models GROUP BY format").to_pandas()
"""

from gaugenn.analysis.snapshots import SnapshotDiff
from gaugenn.api._diff import diff
from gaugenn.api._engines import (
    EngineInfo,
    engines_install,
    engines_list,
    engines_missing,
    engines_named,
    engines_remove,
)
from gaugenn.api._report import figures, query, report, report_figure, write_csv
from gaugenn.api._sources import SourceInfo, crawl, sources_list
from gaugenn.api._study import StudyResult, bench, scan, study
from gaugenn.api._zoo import (
    ZOO_SIZE_GB,
    ZooModel,
    zoo_add,
    zoo_build,
    zoo_builds,
    zoo_install,
    zoo_list,
    zoo_matrix,
)
from gaugenn.doctor import Check, doctor
from gaugenn.pipeline.crawl import CrawlResult, CrawlSettings
from gaugenn.pipeline.inspect import Inspection, inspect
from gaugenn.pipeline.measure import BenchSettings
from gaugenn.pipeline.zoo import Built
from gaugenn.records import InputShape
from gaugenn.sources import AppQuery

__all__ = [
    "ZOO_SIZE_GB",
    "AppQuery",
    "BenchSettings",
    "Built",
    "Check",
    "CrawlResult",
    "CrawlSettings",
    "EngineInfo",
    "InputShape",
    "Inspection",
    "SnapshotDiff",
    "SourceInfo",
    "StudyResult",
    "ZooModel",
    "bench",
    "crawl",
    "diff",
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
    "sources_list",
    "study",
    "write_csv",
    "zoo_add",
    "zoo_build",
    "zoo_builds",
    "zoo_install",
    "zoo_list",
    "zoo_matrix",
]
