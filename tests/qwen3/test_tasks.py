"""A training step of every task, as in tests/training, with the other base model."""

from tests.training.test_examples import (  # noqa: F401
    model,
    predictor,
    samples,
    test_a_mixture_gives_steps_of_batches,
    test_one_training_step_of_every_task,
    test_slots_and_prompts_agree,
)
