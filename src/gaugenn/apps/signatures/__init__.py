"""The tokens that prove a library, accelerator, cloud service or packer: data files, one a category."""
