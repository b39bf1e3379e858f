"""`emotion train`: what it checks, writes and says."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from modalities import checkpoint
from modalities.errors import InputError, UnavailableError
from modalities.text.infer import TextReader
from server.models import verified
from training import hashes
from training.cli import resolved, train_app


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(train_app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def write(path: Path, rows: list[tuple[str, str, str]], key: str) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow((key, "label", "split"))
        writer.writerows(rows)
    return path


def drawings(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = []
    for index in range(16):
        pixels = rng.integers(0, 60, (50, 50, 3)) + 180 * (index % 2)
        cv2.imwrite(str(folder / f"{index}.png"), pixels.astype(np.uint8))
        split = "dev" if index % 4 < 2 else "train"
        rows.append((f"{index}.png", ("sad", "happy")[index % 2], split))
    rows.append(("10.png", "sad", "dev"))  # it is in train, too
    return write(folder / "m.csv", rows, "file")


def test_a_manifest_of_pictures_becomes_served_weights(tmp_path: Path) -> None:
    manifest, out = drawings(tmp_path), tmp_path / "bundle" / "image.safetensors"
    printed = invoke(
        "image", "--data", str(manifest), "--base", "embedded", "--out", str(out),
        "--run", str(tmp_path / "run"), "--epochs", "1", "--freeze", "2", "--device", "cpu",
        "--threads", "1",
    )  # fmt: skip
    assert "train: 7 rows; emotion happy 4, sad 3" in printed
    assert "0 bad rows, 1 copies between splits" in printed
    assert f"--weights {out}" in printed and f"EMOTION_WEIGHTS={out.parent}" in printed
    assert verified(out.parent, "image") == out  # what a server asks before it loads
    assert checkpoint.load(out).extra["recipe"]["freeze"] == 2
    assert len(np.load(hashes.beside(out))) == 7
    assert list((tmp_path / "run" / "tensorboard").iterdir())


def test_a_bad_manifest_stops_training_by_line_or_is_counted(tmp_path: Path) -> None:
    manifest = drawings(tmp_path)
    with manifest.open("a", encoding="utf-8") as file:
        file.write("none.png,happy,train\n0.png,furious-ish,train\n")
    arguments = ["image", "--data", str(manifest), "--epochs", "1", "--device", "cpu"]
    arguments += ["--threads", "1", "--run", str(tmp_path / "run")]
    arguments += ["--out", str(tmp_path / "image.safetensors")]
    with pytest.raises(InputError) as error:
        invoke(*arguments)
    assert "m.csv:19: no file" in str(error.value)
    assert "m.csv:20: unknown label" in str(error.value)
    assert not (tmp_path / "run").exists()
    assert "2 bad rows" in invoke(*arguments, "--skip-bad")


def test_the_text_model_is_fine_tuned_with_adapters(tmp_path: Path) -> None:
    rows = [
        (f"{words} {n}", label, "dev" if n % 4 == 0 else "train")
        for n in range(16)
        for words, label in (("好开心啊", "happy"), ("太让人生气了", "angry"))
    ]
    manifest, out = write(tmp_path / "m.csv", rows, "text"), tmp_path / "text.safetensors"
    invoke(
        "text", "--data", str(manifest), "--base", "embedded", "--peft", "lora", "--epochs", "1",
        "--out", str(out), "--run", str(tmp_path / "run"), "--device", "cpu", "--threads", "1",
    )  # fmt: skip
    reader = TextReader.load(out)
    assert not any("lora" in name for name in reader.model.state_dict())
    assert verified(tmp_path, "text") == out


def test_a_gpu_that_is_not_there_is_said_first() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert resolved("auto") == resolved("cpu") == "cpu"
    with pytest.raises(UnavailableError):
        resolved("cuda")
