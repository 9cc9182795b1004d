"""Decoding, batches and prefixes, as in tests/model, with the other base model."""

from tests.model.test_backbone import (  # noqa: F401
    backbone,
    test_a_cache_changes_no_thought,
    test_padding_changes_no_thought,
)
from tests.model.test_generate import (  # noqa: F401
    model,
    scripted,
    test_a_prefix_may_be_gone_on_from_again_and_again,
    test_decoding_is_the_same_as_reading_the_answer,
    test_one_mask_prompt_for_each_seg_and_none_after_the_stop,
    test_positions_go_on_behind_the_question,
    test_prefixes_of_several_lengths_make_one_batch,
    test_slots_without_a_prompt_are_refused,
    test_the_prompt_of_a_seg_feels_what_was_said_before,
)
