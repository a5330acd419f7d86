"""Views over the tables, for users' queries and the report. Each is one SELECT.

A view with a table's name stands before that table, whose rows are then called `all_<table>`. Views
come in an order in which each uses only earlier ones.
"""

VIEWS: dict[str, str] = {
    # A job that was asked for again with more launches is one job.
    "jobs": """
        SELECT DISTINCT ON (job_sha256) * FROM all_jobs ORDER BY job_sha256, launches DESC
    """,
    # A failure that a later attempt overcame is history, not a result.
    "failures": """
        SELECT DISTINCT ON (stage, subject) * FROM all_failures
        WHERE NOT (stage = 'scan' AND transient AND subject IN (SELECT path FROM apps))
          AND NOT (stage = 'analyse' AND transient
                   AND subject IN (SELECT model_sha256 FROM models))
          AND NOT (stage = 'plan' AND subject IN (
                   SELECT job.model_sha256 FROM jobs
                   UNION SELECT job.engine || '==' || job.engine_version FROM jobs))
        ORDER BY stage, subject
    """,
    # One row for each place where a model that was read lies in an app.
    "instances": """
        SELECT f.app_sha256, a.path, a.package, a.label, f.member, f.model_sha256, m.format,
               m.size_bytes, m.parameters, m.macs, m.flops
        FROM files f
        JOIN models m ON m.model_sha256 = f.model_sha256 AND m.kind = 'model'
        JOIN (SELECT DISTINCT ON (app_sha256) * FROM apps ORDER BY app_sha256, path) a
          ON a.app_sha256 = f.app_sha256
        WHERE f.kind = 'model'
    """,
    # How often each operator occurs in each distinct model.
    "operators": """
        SELECT model_sha256, operator, source_operator, count(*) AS nodes, sum(macs) AS macs
        FROM layers GROUP BY model_sha256, operator, source_operator
    """,
    # Every steady latency sample.
    "samples": """
        SELECT job_sha256, launch, unnest(range(len(timings.steady_s))) AS position,
               unnest(timings.steady_s) AS latency_s
        FROM runs WHERE status = 'ok'
    """,
    # One row a launch that ran to its end.
    "launches": """
        SELECT r.job_sha256, j.job.model_sha256 AS model_sha256, j.job.engine AS engine,
               j.job.engine_version AS engine_version, j.job.device AS device,
               j.job.threads AS threads, j.job.precision AS precision,
               j.job.processor AS processor, r.launch, median_s, r.timings.load_s AS load_s,
               r.timings.prepare_s AS prepare_s, r.timings.first_s AS first_s,
               r.timings.peak_memory_bytes AS peak_memory_bytes
        FROM (
            SELECT *, list_aggregate(timings.steady_s, 'median') AS median_s
            FROM runs WHERE status = 'ok'
        ) r
        JOIN jobs j USING (job_sha256)
    """,
}
