"""Sessions and their files, as in tests/inference, with the other base model."""

from tests.inference.test_pixel_qa import test_masks_then_an_answer_that_rests_on_them  # noqa: F401
from tests.inference.test_session import (  # noqa: F401
    counts,
    test_a_question_that_points_between_the_shown_frames_sees_that_frame,
    test_a_second_question_costs_its_own_text_only,
    test_an_object_that_no_shown_frame_holds_is_shown,
    test_answers_do_not_depend_on_what_was_computed_before,
    test_both_ways_to_a_mask_fill_one_memory,
    test_inputs_of_a_session_are_what_training_reads,
    test_logits_behind_a_prefix_are_those_of_the_whole,
)
from tests.inference.test_session_file import (  # noqa: F401
    made,
    test_a_session_comes_back_as_it_was,
    test_another_model_is_refused,
    test_the_same_model_in_another_precision_is_the_same,
)
from tests.inference.test_session_questions import (  # noqa: F401
    test_a_stream_gives_the_text_as_it_is_written,
    test_a_thin_mask_is_not_lost,
    test_follow_ups_know_what_was_said_and_others_do_not,
    test_masks_of_an_answer_become_objects,
    test_memory_is_listed_in_the_order_of_the_text,
    test_sessions_answer_together_as_alone,
)
