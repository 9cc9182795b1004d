"""The judge of descriptions, at a server of our own."""

import json
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.evaluation.stub import Stub, build, plan_of, run_stub

from unipixel.errors import ConfigError
from unipixel.evaluation import judge_client
from unipixel.evaluation.judge_client import Judge, JudgeError, Price, check_cost, estimate, judge_all
from unipixel.evaluation.metrics.judge import DIMENSIONS, parse_verdict
from unipixel.evaluation.work import descriptions, plan_work, score_work

SECRET = "sk-very-secret"


def reply(*scores):
    return "\n".join(
        f"{n}. {name}: {score}; because."
        for n, (name, score) in enumerate(zip(DIMENSIONS, scores, strict=True), 1)
    )


class Service:
    """Answers with what stands in `script` (a status and a text), then always with `usual`."""

    def __init__(self):
        self.script, self.usual, self.seen = [], (200, reply(4, 3, 2, 5)), []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                service.seen.append((self.path, dict(self.headers), json.loads(body)))
                status, text = service.script.pop(0) if service.script else service.usual
                content = {"choices": [{"message": {"role": "assistant", "content": text}}]}
                data = json.dumps(content if status == 200 else {"error": text}).encode()
                self.send_response(status)
                if status == 429:
                    self.send_header("Retry-After", "0")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"


@pytest.fixture
def service(monkeypatch):
    monkeypatch.setattr(judge_client.time, "sleep", lambda seconds: None)
    found = Service()
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def work(tmp_path):
    build(tmp_path / "data", "videorefer_bench_d")
    plan = plan_of("videorefer_d_multi", tmp_path / "data", tmp_path / "out" / "videorefer_d_multi")
    run_stub(plan, Stub(text="A man walks."))
    return plan_work([plan.benchmark], "all", plan.root, tmp_path / "out")[0]


@pytest.fixture
def judge(service):
    return Judge(service.url, "small-judge", SECRET)


def test_descriptions_are_judged_and_scored(work, judge, service):
    assert judge_all(judge, descriptions(work), work.plan.folder) == 2
    path, headers, body = service.seen[0]
    assert path == "/v1/chat/completions" and headers["Authorization"] == f"Bearer {SECRET}"
    assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.7, 0.95, 800)
    assert body["messages"][1]["content"] == (
        "##Correct answer: A man in a blue coat walks.\n##Predicted answer: A man walks.\n"
    )
    published, lenient = score_work(work).results
    assert [score.all.value for score in published.scores] == [4, 3, 2, 5, 3.5]
    assert published.scores == lenient.scores and published.is_sound
    assert published.about.endswith("judge: small-judge")


def test_what_was_judged_is_not_asked_again(work, judge, service):
    judge_all(judge, descriptions(work), work.plan.folder)
    assert judge_all(judge, descriptions(work), work.plan.folder) == 0 and len(service.seen) == 2
    file = work.plan.folder / "verdicts.jsonl"
    file.write_bytes(file.read_bytes()[:-10])
    assert judge_all(judge, descriptions(work), work.plan.folder) == 1, "a half line is asked again"
    assert judge_all(replace(judge, rubric="another"), descriptions(work), work.plan.folder) == 2
    assert judge_all(replace(judge, model="large-judge"), descriptions(work), work.plan.folder) == 2
    with pytest.raises(ConfigError, match="replies of large-judge, small-judge; name one"):
        score_work(work)
    assert score_work(work, judge="large-judge").results[0].about.endswith("judge: large-judge")


def test_a_busy_service_is_asked_again(work, judge, service):
    service.script = [(429, "slow down"), (500, "oops"), (200, ""), (503, "later")]
    assert judge_all(judge, descriptions(work), work.plan.folder) == 2
    assert len(service.seen) == 6


def test_a_service_that_stays_away_is_an_error_and_nothing_is_lost(work, judge, service):
    service.script = [(200, reply(1, 1, 1, 1)), *[(503, "later")] * 5]
    with pytest.raises(JudgeError, match=r"no answer in 5 tries \(status 503"):
        judge_all(judge, descriptions(work), work.plan.folder)
    assert judge_all(judge, descriptions(work), work.plan.folder) == 1


