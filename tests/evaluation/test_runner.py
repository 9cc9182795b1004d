"""Running benchmarks: every row end to end, killed and resumed, in shards, with failures."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.evaluation.stub import MODEL, Stub, build, plan_of, run_stub

from unipixel.core.conversation import Refer
from unipixel.data.wording import Wording
from unipixel.errors import ConfigError, DataError, MediaError
from unipixel.evaluation.benchmark import Setting
from unipixel.evaluation.benchmarks import BENCHMARKS, find_benchmarks
from unipixel.evaluation.predictions import Predictions, Shard
from unipixel.evaluation.results import FILE
from unipixel.evaluation.runner import MOST_FAILURES, Manner, run
from unipixel.evaluation.work import plan_work, score_work, stored_work

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("data"))


def scored(plan):
    """`results.json` of a plan's predictions, as text."""
    works = plan_work([plan.benchmark], "published", plan.root, plan.folder.parent, plan.setting, plan.limit)
    assert works[0].plan.folder == plan.folder
    score_work(works[0])
    return (plan.folder / FILE).read_text()


REGISTERED = [row.name for row in BENCHMARKS if row.data.needs_root]


@pytest.mark.parametrize("name", REGISTERED)
def test_every_benchmark_runs_end_to_end(name, data, tmp_path):
    plan = plan_of(name, data, tmp_path / name)
    run_stub(plan, batch=3)
    known = Predictions.open(plan.folder)
    assert len(known) == len(plan.open().samples) > 0 and not known.problems
    for work in plan_work([plan.benchmark], "all", data, tmp_path):
        if work.plan.folder == plan.folder and work.protocols:
            found = score_work(work)
            assert {result.total for result in found.results} <= set(range(1, len(known) + 1))
            for result in found.results:
                assert set(result.statuses) == {"answered"}, result.cases
                content = json.loads((plan.folder / FILE).read_text())
                assert content["benchmark"] == name and content["settings"]["model"] == "stub"


class Killed(BaseException):
    """What nothing catches."""


def test_killed_and_resumed_gives_the_same_results(data, tmp_path):
    straight = plan_of("ref_davis17", data, tmp_path / "straight" / "ref_davis17")
    run_stub(straight)
    halted = plan_of("ref_davis17", data, tmp_path / "halted" / "ref_davis17")
    countdown = iter(range(6))

    def stop(request):
        if next(countdown, None) is None:
            raise Killed

    with pytest.raises(Killed):
        run_stub(halted, Stub(before=stop))
    file = halted.folder / "predictions.0-of-1.jsonl"
    assert 0 < len(Predictions.open(halted.folder)) < len(halted.open().samples)
    file.write_bytes(file.read_bytes()[:-7])
    again = run_stub(halted)
    assert len(again.asked) == len(halted.open().samples) - 5, "what is there is not asked again"
    assert scored(halted) == scored(straight)


SLOW = """
import sys, time
from pathlib import Path
from tests.evaluation.stub import MODEL, Stub, plan_of
from unipixel.evaluation.runner import run
run(plan_of("mvbench", Path(sys.argv[1]), Path(sys.argv[2])), Stub(before=lambda _: time.sleep(0.1)), MODEL)
"""


def test_kill_9_and_resumed_gives_the_same_results(data, tmp_path):
    straight = plan_of("mvbench", data, tmp_path / "straight" / "mvbench")
    run_stub(straight)
    halted = plan_of("mvbench", data, tmp_path / "halted" / "mvbench")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(data), str(halted.folder)], env=environment, cwd=ROOT
    )
    file, deadline = halted.folder / "predictions.0-of-1.jsonl", time.monotonic() + 60
    while not (file.is_file() and file.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=60) == -signal.SIGKILL
    done = len(Predictions.open(halted.folder))
    assert 0 < done < len(halted.open().samples)
    again = run_stub(halted)
    assert len(again.asked) == len(halted.open().samples) - done
    assert scored(halted) == scored(straight)


@pytest.mark.parametrize("name", ["ref_davis17", "pixelqa_mix"])
def test_shards_give_the_numbers_of_one_process(name, data, tmp_path):
    texts = []
    for total in (1, 2, 3):
        plan = plan_of(name, data, tmp_path / str(total) / name)
        for number in reversed(range(total)):
            run_stub(plan, shard=Shard(number, total), batch=total)
        texts.append(scored(plan))
    assert texts[0] == texts[1] == texts[2]


