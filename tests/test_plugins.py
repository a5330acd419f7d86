"""The folder is the registry."""

import pytest

from gaugenn import plugins
from gaugenn.engines import Engine
from gaugenn.errors import UsageError


def test_an_unknown_plugin_is_a_usage_error_that_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no plugin 'nothing'"):
        plugins.load("gaugenn.engines", "nothing", Engine)  # type: ignore[type-abstract]


def test_private_modules_are_no_plugins() -> None:
    assert not any(name.startswith("_") for name in plugins.names("gaugenn.formats"))
