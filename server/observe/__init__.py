"""The service seen from outside: metrics, traces, the doctor, health and sizing."""
