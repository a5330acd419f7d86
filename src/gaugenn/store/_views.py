"""Views over the tables, for users' queries and the report. Each is one SELECT.

A view with a table's name stands before that table, whose rows are then called `all_<table>`. Views
come in an order in which each uses only earlier ones.
"""

VIEWS: dict[str, str] = {
    # A job that was asked for again with more launches is one job.
    "jobs": """
        SELECT DISTINCT ON (job_sha256) * FROM all_jobs
        ORDER BY job_sha256, coalesce(launches_maximum, launches) DESC, launches DESC, precision
    """,
    # A failure that a later attempt overcame is history, not a result.
    "failures": """
        SELECT DISTINCT ON (stage, subject) * FROM all_failures
        WHERE NOT (stage = 'scan' AND transient AND subject IN (SELECT path FROM apps))
          AND NOT (stage = 'discover' AND transient AND EXISTS (
                   SELECT 1 FROM apps WHERE path = subject OR starts_with(path, subject || '/')))
          AND NOT (stage = 'analyse' AND transient
                   AND subject IN (SELECT model_sha256 FROM models))
          AND NOT (stage = 'import'
                   AND subject IN (SELECT imported_from.name FROM runs
                                   WHERE imported_from IS NOT NULL))
          AND NOT (stage = 'crawl' AND subject IN (
                   SELECT source || ' ' || address || ' ' || reference FROM all_downloads))
          AND NOT (stage = 'plan' AND subject IN (
                   SELECT job.model_sha256 FROM jobs
                   UNION SELECT job.engine || '==' || job.engine_version FROM jobs))
        ORDER BY stage, subject
    """,
    # The last word on each crawl: listed, finished, or neither.
    "crawls": """
        SELECT DISTINCT ON (snapshot, source, address) * FROM all_crawls
        ORDER BY snapshot, source, address, finished_at DESC NULLS LAST, listed_at DESC NULLS LAST
    """,
    "downloads": """
        SELECT DISTINCT ON (snapshot, source, address, reference, path) * FROM all_downloads
        ORDER BY snapshot, source, address, reference, path, fetched_at DESC
    """,
    # When and from where each file came, with what the store said of the app.
    "provenance": """
        SELECT d.sha256 AS app_sha256, d.path, d.fetched_at, d.size_bytes,
               l.* EXCLUDE (package, sha256, size_bytes),
               coalesce(l.package, d.package) AS package
        FROM downloads d
        JOIN (SELECT DISTINCT ON (snapshot, source, address, reference) * FROM listings
              ORDER BY snapshot, source, address, reference) l
          USING (snapshot, source, address, reference)
    """,
    # The newest row of each scanned path.
    "packages": """
        SELECT DISTINCT ON (path) * FROM apps ORDER BY path, modified_ns DESC
    """,
    # One row for each place where a file lies that is, or by its name could be, a model, with what it
    # turned out to be in the end. `unread` is a model whose graph was not read yet. A package that
    # lies under two paths has its files counted once.
    "candidates": """
        SELECT f.app_sha256, f.member, f.size_bytes, f.sha256, f.format, f.model_sha256,
               f.entropy_bits,
               CASE WHEN f.kind = 'model' THEN coalesce(m.kind, 'unread') ELSE f.kind END AS kind,
               coalesce(f.error, m.error) AS error
        FROM (SELECT DISTINCT ON (app_sha256, member) * FROM files ORDER BY app_sha256, member) f
        LEFT JOIN (SELECT DISTINCT ON (model_sha256) * FROM models ORDER BY model_sha256) m
          ON m.model_sha256 = f.model_sha256
    """,
    # One row for each place where a model that was read lies in an app.
    "instances": """
        SELECT f.app_sha256, a.path, a.package, a.label, f.member, f.model_sha256, m.format,
               m.size_bytes, m.parameters, m.macs, m.flops
        FROM candidates f
        JOIN models m ON m.model_sha256 = f.model_sha256 AND m.kind = 'model'
        JOIN (SELECT DISTINCT ON (app_sha256) * FROM apps ORDER BY app_sha256, path) a
          ON a.app_sha256 = f.app_sha256
        WHERE f.kind = 'model'
    """,
    # A name for each model that was read: the first, by the alphabet, of those it has in packages; and
    # for each that is known from imported files only, the name it has there.
    "model_names": """
        SELECT model_sha256, min(regexp_extract(member, '[^/]*$')) AS name
        FROM instances GROUP BY model_sha256
        UNION ALL
        SELECT job.model_sha256 AS model_sha256, min(imported.model) AS name FROM jobs
        WHERE imported.model != '' AND job.model_sha256 NOT IN (SELECT model_sha256 FROM instances)
        GROUP BY job.model_sha256
    """,
    # What a package is found to use. A finding is confirmed by one strong token or two weak ones.
    "findings": """
        SELECT app_sha256, category, name, min(vendor) AS vendor, count(DISTINCT token) AS tokens,
               bool_or(strong) OR count(DISTINCT token) >= 2 AS confirmed
        FROM evidence GROUP BY app_sha256, category, name
    """,
    # What a user calls a device's group: the last word on each label; an empty one takes it away.
    "device_labels": """
        SELECT device, name, value FROM (
            SELECT DISTINCT ON (device, name) * FROM all_device_labels
            ORDER BY device, name, given_at DESC
        ) WHERE value != ''
    """,
    # The last word on each model and setting. They are no measurements and in no other view.
    "predictions": """
        SELECT DISTINCT ON (model_sha256, engine, engine_version, device, processor, precision,
                            threads, affinity) *
        FROM all_predictions
        ORDER BY model_sha256, engine, engine_version, device, processor, precision, threads,
                 affinity, predicted_at DESC
    """,
    # The reference model that a file is, with the precision of its weights.
    "reference_files": """
        SELECT DISTINCT ON (f.model_sha256) f.model_sha256, b.model, b.variant
        FROM (SELECT model, variant, built_at, unnest(files).sha256 AS sha256 FROM zoo_builds) b
        JOIN model_files f ON f.sha256 = b.sha256 AND f.position = 0
        ORDER BY f.model_sha256, b.built_at DESC
    """,
    # How often each operator occurs in each distinct model.
    "operators": """
        SELECT model_sha256, operator, source_operator, count(*) AS nodes, sum(macs) AS macs
        FROM layers GROUP BY model_sha256, operator, source_operator
    """,
    # Operations for each byte that an operator reads or writes, for a processor's roofline.
    "intensities": """
        SELECT model_sha256, graph, position, name, operator, source_operator, layer_class,
               flops + elementwise_operations AS operations, bytes_moved,
               (flops + elementwise_operations) / nullif(bytes_moved, 0) AS operations_per_byte
        FROM layers WHERE bytes_moved IS NOT NULL
    """,
    # Every steady latency sample. Times are on the launch's own clock.
    "samples": """
        SELECT job_sha256, launch, unnest(range(len(timings.steady_s))) AS position,
               unnest(timings.steady_s) AS latency_s, unnest(timings.steady_start_s) AS start_s,
               unnest(timings.steady_due_s) AS due_s
        FROM runs WHERE status = 'ok'
    """,
    # Every value that the sampler read; times on the launch's own clock, where that is known.
    "device_states": """
        SELECT s.job_sha256, s.launch, s.boottime_s, s.boottime_s - clock_s AS since_start_s,
               value.key AS key, value.instance AS instance, value.number AS number
        FROM (SELECT job_sha256, launch, boottime_s, unnest(readings) AS value
              FROM device_samples) s
        LEFT JOIN (
            SELECT job_sha256, launch, max(timings.clock_boottime_s) AS clock_s
            FROM runs WHERE status = 'ok' GROUP BY ALL
        ) USING (job_sha256, launch)
    """,
    # One row a launch of a result that ran to its end.
    "launches": """
        SELECT r.job_sha256, j.job.model_sha256 AS model_sha256, j.job.engine AS engine,
               j.job.engine_version AS engine_version, j.job.device AS device,
               j.job.threads AS threads, j.job.precision AS precision,
               j.job.processor AS processor, r.launch, median_s, r.timings.load_s AS load_s,
               r.timings.prepare_s AS prepare_s, r.timings.first_s AS first_s,
               r.timings.peak_memory_bytes AS peak_memory_bytes,
               coalesce(r.timings.aggregate.statistic, 'median') AS statistic,
               r.imported_from.name AS imported_from
        FROM (
            SELECT *, coalesce(list_aggregate(timings.steady_s, 'median'),
                               timings.aggregate.value_s) AS median_s
            FROM runs WHERE status = 'ok'
        ) r
        JOIN jobs j USING (job_sha256)
        WHERE j.job.rate_per_s IS NULL AND coalesce(j.job.companion, '') = ''
          AND coalesce(j.job.companion_of, '') = '' AND NOT coalesce(j.control, false)
    """,
    # One row a planned job: what its launches gave. Lists are in the order of the launches, and hold
    # those that ran to their end only. A launch that was tried again counts once, by its best end.
    "experiments": """
        SELECT j.job_sha256, j.job.model_sha256 AS model_sha256, j.job.format AS format,
               j.job.engine AS engine, j.job.engine_version AS engine_version,
               j.job.device AS device, j.job.processor AS processor,
               j.job.precision AS precision, j.job.threads AS threads,
               j.job.affinity AS affinity, j.job.batch AS batch,
               j.job.input_shapes AS input_shapes,
               coalesce(j.job.page_cache, 'warm') AS page_cache, j.job.rate_per_s AS rate_per_s,
               coalesce(j.job.companion, '') AS companion,
               coalesce(j.job.companion_of, '') AS companion_of,
               coalesce(j.control, false) AS control, j.launches AS launches_planned,
               count(r.launch) AS launches_tried,
               count(*) FILTER (r.status = 'ok') AS launches_ok,
               j.imported.tool AS imported,
               list(coalesce(list_aggregate(r.timings.steady_s, 'median'),
                             r.timings.aggregate.value_s) ORDER BY r.launch)
                   FILTER (r.status = 'ok') AS medians_s,
               list(r.launch ORDER BY r.launch) FILTER (r.status = 'ok') AS launch_numbers,
               list(r.started_at ORDER BY r.launch) FILTER (r.status = 'ok') AS launch_starts,
               list(r.timings.load_s ORDER BY r.launch)
                   FILTER (r.timings.load_s IS NOT NULL AND r.status = 'ok') AS load_s,
               list(r.timings.prepare_s ORDER BY r.launch)
                   FILTER (r.timings.prepare_s IS NOT NULL AND r.status = 'ok') AS prepare_s,
               list(r.timings.first_s ORDER BY r.launch)
                   FILTER (r.timings.first_s IS NOT NULL AND r.status = 'ok') AS first_s,
               list(r.timings.peak_memory_bytes ORDER BY r.launch)
                   FILTER (r.timings.peak_memory_bytes IS NOT NULL AND r.status = 'ok')
                   AS peak_memory_bytes,
               list(r.timings.load_memory_bytes ORDER BY r.launch)
                   FILTER (r.timings.load_memory_bytes IS NOT NULL AND r.status = 'ok')
                   AS load_memory_bytes,
               min(r.timings.phases) FILTER (r.status = 'ok') AS phases,
               CAST(sum(len(r.timings.steady_s)) FILTER (r.status = 'ok') AS BIGINT) AS samples,
               min(len(r.timings.steady_s)) FILTER (r.status = 'ok') AS samples_minimum,
               list_sort(list(DISTINCT r.status) FILTER (r.status != 'ok')) AS failed_statuses,
               min(r.reason) FILTER (r.status != 'ok') AS failed_reason,
               list_sort(list(DISTINCT r.timings.observed_processor)
                   FILTER (r.timings.observed_processor IS NOT NULL)) AS observed_processors,
               list_sort(list(DISTINCT r.timings.observed_precision)
                   FILTER (r.timings.observed_precision IS NOT NULL)) AS observed_precisions,
               list_sort(list(DISTINCT r.timings.observed_threads)
                   FILTER (r.timings.observed_threads IS NOT NULL)) AS observed_threads,
               max(r.timings.timer_resolution_s) FILTER (r.status = 'ok') AS timer_resolution_s,
               CAST(sum(list_sum(list_transform(r.timings.outputs, lambda o: o.not_finite)))
                   FILTER (r.status = 'ok') AS BIGINT) AS not_finite_outputs,
               list_sort(list_distinct(flatten(list(r.timings.notes)
                   FILTER (r.status = 'ok')))) AS notes,
               list_sort(list(DISTINCT r.environment_sha256)
                   FILTER (r.status = 'ok')) AS environments
        FROM jobs j
        LEFT JOIN (
            SELECT DISTINCT ON (job_sha256, launch) * FROM runs
            ORDER BY job_sha256, launch, status = 'ok' DESC, started_at DESC
        ) r USING (job_sha256)
        GROUP BY ALL
    """,
    # Those of them that say how fast a model is by itself: back to back, with nothing beside it.
    "results": """
        SELECT * FROM experiments
        WHERE rate_per_s IS NULL AND companion = '' AND companion_of = '' AND NOT control
    """,
}
