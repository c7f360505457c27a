"""Secrets from files: read once, never shown."""

from pathlib import Path

from placement.core.errors import InputError


def read_secret(file: Path | None, field_name: str) -> str:
    """Return what *file* holds, without white space around it; empty without a file.

    Raises InputError, which names the field and never the secret.
    """
    if file is None:
        return ""
    try:
        secret = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        remedy = f"give a file that can be read ({why})"
        raise InputError(field_name, str(file), remedy) from None
    if not secret:
        raise InputError(field_name, str(file), "put the secret into it")
    return secret
