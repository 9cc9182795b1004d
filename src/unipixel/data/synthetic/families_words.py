"""What is said about the made-up world: every template, and nothing else.

Small and regular on purpose: a language model of four layers learns these words from nothing. Slots are those
of `str.format`; `{0}` and `{1}` stand for things that are pointed at or remembered, and become `[id]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from unipixel.data.synthetic.shapes import ALL_SHAPES
from unipixel.data.synthetic.world import ALL_COLOURS, PATTERNS

Templates = Mapping[str, tuple[str, ...]]

NUMBERS = ("none", "one", "two", "three", "four", "five", "six")
SIZES = ("small", "large")
YES, NO = "yes", "no"
THING = "thing"
START, END = "at the start", "at the end"
SIDES = MappingProxyType({"left": "left of", "right": "right of", "up": "above", "down": "below"})
"""Directions, and the relation of the same way."""
TOWARDS = MappingProxyType({"left": "to the left", "right": "to the right", "up": "up", "down": "down"})
DIRECTIONS = tuple(TOWARDS)
VALUES: Templates = MappingProxyType(
    {
        "colour": ALL_COLOURS,
        "shape": ALL_SHAPES,
        "pattern": PATTERNS,
        "size": SIZES,
        "direction": DIRECTIONS,
        "relation": tuple(SIDES.values()),
    }
)
"""Every value of an attribute: the options of a question about it come from among these."""

DOES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "still": ("stays still", "stay still"),
        "moving": ("moves", "move"),
        "stopping": ("stops", "stop"),
        "circling": ("moves in a circle", "move in a circle"),
        "turning back": ("turns back", "turn back"),
        "entering": ("comes into view", "come into view"),
        "leaving": ("leaves the picture", "leave the picture"),
        "approaching": ("grows", "grow"),
        "receding": ("shrinks", "shrink"),
    }
)
"""What a thing does (`facts.ThingFacts.motions`): "it stops", "does it stop"."""

HAPPENS: Mapping[str, str] = MappingProxyType(
    {
        "enters": "comes into view",
        "leaves": "leaves the picture",
        "stops": "stops",
        "turns back": "turns back",
    }
)
"""Events, as what is said of a thing."""

EXPRESSIONS: Templates = MappingProxyType(
    {
        "pair": ("{first} and the {second}",),
        "beside": ("{noun} {relation} the {other}", "{noun} that is {relation} the {other}"),
        "nearest": ("{noun} nearest to the {other}", "{noun} that is nearest to the {other}"),
        "largest": ("largest {noun}",),
        "smallest": ("smallest {noun}",),
        "fastest": ("fastest {noun}", "{noun} that moves fastest"),
        "slowest": ("slowest {noun}", "{noun} that moves slowest"),
        "does": ("{noun} that {does}",),
        "first": ("{noun} that {does} first",),
        "last": ("{noun} that {does} last",),
        "towards": ("{noun} that moves {towards}", "{noun} that goes {towards}"),
        "over": ("{noun} that passes over the {other}", "{noun} that passes in front of the {other}"),
        "under": ("{noun} that passes under the {other}", "{noun} that passes behind the {other}"),
    }
)
"""Words for things, without an article in front."""

REASONS: Mapping[str, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        "most corners": (
            ("Which thing has the most corners?", "It has {corners} corners."),
            ("What has more corners than all others?", "It has {corners} corners."),
        ),
        "no corners": (
            ("Which thing has no corners?", "A {shape} is round."),
            ("What has no corners at all?", "A {shape} is round."),
        ),
        "rolls": (
            ("What could roll?", "A {shape} is round."),
            ("Which thing could roll down a hill?", "A {shape} is round."),
        ),
        "corners": (
            ("Which thing has {corners} corners?", "A {shape} has {corners} corners."),
            ("What has {corners} corners?", "A {shape} has {corners} corners."),
        ),
        "hole": (
            ("Which thing has a hole?", "A {shape} has a hole."),
            ("What could a rope go through?", "A {shape} has a hole."),
        ),
        "grass": (("Which thing has the colour of grass?", "Grass is green."),),
        "sky": (("Which thing has the colour of the sky?", "The sky is blue."),),
        "tomato": (("Which thing has the colour of a tomato?", "A tomato is red."),),
        "lemon": (("Which thing has the colour of a lemon?", "A lemon is yellow."),),
        "snow": (("Which thing has the colour of snow?", "Snow is white."),),
        "plum": (("Which thing has the colour of a plum?", "A plum is purple."),),
        "odd colour": (("Which thing has another colour than the others?", "Only it is {colour}."),),
        "odd shape": (("Which thing has another shape than the others?", "Only it is a {shape}."),),
        "odd pattern": (("Which thing has another pattern than the others?", "Only it is {pattern}."),),
        "gone": (
            ("Which thing will be gone at the end?", "It leaves the picture."),
            ("What is there at the start, but not at the end?", "It leaves the picture."),
        ),
        "new": (
            ("Which thing was not there at the start?", "It comes into view."),
            ("What is there at the end, but not at the start?", "It comes into view."),
        ),
        "behind": (
            ("Which thing passes behind another?", "It is under the {other}."),
            ("What is covered for a while?", "It is under the {other}."),
        ),
        "in front": (
            ("Which thing passes in front of another?", "It is over the {other}."),
            ("What covers another thing for a while?", "It is over the {other}."),
        ),
        "same way": (("Which thing goes the same way as the {other}?", "Both go {towards}."),),
        "other way": (("Which thing goes against the {other}?", "It goes {towards}."),),
    }
)
"""Questions that take a step of reasoning, each with the reason that its answer rests on."""

COLOURED = MappingProxyType(
    {"grass": "green", "sky": "blue", "tomato": "red", "lemon": "yellow", "snow": "white", "plum": "purple"}
)
CORNERS = MappingProxyType({"triangle": 3, "square": 4, "star": 5})
"""Tips of a shape that a person would count."""
ROUND = ("circle", "ring")

DESCRIPTIONS: Templates = MappingProxyType(
    {
        "look": ("A {look}.", "This is a {look}.", "There is a {look}."),
        "move": ("It {does}.",),
        "towards": ("It moves {towards}.", "It goes {towards}."),
        "beside": ("At the start it is {relation} the {other}.", "It starts {relation} the {other}."),
        "place": ("It starts on the {place}.", "At the start it is on the {place}."),
        "others": ("Around it there is a {first} and a {second}.", "A {first} and a {second} are near."),
        "fast": ("It is fast.",),
        "slow": ("It is slow.",),
        "over": ("It passes over the {other}.",),
        "under": ("It passes under the {other}.",),
    }
)

REGIONS: Templates = MappingProxyType(
    {
        "colour": (
            "What colour is {0}?",
            "Which colour does {0} have?",
            "Tell me the colour of {0}.",
        ),
        "shape": ("What shape is {0}?", "Which shape does {0} have?", "Tell me the shape of {0}."),
        "size": ("Is {0} small or large?", "What size is {0}?", "How large is {0}?"),
        "pattern": (
            "What pattern does {0} have?",
            "Is {0} plain, striped or dotted?",
            "Tell me the pattern of {0}.",
        ),
        "name": ("What is {0}?", "What do you see at {0}?", "Which thing is {0}?"),
        "direction": (
            "Which way does {0} move?",
            "Where does {0} go?",
            "In which direction does {0} move?",
        ),
        "motion": ("What does {0} do?", "What happens to {0}?", "How does {0} move?"),
        "does": ("Does {0} {do}?",),
        "hidden": ("Is {0} covered at some time?", "Does something pass over {0}?"),
        "relation": ("Where is {0} beside {1}?", "Where is {0}, seen from {1}?"),
        "larger": ("Which is larger, {0} or {1}?", "What is larger: {0} or {1}?"),
        "faster": ("Which is faster, {0} or {1}?", "What moves faster: {0} or {1}?"),
        "front": ("Which is in front, {0} or {1}?", "Which one covers the other, {0} or {1}?"),
        "same colour": ("Do {0} and {1} have the same colour?", "Is {0} of the same colour as {1}?"),
        "same shape": ("Do {0} and {1} have the same shape?", "Is {0} of the same shape as {1}?"),
        "same way": ("Do {0} and {1} move the same way?",),
        "count colour": (
            "How many things have the colour of {0}?",
            "Count the things that have the colour of {0}.",
        ),
        "count shape": (
            "How many things have the shape of {0}?",
            "Count the things that have the shape of {0}.",
        ),
    }
)
"""Questions about things that are pointed at or remembered."""

REGION_ANSWERS: Mapping[str, str] = MappingProxyType(
    {
        "colour": "{0} is {answer}.",
        "shape": "{0} is a {answer}.",
        "size": "{0} is {answer}.",
        "pattern": "{0} is {answer}.",
        "name": "{0} is {answer}.",
        "direction": "{0} moves {towards}.",
        "motion": "{0} {rest}.",
        "relation": "{0} is {answer} {1}.",
        "larger": "{answer} is larger.",
        "faster": "{answer} is faster.",
        "front": "{answer} is in front.",
    }
)
"""Answers as sentences; questions without a row are answered by their short answer alone."""

CLIPS: Templates = MappingProxyType(
    {
        "count": ("How many {nouns} are there?", "How many {nouns} do you see?", "Count the {nouns}."),
        "count doing": ("How many things {do}?",),
        "exists": ("Is there a {name}?", "Do you see a {name}?", "Can you see a {name}?"),
        "colour": ("What colour is the {noun}?", "Which colour does the {noun} have?"),
        "shape": ("What shape is the {noun}?", "Which shape does the {noun} have?"),
        "pattern": ("What pattern does the {noun} have?", "Is the {noun} plain, striped or dotted?"),
        "direction": ("Which way does the {noun} move?", "Where does the {noun} go?"),
        "towards": ("What moves {towards}?", "Which thing moves {towards}?", "What goes {towards}?"),
        "doing": ("What {does}?", "Which thing {does}?"),
        "motion": ("What does the {noun} do?", "How does the {noun} move?"),
        "largest": ("What is the largest thing?", "Which thing is largest?"),
        "smallest": ("What is the smallest thing?", "Which thing is smallest?"),
        "fastest": ("What is the fastest thing?", "Which thing moves fastest?"),
        "slowest": ("Which moving thing is slowest?",),
        "beside": ("What is {relation} the {other}?", "Which thing is {relation} the {other}?"),
        "relation": ("Where is the {noun} beside the {other}?",),
        "first": ("What happens first?", "Which of these comes first?"),
        "last": ("What happens last?", "Which of these comes last?"),
        "over": ("What passes over the {other}?", "What covers the {other} for a while?"),
    }
)
"""Questions about a whole clip."""

CLIP_ANSWERS: Mapping[str, str] = MappingProxyType(
    {
        "colour": "The {noun} is {answer}.",
        "shape": "The {noun} is a {answer}.",
        "pattern": "The {noun} is {answer}.",
        "direction": "The {noun} moves {towards}.",
        "motion": "The {noun} {rest}.",
    }
)
"""The same as for regions."""
