"""How many operations the models of each task take."""

from gaugenn.report._by_task import ByTask, quartiles
from gaugenn.report._census import NO_MODEL


class MacsByTask(ByTask):
    """One row a task."""

    order = 312
    title = "Operations by task"
    question = "How many operations do the models of each task take?"
    query = quartiles("macs")
    empty = NO_MODEL
    quantity = "MACs of one inference (1 MAC = 2 FLOPs)"
    unit = "MACs"
    meaning = "MACs are multiply-accumulates of one inference; twice their number are FLOPs."
