"""What is fast says the same as what is plain."""

from __future__ import annotations

import numpy as np

from modalities.image.colours import commonest, largest


def test_the_largest_channel_is_that_of_max() -> None:
    channels = np.random.default_rng(0).integers(-300, 300, (7, 5, 3)).astype(np.int16)
    assert np.array_equal(largest(channels), channels.max(-1))


def test_the_commonest_colour_is_the_median_of_the_fullest_cell() -> None:
    rng = np.random.default_rng(0)
    white = np.full((30, 3), 255, np.int16)
    green = np.array([[8, 199, 100], [10, 193, 98], [15, 192, 96]], np.int16).repeat(15, 0)
    others = rng.integers(0, 256, (40, 3)).astype(np.int16)
    colours = rng.permutation(np.concatenate([white, green, others]))
    assert commonest(colours).tolist() == [10, 193, 98]
    assert commonest(colours[colours[:, 0] == 255]).tolist() == [255, 255, 255]
