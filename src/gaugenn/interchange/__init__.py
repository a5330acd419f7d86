"""A study's measurements in other tools' forms: one file a form, named as it is asked for.

What another form cannot say is lost there and stays in the study. None of them knows launches and
intervals as such; each file says what it makes of them.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from gaugenn import plugins
from gaugenn.errors import UsageError
from gaugenn.pipeline.experiments import MeasuredExperiment, experiments
from gaugenn.store import Study


class Export(ABC):
    """A form that measurements can be written in."""

    title: ClassVar[str]
    spec: ClassVar[str]
    """Address of the documentation of the form."""

    @abstractmethod
    def render(self, experiments: Sequence[MeasuredExperiment]) -> str:
        """The whole file.

        Args:
            experiments: at least one, each with at least one launch.
        """


def forms() -> tuple[str, ...]:
    """Names of the forms, as a user writes them."""
    return tuple(name.replace("_", "-") for name in plugins.names(__name__))


def render(study: Study, form: str) -> str:
    """A study's measurements in a form. Left out are invalid ones, and those without samples.

    Raises:
        UsageError: no such form, or nothing was measured.
        StoreError: a part of the study cannot be read.
    """
    if form not in forms():
        raise UsageError(f"there is no form {form!r}; there are: {', '.join(forms())}")
    module = form.replace("-", "_")
    export = plugins.load(__name__, module, Export)()  # type: ignore[type-abstract]
    measured = [
        e
        for e in experiments(study)
        if e.runs
        and e.verdict.validity != "invalid"
        and all(timings.steady_s for _, timings in e.launches)
    ]
    if not measured:
        raise UsageError(f"{study.path} holds no valid measurement to export")
    return export.render(measured)