def test_a_refusal_is_told_at_once_and_without_the_key(work, judge, service):
    service.script = [(401, f"bad key {SECRET}")]
    with pytest.raises(JudgeError, match=r"refuses \(status 401") as caught:
        judge_all(judge, descriptions(work), work.plan.folder)
    assert SECRET not in str(caught.value) and len(service.seen) == 1


def test_the_key_is_nowhere(work, judge):
    judge_all(judge, descriptions(work), work.plan.folder)
    score_work(work)
    assert SECRET not in repr(judge)
    for file in work.plan.folder.rglob("*"):
        assert SECRET.encode() not in file.read_bytes(), file


def test_no_one_there_is_an_error(work):
    nobody = Judge("http://127.0.0.1:9/v1", "judge", tries=1)
    with pytest.raises(JudgeError, match="no answer in 1 tries"):
        judge_all(nobody, descriptions(work), work.plan.folder)


def test_questions_can_be_slowed_down(work, judge, service, monkeypatch):
    waits = []
    monkeypatch.setattr(judge_client.time, "sleep", waits.append)
    judge_all(replace(judge, per_minute=30), descriptions(work), work.plan.folder)
    assert waits == [2.0]


def test_a_dry_run_sends_nothing_and_prices_it(work, judge, service):
    needed = estimate(judge, descriptions(work), work.plan.folder)
    assert (needed.questions, needed.known) == (2, 0) and not service.seen
    letters = 2 * len(judge.rubric)
    assert letters / 4 < needed.read < letters / 4 + 150
    assert needed.cost(Price(1.0, 2.0)) == pytest.approx((needed.read + 2 * needed.written) / 1e6)
    judge_all(judge, descriptions(work), work.plan.folder)
    assert estimate(judge, descriptions(work), work.plan.folder).questions == 0


def test_the_cost_can_be_limited(work, judge):
    needed = estimate(judge, descriptions(work), work.plan.folder)
    price = Price(100.0, 100.0)
    check_cost(needed, price, None)
    check_cost(needed, price, 2 * needed.cost(price))
    with pytest.raises(ConfigError, match=r"would cost about .* nothing was sent"):
        check_cost(needed, price, needed.cost(price) / 2)
    with pytest.raises(ConfigError, match="needs a price"):
        check_cost(needed, Price(), 1.0)


def test_without_a_verdict_there_is_no_score(work):
    result = score_work(work).results[0]
    assert all(score.all is None for score in result.scores)
    assert {problem.kind for problem in result.problems} == {"not judged"} and not result.is_sound


def test_bold_marks_are_read_by_the_lenient_protocol_only(work, judge, service):
    bold = "\n".join(f"{n}. **{name}**: 4" for n, name in enumerate(DIMENSIONS, 1))
    service.usual = (200, bold)
    judge_all(judge, descriptions(work), work.plan.folder)
    published, lenient = score_work(work).results
    assert published.score("average").all is None
    assert lenient.score("average").all.value == 4


def test_our_rubric_asks_for_what_the_parser_reads():
    example = judge_client.RUBRIC.rstrip().splitlines()[-1]
    assert parse_verdict(example).subject == 4
    assert all(name in judge_client.RUBRIC for name in DIMENSIONS)


def test_the_environment_names_the_judge(monkeypatch, tmp_path):
    for name in ("UNIPIXEL_JUDGE_URL", "UNIPIXEL_JUDGE_KEY", "OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match="no judge is known; set UNIPIXEL_JUDGE_URL"):
        Judge.from_environment()
    monkeypatch.setenv("OPENAI_BASE_URL", "https://judge.example/v1/")
    monkeypatch.setenv("OPENAI_API_KEY", "a")
    found = Judge.from_environment()
    assert (found.url, found.model, found.key) == ("https://judge.example/v1", "gpt-4o-mini", "a")
    (tmp_path / "rubric.txt").write_text("Be kind.")
    monkeypatch.setenv("UNIPIXEL_JUDGE_KEY", "b")
    other = Judge.from_environment("http://here", "mine", tmp_path / "rubric.txt")
    assert (other.url, other.model, other.rubric, other.key) == ("http://here", "mine", "Be kind.", "b")
    with pytest.raises(ConfigError, match="begins with http"):
        Judge.from_environment("file:///etc/passwd")
