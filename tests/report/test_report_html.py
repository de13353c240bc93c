"""The page: nothing foreign becomes markup, the policy names its one style, and a browser has nothing to complain of."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import subprocess
import time
from dataclasses import replace
from html.parser import HTMLParser

import factory
import pyarrow as pa
import pytest

from excise.model.findings import Graph, Link, Timeline
from excise.report import folder, html, network, timeline, view, wording

VOID = {"meta", "line", "rect", "path"}
TAGS = {
    "html", "head", "meta", "title", "style", "body", "a", "div", "nav", "h1", "h2", "h3", "h4", "ul", "ol", "li", "span", "main",
    "p", "dl", "dt", "dd", "small", "strong", "figure", "figcaption", "svg", "line", "text", "path", "rect", "circle", "table",
    "caption", "thead", "tbody", "tr", "th", "td", "bdi", "details", "summary", "pre", "mark", "footer",
}  # fmt: skip
ATTRIBUTES = {
    "lang", "charset", "http-equiv", "content", "name", "class", "href", "id", "aria-label", "aria-hidden", "role", "scope",
    "colspan", "open", "title", "viewbox", "width", "height", "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "d", "text-anchor",
}  # fmt: skip


class Page(HTMLParser):
    """What a parser makes of the page: tags, attributes, text, and whether everything that opens closes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.attributes, self.ids, self.links, self.open = set(), set(), [], [], []
        self.words: list[str] = []
        self.figures: list[dict[str, str | None]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.add(tag)
        self.attributes |= found.keys()
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"]] if "href" in found else []
        if tag == "svg":
            self.figures.append(found)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def pages():
    kinds = {
        "none": {"campaigns": 0},
        "one": {"campaigns": 1},
        "sixty": {"campaigns": 60},
        "hostile": {"campaigns": 3, "hostile": True},
    }
    return {name: html.render(factory.run(**kind)) for name, kind in kinds.items()}


@pytest.mark.parametrize("name", ["none", "one", "sixty", "hostile"])
def test_the_page_holds_known_markup_only_and_every_link_has_its_end(pages, name):
    page = Page(pages[name])
    assert page.open == []
    assert page.tags <= TAGS
    assert page.attributes <= ATTRIBUTES
    assert len(page.ids) == len(set(page.ids))
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert all(link.startswith("#") for link in page.links)
    assert all(
        f.get("aria-hidden") == "true" or (f.get("role") == "img" and f.get("aria-label"))
        for f in page.figures
    )


def test_foreign_words_are_shown_and_steer_nothing(pages):
    text = pages["hostile"]
    words = "".join(Page(text).words)
    for word in factory.HOSTILE:
        assert wording.visible(word) in words
    assert "{{ 7*7 }}" in words
    assert not re.search(
        r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]",
        text,
    )


@pytest.mark.parametrize("name", ["none", "hostile"])
def test_the_policy_allows_nothing_but_the_one_style_by_its_hash(pages, name):
    text = pages[name]
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    styles = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    assert len(styles) == 1
    digest = base64.b64encode(hashlib.sha256(styles[0].encode()).digest()).decode()
    said = policy[1].replace("&#39;", "'")
    assert said == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert text.index("Content-Security-Policy") < text.index("<style>")
    assert not re.search(r"url\(|@import|https?://(?!evil\.example)", styles[0])


def test_sixty_campaigns_are_light_and_quick_and_all_named(pages):
    run = factory.run(60)
    began = time.perf_counter()
    text = html.render(run)
    assert time.perf_counter() - began < 20
    assert len(text.encode()) < 5_000_000
    assert text == pages["sixty"]
    assert all(text.count(c.campaign_id) > 3 for c in run.campaigns)
    assert text.count('<details class="campaign" open>') == 1


def test_the_page_keeps_below_its_size_with_full_groups_and_long_words():
    run = factory.run(60)
    reasons = ["A long reason that says " + "much " * 60] * 5
    rows = [r | {"reasons": reasons} for r in run.accounts.to_pylist()]
    big = replace(run, accounts=pa.Table.from_pylist(rows, schema=run.accounts.schema))
    assert len(html.render(big).encode()) < 5_000_000


def test_the_page_never_claims_proof_and_gives_every_part(pages):
    words = " ".join("".join(Page(pages["sixty"]).words).lower().split())
    assert not re.search(r"\bproo?f\b|\bproves?\b|\bguilty\b|\b100% (likely|certain)", words)
    for part in (
        "what could not be looked at", "all groups", "how to read this", "what was read", "day by day", "evidence",
        "innocent explanations that were tried", "why nobody is accused", "what the requests have in common",
        "how the accounts hang together", "examples, redacted", "members (180)", "accounts not accused", "lumen-5 released",
    ):  # fmt: skip
        assert part in words, part
    assert "no group of accounts is accused" not in words


def test_a_page_without_campaigns_says_so_and_promises_nothing(pages):
    words = " ".join("".join(Page(pages["none"]).words).split())
    assert "That is not a promise that there is nothing" in words
    assert "payment instruments" in words


def test_groups_that_are_not_accused_come_after_the_accused_and_say_why(pages):
    run = factory.run(60)
    spared = [c for c in run.campaigns if c.verdict == "shared-client"]
    section = pages["sixty"].split('id="not-accused"')[1]
    assert spared
    assert all(c.campaign_id in section for c in spared)
    assert factory.SHARED.why in section
    accused = pages["sixty"].split('id="accused"')[1].split('id="not-accused"')[0]
    assert not any(c.campaign_id in accused for c in spared)