def test_other_settings_are_refused_by_name(data, tmp_path):
    plan = plan_of("mevis_val_u", data, tmp_path / "mevis_val_u")
    run_stub(plan)
    other = plan_of("mevis_val_u", data, tmp_path / "mevis_val_u", setting=Setting(seed=3), limit=2)
    with pytest.raises(ConfigError, match=r"seed was 0, is 3; limit was None, is 2"):
        run_stub(other)
    with pytest.raises(ConfigError, match="model was 'stub'"):
        run(plan, Stub(), type(MODEL)("another"))


def test_the_wording_is_recorded_and_asked(data, tmp_path):
    file = tmp_path / "words.json"
    file.write_text(json.dumps({"query_video": ["Segment this: {query}!"]}))
    setting = Setting(Wording.open(file))
    plan = plan_of("mevis_val_u", data, tmp_path / "mevis_val_u", setting=setting)
    asked = run_stub(plan).asked
    assert asked[0].turns[0].parts == ("Segment this: bird that flies off!",)
    manifest = json.loads((plan.folder / "manifest.json").read_text())
    assert manifest["settings"]["prompts"] == setting.wording.hash != Wording.default().hash


def test_a_sample_that_fails_is_unscored_and_the_rest_goes_on(data, tmp_path):
    plan = plan_of("mevis_val_u", data, tmp_path / "mevis_val_u")

    def refuse(request):
        if "stay" in str(request.turns):
            raise MediaError("frame 1 is damaged")

    run_stub(plan, Stub(before=refuse), batch=3)
    known = Predictions.open(plan.folder)
    assert known.read("bb/1").status == "failed"
    assert known.read("bb/1").reason == "MediaError: frame 1 is damaged"
    work = plan_work([plan.benchmark], "published", data, tmp_path)[0]
    result = score_work(work).results[0]
    assert result.statuses == {"answered": 2, "failed": 1} and not result.is_sound
    counted = {case.sample: case.values["J"] for case in result.cases}
    assert counted["bb/1"] == 0.0, "the published convention: as an empty mask"
    whole, answered = result.score("J").all.value, result.score("J").answered.value
    assert whole == pytest.approx(100 * sum(counted.values()) / 3)
    assert answered == pytest.approx(100 * (counted["bb/0"] + counted["bb/2"]) / 2)
    assert run_stub(plan).asked == [], "failed ones are asked again only on request"
    run_stub(plan, retry=True)
    assert Predictions.open(plan.folder).read("bb/1").status == "answered"


def test_a_broken_sample_is_named_and_the_rest_is_scored(tmp_path):
    build(tmp_path, "mvbench")
    file = tmp_path / "mvbench" / "json" / "action_count.json"
    file.write_text(file.read_text().replace('"answer": "A dog barks"', '"answer": "no candidate"'))
    plan = plan_of("mvbench", tmp_path, tmp_path / "out" / "mvbench")
    run_stub(plan)
    work = plan_work([plan.benchmark], "published", tmp_path, tmp_path / "out")[0]
    result = score_work(work).results[0]
    assert [problem.kind for problem in result.problems] == ["broken sample"]
    assert "one of the candidates" in result.problems[0].found
    assert result.statuses == {"answered": result.total - 1} and not result.is_sound
    with pytest.raises(DataError):
        plan.samples()


def test_no_answer_is_unscored_but_no_failure(data, tmp_path):
    plan = plan_of("mevis_val_u", data, tmp_path / "mevis_val_u")
    run_stub(plan, Stub(silent=True))
    work = plan_work([plan.benchmark], "published", data, tmp_path)[0]
    result = score_work(work).results[0]
    assert result.statuses == {"unanswered": 3} and result.is_sound
    assert {case.reason for case in result.cases} == {"the answer has no mask"}
    assert result.score("J").answered is None


def test_nothing_but_failures_stops_the_run(data, tmp_path):
    def broken(request):
        raise RuntimeError("CUDA error")

    plan = plan_of("mvbench", data, tmp_path / "mvbench")
    with pytest.raises(ConfigError, match=rf"{MOST_FAILURES} samples in a row .*CUDA error.*--retry-failed"):
        run_stub(plan, Stub(before=broken))


def test_a_limit_is_never_a_reproduction(data, tmp_path):
    plan = plan_of("mevis_val_u", data, tmp_path / "mevis_val_u", limit=2)
    run_stub(plan)
    content = json.loads(scored(plan))
    assert content["claim"] == "a trial with 2 samples (--limit 2), no reproduction"
    assert content["protocols"][0]["samples"] == 2
    whole = plan_of("mevis_val_u", data, tmp_path / "all" / "mevis_val_u", limit=None)
    run_stub(whole)
    assert json.loads(scored(whole))["claim"] == "complete: all 3 samples, protocol published"


