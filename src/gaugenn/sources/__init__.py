"""Where packages come from: one file a source, one `AppSource` a file.

A source lists apps (`search`) and gets one (`fetch`). It knows no study: the pipeline keeps what was
listed, what was fetched and what failed. Modules whose name starts with `_` are no sources.
"""

from gaugenn.sources._contract import (
    AppQuery,
    AppSource,
    Clock,
    Known,
    Origin,
    SourceOptions,
)

__all__ = ["AppQuery", "AppSource", "Clock", "Known", "Origin", "SourceOptions"]
