"""Text to token ids and back. What a person typed is encoded as text even where it
looks like a control token."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tokenizers import AddedToken
from tokenizers import Tokenizer as BytePairTokenizer

from unipixel.core import tokens as control
from unipixel.errors import WeightsError
from unipixel.model.config import TokenIds

FILE_NAME = "tokenizer.json"


class Tokenizer:
    """The checkpoint's byte-pair tokenizer; control tokens are looked up by name,
    never parsed out of text."""

    def __init__(self, definition: str) -> None:
        self.definition = definition
        self._pairs = BytePairTokenizer.from_str(definition)
        self._pairs.encode_special_tokens = True

    @classmethod
    def open(cls, folder: Path, add_tokens: bool = False) -> Tokenizer:
        """Read `tokenizer.json`. `add_tokens` appends UniPixel's three tokens where a
        plain Qwen2.5-VL lacks them."""
        file = folder / FILE_NAME
        try:
            definition = file.read_text(encoding="utf-8")
            pairs = BytePairTokenizer.from_str(definition)
        except FileNotFoundError as error:
            raise WeightsError(
                f"{folder} holds no {FILE_NAME}; copy the tokenizer files beside the weights"
            ) from error
        except Exception as error:  # the Rust library raises a bare Exception for a file that it cannot parse
            raise WeightsError(f"{file} is no tokenizer definition ({error})") from error
        if add_tokens:
            pairs.add_special_tokens(
                [AddedToken(name, special=True, normalized=False) for name in control.ADDED_TOKENS]
            )
            definition = pairs.to_str()
        return cls(definition)

    def id(self, name: str) -> int:
        """Id of a control token; WeightsError when the vocabulary lacks it."""
        found = self._pairs.token_to_id(name)
        if found is None:
            raise WeightsError(
                f"the tokenizer has no token {name!r}; this is no UniPixel checkpoint's tokenizer"
            )
        return int(found)

    def ids(self) -> TokenIds:
        """The tokens that steer the model."""
        return TokenIds(
            ref=self.id(control.REF),
            seg=self.id(control.SEG),
            mem=self.id(control.MEM),
            image=self.id(control.IMAGE_PAD),
            video=self.id(control.VIDEO_PAD),
            turn_end=self.id(control.TURN_END),
            end_of_text=self.id(control.END_OF_TEXT),
        )

    def encode(self, text: str) -> list[int]:
        """Token ids of plain text; a control token inside is spelled out, character by character."""
        return list(self._pairs.encode(text, add_special_tokens=False).ids)

    def decode(self, token_ids: Sequence[int], keep_control: bool = False) -> str:
        """Text of token ids, without control tokens unless asked for."""
        return str(self._pairs.decode(list(token_ids), skip_special_tokens=not keep_control))

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json`, and the small file by which transformers recognises it."""
        (folder / FILE_NAME).write_text(self.definition, encoding="utf-8")
        config = {
            "tokenizer_class": "Qwen2Tokenizer",
            "eos_token": control.TURN_END,
            "pad_token": control.END_OF_TEXT,
            "additional_special_tokens": list(control.ADDED_TOKENS),
        }
        (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