def test_protocols_that_ask_differently_have_folders_of_their_own(data, tmp_path):
    rows = find_benchmarks(["refcoco_val", "ref_davis17", "mevis_val"])
    works = {work.plan.folder.name: work for work in plan_work(rows, "all", data, tmp_path)}
    names = {folder: [protocol.name for protocol in work.protocols] for folder, work in works.items()}
    assert names == {
        "ref_davis17": ["published", "classic"],
        "mevis_val": [],
        "refcoco_val": ["published"],
        "refcoco_val@lisa": ["lisa"],
    }
    assert [work.plan.folder.name for work in plan_work(rows, "classic", data, tmp_path)] == ["ref_davis17"]
    apart = works["refcoco_val@lisa"].plan
    (request,) = run_stub(apart).asked
    assert "dog of val" in str(request.turns[0].parts), "in small letters"
    assert json.loads((apart.folder / "manifest.json").read_text())["settings"]["data"] == {
        "letters": "lower"
    }
    assert stored_work(tmp_path, None)[0].protocols[0].name == "lisa"
    with pytest.raises(ConfigError, match="has no protocol 'bounds'"):
        plan_work(rows, "bounds", data, tmp_path)


# How samples are asked


def first_request(name, data, tmp_path, place=0):
    return run_stub(plan_of(name, data, tmp_path / name), batch=1).asked[place]


def test_segmentation_shows_16_frames_and_tracks_all(data, tmp_path):
    request = first_request("groundmore", data, tmp_path)
    assert request.clip.num_frames == 20 and request.num_frames == 16
    assert request.pixels.for_frames(16) == (128 * 784, 256 * 784)
    assert request.pixels.for_frames(1) == (128 * 784, 16 * 256 * 784)
    assert request.decoding.max_new_tokens == 512 and request.decoding.temperature == 0


def test_questions_about_regions_have_their_own_budget_and_opening(data, tmp_path):
    request = first_request("videorefer_q_multi", data, tmp_path)
    assert request.answer_prefix == "The best option is ("
    assert request.pixels.for_frames(16) == (100 * 784, 144 * 784)
    assert [one.id for one in request.memory] == [0, 2]
    assert request.clip.num_frames == 2, "only annotated frames are shown"
    single = first_request("videorefer_q_single", data, tmp_path)
    assert [len(one.masks) for one in request.memory] == [2, 1]
    assert [len(one.masks) for one in single.memory] == [1, 1], "only the masks of the key frame"
    assert single.clip.num_frames == 2


def test_pixelqa_asks_twice(data, tmp_path):
    masks, choice = run_stub(plan_of("pixelqa_mix", data, tmp_path / "pixelqa_mix")).asked[:2]
    slots = [part.prompt for part in masks.turns[0].parts if isinstance(part, Refer)]
    assert sorted(type(slot).__name__ for slot in slots) == ["Box", "Point"]
    assert {slot.frame for slot in slots} == {1}, "the key frame's place among those that are shown"
    assert masks.forced_answer.num_masks == 2 and not masks.memory
    assert choice.forced_answer is None and choice.answer_prefix == "The best option is ("
    assert [one.id for one in choice.memory] == [0, 2] and not choice.turns[0].prompts
    assert choice.pixels.for_frames(16) == (128 * 784, 256 * 784)


def test_an_object_found_nowhere_is_remembered_as_the_whole_picture(data, tmp_path):
    import numpy as np

    nothing = Stub(mask=lambda frame, height, width: np.zeros((height, width), dtype=bool))
    plan = plan_of("pixelqa_box", data, tmp_path / "pixelqa_box")
    choice = run_stub(plan, nothing).asked[1]
    area = choice.clip.height * choice.clip.width
    assert all(frame.rle.area == area for one in choice.memory for frame in one.masks)
    assert Predictions.open(plan.folder).read("0").objects[0].masks[0].area == 0, "but stored as it is"


def test_general_questions_have_their_own_opening(data, tmp_path):
    request = first_request("mvbench", data, tmp_path)
    assert request.answer_prefix == "Best Option: (" and request.decoding.max_new_tokens == 256
    assert not request.memory


def test_progress_is_told(data, tmp_path):
    heard = []
    plan = plan_of("mevis_val_u", data, tmp_path / "mevis_val_u")
    run(plan, Stub(), MODEL, Manner(batch=2, on_progress=heard.append))
    assert [(one.done, one.total) for one in heard] == [(2, 3), (3, 3)]
