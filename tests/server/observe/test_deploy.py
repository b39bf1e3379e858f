"""What is in deploy/: it parses, hangs together, and names only settings and metrics that exist."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from watched_server import Watched

from server.settings import Settings

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
OTHER = {"EMOTION_REGISTRY"}  # read by training.learn.registry
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))


def documents() -> dict[str, Any]:
    """By kind."""
    found = [one for path in MANIFESTS for one in yaml.safe_load_all(path.read_text())]
    return {one["kind"]: one for one in found if "kind" in one}


def container() -> Any:
    return documents()["Deployment"]["spec"]["template"]["spec"]["containers"][0]


def test_every_setting_that_is_named_exists() -> None:
    known = {f"EMOTION_{name.upper()}" for name in Settings.model_fields} | OTHER
    files = [path for path in DEPLOY.rglob("*") if path.is_file()]
    files += [ROOT / "docs/operations.md", ROOT / "docs/sizing.md"]
    named = {name for path in files for name in re.findall(r"EMOTION_[A-Z_]+", path.read_text())}
    assert len(named) > 10
    assert named - {"EMOTION_TOKEN", "EMOTION_NAME"} <= known


def test_values_are_ones_that_the_settings_take(monkeypatch: pytest.MonkeyPatch) -> None:
    for one in container()["env"]:
        if "value" in one:
            monkeypatch.setenv(one["name"], one["value"])
    settings = Settings()
    assert settings.host == "0.0.0.0"
    assert settings.tls_certificate is not None


def test_ports_probes_and_labels_agree() -> None:
    one, found = container(), documents()
    env = {item["name"]: item.get("value") for item in one["env"]}
    ports = {port["name"]: str(port["containerPort"]) for port in one["ports"]}
    assert ports == {
        "grpc": env["EMOTION_PORT"],
        "health": env["EMOTION_HEALTH_PORT"],
        "metrics": env["EMOTION_METRICS_PORT"],
    }
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert str(one[probe]["grpc"]["port"]) == ports["health"]
    assert one["readinessProbe"]["grpc"]["service"] == "emotion.v1.EmotionService"
    deployment = found["Deployment"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    for kind, at in {
        "Service": ("selector",),
        "PodDisruptionBudget": ("selector", "matchLabels"),
        "NetworkPolicy": ("podSelector", "matchLabels"),
    }.items():
        selector = found[kind]["spec"]
        for key in at:
            selector = selector[key]
        assert selector.items() <= labels.items()
    pod = deployment["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > float(env["EMOTION_DRAIN_S"]) + 10
    assert pod["securityContext"]["runAsNonRoot"]
    assert one["securityContext"]["readOnlyRootFilesystem"]
    mounted = {mount["name"] for mount in one["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_the_autoscalers_metric_is_in_a_scrape(watched: Watched) -> None:
    (pods, _) = documents()["HorizontalPodAutoscaler"]["spec"]["metrics"]
    name = pods["pods"]["metric"]["name"]
    assert re.search(rf"^{name}\{{", watched.scrape, re.MULTILINE)
    adapter = yaml.safe_load((DEPLOY / "kubernetes/prometheus-adapter.yaml").read_text())
    assert adapter["rules"]["custom"][0]["seriesQuery"].startswith(name + "{")


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl here")
def test_kustomize_builds_all_of_it() -> None:
    built = subprocess.run(
        ["kubectl", "kustomize", DEPLOY / "kubernetes"], capture_output=True, check=True
    )
    kinds = {one["kind"] for one in yaml.safe_load_all(built.stdout)}
    assert kinds == set(documents()) - {"Kustomization"}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    unit = (DEPLOY / "systemd/emotion.service").read_text()
    unit = unit.replace("/opt/emotion/bin/emotion", "/bin/true")  # it must exist to be verified
    (tmp_path / "emotion.service").write_text(unit)
    result = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / "emotion.service"],
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C"},
    )
    told = [line for line in result.stderr.splitlines() if "emotion.service" in line]
    assert not told


def test_the_image_is_built_of_what_there_is_and_runs_as_nobody() -> None:
    ignore = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    allowed = [line[1:] for line in ignore if line.startswith("!")]
    assert all((ROOT / name).exists() for name in allowed)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for package in project["tool"]["setuptools"]["packages"]:
        assert package.split(".")[0].replace("emotion", "proto") in allowed
    text = (DEPLOY / "Dockerfile").read_text()
    (extras,) = re.findall(r"^ARG EXTRAS=(.*)$", text, re.MULTILINE)
    assert set(extras.split(",")) <= set(project["project"]["optional-dependencies"])
    assert re.search(r"^USER 10001:10001$", text, re.MULTILINE)
    assert 'CMD ["emotion", "health"]' in text
