"""How users prove who they are: what each keeps, and what the server is told of it.

A secret is made once and kept in a file of its own, for its owner only; made again are
only those that are missing. The same secrets give the same configuration, so a server
that loads it again drops nobody whose rights stayed as they were.
"""

import base64
import secrets
from collections.abc import Callable
from enum import StrEnum
from hashlib import blake2b
from pathlib import Path
from typing import Final

import bcrypt
import nkeys

from placement.core.errors import InputError
from placement.nats_authority.names import Role
from placement.nats_authority.users import User
from placement.private_files import write_private

PASSWORD_BYTES: Final = 32
SEED_BYTES: Final = 32
HASH_ROUNDS_LOG2: Final = 6
"""Cheap, since the server hashes at each login of each user, and nobody can guess 256
random bits: the hash has but to be one-way."""
_SALT_BYTES: Final = 16
_STANDARD: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_BCRYPT: Final = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class Proof(StrEnum):
    """How a user proves who it is."""

    PASSWORD = "password"  # noqa: S105 - the name of a way, no password
    NKEY = "nkey"
    CERTIFICATE = "certificate"


class Credentials:
    """The secrets of users, in one directory; none for users with certificates."""

    def __init__(self, proof: Proof, directory: Path, trust_domain: str) -> None:
        """Keep secrets in *directory*; certificates are named in *trust_domain*."""
        self._proof = proof
        self._directory = directory
        self._trust_domain = trust_domain

    def entry(self, user: User) -> dict[str, str]:
        """Return what the server's configuration says of *user*; no secret is in it."""
        proof = self._proof_of(user)
        if proof is Proof.CERTIFICATE:
            return {"user": self.certificate_name(user)}
        if proof is Proof.NKEY:
            return {"nkey": public_key(self._kept(user, new_seed), user.name)}
        hashed = password_hash(self._kept(user, new_password))
        return {"user": user.name, "password": hashed}

    def certificate_name(self, user: User) -> str:
        """Return the URI among the subject alternative names of a user's certificate.

        Empty where it needs none.
        """
        if self._proof is not Proof.CERTIFICATE:
            return ""
        return f"spiffe://{self._trust_domain}/{user.spiffe_path}"

    def file(self, user: User) -> Path | None:
        """Return where the secret of *user* is kept; None where it has none of ours."""
        proof = self._proof_of(user)
        if proof is Proof.CERTIFICATE:
            return None
        suffix = "nk" if proof is Proof.NKEY else "password"
        return self._directory / f"{user.name}.{suffix}"

    def _proof_of(self, user: User) -> Proof:
        """Return how *user* proves it: registries know no nkeys."""
        by_key = self._proof is Proof.NKEY
        return Proof.PASSWORD if by_key and user.role is Role.FEED else self._proof

    def _kept(self, user: User, make: Callable[[], str]) -> str:
        """Return the secret of *user*, which is made if there is none."""
        path = self.file(user)
        assert path is not None, "it has a secret"
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            write_private(path, make() + "\n")
        found = path.read_text(encoding="ascii", errors="replace").strip()
        if not found:
            raise InputError("--to", str(path), "remove the empty file")
        return found


def new_password() -> str:
    """Return a password that nobody can guess."""
    return secrets.token_urlsafe(PASSWORD_BYTES)


def new_seed() -> str:
    """Return the seed of a new key pair of a user."""
    raw = secrets.token_bytes(SEED_BYTES)
    spelled: bytes = nkeys.encode_seed(raw, nkeys.PREFIX_BYTE_USER)  # type: ignore[no-untyped-call]  # it has no types
    return spelled.decode()


def public_key(seed: str, name: str) -> str:
    """Return the public half of a *seed*; raises InputError, naming the user."""
    try:
        pair = nkeys.from_seed(bytearray(seed.encode()))  # type: ignore[no-untyped-call]  # as above
        public: bytes = pair.public_key
    except (nkeys.NkeysError, ValueError, TypeError):
        remedy = "it holds no seed: remove it, and another one is made"
        raise InputError("--to", f"{name}.nk", remedy) from None
    return public.decode()


def password_hash(password: str) -> str:
    """Return what the server compares *password* with: bcrypt, always the same.

    The salt is made of the password. It keeps equal passwords of several users apart,
    and passwords are random here: there are none.
    """
    salt = blake2b(
        password.encode(), digest_size=_SALT_BYTES, person=b"placement-salt"
    ).digest()
    spelled = base64.b64encode(salt).decode().rstrip("=")
    told = spelled.translate(str.maketrans(_STANDARD, _BCRYPT))
    rounds = f"$2a${HASH_ROUNDS_LOG2:02}$".encode()
    return bcrypt.hashpw(password.encode(), rounds + told.encode()).decode()
