"""What each task makes of a sample: turns, objects of the memory, wanted masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from unipixel.core.conversation import Segment, Turn, assistant, user
from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.core.request import RememberedObject
from unipixel.data.drafts import Draft, Said
from unipixel.data.phrasing import (
    ask_for_caption,
    ask_to_choose,
    ask_to_localise,
    ask_to_segment,
    choose,
    listed,
    masked,
    option,
    point,
    renumber,
)
from unipixel.data.sample import Caption, Choice, Exchange, Expression, Masks, Round, mentions
from unipixel.data.wording import GENERAL_OPENING, REGION_OPENING

LETTERS = 4
"""The answer of a memory question stands behind one of so many letters."""


def teach(draft: Draft) -> Said:
    """What the draft's task makes of it.

    Raises:
        SampleUnusable: nothing can be made of it.
        DataError: its masks are damaged.
    """
    return _TASKS[draft.sample.task](draft)


def _segment(draft: Draft) -> Said:
    """A mask for each expression; dialogues of a person's own stay whole."""
    sample, text = draft.sample, draft.policy.text
    dialogue = any(isinstance(turn, Exchange) for turn in sample.rounds)
    places = tuple(range(len(sample.rounds))) if dialogue else draft.draw(text.max_rounds)
    turns: list[Turn] = []
    wanted: list[tuple[int, ...]] = []
    for place in places:
        turn = sample.rounds[place]
        if isinstance(turn, Expression):
            question, answer = ask_to_segment(turn, draft.medium, text.wording, draft.wording_rng)
            turns += [user(question), assistant(*answer)]
            wanted.append(turn.objects)
        elif isinstance(turn, Exchange) and sample.literal:
            turns += [user(renumber(turn.question, draft.new_ids)), _masked_answer(draft, turn)]
            wanted += [(place,) for place in _answered(draft, turn)]
        else:
            raise draft.misfit(turn)
    return Said(tuple(turns), draft.names(places), targets=_unions(draft, wanted) if draft.trains else None)


def _unions(draft: Draft, wanted: Sequence[tuple[int, ...]]) -> Masks:
    """For each mask the union of its objects, bool [len(wanted), T, H, W]; nothing else is decoded."""
    objects = sorted({place for places in wanted for place in places})
    masks = draft.masks(objects)
    found = np.zeros((len(wanted), *masks.shape[1:]), dtype=np.bool_)
    for union, places in zip(found, wanted, strict=True):
        for place in places:
            union |= masks[objects.index(place)]
    return found


def _masked_answer(draft: Draft, turn: Exchange) -> Turn:
    """An answer as it stands, with a mask for each `[id]`; the number stays where a question names it."""
    asked = {number for other in draft.sample.rounds for number in _questioned(other)}
    named = {draft.new_ids[number] for number in asked if number in draft.new_ids}
    return assistant(*masked(renumber(turn.answer, draft.new_ids), draft.ids, named))


def _answered(draft: Draft, turn: Exchange) -> list[int]:
    """Places of the objects that an answer mentions, as often as it does."""
    ids = draft.sample.object_ids
    return [ids.index(number) for number in listed(turn.answer) if number in ids]


def _questioned(turn: Round) -> tuple[int, ...]:
    return mentions(turn.question) if isinstance(turn, Exchange | Choice) else ()


def _refer(draft: Draft) -> Said:
    """Words for objects that are pointed at."""
    sample, text = draft.sample, draft.policy.text
    captions = all(isinstance(turn, Caption) for turn in sample.rounds)
    places = draft.draw(text.max_rounds) if captions else tuple(range(len(sample.rounds)))
    bare = sample.free_ids and sum(map(_count_mentions, sample.rounds)) <= len(draft.ids)
    turns: list[Turn] = []
    pointed: set[int] = set()
    for place in places:
        turn = sample.rounds[place]
        if isinstance(turn, Caption):
            slot = draft.pointers([turn.object])[0]
            turns += [user(*ask_for_caption(turn, slot, text.wording, draft.wording_rng))]
            turns += [assistant(turn.text)]
        elif isinstance(turn, Exchange):
            question = _pointing(draft, turn, pointed, bare)
            turns += [question, assistant(renumber(turn.answer, draft.new_ids))]
        else:
            raise draft.misfit(turn)
    if not any(turn.prompts for turn in turns):
        raise draft.unusable("question about no object", "an object that is mentioned")
    return Said(tuple(turns), draft.names(places))


