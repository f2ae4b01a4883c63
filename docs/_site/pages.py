"""The pages that are made: the start page of the README, the reference of the docstrings, and files
that pages link to.
"""

import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

import reference
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from public import Public, load

_LINK = re.compile(r"(?<=\]\()(?P<path>[^)#:\s]+)(?P<anchor>#[^)\s]*)?(?=\))")
_AT_THE_TOP = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
}
_FILES = ("benchmarks/", "examples/", "src/")  # where files stand that pages link to
_LANGUAGES = {".py": "python", ".toml": "toml"}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Read the package, and put its reference into the navigation."""
    root = Path(config.config_file_path).parent
    texts = [path.read_text("utf-8") for path in sorted(Path(config.docs_dir).glob("*.md"))]
    public = Public(load(str(root / "src")), texts)
    config.extra["reference"] = public
    assert config.nav is not None
    for entry in config.nav:
        if "Reference" in entry:
            entry["Reference"] = reference.navigation(public)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that stand in no file of the docs' folder."""
    root = Path(config.config_file_path).parent
    for path, text in reference.pages(config.extra["reference"]):
        files.append(File.generated(config, path, content=text))
    for path in [*_AT_THE_TOP, *sorted(_linked(root))]:
        files.append(File.generated(config, place_of(path), content=_as_page(root / path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Turn links between files of the repository into links between pages."""
    place = page.file.src_uri
    if place.startswith("reference/"):
        page.meta["search"] = {
            "boost": 4
        }  # a name leads to its description first, then to pages that use it
        return markdown
    if place.startswith(_FILES):
        page.meta["search"] = {"exclude": True}
    source = source_of(place)

    def moved(match: re.Match[str]) -> str:
        target = target_of(source, match["path"])
        there = os.path.relpath(place_of(target), PurePosixPath(place).parent)
        return there + (match["anchor"] or "")

    return _LINK.sub(moved, markdown)


def _linked(root: Path) -> set[str]:
    """The files outside of the docs' folder that a page links to, or a page of these does."""
    paths: set[str] = set()
    waiting = [*_AT_THE_TOP, *(f"docs/{path.name}" for path in (root / "docs").glob("*.md"))]
    while waiting:
        source = waiting.pop()
        if not source.endswith(".md"):
            continue
        for match in _LINK.finditer((root / source).read_text("utf-8")):
            target = target_of(source, match["path"])
            known = target in paths or target in _AT_THE_TOP or target.startswith("docs/")
            if not known and (root / target).is_file():
                paths.add(target)
                waiting.append(target)
    return paths


def target_of(source: str, link: str) -> str:
    """Return the file of the repository that a link in another one leads to."""
    return os.path.normpath(PurePosixPath(source).parent / link)


def place_of(path: str) -> str:
    """Return where the site has a file of the repository."""
    if path in _AT_THE_TOP:
        return _AT_THE_TOP[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return path if path.endswith((".md", ".webp")) else f"{path}.md"


def source_of(place: str) -> str:
    """The file of the repository that is at a place of the site."""
    for path, top in _AT_THE_TOP.items():
        if top == place:
            return path
    return place if place.startswith(_FILES) else f"docs/{place}"


def _as_page(path: Path) -> str:
    text = path.read_text("utf-8")
    if path.suffix == ".md":
        return text
    return f"# {path.name}\n\n```{_LANGUAGES.get(path.suffix, '')}\n{text}```\n"
