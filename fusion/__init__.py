"""From readings to one score: the taxonomy, the pool, calibration, and the conversation's shape."""
