"""`python -m gaugenn`."""

import sys

from gaugenn.cli import main

sys.exit(main())
