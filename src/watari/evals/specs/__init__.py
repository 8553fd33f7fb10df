"""One file a spec: prompt, few-shots, post-processing, metric, aggregation and judge, pinned; data, not code."""
