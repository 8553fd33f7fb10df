"""Parameters of `corpus.build`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from watari.artifact.params import (
    RUNTIME,
    Count,
    OneOrMore,
    OutsidePath,
    StageParams,
    Tokenizer,
)
from watari.artifact.records import OnError
from watari.corpus.dedup.params import DedupParams
from watari.corpus.engines.options import EngineOptions
from watari.corpus.ingest.language import LanguageParams
from watari.corpus.lists import ListParams
from watari.corpus.mix_params import MixParams
from watari.corpus.personal import PersonalParams
from watari.corpus.rules.profile import Profile, load_profile
from watari.corpus.selection_params import SelectionParams
from watari.corpus.sources import Source
from watari.kernels.contamination_index import ContaminationParams
from watari.text.normalise import NormaliseParams


class Split(BaseModel):
    """One of two disjoint parts of the same documents.

    A document's part is a draw on (seed, its own id, or its key), after duplicates are gone: two stages with the same
    sources, filters and seed, one with `part: train` and one with `part: test`, share no document and no text;
    documents of the same id (the two sides of a translation) fall into the same part.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    part: Literal["train", "test"] = Field(description="the part to keep")
    test_share: float = Field(
        default=0.02, gt=0, lt=1, description="expected share of documents in the test part"
    )


