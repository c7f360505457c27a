"""Files that pages ask for: styles, the script, the picture in the tab."""

from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
FOR_EVER: Final = "private, max-age=31536000, immutable"
ASK_AGAIN: Final = "private, no-cache"
MARK_LENGTH: Final = 16


@dataclass(frozen=True, slots=True)
class _Asset:
    body: bytes
    mark: str
    """Tells this version of the file from any other."""
    media_type: str


class Assets:
    """The files in ``static``, read once."""

    def __init__(self) -> None:
        """Read them all."""
        self._found: dict[str, _Asset] = {}
        for file in files("placement.console").joinpath("static").iterdir():
            suffix = f".{file.name.rpartition('.')[2]}"
            if suffix in TYPES:
                body = file.read_bytes()
                mark = sha256(body).hexdigest()[:MARK_LENGTH]
                self._found[file.name] = _Asset(body, mark, TYPES[suffix])

    def address(self, name: str) -> str:
        """Return where a file is; another one for another version of it."""
        return f"/static/{name}?v={self._found[name].mark}"

    async def serve(self, request: Request) -> Response:
        """Answer a request for a file: 304 where the browser has this version."""
        asset = self._found.get(request.path_params["name"])
        if asset is None:
            return Response("not found\n", 404, media_type="text/plain")
        tag = f'"{asset.mark}"'
        same = request.url.query == f"v={asset.mark}"
        headers = {"etag": tag, "cache-control": FOR_EVER if same else ASK_AGAIN}
        known = request.headers.get("if-none-match", "")
        if tag in {part.strip().removeprefix("W/") for part in known.split(",")}:
            return Response(status_code=304, headers=headers)
        return Response(asset.body, headers=headers, media_type=asset.media_type)
