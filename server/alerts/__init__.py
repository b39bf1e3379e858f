"""From how conversations end to alerts: detection, webhooks, AlertService."""
