"""What a model is for: modality, task and architecture family, with the reasons.

Every rule that applies casts a vote with a weight and a reason. Votes for one answer add up like
independent evidence (1 minus the product of what each leaves open); the best answer is taken if it
reaches `SMALLEST_CONFIDENCE` and is clear of the next. Otherwise the answer is `unknown`.

**Structure decides, names refine.** Rules over shapes, operators and blocks weigh up to 0.95. A word in
the names of tensors or metadata weighs 0.3, one in the file's name 0.3, so that neither alone decides;
both together just do. A special task (face detection, reading characters) takes the votes of the task
it is a kind of: structure says detection, a name says of what.

Weights were set by judgement, not fitted; a confidence is no probability.
"""

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from gaugenn.analysis._families import Vote, family_votes
from gaugenn.analysis._portrait import Portrait, portrait
from gaugenn.analysis._task_rules import modality_votes, task_votes
from gaugenn.analysis.shapes import InferredShapes
from gaugenn.graph import Model
from gaugenn.records import LayerClass, Modality, Task

SMALLEST_CONFIDENCE = 0.5
"""Less is `unknown`."""

SMALLEST_LEAD = 0.05
"""A modality or task that is not this far ahead of the next one is `unknown`, too."""

NAME_WEIGHT = 0.3
"""What a word among the names in the file weighs, and what one in the file's own name weighs."""

MOST_EVIDENCE = 12

KINDS: Mapping[Task, tuple[Task, ...]] = {
    Task.FACE_DETECTION: (Task.DETECTION,),
    Task.TEXT_RECOGNITION: (Task.CLASSIFICATION,),
    Task.DEPTH_ESTIMATION: (Task.SEGMENTATION, Task.IMAGE_ENHANCEMENT),
    Task.STYLE_TRANSFER: (Task.IMAGE_ENHANCEMENT,),
    Task.SOUND_EVENTS: (Task.KEYWORD_SPOTTING,),
}
"""What a task is a kind of."""

MODALITY_OF: Mapping[Task, Modality] = {
    **dict.fromkeys(
        (
            *(Task.CLASSIFICATION, Task.DETECTION, Task.FACE_DETECTION, Task.LANDMARKS, Task.POSE),
            *(Task.SEGMENTATION, Task.TEXT_RECOGNITION, Task.SUPER_RESOLUTION),
            *(Task.STYLE_TRANSFER, Task.IMAGE_ENHANCEMENT, Task.DEPTH_ESTIMATION),
        ),
        Modality.VISION,
    ),
    **dict.fromkeys(
        (
            *(Task.SPEECH_RECOGNITION, Task.SOUND_EVENTS, Task.KEYWORD_SPOTTING),
            *(Task.VOICE_ACTIVITY, Task.NOISE_SUPPRESSION, Task.AUDIO_FEATURES),
        ),
        Modality.AUDIO,
    ),
    **dict.fromkeys(
        (
            *(Task.TRANSLATION, Task.LANGUAGE_MODEL, Task.TEXT_CLASSIFICATION),
            Task.QUESTION_ANSWERING,
        ),
        Modality.TEXT,
    ),
    Task.MOVEMENT: Modality.SENSOR,
    Task.TABULAR_PREDICTION: Modality.OTHER,
}
"""The only modality in which a task makes sense; tasks that have several are missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """What a model is for.

    Attributes:
        modality: of its input.
        task: what it does.
        family: its architecture; `unknown` where no pattern was found.
        confidence: of the task, 0 to 1; None where it is unknown.
        evidence: the reasons for what was concluded, strongest first: `task: 1,000 classes, ...`.
    """

    modality: Modality
    task: Task
    family: str
    confidence: float | None
    evidence: tuple[str, ...]


def purpose(
    model: Model,
    shapes: InferredShapes,
    classes: tuple[tuple[LayerClass, ...], ...],
    names: tuple[str, ...] = (),
) -> Purpose:
    """Concludes what a model is for.

    Args:
        model: as read.
        shapes: of the same model.
        classes: of its nodes, see `layers.layer_classes`.
        names: file names under which the model was seen.
    """
    seen = portrait(model, shapes, classes, names)
    modalities = [*modality_votes(seen), *_names(seen, "modality")]
    modality, _, for_modality = _decide(modalities)
    found = Modality(modality) if modality else Modality.UNKNOWN
    fitting = [
        vote
        for vote in (*task_votes(seen, found), *_names(seen, "task"))
        if MODALITY_OF.get(Task(vote.subject), found) is found
    ]
    task, confidence, for_task = _decide(_with_general(fitting))
    family, _, for_family = _decide([*family_votes(seen), *_names(seen, "family")], lead=0.0)
    evidence = [
        *((vote.weight, f"task: {vote.reason}") for vote in for_task),
        *((vote.weight, f"modality: {vote.reason}") for vote in for_modality),
        *((vote.weight, f"family: {vote.reason}") for vote in for_family),
    ]
    evidence.sort(key=lambda pair: -pair[0])
    return Purpose(
        modality=found,
        task=Task(task) if task else Task.UNKNOWN,
        family=family or "unknown",
        confidence=round(confidence, 3) if task else None,
        evidence=tuple(dict.fromkeys(text for _, text in evidence))[:MOST_EVIDENCE],
    )


def _with_general(votes: Sequence[Vote]) -> list[Vote]:
    """The votes, with those for a general task cast for the special ones that have any of their own."""
    special = {vote.subject for vote in votes}
    inherited = [
        Vote(subject=kind, weight=vote.weight, reason=vote.reason)
        for kind, general in KINDS.items()
        if kind in special
        for vote in votes
        if vote.subject in general
    ]
    covered = {general for kind in KINDS if kind in special for general in KINDS[kind] if inherited}
    own = [vote for vote in votes if vote.subject not in covered]
    return [*own, *inherited]


def _decide(
    votes: Iterable[Vote], *, lead: float = SMALLEST_LEAD
) -> tuple[str, float, tuple[Vote, ...]]:
    """The best answer, its confidence and its votes; "" where none is good enough."""
    by_subject: defaultdict[str, list[Vote]] = defaultdict(list)
    for vote in votes:
        by_subject[vote.subject].append(vote)
    ranked = sorted(((_together(v), k) for k, v in by_subject.items()), reverse=True)
    if not ranked or ranked[0][0] < SMALLEST_CONFIDENCE:
        return "", 0.0, ()
    best, subject = ranked[0]
    if len(ranked) > 1 and best - ranked[1][0] < lead:
        return "", 0.0, ()
    return subject, best, tuple(by_subject[subject])


def _together(votes: Iterable[Vote]) -> float:
    left = 1.0
    for vote in votes:
        left *= 1 - vote.weight
    return 1 - left


@cache
def _words() -> Mapping[str, Mapping[str, re.Pattern[str]]]:
    """Per question and answer, the pattern of the words that speak for it."""
    text = resources.files("gaugenn.analysis").joinpath("tasks.toml").read_text("utf-8")
    return {
        question: {
            answer: re.compile("(?<![a-z])(" + "|".join(map(re.escape, words)) + ")(?![a-z])")
            for answer, words in answers.items()
        }
        for question, answers in tomllib.loads(text).items()
    }


def _names(seen: Portrait, question: str) -> list[Vote]:
    votes = []
    for answer, pattern in _words()[question].items():
        for where, text in (
            ("a name in the file", seen.names),
            ("the file's name", seen.file_names),
        ):
            found = pattern.search(text)
            if found is not None:
                reason = f"{found.group(1)!r} in {where}"
                votes.append(Vote(subject=answer, weight=NAME_WEIGHT, reason=reason))
    return votes