def _pointing(draft: Draft, turn: Exchange, pointed: set[int], bare: bool = False) -> Turn:
    """A question that points at each object it mentions, unless that was `pointed` at before."""
    question = renumber(turn.question, draft.new_ids)
    new = [number for number in mentions(question) if number in draft.ids and number not in pointed]
    pointed.update(new)
    return user(*point(question, new, draft.pointers(draft.places(new)), bare))


def _count_mentions(turn: Round) -> int:
    """How often a dialogue's turn mentions objects."""
    return len(listed(turn.question) + listed(turn.answer)) if isinstance(turn, Exchange) else 0


def _describe(draft: Draft) -> Said:
    """Words for objects of the memory."""
    sample, text = draft.sample, draft.policy.text
    turns: list[Turn] = []
    for turn in sample.rounds:
        if isinstance(turn, Caption):
            name = f"[{draft.ids[turn.object]}]"
            turns += [user(*ask_for_caption(turn, name, text.wording, draft.wording_rng))]
            turns += [assistant(turn.text)]
        elif isinstance(turn, Exchange):
            turns += [user(renumber(turn.question, draft.new_ids))]
            turns += [assistant(renumber(turn.answer, draft.new_ids))]
        else:
            raise draft.misfit(turn)
    return Said(tuple(turns), draft.names(range(len(sample.rounds))), _memory(draft, sample.rounds))


def _choose(draft: Draft) -> Said:
    """One option of several, about objects of the memory or a whole clip."""
    place = draft.draw(1)[0]
    turn = draft.sample.rounds[place]
    if not isinstance(turn, Choice):
        raise draft.misfit(turn)
    marked = bool(_remembered(draft, (turn,)))
    opening = REGION_OPENING if marked else GENERAL_OPENING
    question = ask_to_choose(turn, marked, draft.policy.text.wording, draft.wording_rng)
    turns = [user(renumber(question, draft.new_ids))]
    answer = choose(turn, opening, marked)
    if answer is not None:
        turns.append(assistant(renumber(answer, draft.new_ids)))
    elif draft.trains:
        raise draft.unusable("choice without key", "the right option")
    memory = _memory(draft, (turn,)) if marked else ()
    return Said(tuple(turns), draft.names((place,)), memory, answer_prefix=opening)


def _remember(draft: Draft) -> Said:
    """Masks for what a question about pointed objects is about."""
    if draft.sample.literal and all(isinstance(turn, Exchange) for turn in draft.sample.rounds):
        return _remember_as_said(draft)
    place = draft.draw(1)[0]
    asked = _localising(draft, draft.sample.rounds[place])
    order = [number for number in mentions(asked) if number in draft.ids]
    if not order:
        raise draft.unusable("question about no object", "an object that is mentioned")
    answered = [number for number in draft.ids if number in order]
    own = draft.policy.pointers.slots == "text"
    targets = _seen(draft, draft.places(answered))
    slots = draft.pointers(draft.places(order if own else answered))
    question = user(*point(asked, order, slots))
    answer = [part for number in answered for part in (f" [{number}] ", Segment())]
    answer[0] = f"[{answered[0]}] "
    return Said((question, assistant(*answer)), draft.names((place,)), targets=targets)


