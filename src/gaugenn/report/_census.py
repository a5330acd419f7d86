"""What the figures about apps and models share: SQL for distinct apps, categories and models."""

from gaugenn.report._summary import APP_KINDS

_KINDS = ", ".join(f"'{kind}'" for kind in APP_KINDS)

NO_CATEGORY = "none stated"
"""What stands for the category of apps of which no store said one."""

APPS = f"""
    (SELECT a.app_sha256, a.package, a.label, coalesce(c.category, '{NO_CATEGORY}') AS category
     FROM (SELECT DISTINCT ON (app_sha256) app_sha256, package, label FROM packages
           WHERE kind IN ({_KINDS}) ORDER BY app_sha256, path) a
     LEFT JOIN (SELECT app_sha256, max_by(categories[1], listed_at) AS category
                FROM provenance GROUP BY app_sha256) c USING (app_sha256))
"""  # noqa: S608 - our own text
"""SQL: distinct app packages with the first category that the newest listing names."""

MODELS = """
    (SELECT * FROM (SELECT DISTINCT ON (model_sha256) * FROM models ORDER BY model_sha256)
     WHERE kind = 'model')
"""
"""SQL: distinct models that were read."""

NO_APP = "No app package was scanned. Scan packages with: gaugenn scan PATH... --out STUDY"
NO_MODEL = "No model was read yet. Find models with: gaugenn scan PATH... --out STUDY"
