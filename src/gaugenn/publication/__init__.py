"""A study made fit to be published: a citation, a dataset card, a copy that names no place or person.

Nothing is invented: what a study does not know, such as the licences of what it found, is said to be
unknown, and what only its makers know, such as their names, they have to give.
"""

from gaugenn.publication._card import dataset_card
from gaugenn.publication._citation import citation
from gaugenn.publication._copy import publish
from gaugenn.publication._facts import Publication

__all__ = ["Publication", "citation", "dataset_card", "publish"]
