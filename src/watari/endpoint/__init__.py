"""One async client for every OpenAI-compatible server, with a ledger that never loses or pays twice for an answer."""
