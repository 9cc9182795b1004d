"""The base models that there are. Another one is a file like `qwen3_vl`, and a row here
(docs/backbones.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unipixel.errors import ConfigError
from unipixel.model import qwen2_5_vl, qwen3_vl
from unipixel.model.backbone import Family

FAMILIES: Mapping[str, Family] = {"qwen2_5_vl": qwen2_5_vl.FAMILY, "qwen3_vl": qwen3_vl.FAMILY}
"""By what their `config.json` calls them (model_type)."""


def plain_family(content: Mapping[str, Any]) -> str | None:
    """The name of the family of which a `config.json` describes a plain model; None for anything else."""
    kind = content.get("model_type")
    return kind if isinstance(kind, str) and kind in FAMILIES else None


def titles() -> str:
    """Their names, for messages."""
    return " or ".join(family.title for family in FAMILIES.values())


def get_family(name: str) -> Family:
    """A base model by name; ConfigError for an unknown one."""
    if name not in FAMILIES:
        raise ConfigError(f"unknown backbone {name!r}; known: {', '.join(FAMILIES)}")
    return FAMILIES[name]
