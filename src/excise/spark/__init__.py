"""The same scan on Apache Spark: texts are read where the files are, tables of exchanges stay with the executors.

Read `scan.py` first. What an executor runs is in `reading.py` (a file becomes packed rows), `buckets.py`, `survey.py` (a
bucket of rows becomes narrow tables) and `members.py` (what is asked of clusters, and the harvest); what the driver asks of them
is in `frames.py`, `relations.py`, `sharing.py` and `grouped.py`. Both run the functions of the embedded engine on whole accounts or on whole keys, which is
why the results are the same.
"""

from excise.errors import UsageError

try:
    import pyspark  # noqa: F401  an extra; said once, here
except ImportError as error:
    raise UsageError(
        "pyspark is not installed", subject="--engine spark", hint="pip install 'excise[spark]'"
    ) from error
