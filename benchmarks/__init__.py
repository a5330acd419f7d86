"""Commands that measure gaugenn itself: `python -m benchmarks.NAME`.

Each prints a table; `--json` gives a list of `{name, value, unit, bar, ok}` instead, where `bar` is
the limit that `value` is held to (null where there is none); `--quick` ends within a minute.
"""