def test_members_are_the_worst_two_hundred_and_the_rest_is_counted():
    run = factory.run(1)
    name = run.campaigns[0].campaign_id
    rows = [
        {"account_id": f"a{i:03}", "exchanges": 1, "score": i / 300, "campaign_id": name, "verdict": "relay",
         "harvest_exchanges": 0, "reasons": []}
        for i in range(300)
    ]  # fmt: skip
    section = view.page(
        replace(run, accounts=pa.Table.from_pylist(rows, schema=run.accounts.schema))
    ).accused[0]
    assert [m["account_id"] for m in section.members] == [f"a{i:03}" for i in range(299, 99, -1)]
    assert section.more_members == 100


def test_accounts_not_accused_are_those_with_a_score_and_a_reason():
    run = factory.run(4)
    spared = view.not_accused(run.accounts).to_pylist()
    wanted = [
        r for r in run.accounts.to_pylist()
        if r["verdict"] not in ("distillation", "relay") and r["score"] > 0 and r["reasons"]
    ]  # fmt: skip
    assert spared == sorted(wanted, key=lambda r: (-r["score"], r["account_id"]))
    assert any(r["campaign_id"] is None for r in spared)


@pytest.mark.parametrize("days", [1, 3, 30, 400, 5000])
def test_a_timeline_of_any_length_stays_small_and_inside(days):
    c = factory.run(1).campaigns[0]
    line = Timeline("2012-01-31", (5,) * days, (2,) * days, (0,) * days)
    drawing = timeline.of_campaign(replace(c, timeline=line))
    assert all(len(path) < 14_000 for panel in drawing.panels for _, path in panel.paths)
    assert 1 <= len(drawing.ticks) <= 9
    assert all(timeline.LEFT <= tick.at <= timeline.WIDTH for tick in drawing.ticks)
    assert timeline.of_campaign(replace(c, timeline=Timeline("2012-01-31", (), (), ()))) is None


def test_bins_keep_the_mean():
    assert timeline.binned([1, 3, 5, 7, 9], 3) == [2, 6, 9]
    assert timeline.binned([], 3) == []


def test_the_network_is_the_same_each_time_inside_its_frame_and_apart():
    graph = factory.run(8).campaigns[4].graph
    drawing = network.draw(graph, {})
    assert drawing == network.draw(graph, {})
    places = [(n.x, n.y) for n in drawing.nodes]
    assert len(set(places)) > 0.95 * len(places)
    assert all(0 <= x <= network.WIDTH and 0 <= y <= network.HEIGHT for x, y in places)
    assert {s.layer: s.links for s in drawing.strands} == {
        layer: n
        for layer in ("account", "content", "time", "deterministic")
        if (n := sum(layer in link.layers for link in graph.links))
    }


def test_linked_accounts_are_drawn_closer_than_others():
    links = [
        Link(a, b, 1.0, ("time",)) for side in (0, 6) for a in range(side, side + 6) for b in range(side, a)
    ]
    places = network.layout(12, [*links, Link(0, 6, 0.1, ("time",))])
    gap = ((places[:, None] - places[None]) ** 2).sum(axis=2) ** 0.5
    assert 2 * gap[:6, :6].mean() < gap[:6, 6:].mean()


def test_of_many_links_the_strongest_are_drawn_and_nothing_falls_off():
    links = [Link(a, b, float(a + b), ("time",)) for a in range(60) for b in range(a)]
    drawn = network.strongest(links)
    assert len(drawn) == network.LINKS
    assert {i for link in drawn for i in (link.a, link.b)} == set(range(60))


@pytest.mark.parametrize(
    "graph", [Graph((), (), 0), Graph(("a",), (), 1), Graph(("a",), (Link(0, 0, 1.0, ()),), 1)]
)
def test_a_graph_without_links_is_not_drawn(graph):
    assert network.draw(graph, {}) is None


def browser() -> str:
    found = next(
        (p for name in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(name))), None
    )
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no Chromium to open the page in")
        pytest.skip("no Chromium to open the page in")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["one", "sixty", "hostile"])
def test_a_browser_opens_the_page_without_a_complaint_or_a_request(pages, tmp_path, name):
    path = tmp_path / "report.html"
    path.write_text(pages[name], encoding="utf-8")
    netlog = tmp_path / "net.json"
    shot = tmp_path / "shot.png"
    command = [
        browser(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync",
        "--no-first-run", "--enable-logging=stderr", "--v=0", f"--user-data-dir={tmp_path / 'profile'}",
        f"--log-net-log={netlog}", f"--screenshot={shot}", "--window-size=1280,2000", path.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert shot.stat().st_size > 20_000
    assert "CONSOLE" not in done.stderr
    assert "Content Security Policy" not in done.stderr
    assert "evil.example" not in netlog.read_text(encoding="utf-8", errors="replace")


@pytest.mark.slow
def test_a_browser_would_complain_of_a_style_that_the_policy_does_not_name(pages, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(
        pages["one"].replace("</main>", '<p style="color:red">x</p><script>1</script></main>'),
        encoding="utf-8",
    )
    command = [
        browser(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
        "--enable-logging=stderr", "--v=0", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", path.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" in done.stderr


def test_the_written_page_is_the_rendered_page(tmp_path):
    run = factory.run(2)
    folder.write(run, tmp_path / "run")
    assert (tmp_path / "run" / "report.html").read_text(encoding="utf-8") == html.render(
        folder.read(tmp_path / "run")
    )
