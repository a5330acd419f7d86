"""The reference models and their export into every library's format.

::

    models.toml      what there is: title, input, published costs
    definitions/     the networks as PyTorch modules, one file a family
    exporters/       one file a format: from a definition to a file
    runtimes/        one file a library: what a file computes, to compare with the definition
    _worker.py       one export or one comparison, in a process of its own

Definitions, exporters, runtimes and the worker run in an environment of their own
(`_environment.py`), where PyTorch and the converters are; the rest of gaugenn reads what they leave
behind and never imports PyTorch. This module and all that it imports need the standard library only.
"""
