"""Low-rank adapters (LoRA, Hu et al. 2021, arXiv:2106.09685), with the rows of new tokens trained whole.

    attach(model, params.lora, new_rows_from=32000, seed=0, stage="train.sft")   # before LanguageModel; freezes the base
    ...                                                                          # train what has requires_grad
    save_adapter(model, out / ADAPTER)                                           # peft's format
    merge(model)                                                                 # a plain transformers model again

What peft 0.21 gives for the same factors is what these give, in outputs and gradients (tests/train/test_train_lora.py).
What differs: `modules_to_save` of peft unties a tied model (facts/training.md §1); here new rows are one tensor that the
embedding and a tied head share, and the merged model is tied as its base was.
"""

from watari.train.lora.adapter import ADAPTER, save_adapter
from watari.train.lora.attach import attach, merge

__all__ = ["ADAPTER", "attach", "merge", "save_adapter"]
