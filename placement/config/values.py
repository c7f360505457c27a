"""What keys are made of: addresses, and sections of the file that never change."""

from ipaddress import ip_address
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

PORT_MAX: Final = 65_535


def split_address(text: str) -> tuple[str, int]:
    """Return the host and port of ``HOST:PORT`` or ``[IPV6]:PORT``; raises ValueError.

    Port 0 is any free one.
    """
    host, _, port = text.rpartition(":")
    inner = host.removeprefix("[").removesuffix("]")
    bracketed = host == f"[{inner}]"
    plain = port.isascii() and port.isdigit() and int(port) <= PORT_MAX
    if not inner or not plain or bracketed != (":" in inner):
        message = "give HOST:PORT, such as 127.0.0.1:7450 or [::1]:7450"
        raise ValueError(message)
    return inner, int(port)


def is_loopback(address: str) -> bool:
    """Say whether only this machine reaches *address*, a HOST:PORT."""
    host = split_address(address)[0]
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _address(text: str) -> str:
    split_address(text)
    return text


def optional_address(text: str) -> str:
    """Return *text*, which is empty or an address; raises ValueError."""
    return _address(text) if text else text


def listening_address(text: str) -> str:
    """Return *text* as an address, empty where it is empty or ``off``.

    An environment variable cannot say empty: that is as good as none. Raises
    ValueError.
    """
    return "" if text == "off" else optional_address(text)


def said(description: str, **bounds: Any) -> Any:  # noqa: ANN401 - as pydantic.Field
    """Return what pydantic is to know of a key: its description and its bounds."""
    return Field(description=description, **bounds)


Address = Annotated[str, AfterValidator(_address)]


class Section(BaseModel):
    """A table of the file; nothing in it changes once it is read."""

    model_config = ConfigDict(frozen=True, extra="forbid")
