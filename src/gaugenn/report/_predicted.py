"""Rows of predictions as figures need them."""

PREDICTED = """
    SELECT p.*, coalesce(n.name, left(p.model_sha256, 12)) AS model,
           p.engine || ' ' || p.engine_version || ', ' || p.threads
           || CASE WHEN p.threads = 1 THEN ' thread' ELSE ' threads' END
           || CASE WHEN p.affinity != '' THEN ' on ' || p.affinity ELSE '' END
           || CASE WHEN p.processor != 'cpu' THEN ', ' || p.processor ELSE '' END
           || CASE WHEN p.precision != 'as-stored' THEN ', ' || p.precision ELSE '' END
           || CASE WHEN p.device != 'host' THEN ', ' || p.device ELSE '' END AS setting,
           1e3 * p.latency_s AS predicted_ms, 1e3 * p.low_s AS predicted_ms_low,
           1e3 * p.high_s AS predicted_ms_high, 1e3 * p.measured_s AS measured_ms,
           coalesce(z.model, k.architecture_sha256, p.model_sha256) AS network
    FROM predictions p
    LEFT JOIN model_names n ON n.model_sha256 = p.model_sha256
    LEFT JOIN reference_files z ON z.model_sha256 = p.model_sha256
    LEFT JOIN (SELECT DISTINCT ON (model_sha256) * FROM models ORDER BY model_sha256) k
        ON k.model_sha256 = p.model_sha256
"""
"""Every prediction with names; `measured_ms` is null where nobody measured."""

NOT_PREDICTED = (
    "Nothing was predicted. Do that with: gaugenn predict STUDY, which needs models of ten "
    "architectures measured with one library, its settings and device"
)
