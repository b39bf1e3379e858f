"""What people say of the answers: kept, offered for review, exported to learn from."""
