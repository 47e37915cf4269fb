"""What a task is made of: its corpus, and the vectors of what is encoded of it."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from nlp_gym.checks import REWARDS, check_int, check_name, check_samples, check_text
from nlp_gym.encode import Encoder, EncoderOptions, encode_units, make_encoder
from nlp_gym.encode.cache import MapBlocks
from nlp_gym.encode.options import Layers
from nlp_gym.errors import InvalidArgumentError, UnknownNameError, shown
from nlp_gym.progress import progress_bar
from nlp_gym.tasks.core.strata import check_corpora, joined
from nlp_gym.types import SPLITS, Corpus, Encoded, Int64Array, Sample, Units

if TYPE_CHECKING:
    from nlp_gym.knowledge import KnowledgeBase


class CorpusTask(abc.ABC):
    """Base class of tasks: a corpus, and its units, encoded when they are first needed.

    Args:
        dataset: Catalogue name of the corpus.
        split: ``"train"``, ``"dev"`` or ``"test"``.
        reward: ``"correctness"``, ``"metric"`` or ``"sparse"``.
        encoder: Encoder name, path or instance (`nlp_gym.encode.load_encoder`).
        encoder_kwargs: Options of the encoder, such as ``{"layers": (0, 2, 4)}``, or
            `nlp_gym.encode.EncoderOptions`.
        max_tokens: Longest row of sub-word ids in `tokens` observations.
        data: The user's own file(s) or samples in place of the catalogue's.
        data_dir: Folder that holds corpora by catalogue name.
        corpus: ``"auto"``, ``"full"`` (no fallback to the bundled sample) or ``"sample"``.
        labels: Label inventory; default: the corpus's.
        data_format: Reader to use where the file's extension does not say.
        column: Label column of the file: ``"upos"`` or ``"xpos"`` (CoNLL-U), a number (CoNLL), a
            column's or key's name (CSV, JSONL). Default: the format's usual one. Its other name is
            `label_column`.
        text_column: Column or key of the text in the file.
        word_column: Column or key of the words in the file.
        label_separator: What separates several labels of a text in one cell.
        comments: Lines of the file that begin with it are skipped.
        encoding: Encoding of the file, such as ``"cp1252"``; default: UTF-8.
        bad_rows: ``"error"``, or ``"skip"`` to leave out the samples that bad rows belong to; the
            corpus's `n_skipped` says how many.
        perturb: Play perturbed texts, such as ``"typos:0.2"`` (`nlp_gym.data.text.perturb`).
        knowledge: File of triples whose facts about names in the text are observed as well
            (`nlp_gym.knowledge`); for tagging and relations.
        knowledge_names: File of ``key<TAB>name`` where the triples hold keys.
        augment: Perturbations of which the training split has a copy besides its own texts;
            ``"changes:8"`` is eight copies of every text with changes that an attack could make
            (`nlp_gym.data.text.changes`), ``"copies:FILE"`` the changed samples of a file, such as
            those of an attack (`nlp_gym.data.corpora.copies`).
        earlier: Corpora whose samples come after those of the task's own; see `corpus_bounds`.
    """

    family: ClassVar[str] = ""
    """Which readers read its files, a name of `nlp_gym.data.FAMILIES`; says nothing of agents."""
    default_layers: ClassVar[Layers] = None
    """Layers of a transformer that serve this task best; None: the encoder's own default."""
    knowledge: KnowledgeBase | None = None
    """Facts about names that are observed as well; see `nlp_gym.wrappers` too."""
    joins_corpora: ClassVar[bool] = True
    """Whether one task can play samples of several corpora; not where these share a graph."""
    corpus_bounds: Int64Array | None = None
    """(G+1,) first row of its own samples and of each of `earlier`, and one past the last row; None
    where there are no others."""
    _scheme: str = "none"
    """Tag scheme the reader converts from."""
    _pair: str | None = None
    """Languages that are read of a parallel corpus."""

    def __init__(
        self,
        *,
        dataset: str,
        split: str = "train",
        reward: str = "correctness",
        encoder: str | Encoder = "minilm",
        encoder_kwargs: EncoderOptions | Mapping[str, Any] | None = None,
        max_tokens: int = 128,
        data: Any = None,
        data_dir: str | Path | None = None,
        corpus: str = "auto",
        labels: Sequence[str] | None = None,
        data_format: str | None = None,
        column: str | int | None = None,
        label_column: str | int | None = None,
        text_column: str | int | None = None,
        word_column: str | int | None = None,
        label_separator: str | None = None,
        comments: str | None = None,
        encoding: str | None = None,
        bad_rows: str = "error",
        perturb: str | None = None,
        augment: str | Sequence[str] = (),
        knowledge: str | Path | None = None,
        knowledge_names: str | Path | None = None,
        earlier: Sequence[Corpus] = (),
    ) -> None:
        from nlp_gym.data import READERS
        from nlp_gym.data.text.perturb import checked_augment

        check_name("split", split, SPLITS)
        check_name("reward", reward, REWARDS)
        if data_format is not None and self.family in READERS:
            check_name("data_format", data_format, tuple(READERS[self.family]))
        self.max_tokens = check_int("max_tokens", max_tokens, 8, 512)
        self.reward, self.dataset, self.split = reward, dataset, split
        self._encoder_name = encoder
        self._encoder_kwargs = EncoderOptions.of(
            encoder_kwargs, encoder=encoder, layers=self.default_layers
        )
        if not isinstance(encoder, str):
            _ = self.encoder  # an object is checked now; a name when it is needed
        self._loading: dict[str, Any] = {
            "data": data,
            "data_dir": data_dir,
            "corpus": corpus,
            "labels": labels,
            "format": data_format,
            "column": column,
            "label_column": label_column,
            "text_column": text_column,
            "word_column": word_column,
            "label_separator": label_separator,
            "comments": comments,
            "encoding": encoding,
            "bad_rows": bad_rows,
        }
        self._perturb = perturb
        self._augment = checked_augment(augment)
        self.corpus: Corpus = self.load(split)
        if check_corpora(earlier):
            self._check_joins()
            self.corpus, self.corpus_bounds = joined([self.corpus, *earlier])
        self.labels: tuple[str, ...] = tuple(self.corpus.labels)
        self.has_gold = check_samples(self.corpus.samples)
        if knowledge_names is not None and knowledge is None:
            raise InvalidArgumentError(
                f"knowledge_names={shown(knowledge_names)} names the keys of triples: give the "
                "file of these as knowledge= too."
            )
        if knowledge is not None:
            for name, file in (("knowledge", knowledge), ("knowledge_names", knowledge_names)):
                if file is not None:
                    check_text(name, str(file) if isinstance(file, Path) else file)
            from nlp_gym.knowledge import read_knowledge

            self.knowledge = read_knowledge(knowledge, knowledge_names)

    def _check_joins(self) -> None:
        if not self.joins_corpora:
            raise InvalidArgumentError(
                f"earlier: {type(self).__name__} cannot play samples of several corpora, so that "
                "those of earlier stages cannot be replayed: use --distill or --ewc, or give one "
                "file with the data of all stages."
            )

    @property
    def tag_scheme(self) -> str:
        """Tag scheme from which the reader converts the labels of the task's files."""
        return self._scheme

    @property
    def pair(self) -> str | None:
        """Languages of source and target of the task's files, where these are parallel."""
        return self._pair

    @classmethod
    def sample_family(cls) -> str:
        """The family of files in whose form the samples are, which decides how to perturb them."""
        return cls.family

    def load(self, split: str) -> Corpus:
        """A split of the corpus this task was made with."""
        from nlp_gym.data.text.perturb import perturb

        with progress_bar(None, f"reading {self.dataset} {split}", show=None):
            corpus = self.annotate(self.read_split(split))
            if self._perturb is not None and split == self.split:
                corpus = perturb(corpus, self._perturb, family=self.sample_family())
            if self._augment and split == "train":
                corpus = self._with_copies(corpus)
        return corpus

    def _with_copies(self, corpus: Corpus) -> Corpus:
        """The training split with its perturbed copies, then changed ones, then those of files."""
        from nlp_gym.data.corpora.copies import read_copies
        from nlp_gym.data.text.changes import drawn_copies
        from nlp_gym.data.text.perturb import augment, copies_file, drawn_count

        family, own = self.sample_family(), corpus.samples
        files = [file for spec in self._augment if (file := copies_file(spec))]
        counts = [count for spec in self._augment if (count := drawn_count(spec))]
        specs = [spec for spec in self._augment if not copies_file(spec) and not drawn_count(spec)]
        corpus = augment(corpus, specs, family=family)
        changed = [copy for count in counts for copy in drawn_copies(own, count, family)]
        changed += [sample for file in files for sample in read_copies(file, family=family)]
        return replace(corpus, samples=[*corpus.samples, *changed]) if changed else corpus

    def read_split(self, split: str) -> Corpus:
        """A split as the readers give it, before `annotate`."""
        from nlp_gym.data import load_corpus

        self._check_family()
        return load_corpus(
            self.dataset,
            split,
            family=self.family,
            scheme=self._scheme,
            pair=self._pair,
            **self._loading,
        )

    def _check_family(self) -> None:
        """Raise `InvalidArgumentError` unless the class reads files of the corpus's family."""
        from nlp_gym.data import DATASETS, FAMILIES

        name, family = type(self).__name__, self.family
        if family not in FAMILIES:
            hint = f"This attribute of the class {name} says which readers read its files."
            raise UnknownNameError(f"{name}.family", family, FAMILIES, hint)
        row = DATASETS.get(self.dataset) if isinstance(self.dataset, str) else None
        if self._loading["data"] is None and row is not None and row.family != family:
            fitting = ", ".join(row.name for row in DATASETS.values() if row.family == family)
            raise InvalidArgumentError(
                f"dataset={shown(self.dataset)} is of the family {shown(row.family)}, but {name} "
                f"reads files of the family {shown(family)} (its attribute `family`). Of it are: "
                f"{fitting or 'none'}. Or give data=FILE."
            )

    def annotate(self, corpus: Corpus) -> Corpus:
        """What the task makes of a corpus as it was read; see `nlp_gym.tasks.core.kinds`."""
        return corpus

    @property
    def learnt(self) -> dict[str, Any]:
        """Arguments, besides `labels`, that training found and other splits are made with."""
        return {}

    @property
    @abc.abstractmethod
    def units(self) -> Units:
        """What is encoded."""

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder, loaded on first use (weights are read at the first encoding)."""
        return make_encoder(self._encoder_name, self._encoder_kwargs)

    @cached_property
    def encoded(self) -> Encoded:
        """Vectors of the units, from the cache or encoded now."""
        return self.encode()

    def encode(
        self,
        *,
        progress: bool | None = None,
        cache: bool = True,
        in_memory: bool = True,
        map_blocks: MapBlocks | None = None,
    ) -> Encoded:
        """Encode the units now, rather than at the first observation.

        Args:
            progress: Show progress on stderr, see `nlp_gym.progress.progress_bar`.
            cache: False for texts that will not be seen again.
            in_memory: Where the disk does not take the vectors, keep them in memory and warn.
            map_blocks: Encodes blocks somewhere else, see `nlp_gym.encode.cache.MapBlocks`.
        """
        options: dict[str, Any] = {"cache": cache, "in_memory": in_memory}
        encoded = self._vectors(progress=progress, map_blocks=map_blocks, **options)
        self.__dict__["encoded"] = encoded
        return encoded

    def _vectors(self, **options: Any) -> Encoded:
        """Vectors of the units; options as for `encode`.

        Words of several corpora are encoded corpus by corpus: the cache has most of them.
        """
        units, bounds = self.units, self.corpus_bounds
        if bounds is None or units.spans is not None or len(units.texts) != bounds[-1]:
            return encode_units(units, self.encoder, **options)
        edges = zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
        parts = [
            encode_units(Units(units.texts[first:end]), self.encoder, **options)
            for first, end in edges
        ]
        starts = np.cumsum([0, *(part.offsets[-1] for part in parts)])
        offsets = [part.offsets[:-1] + start for part, start in zip(parts, starts, strict=False)]
        features = [part.features[:-1] for part in parts[:-1]]
        return Encoded(
            np.concatenate([*features, parts[-1].features]),
            np.concatenate([*offsets, starts[-1:]]),
        )

    def describe(self, knowledge: KnowledgeBase) -> npt.NDArray[np.int8]:
        """(n_slots, n) 0/1: what a knowledge base says about the names at each slot."""
        raise InvalidArgumentError(
            f"knowledge: {type(self).__name__} decides about no names in a text; tagging and "
            "relation tasks can observe knowledge."
        )

    @cached_property
    def knowledge_table(self) -> npt.NDArray[np.int8] | None:
        """`describe` of the task's own knowledge base; None where it has none."""
        return None if self.knowledge is None else self.describe(self.knowledge)

    def require_gold(self, what: str) -> None:
        """Raise `InvalidArgumentError` where the corpus is not annotated."""
        if not self.has_gold:
            raise InvalidArgumentError(f"{what} needs gold, and this corpus has none.")

    def title(self, row: int) -> str:
        """Corpus, split and sample, for people."""
        return f"{self.corpus.name}/{self.corpus.split} {self.corpus.samples[row].id or row}"

    def __getstate__(self) -> dict[str, Any]:
        """Encodings are left out of a pickle: where it is opened, the cache has them."""
        return {k: v for k, v in self.__dict__.items() if k not in ("encoded", "token_view")}

    def sample(self, row: int) -> Sample:
        """The sample of a row."""
        return self.corpus.samples[row]
