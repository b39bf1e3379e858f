"""Who may call the service, over what, how much, and with what."""
