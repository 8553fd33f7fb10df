"""One training loop over transformers' models; pre-training, SFT and DPO are objectives under it."""
