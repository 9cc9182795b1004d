"""A training step of every task, and what it is made of: the tests of tests/training/test_examples.py with
the other base model. Left out are recorded tensors, and stills as Qwen2.5-VL takes them."""

from tests.training import test_examples
from tests.training.test_examples import *  # noqa: F403

del globals()[test_examples.test_the_recorded_training_item_is_prepared_to_the_same_tensors.__name__]
del globals()[test_examples.test_stills_of_general_talk_are_pictures_and_all_others_videos.__name__]
