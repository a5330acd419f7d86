"""What the pages search and list, made once when the study is opened.

A study's views are built for questions over all of it, and take tenths of a second however little is
asked for. Pages ask for little and often, so what they list is put into tables first.
"""

from gaugenn.analysis.lineage import SMALLEST_LAYER
from gaugenn.report._results import SETTING

APPS = """
    CREATE TABLE page_apps AS
    WITH held AS (
        SELECT i.app_sha256, count(*) AS models, count(DISTINCT i.model_sha256) AS distinct_models,
               list_sort(list(DISTINCT i.format)) AS formats,
               list_sort(list(DISTINCT m.task)) AS tasks
        FROM page_places i JOIN page_read m USING (model_sha256) GROUP BY i.app_sha256
    ),
    refused AS (
        SELECT app_sha256, list_sort(list(DISTINCT kind)) AS refused_kinds, count(*) AS refused
        FROM page_refused WHERE kind IN ('encrypted', 'invalid', 'unknown', 'unread')
        GROUP BY app_sha256
    ),
    listed AS (
        SELECT app_sha256, max_by(title, listed_at) AS title,
               max_by(categories[1], listed_at) AS category,
               list_sort(list(DISTINCT snapshot)) AS snapshots
        FROM page_provenance GROUP BY app_sha256
    ),
    uses AS (
        SELECT app_sha256, list_sort(list(DISTINCT name)) AS runtimes
        FROM page_findings WHERE category = 'runtime' AND confirmed GROUP BY app_sha256
    ),
    one AS (
        SELECT DISTINCT ON (app_sha256) * FROM page_packages WHERE kind != 'none'
        ORDER BY app_sha256, path
    )
    SELECT p.app_sha256, p.path, p.kind, p.package, coalesce(p.label, l.title) AS label,
           p.version_name, p.version_code, p.size_bytes, l.category,
           coalesce(l.snapshots, []) AS snapshots, coalesce(h.models, 0) AS models,
           coalesce(h.distinct_models, 0) AS distinct_models, coalesce(h.formats, []) AS formats,
           coalesce(h.tasks, []) AS tasks, coalesce(r.refused_kinds, []) AS refused_kinds,
           coalesce(r.refused, 0) AS refused, coalesce(u.runtimes, []) AS runtimes,
           lower(concat_ws(' ', p.label, l.title, p.package, p.path, p.app_sha256)) AS search
    FROM one p
    LEFT JOIN held h USING (app_sha256) LEFT JOIN refused r USING (app_sha256)
    LEFT JOIN listed l USING (app_sha256) LEFT JOIN uses u USING (app_sha256)
"""
"""One row a distinct package."""

READ = """
    CREATE TABLE page_read AS
    SELECT DISTINCT ON (model_sha256) * FROM models ORDER BY model_sha256
"""
"""One row a distinct model, read or refused."""

PLACES = """
    CREATE TABLE page_places AS
    SELECT app_sha256, member, model_sha256, format FROM instances
"""
"""One row a place of a model that was read."""

NAMES = "CREATE TABLE page_names AS SELECT * FROM model_names"

COPIES = (
    *(
        f"CREATE TABLE page_{name} AS SELECT * FROM {name}"  # noqa: S608
        for name in ("packages", "provenance", "findings", "evidence", "environments")
    ),
    """CREATE TABLE page_model_files AS
       SELECT DISTINCT ON (model_sha256, name) * FROM model_files
       ORDER BY model_sha256, name, position""",
    """CREATE TABLE page_refused AS
       SELECT * FROM candidates WHERE kind NOT IN ('model', 'package')""",
)
"""Views that pages ask for one app or one model, as they are."""

