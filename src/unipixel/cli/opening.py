"""How commands open a model: the options that they share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unipixel.core.mask_options import PUBLISHED_WAY, MaskOptions

if TYPE_CHECKING:
    from unipixel.predictor import Predictor

DeviceName = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, mps …")]
DtypeName = Annotated[str, typer.Option("--dtype", help="auto, float32, bfloat16 or float16.")]
TrustCode = Annotated[
    bool, typer.Option("--trust-code", help="Run the code of parts of its own that the model names.")
]
LanguageForm = Annotated[
    str, typer.Option("--language", help="full, or int8: the language model's weights in 8 bits.")
]
Compiled = Annotated[
    bool, typer.Option("--compile", help="Compile what has fixed shapes; takes a minute at the start.")
]


@dataclass(frozen=True)
class Opening:
    """The options of a model, as `unipixel.load` takes them."""

    device: str = "auto"
    dtype: str = "auto"
    trust_code: bool = False
    language: str = "full"
    compiled: bool = False
    masks: MaskOptions = PUBLISHED_WAY

    def open(self, model: str | Path) -> Predictor:
        """The model in a folder, or of a name."""
        from unipixel.loading import load

        return load(
            model,
            device=self.device,
            dtype=self.dtype,
            trust_code=self.trust_code,
            language=self.language,
            compiled=self.compiled,
            masks=self.masks,
        )
