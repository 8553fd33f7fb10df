"""What a finished corpus tells: its page, the history of a document, examples by reason, and a dataset card."""
