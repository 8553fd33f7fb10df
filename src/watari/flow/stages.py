"""The one table of stage kinds. Modules are imported when a recipe uses them, so that `watari --help` stays quick."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping

from watari.artifact.stage import Stage

MODULES = {
    "model.load": "watari.model.load",
    "model.init": "watari.model.init",
    "data.import": "watari.data.importing",
    "corpus.build": "watari.corpus.build",
    "tokens.pack": "watari.corpus.pack",
    "data.mix": "watari.data.mix",
    "synth.translate": "watari.synth.translate",
    "synth.instruct": "watari.synth.instruct",
    "synth.respond": "watari.synth.respond",
    "synth.pairs": "watari.synth.pairs",
    "tokenizer.extend": "watari.tokenizer.extend",
    "tokenizer.trim": "watari.tokenizer.trim",
    "model.graft": "watari.model.graft",
    "model.trim": "watari.model.trim",
    "model.average": "watari.model.average",
    "train.pretrain": "watari.train.pretrain",
    "train.sft": "watari.train.sft",
    "train.dpo": "watari.train.dpo",
    "train.repair": "watari.train.repair",
    "eval.perplexity": "watari.evals.perplexity",
    "eval.exact": "watari.evals.exact",
    "eval.jaster": "watari.evals.jaster.stage",
    "eval.mtbench": "watari.evals.mtbench.stage",
    "eval.shaberi": "watari.evals.shaberi.stage",
    "leakage.scan": "watari.leakage.stage",
    "leakage.mine": "watari.leakage.mine_stage",
    "sweep.run": "watari.leakage.sweep.stage",
    "report.run": "watari.report.run",
}


class StageTable(Mapping[str, Stage]):
    """Stage kinds by name; each one's module is imported on first use."""

    def __init__(self, modules: Mapping[str, str] = MODULES) -> None:
        self._modules = dict(modules)

    def __getitem__(self, kind: str) -> Stage:
        stage: Stage = importlib.import_module(self._modules[kind]).STAGE
        return stage

    def __contains__(self, kind: object) -> bool:
        return kind in self._modules

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)

    def module(self, kind: str) -> str:
        """Return the module that holds a stage kind."""
        return self._modules[kind]


TABLE = StageTable()
