"""The reference models as PyTorch modules: one file a family, one function a model.

They are written from the papers' architectures and hold no weights. PyTorch is installed in the
environment of the exporters only, so nothing outside `gaugenn.zoo.exporters` imports these modules;
what they are called, take and cost stands in `models.toml`.
"""
