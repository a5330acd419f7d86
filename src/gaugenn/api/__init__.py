"""The verbs as functions, under the names they have on the command line.

::

    from gaugenn import api

    result = api.study("samples", "study", settings=api.BenchSettings(launches=5))
    print(result.report)
    api.query("study", "SELECT format, count(*) FROM models GROUP BY format").to_pandas()
"""

from gaugenn.analysis.comparison import THRESHOLD as COMPARISON_THRESHOLD
from gaugenn.analysis.loads import RateLaunch, SideBySide, SustainedLaunch
from gaugenn.analysis.scenarios import DEFAULT_BATTERY, Battery
from gaugenn.analysis.snapshots import SnapshotDiff
from gaugenn.api._compare import compare
from gaugenn.api._diff import diff
from gaugenn.api._engines import (
    EngineInfo,
    engines_install,
    engines_list,
    engines_missing,
    engines_named,
    engines_offers,
    engines_remove,
)
from gaugenn.api._explorer import EXPLORER_ADDRESS, EXPLORER_PORT, serve
from gaugenn.api._export import (
    citation,
    dataset_card,
    export,
    exports,
    frame,
    perfetto,
    publish,
)
from gaugenn.api._import import import_forms, import_logs
from gaugenn.api._labels import device_labels, label_device
from gaugenn.api._libraries import History, Release, history, oracle, profile
from gaugenn.api._notebook import Figure, Study
from gaugenn.api._predict import predict
from gaugenn.api._report import figures, query, recommend, report, report_figure, write_csv
from gaugenn.api._scenarios import scenarios
from gaugenn.api._sources import SourceInfo, crawl, sources_list
from gaugenn.api._study import (
    StudyResult,
    bench,
    foresee,
    rate_launches,
    read_plan,
    scan,
    side_by_side,
    study,
    sustained_launches,
)
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
from gaugenn.bench.discovery import DeviceInfo
from gaugenn.bench.discovery import devices as devices_list
from gaugenn.bench.discovery import release as device_release
from gaugenn.bench.discovery import resources as device_resources
from gaugenn.bench.settings import BenchSettings, Experiment
from gaugenn.doctor import Check, doctor
from gaugenn.pipeline.compare import Comparison, ModelComparison
from gaugenn.pipeline.crawl import CrawlResult, CrawlSettings
from gaugenn.pipeline.foresee import Forecast
from gaugenn.pipeline.import_logs import ImportedLog
from gaugenn.pipeline.inspect import Inspection, inspect
from gaugenn.pipeline.predict import Predictions
from gaugenn.pipeline.scenarios import ScenarioRow
from gaugenn.pipeline.zoo import Built
from gaugenn.records import InputShape
from gaugenn.sources import AppQuery

__all__ = [
    "COMPARISON_THRESHOLD",
    "DEFAULT_BATTERY",
    "EXPLORER_ADDRESS",
    "EXPLORER_PORT",
    "ZOO_SIZE_GB",
    "AppQuery",
    "Battery",
    "BenchSettings",
    "Built",
    "Check",
    "Comparison",
    "CrawlResult",
    "CrawlSettings",
    "DeviceInfo",
    "EngineInfo",
    "Experiment",
    "Figure",
    "Forecast",
    "History",
    "ImportedLog",
    "InputShape",
    "Inspection",
    "ModelComparison",
    "Predictions",
    "RateLaunch",
    "Release",
    "ScenarioRow",
    "SideBySide",
    "SnapshotDiff",
    "SourceInfo",
    "Study",
    "StudyResult",
    "SustainedLaunch",
    "ZooModel",
    "bench",
    "citation",
    "compare",
    "crawl",
    "dataset_card",
    "device_labels",
    "device_release",
    "device_resources",
    "devices_list",
    "diff",
    "doctor",
    "engines_install",
    "engines_list",
    "engines_missing",
    "engines_named",
    "engines_offers",
    "engines_remove",
    "export",
    "exports",
    "figures",
    "foresee",
    "frame",
    "history",
    "import_forms",
    "import_logs",
    "inspect",
    "label_device",
    "oracle",
    "perfetto",
    "predict",
    "profile",
    "publish",
    "query",
    "rate_launches",
    "read_plan",
    "recommend",
    "report",
    "report_figure",
    "scan",
    "scenarios",
    "serve",
    "side_by_side",
    "sources_list",
    "study",
    "sustained_launches",
    "write_csv",
    "zoo_add",
    "zoo_build",
    "zoo_builds",
    "zoo_install",
    "zoo_list",
    "zoo_matrix",
]
