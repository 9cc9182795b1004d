"""The page without a browser: what is served, under which policy, and that its files fit each other."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest
from tests.serving.conftest import ONE, Served

from unipixel.serving.page_api import KINDS, Page

PAGE = Path(__file__).parents[3] / "src" / "unipixel" / "serving" / "page"
FILES = sorted(path.relative_to(PAGE).as_posix() for path in PAGE.rglob("*") if path.is_file())
MODULES = [name for name in FILES if name.endswith(".js")]
TEXTS = [name for name in FILES if not name.startswith("samples/")]
DIRECTIVE = re.compile(r'^(?:import|export) [^;]*? from "([^"]+)";', re.MULTILINE | re.DOTALL)
NAMED = re.compile(r'^import \{([^}]*)\} from "([^"]+)";', re.MULTILINE)


def read(name: str) -> str:
    return (PAGE / name).read_text(encoding="utf-8")


class Tags(HTMLParser):
    """Every element with its attributes, and the text inside of scripts and styles."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.inside = ""
        self._in = ""
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._in = tag

    def handle_endtag(self, tag: str) -> None:
        self._in = ""

    def handle_data(self, data: str) -> None:
        if self._in in ("script", "style"):
            self.inside += data.strip()


def test_every_file_is_served_without_a_token_as_what_it_is(served: Served) -> None:
    with served.http(token=None) as http:
        for name in FILES:
            reply = http.get("/" if name == "index.html" else f"/page/{name}")
            assert reply.status_code == 200, name
            assert reply.content == (PAGE / name).read_bytes()
            assert reply.headers["content-type"] == KINDS[Path(name).suffix]
            assert reply.headers["x-content-type-options"] == "nosniff"
        assert http.head("/").status_code == 200
        assert http.get("/v1/sessions").status_code == 401  # the page is open, nothing behind it is


def test_the_policy_lets_nothing_in_from_elsewhere(served: Served) -> None:
    with served.http(token=None) as http:
        headers = http.get("/").headers
    rules = dict(rule.split(" ", 1) for rule in headers["content-security-policy"].split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
    assert rules["frame-ancestors"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"


def test_a_file_that_has_not_changed_is_not_sent_again(served: Served) -> None:
    with served.http(token=None) as http:
        tag = http.get("/page/main.js").headers["etag"]
        again = http.get("/page/main.js", headers={"if-none-match": f'"other", W/{tag}'})
        assert (again.status_code, again.content) == (304, b"")
        assert http.get("/page/main.js", headers={"if-none-match": '"other"'}).status_code == 200


@pytest.mark.parametrize("name", ["absent.js", "../server.py", "..%2fserver.py", "samples", ""])
def test_nothing_else_of_the_disk_is_served(served: Served, name: str) -> None:
    with served.http() as http:
        assert http.get(f"/page/{name}").status_code == 404
    with served.http(token=None) as http:
        assert http.get(f"/page/{name}").status_code == 401


@pytest.mark.parametrize("strips", [True, False], ids=["prefix stripped", "prefix kept"])
def test_the_page_works_under_a_prefix(start: Callable[..., Served], strips: bool) -> None:
    prefix = "" if strips else "/tools/pixel"
    url = start(root_path="/tools/pixel").url + prefix
    with httpx.Client(trust_env=False, timeout=60) as http:
        assert http.get(f"{url}/").content == (PAGE / "index.html").read_bytes()
        assert http.get(f"{url}/page/main.js").status_code == 200
        assert http.get(f"{url}/v1/models").status_code == 401
        assert http.get(f"{url}/v1/models", headers={"authorization": f"Bearer {ONE}"}).status_code == 200


def test_the_document_has_nothing_inline_and_names_files_that_exist() -> None:
    tags = Tags(read("index.html"))
    assert tags.inside == ""
    for tag, attributes in tags.found:
        assert not any(name.startswith("on") or name == "style" for name in attributes), (tag, attributes)
        for name in ("src", "href"):
            target = attributes.get(name) or ""
            if target and not target.startswith("#"):
                assert (PAGE / target.removeprefix("page/")).is_file(), target
    assert len({attributes["id"] for _, attributes in tags.found if "id" in attributes}) == sum(
        "id" in attributes for _, attributes in tags.found
    )


@pytest.mark.parametrize("name", TEXTS)
def test_no_file_names_another_host(name: str) -> None:
    hosts = set(re.findall(r"(?:https?:)?//[\w.-]+\.[a-z]{2,}[\w/.-]*", read(name)))
    assert hosts <= {"http://www.w3.org/2000/svg"}
    assert "innerHTML" not in read(name)
    assert "eval(" not in read(name)


@pytest.mark.parametrize("name", MODULES)
def test_every_import_is_there(name: str) -> None:
    for target in DIRECTIVE.findall(read(name)):
        assert target.startswith("./"), target
        assert target.removeprefix("./") in MODULES, target
    for names, target in NAMED.findall(read(name)):
        source = read(target.removeprefix("./"))
        for one in filter(None, (part.strip().partition(" as ")[0] for part in names.split(","))):
            exported = rf"^export (?:async )?(?:function\*?|class|const) {re.escape(one)}\b"
            assert re.search(exported, source, re.MULTILINE), f"{target} has no {one}"


def test_every_element_that_a_module_asks_for_is_in_the_document() -> None:
    there = {attributes["id"] for _, attributes in Tags(read("index.html")).found if "id" in attributes}
    asked = {found for name in MODULES for found in re.findall(r'byId\("([\w-]+)"\)', read(name))}
    assert asked - there == set()
    assert len(asked) > 50


def test_the_page_is_small() -> None:
    assert sum((PAGE / name).stat().st_size for name in TEXTS) < 200_000
    assert all(len(read(name).splitlines()) < 500 for name in TEXTS)
    assert Page().paths >= {"/", "/page/main.js", "/page/samples/shapes.mp4"}


def test_the_samples_are_the_examples() -> None:
    examples = Path(__file__).parents[3] / "examples" / "media"
    for name in ("shapes.mp4", "still.jpg"):
        assert (PAGE / "samples" / name).read_bytes() == (examples / name).read_bytes()