def _localising(draft: Draft, turn: Round) -> str:
    """A question with its answer as an option, or with its options, that asks for masks."""
    if isinstance(turn, Exchange):
        text = turn.question + option(int(draft.once.integers(LETTERS)), turn.answer)
    elif isinstance(turn, Choice):
        text = turn.question + option(0, *turn.options)
    else:
        raise draft.misfit(turn)
    return ask_to_localise(renumber(text, draft.new_ids), draft.policy.text.wording, draft.wording_rng)


def _remember_as_said(draft: Draft) -> Said:
    """A person's own dialogue: questions point at what they mention, each `[id]` of an answer is a mask."""
    turns: list[Turn] = []
    wanted: list[int] = []
    pointed: set[int] = set()
    for turn in draft.sample.rounds:
        assert isinstance(turn, Exchange), "it was checked before"
        answer = masked(renumber(turn.answer, draft.new_ids), draft.ids, draft.ids)
        turns += [_pointing(draft, turn, pointed), assistant(*answer)]
        wanted += _answered(draft, turn)
    if not pointed:
        raise draft.unusable("question about no object", "an object that is mentioned")
    targets = _seen(draft, wanted) if wanted else None
    return Said(tuple(turns), draft.names(range(len(draft.sample.rounds))), targets=targets)


def _seen(draft: Draft, objects: Sequence[int]) -> Masks:
    """Masks of objects that are all to be seen."""
    masks = draft.masks(objects)
    if not masks.any(axis=(1, 2, 3)).all():
        raise draft.unusable("object on no shown frame", "a mask of every object")
    return masks


def _chat(draft: Draft) -> Said:
    """Talk about a clip or about nothing."""
    turns: list[Turn] = []
    for turn in draft.sample.rounds:
        if not isinstance(turn, Exchange):
            raise draft.misfit(turn)
        turns += [user(turn.question), assistant(turn.answer)]
    return Said(tuple(turns), draft.names(range(len(draft.sample.rounds))))


_TASKS: Mapping[str, Callable[[Draft], Said]] = {
    "segment": _segment,
    "refer": _refer,
    "describe": _describe,
    "choose": _choose,
    "remember": _remember,
    "chat": _chat,
}


# Memory


def _memory(draft: Draft, rounds: Sequence[Round]) -> tuple[RememberedObject, ...]:
    """Objects of a sample as objects of the memory, with what the policy leaves of their masks."""
    objects = _remembered(draft, rounds)
    if not objects:
        raise draft.unusable("question about no object", "an object that is mentioned")
    masks = _seen(draft, objects)
    kept = _kept_frames(draft, masks)
    found = []
    for place, on_frames in zip(objects, masks, strict=True):
        seen = [at for at in kept if on_frames[at].any()]
        track = _track([(draft.frames[at], on_frames[at]) for at in seen])
        found.append(RememberedObject(draft.ids[place], track))
    return tuple(found)


def _remembered(draft: Draft, rounds: Sequence[Round]) -> Sequence[int]:
    """Places of the objects that belong into the memory: all, or in a person's own data, where others may
    have no mask, those that rounds are about."""
    ids = draft.sample.object_ids
    if not draft.sample.literal:
        return range(len(ids))
    about = {turn.object for turn in rounds if isinstance(turn, Caption)}
    said = [turn.mentioned for turn in rounds if isinstance(turn, Exchange | Choice)]
    about |= {ids.index(number) for numbers in said for number in numbers if number in ids}
    return sorted(about)


def _kept_frames(draft: Draft, masks: Masks) -> Sequence[int]:
    """Places of the frames whose masks are remembered: all, or one that shows every object."""
    regions = draft.policy.regions
    complete = np.flatnonzero(masks.any(axis=(2, 3)).all(axis=0))
    if draft.sample.dataset in regions.single and len(complete) and draft.rng.random() < regions.single_share:
        return [int(draft.rng.choice(complete))]
    return range(len(draft.frames))


def _track(masks: Sequence[tuple[int, Masks]]) -> MaskTrack:
    return MaskTrack(tuple(FrameMask(frame, RLE.from_mask(mask), 1.0, True) for frame, mask in masks))
