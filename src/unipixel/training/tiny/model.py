"""Sizes and vocabulary of the small model."""

from __future__ import annotations

from collections.abc import Iterator

from tokenizers import AddedToken, Regex, decoders, pre_tokenizers, trainers
from tokenizers import Tokenizer as BytePairTokenizer
from tokenizers.models import BPE

from unipixel.core import tokens as control
from unipixel.core.request import TOKEN_PIXELS, PixelBudget
from unipixel.data.readers.made_up import made_up_corpus
from unipixel.data.wording import Wording
from unipixel.model.config import Licences, ModelConfig
from unipixel.model.sam2 import HieraConfig, MemoryAttentionConfig, MemoryEncoderConfig, Sam2Config
from unipixel.processing.tokenizer import Tokenizer

SIDE = 128
VOCABULARY = 1024
# How Qwen's tokenizer cuts text before it merges: contractions, words, single digits, punctuation, line ends,
# spaces.
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CONTROL_TOKENS = (
    *(control.END_OF_TEXT, control.TURN_START, control.TURN_END, control.VISION_START, control.VISION_END),
    *(control.IMAGE_PAD, control.VIDEO_PAD, *control.ADDED_TOKENS),
)


def make_tokenizer() -> Tokenizer:
    """A byte-level tokenizer in Qwen's form, with merges learned from what is said about the made-up
    world."""
    pairs = BytePairTokenizer(BPE())
    pairs.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    pairs.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(CONTROL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    pairs.train_from_iterator(_corpus(), trainer)
    pairs.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in CONTROL_TOKENS])
    return Tokenizer(pairs.to_str())


def _corpus() -> Iterator[str]:
    yield f"system\n{control.SYSTEM_TEXT}\nuser\nassistant\n"
    yield (
        "Here is a video with 8 frames denoted as <1> to <8>. The highlighted regions are as follows:\n"
        "[0]: <1>-<2>\n"
    )
    yield from (text for _, texts in Wording.default().families for text in texts)
    yield from made_up_corpus()


def make_config(tokenizer: Tokenizer) -> ModelConfig:
    """Sizes of the small model."""
    ids = tokenizer.ids()
    width = 192
    return ModelConfig(
        name="unipixel-tiny",
        tokens=ids,
        sam2=Sam2Config(
            image_size=SIDE,
            hiera=HieraConfig(32, 2, (1, 2, 3, 1), (5,), (7, 7), (8, 4, 8, 4)),
            d_model=128,
            memory_attention=MemoryAttentionConfig(num_layers=2, dim_feedforward=256, dropout=0.0),
            memory_encoder=MemoryEncoderConfig(out_dim=32),
        ),
        backbone_config={
            "text_config": {
                "vocab_size": VOCABULARY,
                "hidden_size": width,
                "intermediate_size": 448,
                "num_hidden_layers": 5,
                "num_attention_heads": 6,
                "num_key_value_heads": 2,
                "max_position_embeddings": 8192,
                "rms_norm_eps": 1e-6,
                # Most pairs must hardly turn within a question, or words are not found again far behind.
                "rope_parameters": {
                    "rope_type": "default",
                    "rope_theta": 10000.0,
                    # Slow pairs hardly tell the five columns of a frame apart: columns get most pairs.
                    "mrope_section": [1, 1, 14],
                },
                "bos_token_id": None,
                "eos_token_id": ids.turn_end,
            },
            "vision_config": {
                "model_type": "qwen2_5_vl_vision",
                "depth": 4,
                "hidden_size": 96,
                "intermediate_size": 256,
                "num_heads": 4,
                "out_hidden_size": width,
                "fullatt_block_indexes": [3],
                "window_size": 224,
            },
            "image_token_id": ids.image,
            "video_token_id": ids.video,
            "vision_start_token_id": tokenizer.id(control.VISION_START),
            "vision_end_token_id": tokenizer.id(control.VISION_END),
            "tie_word_embeddings": True,
        },
        num_frames=8,
        pixels=PixelBudget(20 * TOKEN_PIXELS, 30 * TOKEN_PIXELS, None),
        licences=Licences(
            weights="Apache-2.0", base="none: trained from nothing", data="made by this project"
        ),
    )
