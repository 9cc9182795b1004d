"""The fuzzers by name, each a module that is imported when it is asked for."""

from importlib import import_module

from fuzz.target import Target

NAMES = ("annotations", "jsonl", "pictures", "requests", "sessions", "videos", "weights")


def target(name: str) -> Target:
    """The fuzzer of a name."""
    found: Target = import_module(f"fuzz.targets.{name}").TARGET
    return found
