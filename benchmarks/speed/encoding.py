"""Encoding speed beside a bare transformers loop, measured interleaved, and the second start.

The bare loop is what one would write by hand: sort the texts by length, tokenise them, run the
model over batches and throw the last layer away. It pools, standardises and stores nothing. It is
run with all six layers and with as many as the encoder's default (layers 0, 2 and 4) needs: four.

Rates on a shared machine drift within minutes, so each repeat times every case once, one after
the other, and medians are compared. Where other work takes the cores, ``--threads 1 --clock cpu``
counts the time this process had.

    python benchmarks/speed/encoding.py
    python benchmarks/speed/encoding.py --data-dir ../shared/data --words 20000
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from tokenizers import Tokenizer

from nlp_gym.data import load_corpus
from nlp_gym.encode import Encoder, encode_corpus, encode_texts, load_encoder
from nlp_gym.encode.weights.minilm import MiniLMPackage
from nlp_gym.messages import one_line_errors

Texts = list[tuple[str, ...]]

_SECOND_START = """
import time
start = time.perf_counter()
import sys
from nlp_gym.data import load_corpus
from nlp_gym.encode import encode_corpus, load_encoder
imported = time.perf_counter()
corpus = load_corpus("conll2003", {split!r}, data_dir={data_dir!r})
read = time.perf_counter()
encoded = encode_corpus(corpus, load_encoder("minilm"))
end = time.perf_counter()
print(f"  imports {{imported - start:.2f}} s, corpus {{read - imported:.2f}} s, "
      f"features {{end - read:.2f}} s ({{encoded.features.nbytes / 1e6:.0f}} MB, verified), "
      f"torch imported: {{'torch' in sys.modules}}")
"""


@dataclass
class Case:
    """One row of the table: `run` encodes all texts, `baseline` names the row to divide by."""

    name: str
    baseline: str
    run: Callable[[], object]
    rates: list[float] = field(default_factory=list)


def bare_loop(texts: Texts, layers: int, dtype: torch.dtype, batch: int) -> Callable[[], object]:
    """Return a plain loop over batches of `batch` texts of about the same length."""
    source = MiniLMPackage()
    model: Any = source.load_model().eval().to(dtype)
    model.encoder.layer = model.encoder.layer[:layers]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device)
    tokenizer = Tokenizer.from_str(source.tokenizer_json())
    tokenizer.enable_truncation(512)

    def run() -> None:
        ordered = sorted(texts, key=len, reverse=True)
        with torch.inference_mode():
            for at in range(0, len(ordered), batch):
                tokenizer.enable_padding()  # to the longest of the batch
                rows = tokenizer.encode_batch(
                    [list(words) for words in ordered[at : at + batch]], is_pretokenized=True
                )
                ids = torch.tensor([row.ids for row in rows], device=device)
                mask = torch.tensor([row.attention_mask for row in rows], device=device)
                model(input_ids=ids, attention_mask=mask).last_hidden_state.cpu()

    return run


def ours(texts: Texts, encoder: Encoder) -> Callable[[], object]:
    """Return the whole of our encoding but the file: words pooled, standardised, float16."""
    encoder.encode(texts[:1])
    return lambda: encode_texts(texts, encoder)


def make_cases(texts: Texts, batch: int) -> list[Case]:
    """The rows; within one number format, rows with the same number of layers are compared."""
    cases = []
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        for layers, choice in ((6, "last"), (4, "0+2+4")):
            bare = f"bare loop, {layers} layers, {name}"
            encoder = load_encoder("minilm", layers=choice, dtype=name)
            cases.append(Case(bare, bare, bare_loop(texts, layers, dtype, batch)))
            cases.append(Case(f"encoder, layers {choice}, {name}", bare, ours(texts, encoder)))
    return cases


def measure(cases: list[Case], n_words: int, repeats: int, clock: Callable[[], float]) -> None:
    """Time every case once per repeat, interleaved."""
    for _ in range(repeats):
        for case in cases:
            start = clock()
            case.run()
            case.rates.append(n_words / (clock() - start))


def report(cases: list[Case]) -> None:
    """Print the table: median rates, and the median of the ratios within each repeat."""
    by_name = {case.name: case for case in cases}
    full = cases[0]
    print(f"{'case':<36}{'words/s':>9}{'to bare, same layers':>22}{'to bare, 6 layers f32':>23}")
    for case in cases:
        ratios = [
            statistics.median(a / b for a, b in zip(case.rates, other.rates, strict=True))
            for other in (by_name[case.baseline], full)
        ]
        median = statistics.median(case.rates)
        print(f"{case.name:<36}{median:>9,.0f}{ratios[0]:>22.2f}{ratios[1]:>23.2f}")


def second_start(data_dir: str | None, split: str, cache: str) -> None:
    """Encode one split into a fresh cache, then time a new process that loads it."""
    environment = {**os.environ, "NLP_GYM_CACHE": cache}
    os.environ["NLP_GYM_CACHE"] = cache
    corpus = load_corpus("conll2003", split, data_dir=data_dir)
    start = time.perf_counter()
    encode_corpus(corpus, load_encoder("minilm"))
    words = int(corpus.offsets[-1])
    print(f"first start, {split} split, {words:,} words: {time.perf_counter() - start:.1f} s")
    code = _SECOND_START.format(split=split, data_dir=data_dir)
    for attempt in ("first", "again"):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-W", "ignore", "-c", code], env=environment, check=True)
        print(f"second start, whole process ({attempt}): {time.perf_counter() - start:.2f} s")


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data-dir", help="folder of the full corpora (default: bundled sample)")
    parser.add_argument("--words", type=int, default=20_000, help="about how many words to encode")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16, help="texts in a batch of the bare loop")
    parser.add_argument("--split", default="test", help="split to encode for the second start")
    parser.add_argument("--threads", type=int, help="threads of torch (default: its own choice)")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore", UserWarning)  # the bundled sample's
    corpus = load_corpus("conll2003", "train", data_dir=options.data_dir)
    texts = [sample.words for sample in corpus.samples]
    while sum(map(len, texts)) < options.words:
        texts = texts * 2
    while sum(map(len, texts)) > options.words:
        texts.pop()
    n_words = sum(map(len, texts))
    print(
        f"{n_words:,} words in {len(texts):,} texts; torch {torch.__version__}, "
        f"{torch.get_num_threads()} threads, CUDA: {torch.cuda.is_available()}; "
        f"bare loop: {options.batch} texts a batch; {options.clock} clock"
    )
    cases = make_cases(texts, options.batch)
    clock = time.perf_counter if options.clock == "wall" else time.process_time
    measure(cases, n_words, options.repeats, clock)
    report(cases)
    with tempfile.TemporaryDirectory() as cache:
        second_start(options.data_dir, options.split, cache)


if __name__ == "__main__":
    with one_line_errors():
        main()
