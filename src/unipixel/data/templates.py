"""Questions and answers about the made-up world, as plain data. `{name}` is a thing,
`{picture}` "image" or "video"."""

from __future__ import annotations

QUESTIONS = (
    "Please segment the {name} in this {picture}.",
    "Segment the {name}.",
    "Find the {name}.",
    "Where is the {name}?",
    "Where is the {name} in this {picture}? Show me its mask.",
    "Could you mark the {name} in the {picture}?",
    "Can you find the {name} and mask it?",
    "Track the {name} through the {picture}.",
    "Show the {name} in the {picture}.",
    "the {name}",
    "{name}",
    "Please find and segment the {name}.",
    "I am looking for the {name}. Where is it?",
)
"""Ways to ask for one thing."""

ANSWERS = (
    ("It is ", "."),
    ("Here it is: ", "."),
    ("The {name} is ", "."),
    ("Sure, ", "."),
)
"""What stands before and after the mask of one thing."""

PAIR_QUESTIONS = (
    "Please segment the {first} and the {second}.",
    "Segment the {first} and the {second} in this {picture}.",
    "Where are the {first} and the {second}?",
    "Find the {first} and the {second} in the {picture}.",
)
"""Ways to ask for two things."""

PAIR_ANSWER = ("The {first} is ", " and the {second} is ", ".")
"""What stands before, between and after the masks of two things."""

POINTED_QUESTIONS = (
    "Please segment [0].",
    "Segment [0] in this {picture}.",
    "What is [0]? Mask it.",
    "Segment this: [0]",
    "Track [0] through the {picture}.",
)
"""Ways to ask for something pointed at; the prompt's slot goes behind `[0]`."""

POINTED_ANSWER = ("[0] ", "")
"""What stands before and after the mask of something pointed at."""
