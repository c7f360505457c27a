"""Runs checks at once, each within its deadline, whatever hangs or breaks."""

import asyncio
import re
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar, TypeVarTuple

from pydantic import BaseModel, SecretStr

from placement.core.errors import PlacementError
from placement.doctor.finding import Finding, Verdict, fail
from placement.doctor.site import Site

CHECK_SECONDS: Final = 7.0
"""For one check; together they take little longer, since they run at once."""
SECRET_LENGTH_MIN: Final = 3
"""What is shorter would be found in any text."""
_USER: Final = re.compile(r"(?<=://)[^/@\s]+@")

Look = Callable[[Site], Awaitable[Sequence[Finding]]]
Args = TypeVarTuple("Args")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Check:
    """Something that can be looked at, by a name of its own."""

    name: str
    look: Look


@dataclass(frozen=True, slots=True)
class Examined:
    """What one check found of one thing."""

    check: str
    finding: Finding


class PatientLoop(asyncio.SelectorEventLoop):
    """A loop whose threads nobody waits for at its end, such as one that hangs in DNS.

    Each blocking call has a thread of its own, which ends with the process.
    """

    def run_in_executor(
        self,
        executor: Executor | None,
        func: Callable[[*Args], Result],
        *args: *Args,
    ) -> asyncio.Future[Result]:
        """Call *func* in a thread of its own, unless an *executor* is named."""
        if executor is not None:
            return super().run_in_executor(executor, func, *args)
        future: asyncio.Future[Result] = self.create_future()

        def settle(value: Any, error: BaseException | None) -> None:  # noqa: ANN401 - what func returns
            if future.done():
                return
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)

        def work() -> None:
            value, failure = None, None
            try:
                value = func(*args)
            except BaseException as error:  # noqa: BLE001 - it is raised by whoever awaits
                failure = error
            if not self.is_closed():
                self.call_soon_threadsafe(settle, value, failure)

        threading.Thread(target=work, daemon=True).start()
        return future


async def examine(checks: Iterable[Check], site: Site) -> list[Examined]:
    """Return what all *checks* find, in their order, within CHECK_SECONDS or so."""
    try:
        found = await asyncio.gather(*(_looked(check, site) for check in checks))
    finally:
        await site.close()
    hide = _hiding(site.config)
    return [
        replace(one, finding=_without(one.finding, hide))
        for each in found
        for one in each
    ]


def healthy(found: Iterable[Examined]) -> bool:
    """Say whether nothing of what was *found* is a FAIL."""
    return all(one.finding.verdict is not Verdict.FAIL for one in found)


async def _looked(check: Check, site: Site) -> list[Examined]:
    """Return what *check* finds; that it hangs or fails is a finding, too."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            findings = await check.look(site)
    except TimeoutError:
        findings = [
            fail(
                f"no answer within {CHECK_SECONDS:g} s",
                "see what hangs there: a disk, a name server or the network",
            )
        ]
    except PlacementError as error:
        findings = [fail(f"{error}  [{error.reason}]", "do what the error says")]
    except Exception as error:  # noqa: BLE001 - one look that breaks must not hide the others
        findings = [fail(f"the check itself broke: {error!r}", "report this")]
    return [Examined(check.name, finding) for finding in findings]


def _hiding(config: BaseModel) -> Callable[[str], str]:
    """Return what leaves out of a text each secret of *config*, and users in URLs."""
    secrets = sorted(set(_secrets(config)), key=len, reverse=True)

    def hide(text: str) -> str:
        for secret in secrets:
            text = text.replace(secret, "(secret)")
        return _USER.sub("", text)

    return hide


def _secrets(section: BaseModel) -> Iterable[str]:
    for _, value in section:
        if isinstance(value, BaseModel):
            yield from _secrets(value)
        elif isinstance(value, dict):
            for one in value.values():
                if isinstance(one, BaseModel):
                    yield from _secrets(one)
        elif isinstance(value, SecretStr):
            secret = value.get_secret_value()
            if len(secret) >= SECRET_LENGTH_MIN:
                yield secret


def _without(finding: Finding, hide: Callable[[str], str]) -> Finding:
    return replace(finding, found=hide(finding.found), remedy=hide(finding.remedy))
