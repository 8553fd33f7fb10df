"""What every self-contained HTML page shares: its frame, style and switches, its two languages, axes, text as shown."""
