"""Artifacts: folders with a manifest, found by key, proven by digest; and what a stage is.

`kinds` names them, `manifest` describes one, `store` holds them, `schema` and `rows` are their row files, `params`
and `stage` say what a stage takes and gives, `draws` makes every random choice, `outside` reads what the store does
not hold.
"""
