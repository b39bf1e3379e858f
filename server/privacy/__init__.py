"""What identifies a person is taken out before anything is kept."""
