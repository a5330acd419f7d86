"""What apps and models leave on the table, and how many bytes that is."""

from gaugenn.report import _text
from gaugenn.report._census import APPS, MODELS
from gaugenn.report._contract import Section
from gaugenn.report._frame import Frame
from gaugenn.report._shares import SHARE_INTERVAL
from gaugenn.report._statements import Statements
from gaugenn.report._summary import Summary
from gaugenn.report._table import Column, numbers


class MissedOptimisations(Statements):
    """One row a statement, with what it is a share of."""

    section = Section.COSTS
    order = 326
    title = "Optimisations missed"
    question = "What could be smaller or faster, and is not?"
    query = f"""
        WITH app AS {APPS},
        m AS {MODELS},
        floats AS (
            SELECT *, CAST(list_sum(list_transform(weight_elements, lambda e:
                CASE e.dtype WHEN 'float64' THEN 7 * e.elements WHEN 'float32' THEN 3 * e.elements
                     WHEN 'float16' THEN e.elements WHEN 'bfloat16' THEN e.elements ELSE 0 END))
                AS BIGINT) AS saved
            FROM m WHERE quantization IS NOT NULL
        ),
        place AS (
            SELECT i.app_sha256, i.member, i.model_sha256, m.size_bytes, m.architecture_sha256,
                   m.weights_sha256
            FROM (SELECT app_sha256, member, model_sha256 FROM instances) i
            JOIN app USING (app_sha256) JOIN m USING (model_sha256)
        ),
        twice AS (
            SELECT app_sha256, CAST(sum((places - 1) * size_bytes) AS BIGINT) AS saved,
                   max(places) > 1 AS there
            FROM (SELECT app_sha256, model_sha256, any_value(size_bytes) AS size_bytes,
                         count(*) AS places FROM place GROUP BY app_sha256, model_sha256)
            GROUP BY app_sha256
        ),
        again AS (
            SELECT app_sha256, CAST(sum(whole_bytes - largest) AS BIGINT) AS saved,
                   max(files) > 1 AS there
            FROM (SELECT app_sha256, sum(size_bytes) AS whole_bytes, max(size_bytes) AS largest,
                         count(*) AS files
                  FROM (SELECT DISTINCT app_sha256, model_sha256, size_bytes, architecture_sha256,
                               weights_sha256 FROM place
                        WHERE architecture_sha256 IS NOT NULL AND weights_sha256 IS NOT NULL)
                  GROUP BY app_sha256, architecture_sha256, weights_sha256)
            GROUP BY app_sha256
        ),
        packed AS (
            SELECT DISTINCT ON (app_sha256, member) size_bytes, packed_bytes
            FROM files JOIN app USING (app_sha256)
            WHERE kind IN ('model', 'weights') AND packed_bytes IS NOT NULL AND size_bytes > 0
            ORDER BY app_sha256, member
        ),
        native AS (
            SELECT DISTINCT ON (app_sha256) app_sha256, debug_bytes
            FROM packages JOIN app USING (app_sha256)
            WHERE debug_bytes IS NOT NULL ORDER BY app_sha256, path
        ),
        able AS (
            SELECT DISTINCT environment_sha256,
                   list_has_any(str_split(r.text, ' '),
                       ['asimdhp', 'avx512_fp16', 'amx_fp16']) AS half,
                   list_has_any(str_split(r.text, ' '),
                       ['asimddp', 'i8mm', 'avx512_vnni', 'avx_vnni', 'amx_int8']) AS dot
            FROM (SELECT environment_sha256, unnest(readings) AS r FROM environments)
            WHERE r.key = 'instruction_sets'
        ),
        ran AS (
            SELECT e.job_sha256, bool_or(a.half) AS half, bool_or(a.dot) AS dot,
                   any_value(m.weights_dtype) AS weights_dtype,
                   any_value(e.precision) AS precision
            FROM (SELECT job_sha256, model_sha256, precision, unnest(environments)
                         AS environment_sha256
                  FROM results WHERE launches_ok > 0 AND processor = 'cpu') e
            JOIN able a USING (environment_sha256) JOIN m USING (model_sha256)
            GROUP BY e.job_sha256
        ),
        shares AS (
            SELECT 1 AS place, 'float weights that could be int8' AS statement,
                   count(*) FILTER (saved > 0 AND quantization IN ('none', 'float16')) AS part,
                   count(*) AS whole, 'distinct models with weights' AS denominator,
                   sum(saved) FILTER (quantization IN ('none', 'float16')) AS saved_bytes
            FROM floats
            UNION ALL SELECT 2, 'the same model more than once in an app',
                   count(*) FILTER (there), count(*), 'apps with models', sum(saved) FROM twice
            UNION ALL SELECT 3, 'the same network and weights in several files of an app',
                   count(*) FILTER (there), count(*), 'apps with models and known weights',
                   sum(saved) FROM again
            UNION ALL SELECT 4, 'model files stored without compression',
                   count(*) FILTER (packed_bytes >= size_bytes), count(*),
                   'model files in zips', NULL FROM packed
            UNION ALL SELECT 5, 'native libraries not stripped',
                   count(*) FILTER (debug_bytes > 0), count(*), 'apps with native libraries',
                   sum(debug_bytes) FROM native
            UNION ALL SELECT 6, 'float32 run where the processor has 16-bit floats',
                   count(*) FILTER (half AND weights_dtype = 'float32'
                                    AND precision IN ('as-stored', 'float32')),
                   count(*), 'measured experiments on a CPU with known instructions', NULL FROM ran
            UNION ALL SELECT 7, 'float32 run where the processor has int8 dot products',
                   count(*) FILTER (dot AND weights_dtype = 'float32'
                                    AND precision IN ('as-stored', 'float32')),
                   count(*), 'measured experiments on a CPU with known instructions', NULL FROM ran
        )
        SELECT statement, CAST(part AS BIGINT) AS part, CAST(whole AS BIGINT) AS whole, denominator,
               CAST(saved_bytes AS BIGINT) AS saved_bytes, place
        FROM shares WHERE whole > 0 ORDER BY place
    """  # noqa: S608
    empty = "No app with a model was scanned and no model with weights was read yet."

    def more_columns(self, frame: Frame) -> tuple[Column, ...]:
        """The bytes."""
        return (numbers("Could be saved", frame.integers("saved_bytes"), _text.size),)

    def caption(self, frame: Frame, summary: Summary) -> str:
        """What each statement takes for granted."""
        known = any((place or 0) >= 6 for place in frame.integers("place"))
        none = (
            ""
            if known
            else " Nothing was measured on a CPU whose instructions are known, so nothing is said of "
            "float32 on processors that have something faster."
        )
        return (
            f"n = {_text.plural(summary.models, 'distinct model')} in "
            f"{_text.plural(summary.apps, 'app')}; each share names its own denominator. Bytes are of "
            "files before compression: int8 is counted at one byte a weight, whatever that does to "
            "accuracy; of equal models all but one, or all but the largest file, could go; stripping "
            "removes symbol tables and debug sections. A file that is stored can be mapped into memory "
            f"as it lies, which some libraries want.{none} {SHARE_INTERVAL}"
        )
