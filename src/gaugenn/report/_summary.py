"""The headline numbers of a study. Each is a count with its denominator in a field beside it."""

from dataclasses import dataclass, fields

from gaugenn.report._text import plural, share, visible
from gaugenn.store import Study

APP_KINDS = ("apk", "split-apk", "split-set", "bundle", "aab", "ipa", "unpacked")
"""Package kinds that are an app or a part of one."""

_APPS = ", ".join(f"'{kind}'" for kind in APP_KINDS)

_QUERY = f"""
    WITH loads AS (
        SELECT * FROM experiments
        WHERE NOT control AND companion_of = '' AND (rate_per_s IS NOT NULL OR companion != '')
    )
    SELECT
        (SELECT count(*) FROM packages) AS paths,
        (SELECT count(DISTINCT app_sha256) FROM packages WHERE kind IN ({_APPS})) AS apps,
        (SELECT count(DISTINCT package) FROM packages WHERE kind IN ({_APPS})) AS app_names,
        (SELECT count(DISTINCT app_sha256) FROM packages WHERE kind IN ('obb', 'archive'))
            AS archives,
        (SELECT count(DISTINCT app_sha256) FROM packages WHERE kind = 'file') AS lone_files,
        (SELECT count(DISTINCT path) FROM packages WHERE kind = 'none') AS not_packages,
        (SELECT count(DISTINCT app_sha256) FROM packages WHERE kind != 'none' AND error IS NOT NULL)
            AS damaged_packages,
        (SELECT count(DISTINCT i.app_sha256) FROM instances i JOIN packages p USING (app_sha256)
            WHERE p.kind IN ({_APPS})) AS apps_with_models,
        (SELECT count(*) FROM candidates) AS candidates,
        (SELECT count(*) FROM instances) AS instances,
        (SELECT count(*) FROM candidates WHERE kind = 'weights') AS weights_files,
        (SELECT count(*) FROM candidates WHERE kind = 'package') AS containers,
        (SELECT count(*) FROM candidates WHERE kind = 'encrypted') AS encrypted,
        (SELECT count(*) FROM candidates WHERE kind = 'invalid') AS invalid,
        (SELECT count(*) FROM candidates WHERE kind = 'unknown') AS unknown,
        (SELECT count(*) FROM candidates WHERE kind = 'unread') AS unread,
        (SELECT count(DISTINCT model_sha256) FROM models WHERE kind = 'model') AS models,
        (SELECT count(DISTINCT model_sha256) FROM models
            WHERE kind NOT IN ('model', 'weights')) AS models_refused,
        (SELECT count(DISTINCT model_sha256) FROM models
            WHERE kind = 'model' AND uncounted_nodes = 0 AND macs IS NOT NULL) AS models_counted,
        (SELECT count(DISTINCT format) FROM models WHERE kind = 'model') AS formats,
        (SELECT count(*) FROM results) AS jobs,
        (SELECT count(*) FROM results WHERE launches_ok > 0) AS jobs_measured,
        (SELECT count(DISTINCT model_sha256) FROM results WHERE launches_ok > 0)
            AS models_measured,
        (SELECT coalesce(sum(launches_planned), 0)::BIGINT FROM results) AS launches_planned,
        (SELECT coalesce(sum(launches_tried), 0)::BIGINT FROM results) AS launches,
        (SELECT coalesce(sum(launches_ok), 0)::BIGINT FROM results) AS launches_ok,
        (SELECT count(*) FROM loads) AS load_jobs,
        (SELECT count(*) FROM loads WHERE launches_ok > 0) AS load_jobs_measured,
        (SELECT coalesce(sum(launches_tried), 0)::BIGINT FROM loads) AS load_launches,
        (SELECT coalesce(sum(launches_ok), 0)::BIGINT FROM loads) AS load_launches_ok,
        (SELECT count(*) FROM failures) AS failures
"""  # noqa: S608


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Headline numbers. Packages are counted by content: two copies of a file are one.

    Attributes:
        paths: files that were taken for packages or models and have a row.
        apps: distinct app packages (APK, split APK or set, bundle, AAB, IPA, unpacked app).
        app_names: distinct application identifiers among them.
        archives: distinct other containers (OBB, plain zip).
        lone_files: distinct model files outside any package.
        not_packages: paths named like a package that are none.
        damaged_packages: distinct packages that opened with an error.
        apps_with_models: app packages with at least one model that was read.
        candidates: files that are, or by their name could be, a model.
        instances: candidates that are a model and were read.
        weights_files: candidates that are the weights of a model beside them.
        containers: candidates that are a container of other files.
        encrypted: candidates named like a model and indistinguishable from random.
        invalid: candidates with a model format's signature that cannot be read as one.
        unknown: candidates that are none of these.
        unread: candidates that are a model by their signature, and not read yet.
        models: distinct models that were read.
        models_refused: distinct files with a model's signature that their reader refused.
        models_counted: models whose cost is known for every node.
        formats: distinct formats of the models that were read.
        jobs: planned experiments on how fast a model is by itself: a model, an engine and its settings.
        jobs_measured: experiments with at least one launch that ran to its end.
        models_measured: distinct models among those.
        launches_planned: launches asked for.
        launches: launches made.
        launches_ok: launches that ran to their end.
        load_jobs: planned experiments at a fixed rate or beside another model; in no other number.
        load_jobs_measured: those of them with at least one launch that ran to its end.
        load_launches: launches made for them, without those of companions.
        load_launches_ok: launches of these that ran to their end.
        failures: things that could not be done and are not in any other number.
    """

    paths: int
    apps: int
    app_names: int
    archives: int
    lone_files: int
    not_packages: int
    damaged_packages: int
    apps_with_models: int
    candidates: int
    instances: int
    weights_files: int
    containers: int
    encrypted: int
    invalid: int
    unknown: int
    unread: int
    models: int
    models_refused: int
    models_counted: int
    formats: int
    jobs: int
    jobs_measured: int
    models_measured: int
    launches_planned: int
    launches: int
    launches_ok: int
    load_jobs: int
    load_jobs_measured: int
    load_launches: int
    load_launches_ok: int
    failures: int

    @property
    def refused_files(self) -> int:
        """Candidates that hold no model that could be read, and are not part of one."""
        return self.encrypted + self.invalid + self.unknown + self.unread

    def lines(self) -> list[str]:
        """The numbers as text, for a terminal."""
        others = [
            plural(self.lone_files, "lone model file") if self.lone_files else "",
            plural(self.archives, "other archive") if self.archives else "",
            f"{self.not_packages:,} not a package" if self.not_packages else "",
        ]
        lines = [
            "; ".join(
                [
                    f"{plural(self.apps, 'app package')}, {self.apps_with_models:,} with models",
                    *filter(None, others),
                ]
            ),
            f"{plural(self.candidates, 'candidate file')}: {plural(self.instances, 'model')}, "
            f"{self.weights_files:,} weights, {self.refused_files:,} not readable as a model",
            f"{plural(self.models, 'distinct model')} in {plural(self.formats, 'format')}; "
            f"{self.models_counted:,} with complete costs",
        ]
        if self.jobs:
            lines.append(
                f"{self.jobs_measured:,} of {plural(self.jobs, 'experiment')} measured; "
                f"{self.launches_ok:,} of {plural(self.launches, 'launch', 'launches')} ran to the end"
            )
        if self.load_jobs:
            launches = plural(self.load_launches, "launch", "launches")
            lines.append(
                f"{self.load_jobs_measured:,} of {plural(self.load_jobs, 'experiment')} at a "
                "fixed rate "
                f"or beside another model measured; {self.load_launches_ok:,} of {launches} "
                "ran to the end"
            )
        if self.failures:
            lines.append(f"{plural(self.failures, 'failure')} recorded")
        return lines

    def tiles(self) -> list["Tile"]:
        """The numbers that open the page."""
        found = share(self.apps_with_models, self.apps)
        return [
            Tile(
                value=f"{self.apps:,}",
                label="app package" if self.apps == 1 else "app packages",
                detail=f"{self.apps_with_models:,} with models ({found})"
                if self.apps
                else "none scanned",
            ),
            Tile(
                value=f"{self.candidates:,}",
                label="candidate file" if self.candidates == 1 else "candidate files",
                detail=f"{self.refused_files:,} not readable as a model",
            ),
            Tile(
                value=f"{self.instances:,}",
                label="model instance" if self.instances == 1 else "model instances",
                detail=f"in {plural(self.formats, 'format')}",
            ),
            Tile(
                value=f"{self.models:,}",
                label="distinct model" if self.models == 1 else "distinct models",
                detail=f"{self.models_counted:,} with complete costs",
            ),
            Tile(
                value=f"{self.jobs_measured + self.load_jobs_measured:,}",
                label="experiment measured"
                if self.jobs_measured + self.load_jobs_measured == 1
                else "experiments measured",
                detail=self._planned(),
            ),
            Tile(
                value=f"{self.launches_ok + self.load_launches_ok:,}",
                label="good launch"
                if self.launches_ok + self.load_launches_ok == 1
                else "good launches",
                detail=f"of {self.launches + self.load_launches:,} made"
                if self.launches + self.load_launches
                else "none made",
            ),
        ]

    def _planned(self) -> str:
        planned = self.jobs + self.load_jobs
        if not planned:
            return "none planned"
        loads = f", {self.load_jobs:,} at a rate or beside another" if self.load_jobs else ""
        return f"of {planned:,} planned{loads}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A headline number with what it counts and what it is a part of."""

    value: str
    label: str
    detail: str


def summary(study: Study) -> Summary:
    """Counts a study."""
    with study.connect() as connection:
        row = connection.execute(_QUERY).fetchall()[0]
    return Summary(**{field.name: int(n) for field, n in zip(fields(Summary), row, strict=True)})


def study_name(study: Study) -> str:
    """The folder's name, fit to be shown."""
    return visible(study.path.resolve().name, 80)
