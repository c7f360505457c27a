"""What tests of the doctor share: a site, and what checks find there."""

from collections.abc import Sequence
from pathlib import Path

from placement.config import Config, load_config
from placement.doctor.examination import Look
from placement.doctor.finding import Finding, Verdict
from placement.doctor.site import Site
from tests.ports import free_port


def site_of(directory: Path, settings: str = "", **more: object) -> Site:
    """Return a site whose configuration is *settings*, with all under *directory*."""
    file = directory / "placement.toml"
    nowhere = f'server = "127.0.0.1:{free_port()}"\n' * ("server =" not in settings)
    file.write_text(f'{nowhere}data_dir = "{directory}/data"\n{settings}')
    config: Config = load_config(file)
    return Site(config=config, target=config.server, config_file=file, **more)  # type: ignore[arg-type] # a test's own


async def findings(look: Look, site: Site) -> Sequence[Finding]:
    """Return what *look* finds at *site*, which is closed."""
    try:
        return await look(site)
    finally:
        await site.close()


def worst(found: Sequence[Finding]) -> Verdict:
    """Return the gravest verdict of what was *found*."""
    order = (Verdict.FAIL, Verdict.WARN, Verdict.OK, Verdict.SKIPPED)
    return min((one.verdict for one in found), key=order.index)


def about(found: Sequence[Finding], word: str) -> Finding:
    """Return the one finding that says *word*, whose remedy must be a sentence."""
    [one] = [each for each in found if word in each.found]
    assert one.verdict in {Verdict.OK, Verdict.SKIPPED} or one.remedy, one
    return one
