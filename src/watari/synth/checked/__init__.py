"""A file of rows under the checks: rows as they are read, what was found in them, counted, as text and as a page."""
