"""What a set's own `train` rows teach a simple model: the figure that ours must beat.

text   TF-IDF of character n-grams with balanced logistic regression; ratings: ridge
voice  functionals with a standardised RBF support vector machine
image  HOG (Dalal & Triggs, CVPR 2005) with a linear support vector machine

Each is judged on the very rows that our figures are of, over the same classes.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from modalities.errors import InputError
from modalities.image.decode import ImageLimits, decode
from modalities.image.prepare import square
from training.data import SPLIT_SEED
from training.evaluation import conversations
from training.evaluation.functionals import functionals
from training.evaluation.judge import Rated, Result
from training.evaluation.metrics import answer_figures, number_figures
from training.evaluation.slices import Slices, class_slices
from training.rows import SETS, Row, load, read_bytes

N_FOLDS = 5
HOG_SIDE = 48  # pixels
FOUR = ("angry", "happy", "neutral", "sad")  # the emotions that every speech set has
NAME = {
    "text": "TF-IDF of character n-grams + logistic regression",
    "rating": f"TF-IDF of character n-grams + ridge, {N_FOLDS} folds by dialogue",
    "voice": "functionals + RBF SVM",
    "image": "HOG + linear SVM",
}


@dataclass(frozen=True)
class Baseline:
    """`figures` is named as ours are: accuracy, macro_f1, weighted_f1, uar; or spearman, pearson.

    `answers` (n,) are class indices, or scores, in the order of the rows judged.
    """

    name: str
    head: str
    figures: Mapping[str, float | None]
    slices: Slices
    answers: NDArray[Any]


def baseline(part: str, source: str, result: Result) -> Baseline:
    """The baseline of `source` on the rows of `result`.

    Classes are learnt from the `train` rows. Ratings are answered out of fold over all rows of
    the source, dialogues whole. Raises InputError where there are no `train` rows.
    """
    if isinstance(result, Rated):
        scores = _out_of_fold_ratings(part, source, result.rows)
        ratings = np.array([row.rating for row in result.rows])
        figures = asdict(number_figures(scores, ratings))
        return Baseline(NAME["rating"], result.head, figures, {}, scores)
    train = [row for row in load(part, source) if row.split == "train"]
    return learned(part, train, result.rows, result.head, result.figures.classes)


def learned(
    part: str, train: Sequence[Row], judged: Sequence[Row], head: str, classes: Sequence[str]
) -> Baseline:
    """What the labels of `train` for `head` ("emotion" or "sentiment") teach, asked of the rows
    `judged`, all of which have one of `classes`.

    Raises InputError where `train` has not two of the classes.
    """
    train = [row for row in train if getattr(row, head) in classes]
    y, truth = (
        np.array([classes.index(getattr(row, head)) for row in rows], np.intp)
        for rows in (train, judged)
    )
    if len(set(y.tolist())) < 2:
        raise InputError(
            f"{judged[0].data_set} has no train rows of two classes for a baseline", "data"
        )
    answer = FIT_PREDICT[part](train, y, judged)
    slices = class_slices(part, judged, truth, answer)
    return Baseline(NAME[part], head, answer_figures(truth, answer), slices, answer)


def voice_folds(name: str) -> dict[str, float]:
    """The speech set's figures with its speakers held out in turn (`speaker_folds`), pooled."""
    rows = [row for row in load("voice", name) if row.emotion]
    classes = sorted({row.emotion for row in rows if row.emotion})
    y = np.array([classes.index(row.emotion or "") for row in rows])
    x, groups = functionals(rows), np.array([row.speaker for row in rows])
    answer = np.empty_like(y)
    for held in speaker_folds(rows):
        kept = ~held
        answer[held] = _svm(x[kept], y[kept], groups[kept]).predict(x[held])
    return answer_figures(y, answer)


def voice_from_other_sets(name: str) -> dict[str, float]:
    """Figures on all of the speech set's clips of FOUR, learnt from the other sets alone."""
    rows = {
        other: [row for row in load("voice", other) if row.emotion in FOUR]
        for other in SETS["voice"]
    }
    x = {other: functionals(rows[other]) for other in rows}
    y = {other: np.array([FOUR.index(row.emotion or "") for row in rows[other]]) for other in rows}
    others = [other for other in rows if other != name]
    groups = np.array([f"{other}/{row.speaker}" for other in others for row in rows[other]])
    svm = _svm(
        np.concatenate([x[other] for other in others]),
        np.concatenate([y[other] for other in others]),
        groups,
    )
    return answer_figures(y[name], svm.predict(x[name]))


