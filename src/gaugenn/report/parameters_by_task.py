"""How many parameters the models of each task have."""

from gaugenn.report._by_task import ByTask, quartiles
from gaugenn.report._census import NO_MODEL


class ParametersByTask(ByTask):
    """One row a task."""

    order = 314
    title = "Parameters by task"
    question = "How many parameters do the models of each task have?"
    query = quartiles("parameters")
    empty = NO_MODEL
    quantity = "parameters"
    unit = "parameters"
    meaning = "Parameters are the trained numbers, whatever their element type."
