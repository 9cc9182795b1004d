"""Decoding, batches and prefixes: the tests of tests/model with the other base model. Left out are recorded
tensors, and positions and windows as only Qwen2.5-VL has them; those of Qwen3-VL are held against
transformers in tests/model/test_qwen3_vl.py."""

from tests.model import test_generate
from tests.model.test_backbone import (  # noqa: F401
    backbone,
    test_a_cache_changes_no_thought,
    test_padding_changes_no_thought,
)
from tests.model.test_generate import *  # noqa: F403

del globals()[test_generate.test_golden_answer_is_generated_with_its_mask_prompt.__name__]
