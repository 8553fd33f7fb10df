"""The jaster family: items with a gold answer, scored as llm-jp-eval scored them."""
