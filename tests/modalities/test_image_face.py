from __future__ import annotations

import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from modalities.errors import UnavailableError
from modalities.image import face_pull
from modalities.image.face import POINTS, Face, FaceFinder, _frame, _turned, shown


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    """With the detector; the test is skipped where it was not pulled."""
    finder = FaceFinder(threads=1)
    if finder.lacking:
        pytest.skip(f"{finder.lacking}: {finder.lacking.remedy}")
    return finder


@pytest.fixture(scope="module")
def faces(data: Path) -> list[NDArray[np.uint8]]:
    """Every 300th grey face of FER2013's dev, as (160, 160, 3) pixels."""
    with zipfile.ZipFile(data / "faces" / "fer2013_48x48.zip") as archive:
        names = sorted(n for n in archive.namelist() if n.startswith("validation/"))
        names = [n for n in names if n.endswith(".jpg")][::300]
        files = [np.frombuffer(archive.read(name), np.uint8) for name in names]
    return [cv2.resize(cv2.imdecode(file, cv2.IMREAD_COLOR), (160, 160)) for file in files]


def page_of(face: NDArray[np.uint8]) -> NDArray[np.uint8]:
    page = np.full((420, 500, 3), (180, 200, 190), np.uint8)
    page[130:290, 170:330] = face
    return page


@pytest.mark.parametrize("degrees", [0, 40, -40])
def test_turned_faces_are_found_and_shown_upright(
    finder: FaceFinder, faces: list[NDArray[np.uint8]], degrees: float
) -> None:
    found = upright = 0
    for face in faces:
        page, _ = _turned(page_of(face), degrees)
        one = finder.find(page)
        if one is None:
            continue
        assert one.points is not None
        found += 1
        a, _ = _frame(one.points)
        upright += abs(np.degrees(np.angle(a)) + degrees) < 25
    assert found >= 0.7 * len(faces) and upright >= 0.8 * found


def test_a_frame_is_shown_as_it_was_before_it_was_turned() -> None:
    rng = np.random.default_rng(0)
    frame = cv2.resize(rng.integers(0, 255, (8, 8, 3)).astype(np.uint8), (64, 64))
    page = np.zeros((200, 240, 3), np.uint8)
    page[60:124, 80:144] = frame
    points = (POINTS * 64 + (80, 60)).astype(np.float32)
    upright = shown(page, Face((80, 60, 144, 124), points), 64)
    assert np.abs(upright.astype(int) - frame).mean() < 2
    turned, matrix = _turned(page, 30)
    points = (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
    again = shown(turned, Face((0, 0, 1, 1), points), 64)
    assert np.abs(again.astype(int) - frame)[4:-4, 4:-4].mean() < 10


def test_a_page_without_a_face_has_none(finder: FaceFinder) -> None:
    rng = np.random.default_rng(0)
    noise = cv2.GaussianBlur(rng.integers(0, 255, (300, 400, 3)).astype(np.uint8), (0, 0), 5)
    assert finder.find_all(noise) == []
    assert finder.find_all(np.full((300, 400, 3), 127, np.uint8)) == []


def test_without_the_detector_the_older_one_is_used_and_that_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, faces: list[NDArray[np.uint8]]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    finder = FaceFinder()
    assert finder.lacking is not None and finder.lacking.remedy == "emotion models pull faces"
    found = [finder.find(page_of(face)) for face in faces]
    assert any(found) and all(one is None or one.points is None for one in found)


def test_another_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "other.onnx").write_bytes(b"another")
    with pytest.raises(UnavailableError, match="SHA-256"):
        face_pull.pull(tmp_path / "other.onnx")
    assert not face_pull.path().exists()
    face_pull.path().write_bytes(b"another")
    with pytest.raises(UnavailableError) as error:
        face_pull.pulled()
    assert face_pull.NAME in error.value.remedy
