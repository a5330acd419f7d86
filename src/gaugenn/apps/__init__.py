"""What is inside an app package: members, manifest, classes, native libraries, evidence of ML.

Top function: `gaugenn.apps.scan.describe`. Nothing here knows a model format, and no member name ever
becomes a path on disk.
"""
