"""A small retriever: passages of Markdown files, ranked by BM25. Nothing to install, no model."""

import math
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

WORD = re.compile(r"[a-z0-9]+")
STOP_WORDS = frozenset(
    "a about an and any are as at be but by can could do does did for from has have how i in is it its"
    " many may me much my of on or see tell that the there they this to was were what when where which"
    " who why will with you your".split()
)
K1, B = 1.4, 0.75  # how fast a repeated word counts less, how much long passages are held back
WORTHY = 0.5  # of the best score: what has less has little to do with the question


@dataclass(frozen=True)
class Passage:
    """One paragraph. source: the name of its file."""

    source: str
    number: int
    text: str


def words(text):
    """The words that matter, without the endings that make "opens" of "open"."""
    found = (word for word in WORD.findall(text.lower()) if word not in STOP_WORDS)
    return [re.sub(r"(?<=\w{3})(?:ing|es|ed|s)$", "", word) for word in found]


def sentences(text):
    return re.split(r"(?<=[.!?])\s+", text)


class Retriever:
    """Finds the passages of a folder of Markdown files that have to do with a question."""

    def __init__(self, folder):
        self.texts = {path.name: path.read_text("utf-8") for path in sorted(Path(folder).glob("*.md"))}
        self.passages = [
            Passage(source, number, " ".join(paragraph.split()))
            for source, text in self.texts.items()
            for number, paragraph in enumerate(text.split("\n\n")[1:], start=1)  # [0] is the title
        ]
        # A passage is also about what its file is about.
        self._counts = [
            Counter(words(passage.text + " " + self.texts[passage.source].split("\n")[0]))
            for passage in self.passages
        ]
        self._mean_length = sum(count.total() for count in self._counts) / len(self._counts)
        self._containing = Counter(word for count in self._counts for word in count)

    def weight(self, word):
        """How much a word tells: the rarer, the more."""
        containing = self._containing[word]
        return math.log(1 + (len(self.passages) - containing + 0.5) / (containing + 0.5))

    def _score(self, question, count):
        norm = K1 * (1 - B + B * count.total() / self._mean_length)
        return sum(
            self.weight(word) * count[word] * (K1 + 1) / (count[word] + norm) for word in question
        )

    def search(self, question, limit=3):
        """[(score, passage)], the best first. None when no passage shares a word with the question."""
        wanted = set(words(question))
        scored = [
            (self._score(wanted, count), passage)
            for count, passage in zip(self._counts, self.passages, strict=True)
        ]
        scored.sort(key=lambda pair: -pair[0])
        least = max(scored[0][0] * WORTHY, 0.01)
        return [pair for pair in scored[:limit] if pair[0] >= least]

    def best_sentence(self, question, passage):
        """The sentence of the passage that says most about the question."""
        wanted = set(words(question))
        return max(
            sentences(passage.text),
            key=lambda sentence: sum(self.weight(word) for word in wanted & set(words(sentence))),
        )