class EvaluationSet(BaseModel):
    """Files whose texts shall not be in the corpus."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    path: OutsidePath = Field(
        description="a file, folder or glob: .jsonl, .json (SQuAD's and llm-jp-eval's forms too), .parquet, .csv, .tsv,"
        " packed or not; or hf://datasets/…"
    )
    task: str | None = Field(
        default=None, description="what reports call the set; default: by each file's name"
    )
    split: Literal["train", "test"] | None = Field(
        default=None,
        description="of its items; train splits may be allowed (`contamination: {train: …}`). Default: train where the"
        " file's name or a row's `split` says so, else test",
    )
    fields: list[str] | None = Field(
        default=None, description="the fields that hold its texts; default: every text but ids and labels"
    )


class Params(StageParams):
    """Parameters of `corpus.build`."""

    sources: Annotated[list[Source], OneOrMore] = Field(
        min_length=1, description="stages that make documents, and files outside"
    )
    profile: str | None = Field(
        default=None,
        description="the rules that documents must keep: ja-swallow, ja-llmjp, ja-fineweb2, en-gopher, …"
        " (`watari corpus profiles`). Default: none",
    )
    profile_file: OutsidePath | None = Field(
        default=None, description="a profile of one's own: a YAML file in place of `profile`"
    )
    rules: dict[str, dict[str, Any] | None] = Field(
        default_factory=dict,
        description="changes to the profile's rules by name: {hiragana: {min: 0.1}}; null removes a rule",
    )
    word_lists: dict[str, OutsidePath] = Field(
        default_factory=dict,
        description="word lists of rules that need one, by the rule's name: a text file, one word a line",
    )
    language: Annotated[list[str] | None, OneOrMore] = Field(
        default=None,
        description="keep documents in these languages only. Default: the profile's; all where there is none",
    )
    identify: LanguageParams = Field(
        default_factory=LanguageParams,
        description="how the language of documents that do not say theirs is told",
    )
    normalise: NormaliseParams = Field(
        default_factory=NormaliseParams, description="what is made the same in all texts"
    )
    footer: bool | None = Field(
        default=None,
        description="cut page footers (the last ten lines, where three characters in ten belong to words of footers;"
        " Swallow). Default: with a profile made for web pages",
    )
    lists: ListParams = Field(
        default_factory=ListParams, description="hosts, URLs, licences and opt-outs that are left out"
    )
    min_characters: Count = Field(
        default=1,
        ge=1,
        description="shorter documents are dropped (characters, after normalising). Default: only empty ones;"
        " Swallow's 400 would drop every encyclopaedia paragraph (facts/corpus.md §4)",
    )
    max_characters: Count | None = Field(
        default=None,
        ge=100,
        description="longer documents are cut at paragraph or sentence ends; default: not cut",
    )
    dedup: DedupParams | None = Field(
        default=None,
        description="how duplicates are found. Default: exact ones; near ones too where there is a profile",
    )
    decontaminate: list[EvaluationSet] = Field(
        default_factory=list, description="evaluation sets whose texts shall not be in the corpus"
    )
    contamination: ContaminationParams = Field(
        default_factory=ContaminationParams, description="how they are looked for, and what is done"
    )
    personal: PersonalParams | None = Field(
        default=None,
        description="masking of personal data: e-mail, phone, My Number, IP and card numbers. Default: on where there is"
        " a profile, else off; {} turns it on, {kinds: []} off",
    )
    split: Split | None = Field(
        default=None, description="keep one part of a train / test split; default: everything"
    )
    select: SelectionParams | None = Field(
        default=None, description="keep what resembles a target (DSIR); default: everything"
    )
    mix: MixParams | None = Field(
        default=None, description="token quotas by language and source; default: everything once"
    )
    tokenizer: Tokenizer | None = Field(
        default=None,
        description="measures tokens per character, for `mix` and for the report; default: known rates",
    )
    measure: Count = Field(
        default=8_000_000,
        ge=0,
        description="bytes of input, about, that every rule measures for the report's histograms (a keyed sample);"
        " 0: none",
    )
    examples: Count = Field(
        default=2_000, ge=20, description="dropped texts to keep the heads of, a reason, for the report"
    )
    shard: Count = Field(
        default=16_000_000,
        ge=0,
        description="bytes of text, about, up to which small files that follow each other are put together to one shard;"
        " 0: each file is one. Large files are divided at 64 MB",
    )
    on_error: OnError = Field(
        default="drop",
        description="what a row that cannot be read does: drop gives it a row in the ledger, stop ends the build",
    )
    engine: Annotated[Literal["pool", "datatrove-local", "datatrove-ray", "datatrove-slurm"], RUNTIME] = (
        Field(
            default="pool",
            description="who runs the shards: processes of this machine, or one of datatrove's executors",
        )
    )
    engine_options: Annotated[EngineOptions, RUNTIME] = Field(
        default_factory=EngineOptions, description="how machines are asked for"
    )
    workers: Annotated[int, RUNTIME] = Field(
        default=0, ge=0, description="processes; 0: as many as this machine has cores"
    )

    @model_validator(mode="before")
    @classmethod
    def _near_follows_the_profile(cls, given: Any) -> Any:
        """Another limit of `dedup` says nothing of near duplicates: they are looked for where there is a profile."""
        dedup = given.get("dedup") if isinstance(given, Mapping) else None
        if not isinstance(dedup, Mapping) or "near" in dedup:
            return given
        ruled = given.get("profile") is not None or given.get("profile_file") is not None
        return {**given, "dedup": {**dedup, "near": ruled}}

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.profile is not None and self.profile_file is not None:
            raise ValueError("give profile or profile_file, not both")
        if (self.rules or self.word_lists) and not self.ruled:
            raise ValueError("rules and word_lists change a profile's rules: give a profile")
        return self

    @property
    def ruled(self) -> bool:
        """True if there is a profile."""
        return self.profile is not None or self.profile_file is not None

    def resolved_profile(self) -> Profile | None:
        """Return the profile with all changes laid on, or None.

        Raises:
            UserError: if it, a rule or a word list is wrong.
        """
        named = self.profile_file or self.profile
        if named is None:
            return None
        changes: dict[str, dict[str, Any] | None] = dict(self.rules)
        for name, file in self.word_lists.items():
            changes[name] = {**(changes.get(name) or {}), "file": file}
        return load_profile(named, changes)

    @property
    def duplicates(self) -> DedupParams:
        """How duplicates are found."""
        return self.dedup or DedupParams(near=self.ruled)
