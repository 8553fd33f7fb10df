"""What `tokenizer.trim` stands on: which tokens are unwanted, which must stay, the trimmed files, and the proofs."""
