"""A peer's checkpoint becomes what answers come from, if ours is not enough."""

from placement.runtime.bootstrap import Adopted, Bootstrap
from placement.runtime.epochs import Standing
from placement.runtime.keeper import Keeper
from placement.runtime.line import Line
from placement.runtime.lines import Lines


async def taken_over(
    bootstrap: Bootstrap, standing: Standing, lines: Lines, keeper: Keeper
) -> bool:
    """Show a peer's checkpoint if there is reason to; say whether it is shown now.

    *standing* is how the log stands to what is shown before.
    """
    sequence = lines.shown.state.sequence
    why = bootstrap.wants(sequence, standing)
    if not why:
        return False

    def take(adopted: Adopted | None) -> None:
        if adopted is None:
            keeper.lost(lines.shown)
            return
        keeper.adopted(adopted.restored)
        lines.outdated = ""
        epoch = adopted.header.epoch
        line = Line(bootstrap.log, adopted.state, epoch, shown=True)
        lines.show(line, restored=True)
        keeper.loaded(line)

    return await bootstrap.adopt(why, 0 if standing.breach else sequence, take)