EXPERIMENTS = f"""
    CREATE TABLE page_experiments AS
    SELECT r.* EXCLUDE (load_s, prepare_s, first_s, notes),
           {SETTING} AS setting, sha256(r.device) AS device_key,
           coalesce(n.name, left(r.model_sha256, 12)) AS model,
           exp(list_avg(list_transform(list_filter(r.medians_s, lambda s: s > 0),
                                       lambda s: ln(s)))) AS latency_s,
           CASE WHEN len(coalesce(r.load_s, [])) > 0 THEN list_median(r.load_s) END AS load_s,
           CASE WHEN len(coalesce(r.prepare_s, [])) > 0 THEN list_median(r.prepare_s) END
               AS prepare_s,
           CASE WHEN len(coalesce(r.first_s, [])) > 0 THEN list_median(r.first_s) END AS first_s,
           v.validity, coalesce(v.reasons, []) AS reasons, coalesce(r.notes, []) AS notes,
           lower(concat_ws(' ', n.name, r.model_sha256, r.engine, r.engine_version, r.device,
                           r.job_sha256)) AS search
    FROM experiments r
    LEFT JOIN page_names n USING (model_sha256) LEFT JOIN verdicts v USING (job_sha256)
    WHERE NOT r.control AND r.companion_of = ''
"""  # noqa: S608
"""One row an experiment: a planned job with all its launches."""

MODELS = """
    CREATE TABLE page_models AS
    WITH shipped AS (
        SELECT p.model_sha256, count(*) AS places, count(DISTINCT p.app_sha256) AS apps,
               list_sort(list(DISTINCT a.category)) AS categories,
               list_sort(list_distinct(flatten(list(a.snapshots)))) AS snapshots,
               string_agg(DISTINCT coalesce(a.package, ''), ' ') AS packages,
               string_agg(DISTINCT p.member, ' ') AS members
        FROM page_places p JOIN page_apps a USING (app_sha256) GROUP BY p.model_sha256
    ),
    measured AS (
        SELECT model_sha256, count(*) AS experiments,
               list_sort(list(DISTINCT engine) FILTER (launches_ok > 0)) AS engines
        FROM page_experiments GROUP BY model_sha256
    ),
    known AS (
        SELECT model_sha256, kind, format, task, modality, family, weights_dtype, quantization,
               size_bytes, parameters, macs, nodes, architecture_sha256, weights_sha256,
               uncounted_nodes
        FROM page_read
        UNION ALL BY NAME
        SELECT model_sha256, 'unseen' AS kind, any_value(format) AS format FROM page_experiments
        WHERE model_sha256 NOT IN (SELECT model_sha256 FROM page_read) GROUP BY model_sha256
    )
    SELECT k.*, coalesce(n.name, left(k.model_sha256, 12)) AS name, coalesce(s.places, 0) AS places,
           coalesce(s.apps, 0) AS apps, coalesce(s.categories, []) AS categories,
           coalesce(s.snapshots, []) AS snapshots, coalesce(m.experiments, 0) AS experiments,
           coalesce(m.engines, []) AS engines,
           lower(concat_ws(' ', n.name, k.model_sha256, k.task, k.family, k.format, k.modality,
                           s.packages, s.members)) AS search
    FROM known k
    LEFT JOIN page_names n USING (model_sha256) LEFT JOIN shipped s USING (model_sha256)
    LEFT JOIN measured m USING (model_sha256)
"""
"""One row a distinct model; `unseen` is one that only experiments name."""

WEIGHTS = f"""
    CREATE TABLE page_weights AS
    SELECT DISTINCT ON (model_sha256, graph, position)
           model_sha256, weights_sha256, weights_values_sha256
    FROM layers
    WHERE parameters >= {SMALLEST_LAYER}
      AND (weights_sha256 IS NOT NULL OR weights_values_sha256 IS NOT NULL)
    ORDER BY model_sha256, graph, position
"""  # noqa: S608
"""One row a weighted layer, for lineage."""

TABLES = (NAMES, *COPIES, READ, PLACES, APPS, EXPERIMENTS, MODELS, WEIGHTS)
"""Statements that make the tables, each from views and from earlier ones."""
