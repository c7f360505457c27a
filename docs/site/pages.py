"""A Sphinx extension: the navigation is index.md's, and a page that is named is linked.

index.md lists every page below a heading for its kind, so that it reads well as a file;
here the same lists become the navigation. In the pages a name such as `docs/nats.md`
is code, since they are read as files, too; here it becomes a link, and one to a page
that does not exist is a warning, which tools/docs takes for an error.
"""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.nodes import make_refnode

HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
ENTRY = re.compile(r"^- \[([^\]]+)\]\(([\w/-]+)\.md\)", re.MULTILINE)
NAMED = re.compile(r"docs/([\w/-]+)\.md(?:#([\w-]+))?")
TOCTREE = "```{{toctree}}\n:hidden:\n:caption: {}\n\n{}\n```\n"

log = logging.getLogger(__name__)


def navigation(index: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return each heading of *index*, with title and name of the pages below it."""
    _, *parts = HEADING.split(index)
    sections = zip(parts[::2], parts[1::2], strict=True)
    found = [(heading, ENTRY.findall(text)) for heading, text in sections]
    return [(heading, pages) for heading, pages in found if pages]


def add_navigation(app: Sphinx, docname: str, source: list[str]) -> None:
    """Let Sphinx know the navigation when it reads the index."""
    if docname == app.config.root_doc:
        trees = [
            TOCTREE.format(
                heading, "\n".join(f"{title} <{page}>" for title, page in pages)
            )
            for heading, pages in navigation(source[0])
        ]
        source[0] = "\n".join([source[0], *trees])


class LinkNamedPages(SphinxPostTransform):
    """Turn the name of a page, written as code, into a link to it."""

    default_priority = 500

    def run(self, **_kwargs: Any) -> None:  # noqa: ANN401 - Sphinx's signature
        """Link all names of the document that are not links already."""
        here = self.env.current_document.docname
        for literal in list(self.document.findall(nodes.literal)):
            found = NAMED.fullmatch(literal.astext())
            if not found or isinstance(literal.parent, nodes.reference):
                continue
            page, anchor = found.groups()
            if page not in self.env.found_docs:
                text = f"docs/{page}.md is named, and there is no such page"
                log.warning(text, location=literal)
                continue
            linked = make_refnode(
                self.app.builder, here, page, anchor or "", literal.deepcopy()
            )
            literal.replace_self(linked)


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx what is here."""
    app.connect("source-read", add_navigation)
    app.add_post_transform(LinkNamedPages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
