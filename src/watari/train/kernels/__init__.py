"""Faster forms of what transformers' models compute, each equal to the plain form (tests/train/test_train_kernels*.py)."""
