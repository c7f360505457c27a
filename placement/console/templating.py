"""Templates, in which everything is escaped unless they themselves wrote it."""

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from placement.console import words
from placement.console.assets import Assets
from placement.console.page import Page

FRAGMENT: Final = "live_"
"""How the blocks are called that are sent anew when the state moves."""
AROUND: Final = "base.html"
NAVIGATION: Final = (
    ("/", "Overview"),
    ("/regions", "Regions"),
    ("/decisions", "Decisions"),
    ("/estimate", "Estimate"),
    ("/what-if", "What if"),
    ("/service", "Service"),
)


class Templates:
    """Prints pages, whole or by their fragments."""

    def __init__(self, assets: Assets) -> None:
        """Print with the addresses of *assets*."""
        self._environment = Environment(
            loader=PackageLoader("placement.console"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "ago": words.ago,
            "count": words.count,
            "digest": words.digest,
            "machine_time": words.machine_time,
            "moment": words.moment,
            "money": words.money,
            "nanoseconds": words.nanoseconds,
            "seconds": words.seconds,
            "share": words.share,
            "size": words.size,
            "whole_seconds": words.whole_seconds,
            "word": words.word,
        }
        self._environment.globals |= {"asset": assets.address, "navigation": NAVIGATION}
        self._environment.globals["ui"] = self._parts("ui.html", "map.html")

    def whole(self, page: Page, frame: Mapping[str, object]) -> str:
        """Return the whole page; *frame* is what the page around it prints."""
        return self._template(page.template).render({**page.values, **frame})

    def fragments(
        self, page: Page, frame: Mapping[str, object]
    ) -> Iterator[tuple[str, str]]:
        """Yield each fragment of a page that may change, by its element's id."""
        own = self._template(page.template)
        blocks = {**self._template(AROUND).blocks, **own.blocks}
        context = own.new_context({**page.values, **frame})
        for name, block in sorted(blocks.items()):
            if name.startswith(FRAGMENT):
                yield name, "".join(block(context))

    def _parts(self, *names: str) -> SimpleNamespace:
        """Return the macros of some templates, which every template may use."""
        found: dict[str, object] = {}
        for name in names:
            found |= vars(self._template(name).module)
        return SimpleNamespace(**found)

    def _template(self, name: str) -> Template:
        return self._environment.get_template(name)
