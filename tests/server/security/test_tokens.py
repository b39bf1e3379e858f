"""The file of tokens, and what follows it."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from modalities.errors import InputError, UnavailableError
from server.security.scopes import Scope
from server.security.tokens import FOLLOW_S, TokenFile, Tokens


@pytest.fixture
def file(tmp_path: Path) -> TokenFile:
    return TokenFile(tmp_path / "keys" / "tokens.json")


def test_a_file_holds_hashes_that_only_its_owner_reads(file: TokenFile) -> None:
    token, bearer = file.create("desk", [Scope.ANALYZE, Scope.ANALYZE], requests_per_minute=10)
    assert file.read() == (token,)
    assert token.scopes == (Scope.ANALYZE,)
    assert bearer.rpartition("_")[2] not in file.path.read_text()
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert len(bearer) > 50


def test_tokens_made_at_once_are_all_kept(file: TokenFile) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda i: file.create(f"desk {i}", [Scope.ADMIN])[0], range(16)))
    assert {token.id for token in file.read()} == {token.id for token in made}


def test_only_the_whole_token_is_found(file: TokenFile) -> None:
    token, bearer = file.create("desk", [Scope.ANALYZE])
    other, _ = file.create("other", [Scope.ADMIN])
    tokens = Tokens(file)
    assert tokens.find(bearer) == token
    secret = bearer.split("_", 2)[2]
    for wrong in (
        bearer[:-1], bearer + "x", secret, "", "emotion_", f"emotion_{token.id}_",
        f"emotion_{other.id}_{secret}", f"emotion_nobody_{secret}", token.sha256, "密码",
    ):  # fmt: skip
        assert tokens.find(wrong) is None


def test_a_change_is_followed_and_a_broken_file_changes_nothing(
    file: TokenFile, caplog: pytest.LogCaptureFixture
) -> None:
    now = 0.0
    kept, bearer = file.create("kept", [Scope.ANALYZE])
    tokens = Tokens(file, clock=lambda: now)
    new, _ = file.create("new", [Scope.ANALYZE])
    assert tokens.get(new.id) is None
    now = FOLLOW_S
    assert tokens.get(new.id) == new
    file.revoke(new.id)
    now = 2 * FOLLOW_S
    assert tokens.get(new.id) is None
    with caplog.at_level(logging.ERROR):
        for content in ("[", "{}", json.dumps([{"id": "a", "sha256": bearer}])):
            file.path.write_text(content)
            now += FOLLOW_S
            assert tokens.find(bearer) == kept
    assert [one.levelno for one in caplog.records].count(logging.ERROR) == 3
    assert bearer not in caplog.text
    file.path.unlink()
    now += FOLLOW_S
    assert tokens.find(bearer) == kept


def test_what_is_wrong_is_said(file: TokenFile) -> None:
    with pytest.raises(UnavailableError, match="cannot be read") as missing:
        Tokens(file)
    assert "emotion tokens create" in missing.value.remedy
    file.create("desk", [Scope.ANALYZE])
    with pytest.raises(InputError, match="no token nobody"):
        file.revoke("nobody")