def speaker_folds(rows: Sequence[Row]) -> list[NDArray[np.bool_]]:
    """Masks (n,) of each fold's held-out rows: one speaker at a time where there are fewer than
    N_FOLDS, else N_FOLDS groups of whole speakers of about as many clips."""
    speakers = np.array([row.speaker for row in rows])
    n_folds = min(N_FOLDS, len(set(speakers)))
    masks = []
    for _, held in GroupKFold(n_folds).split(speakers, groups=speakers):
        mask = np.zeros(len(rows), bool)
        mask[held] = True
        masks.append(mask)
    return masks


def dialogue_folds(dialogues: Sequence[str]) -> list[int]:
    """Each dialogue's fold, in [0, N_FOLDS): drawn from its id and SPLIT_SEED alone, so that
    twins in two languages share one."""
    return [random.Random(f"{SPLIT_SEED}/{name}").randrange(N_FOLDS) for name in dialogues]


def _out_of_fold_ratings(part: str, source: str, judged: Sequence[Row]) -> NDArray[np.float64]:
    if part != "text":
        raise InputError("ratings have a baseline for text only", "baseline")
    if conversations.is_dialogues(source):
        rows = [conversations.row_of(dialogue) for dialogue in conversations.load(source)]
    else:
        rows = load(part, source)
    rows = [row for row in rows if row.rating is not None]
    ratings = np.array([row.rating for row in rows])
    # Rows without a dialogue stand each for themselves; equal texts stay together.
    names = [row.dialogue or row.content for row in rows]
    fold_of = np.array(dialogue_folds(names))
    scores = np.empty(len(rows))
    for fold in range(N_FOLDS):
        held = fold_of == fold
        if not held.any():
            continue
        if held.all():
            raise InputError(f"{source} has too few rows for a baseline", "data")
        model = make_pipeline(_tfidf(sum(~held)), Ridge(alpha=1.0))
        model.fit([rows[i].content for i in np.flatnonzero(~held)], ratings[~held])
        scores[held] = model.predict([rows[i].content for i in np.flatnonzero(held)])
    by_row = {(row.dialogue, row.content): score for row, score in zip(rows, scores, strict=True)}
    return np.array([by_row[row.dialogue, row.content] for row in judged])


def _text(train: Sequence[Row], y: NDArray[np.intp], rows: Sequence[Row]) -> NDArray[np.intp]:
    model = make_pipeline(
        _tfidf(len(train)), LogisticRegression(C=4, class_weight="balanced", max_iter=300)
    )
    model.fit([row.content for row in train], y)
    return model.predict([row.content for row in rows])


def _tfidf(n_texts: int) -> TfidfVectorizer:
    rarest = 3 if n_texts >= 300 else 1  # a small manifest has no n-gram thrice
    return TfidfVectorizer(
        analyzer="char", ngram_range=(1, 4), min_df=rarest, sublinear_tf=True, dtype=np.float32
    )


def _voice(train: Sequence[Row], y: NDArray[np.intp], rows: Sequence[Row]) -> NDArray[np.intp]:
    groups = np.array([row.speaker or row.content for row in train])
    return _svm(functionals(train), y, groups).predict(functionals(rows))


def _svm(x: NDArray[np.float32], y: NDArray[np.intp], speakers: NDArray[Any]) -> Any:
    """C is chosen among the training clips alone, their speakers held out in turn."""
    model = make_pipeline(StandardScaler(), SVC(class_weight="balanced"))
    n_folds = min(3, len(set(speakers)))
    if n_folds < 2:
        return model.set_params(svc__C=3.0).fit(x, y)
    search = GridSearchCV(
        model, {"svc__C": (0.3, 1.0, 3.0, 10.0)}, scoring=_uar, cv=GroupKFold(n_folds)
    )
    return search.fit(x, y, groups=speakers)


def _uar(model: Any, x: NDArray[np.float32], y: NDArray[np.intp]) -> float:
    """Over the classes that the held-out speakers have: some have not all of them."""
    return answer_figures(y, model.predict(x))["uar"]


def _image(train: Sequence[Row], y: NDArray[np.intp], rows: Sequence[Row]) -> NDArray[np.intp]:
    svm = make_pipeline(StandardScaler(), LinearSVC(C=1e-4, class_weight="balanced"))
    return svm.fit(_hog(train), y).predict(_hog(rows))


def _hog(rows: Sequence[Row]) -> NDArray[np.float32]:
    """Histograms of oriented gradients of grey pictures squeezed to HOG_SIDE: (n, 900)."""
    hog = cv2.HOGDescriptor((HOG_SIDE, HOG_SIDE), (16, 16), (8, 8), (8, 8), 9)
    made = []
    for row in rows:
        pixels = square(decode(read_bytes(row.content), ImageLimits()).pixels, HOG_SIDE)
        made.append(np.ravel(hog.compute(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))))
    return np.stack(made)


FIT_PREDICT = {"text": _text, "voice": _voice, "image": _image}
