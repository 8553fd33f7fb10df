"""Language leakage of a model: scans of its responses, sampler sweeps, where the probability of other scripts lies."""
