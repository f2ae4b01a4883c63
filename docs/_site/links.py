"""Checks the site that was built: every link within it leads somewhere, and nothing that a page
shows comes from elsewhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError


def on_post_build(config: MkDocsConfig) -> None:
    """End the build when a link leads nowhere."""
    faults = [*faults_of(Path(config.site_dir))]
    if faults:
        raise PluginError("\n".join(faults))


def faults_of(site: Path) -> Iterator[str]:
    """Yield what is wrong with a site, a line for each link."""
    # The links of the page for what a server does not have begin at its root, as nobody knows from
    # where it is shown.
    files = (path for path in sorted(site.rglob("*.html")) if path.name != "404.html")
    pages = {path.resolve(): _read(path) for path in files}
    for path, page in pages.items():
        name = path.relative_to(site.resolve())
        yield from (
            f"{name}: loads {url} from elsewhere" for url in page.loaded if _is_elsewhere(url)
        )
        for url in page.links:
            if not _is_elsewhere(url) and not _leads_somewhere(url, path, pages):
                yield f"{name}: {url} leads nowhere"


@dataclass
class _Page(HTMLParser):
    """The anchors of a page, what it links to, and what a browser loads with it."""

    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag links to."""
        values = {name: value for name, value in attrs if value}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        urls = [values[name] for name in ("href", "src") if name in values]
        self.links += urls
        if tag not in ("a", "link") or values.get("rel") == "stylesheet":
            self.loaded += urls


def _read(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text("utf-8"))
    return page


def _is_elsewhere(url: str) -> bool:
    return bool(urlsplit(url).scheme or urlsplit(url).netloc)


def _leads_somewhere(url: str, path: Path, pages: dict[Path, _Page]) -> bool:
    parts = urlsplit(url)
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target.is_dir():
        target /= "index.html"
    if not target.is_file():
        return False
    return (
        not parts.fragment
        or target not in pages
        or unquote(parts.fragment) in pages[target].anchors
    )
