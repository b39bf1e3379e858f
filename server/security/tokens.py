"""Bearer tokens: a file of their hashes, which the server follows while it runs.

A token is ``emotion_<id>_<secret>``. The id is public: it finds the entry and stands in logs. The
secret is 256 random bits, so that one plain SHA-256 of the token is as strong as any slow hash:
those slow down guessing, and here there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock
from pydantic import AwareDatetime, BaseModel, ConfigDict, PositiveInt, TypeAdapter, ValidationError

from modalities.errors import InputError, UnavailableError
from server.logs import LOG
from server.security.scopes import Scope
from server.security.stamp import stamp

PREFIX, SECRET_BYTES, ID_BYTES = "emotion", 32, 4
FOLLOW_S = 1.0  # until a change of the file is seen, at most


class Token(BaseModel):
    """What is kept of a token: never the token itself.

    Quotas are of all its requests together; None is no limit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    name: str
    sha256: str
    scopes: tuple[Scope, ...]
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    requests_per_minute: PositiveInt | None = None
    requests_per_day: PositiveInt | None = None
    bytes_per_minute: PositiveInt | None = None
    bytes_per_day: PositiveInt | None = None

    @property
    def expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= datetime.now(UTC)

    def allows(self, scope: Scope | None) -> bool:
        """None is what every token allows."""
        return scope is None or scope in self.scopes or Scope.ADMIN in self.scopes


_TOKENS = TypeAdapter(tuple[Token, ...])


class TokenFile:
    """A JSON list of tokens, which only its owner can read; written whole or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> tuple[Token, ...]:
        """Raises UnavailableError where there is no such file or it is not one of tokens."""
        remedy = "'emotion tokens create' makes one"
        try:
            return _TOKENS.validate_json(self.path.read_bytes())
        except OSError as error:
            reason = f"{self.path} cannot be read: {error.strerror}"
            raise UnavailableError(reason, remedy) from None
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            reason = f"{self.path} is no file of tokens: {where}: {first['msg']}"
            raise UnavailableError(reason, remedy) from None

    def create(
        self,
        name: str,
        scopes: Sequence[Scope],
        expires_at: datetime | None = None,
        **quotas: int | None,
    ) -> tuple[Token, str]:
        """A new token's entry, and the token, which is kept nowhere."""
        identity = secrets.token_hex(ID_BYTES)
        bearer = f"{PREFIX}_{identity}_{secrets.token_urlsafe(SECRET_BYTES)}"
        token = Token(
            id=identity,
            name=name,
            sha256=_hash(bearer),
            scopes=tuple(dict.fromkeys(scopes)),
            created_at=datetime.now(UTC),
            expires_at=expires_at,
            **quotas,
        )
        with self._written():
            self._write((*(self.read() if self.path.exists() else ()), token))
        return token, bearer

    def revoke(self, identity: str) -> None:
        """Raises InputError where there is no such token."""
        with self._written():
            tokens = self.read()
            left = tuple(token for token in tokens if token.id != identity)
            if len(left) == len(tokens):
                raise InputError(f"there is no token {identity}", "ID")
            self._write(left)

    def _write(self, tokens: tuple[Token, ...]) -> None:
        partial = self.path.with_name(f".{self.path.name}.partial")
        partial.unlink(missing_ok=True)
        partial.touch(mode=0o600)
        partial.write_bytes(_TOKENS.dump_json(tokens, indent=2, exclude_none=True) + b"\n")
        partial.replace(self.path)

    @contextmanager
    def _written(self) -> Iterator[None]:
        """By one process at a time."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self.path.with_name(f".{self.path.name}.lock"), mode=0o600):
                yield
        except OSError as error:
            reason = f"{self.path} cannot be written: {error.strerror}"
            raise UnavailableError(reason, "choose another file") from None


class Tokens:
    """The tokens of a file as it now is."""

    def __init__(self, file: TokenFile, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises UnavailableError as `TokenFile.read`."""
        self._file, self._clock = file, clock
        self._state = stamp(file.path)
        self._by_id = {token.id: token for token in file.read()}
        self._looked_at = clock()

    def find(self, bearer: str) -> Token | None:
        """The entry of a token, expired or not; None where it is none of ours."""
        prefix, _, rest = bearer.partition("_")
        token = self.get(rest.partition("_")[0]) if prefix == PREFIX else None
        # An unknown id takes as long as a wrong secret.
        known = hmac.compare_digest(_hash(bearer), token.sha256 if token else _hash(""))
        return token if known else None

    def get(self, identity: str) -> Token | None:
        """As the file now says; a file that cannot be read leaves all as it was."""
        if self._clock() - self._looked_at >= FOLLOW_S:
            self._looked_at = self._clock()
            self._follow()
        return self._by_id.get(identity)

    def _follow(self) -> None:
        if (state := stamp(self._file.path)) == self._state:
            return
        self._state = state
        try:
            self._by_id = {token.id: token for token in self._file.read()}
        except UnavailableError as error:
            LOG.error("tokens not followed", extra={"reason": error.reason})
        else:
            LOG.info("tokens followed", extra={"tokens": len(self._by_id)})


def _hash(bearer: str) -> str:
    return hashlib.sha256(bearer.encode()).hexdigest()
