"""Sessions and their files: the tests of tests/inference with the other base model. Left out are live frames,
which no language model sees, and the two that cost most."""

from tests.inference import test_session_file, test_session_questions
from tests.inference.test_mask_way import *  # noqa: F403
from tests.inference.test_pixel_qa import *  # noqa: F403
from tests.inference.test_session import *  # noqa: F403
from tests.inference.test_session_file import *  # noqa: F403
from tests.inference.test_session_questions import *  # noqa: F403
from tests.inference.test_together import *  # noqa: F403

del globals()[test_session_questions.test_fifty_sessions_leave_no_trace.__name__]
del globals()[test_session_file.test_another_process_answers_bit_for_bit.__name__]
