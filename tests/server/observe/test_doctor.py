"""The doctor finds what is wrong, and only that, and names the remedy."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from server_process import Server
from typer.testing import CliRunner

import weights
from server.cli import app
from server.observe import doctor, installation
from server.observe.finding import Level, examined
from server.settings import Settings
from server.store.key import key_path, make_key

PASSWORD = "correct-horse"


def certificate(folder: Path, *, days: float = 90, key: trustme.LeafCert | None = None) -> Any:
    """Settings of a certificate that ends in so many days, with its own key or another's."""
    issued = trustme.CA().issue_cert(
        "localhost", not_after=datetime.now(UTC) + timedelta(days=days)
    )
    issued.cert_chain_pems[0].write_to_path(folder / "server.pem")
    (key or issued).private_key_pem.write_to_path(folder / "server.key")
    (folder / "server.key").chmod(0o600)
    return {"tls_certificate": folder / "server.pem", "tls_key": folder / "server.key"}


def altered_weights(folder: Path) -> Any:
    shutil.copytree(weights.FOLDER, folder / "weights")
    with (folder / "weights/image.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"!")
    return {"weights": folder / "weights"}


def bad_rules(folder: Path) -> Any:
    (folder / "rules.yaml").write_text("rules:\n  - name: 7\n")
    return {"rules": folder / "rules.yaml"}


def store(folder: Path, content: bytes | None) -> Any:
    """A store with its key, and a file that holds `content`, if any."""
    path = folder / "store.db"
    make_key(key_path(str(path), None))
    if content is not None:
        path.write_bytes(content)
    return {"store": str(path)}


FAULTS: dict[str, tuple[Callable[[Path], Any], str, str, str]] = {
    "altered weights": (altered_weights, "weights", "image.safetensors", "reinstall the package"),
    "no Whisper checkpoint": (
        lambda folder: {"whisper": "tiny", "whisper_dir": folder},
        "whisper",
        "'tiny' is not in",
        "emotion models pull tiny",
    ),
    "expired certificate": (
        lambda folder: certificate(folder, days=-1),
        "tls",
        "certificate has expired",
        "renew the certificate",
    ),
    "another's key": (
        lambda folder: certificate(folder, key=trustme.CA().issue_cert("other")),
        "tls",
        "no PEM certificate with its key",
        "tls_certificate",
    ),
    "open to all": (lambda _: {"host": "0.0.0.0"}, "tls", "open to other machines", "host"),
    "no such database": (lambda folder: store(folder, None), "store", "there is no", "migrate"),
    "no database at all": (
        lambda folder: store(folder, b"not a database, not at all"),
        "store",
        "cannot be written",
        "that the file is one",
    ),
    "a store that nobody can reach": (
        lambda folder: {
            "store": f"postgresql://me:{PASSWORD}@127.0.0.1:1/emotion",
            "store_key": "00" * 32,
        },
        "store",
        "",
        "",
    ),
    "a store without its key": (
        lambda folder: {"store": str(folder / "keyless.db")},
        "store",
        "key",
        "emotion store migrate",
    ),
    "bad rule book": (bad_rules, "rules", "rules.yaml", "correct"),
    "webhook in plain text": (
        lambda folder: {"alerts": folder, "alert_webhooks": "http://hooks.example.com/x"},
        "alerts",
        "https",
        "alert_webhooks",
    ),
    "no tokens": (
        lambda folder: {"tokens": folder / "tokens.json"},
        "tokens",
        "cannot be read",
        "emotion tokens create",
    ),
    "no recordings": (
        lambda folder: {"call_roots": str(folder / "calls")},
        "calls",
        "no folder",
        "call_roots",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_with_its_remedy(fault: str, tmp_path: Path) -> None:
    plant, part, found, remedy = FAULTS[fault]
    settings = Settings(port=0, **plant(tmp_path))
    findings = list(examined(settings, installation.CHECKS))
    (failed,) = [one for one in findings if one.level is Level.FAIL]
    assert failed.part == part
    assert found in failed.found
    assert remedy in failed.remedy
    assert failed.remedy
    assert not any(PASSWORD in one.found + one.remedy for one in findings)


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (found,) = installation.ports(Settings(port=port))
    assert found.level is Level.FAIL
    assert f"sport = :{port}" in found.remedy


def test_a_certificate_that_ends_soon_is_a_warning(tmp_path: Path) -> None:
    (soon,) = installation.tls(Settings(**certificate(tmp_path, days=3.5)))
    assert soon.level is Level.WARN
    assert "3 more days" in soon.found or "4 more days" in soon.found
    (later,) = installation.tls(Settings(**certificate(tmp_path)))
    assert later.level is Level.OK


def test_the_store_is_not_changed(tmp_path: Path) -> None:
    given = store(tmp_path, b"")  # an SQLite database without a table
    (found,) = installation.store(Settings(**given))
    assert found.level is Level.WARN
    assert "emotion store migrate" in found.remedy
    assert (tmp_path / "store.db").read_bytes() == b""


def test_this_installation_is_well_and_the_status_says_so(tmp_path: Path) -> None:
    runner = CliRunner()
    good = runner.invoke(app, ["doctor", "--json", "--set", "port=0"])
    findings = json.loads(good.stdout)
    assert good.exit_code == 0, findings
    assert {one["part"] for one in findings} >= {"cores", "memory", "torch", "device", "weights"}
    assert all(one["remedy"] for one in findings if one["level"] != "OK")
    bad = runner.invoke(app, ["doctor", "--set", f"rules={tmp_path / 'none.yaml'}"])
    assert bad.exit_code == 1
    assert "FAIL" in bad.stdout
    unknown = runner.invoke(app, ["doctor", "--json", "--set", "no_such_setting=1"])
    assert unknown.exit_code == 1
    assert json.loads(unknown.stdout)[0]["part"] == "settings"


def test_a_running_server_and_one_that_is_not(server: Server) -> None:
    findings = list(doctor.examine_server(server.address))
    assert (findings[0].part, findings[0].level) == ("server", Level.OK)
    (whisper,) = [one for one in findings if one.part == "models/whisper"]
    assert whisper.level is Level.WARN
    assert "emotion models pull" in whisper.remedy
    assert CliRunner().invoke(app, ["health", "--server", server.address]).stdout == "SERVING\n"
    gone = CliRunner().invoke(app, ["doctor", "--server", "127.0.0.1:1"])
    assert gone.exit_code == 1
    assert CliRunner().invoke(app, ["health", "--server", "127.0.0.1:1"]).exit_code == 1
