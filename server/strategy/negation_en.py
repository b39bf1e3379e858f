"""Whether an English sentence denies a word, or asks about it.

A negator denies what words join it to that carry it on: "I do not *want to make a* complaint". Any
other word ends its reach ("I do not *know how* to complain"), and an even number of negators denies
nothing ("I won't *hesitate to* sue you").
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from server.strategy.passage import Passage

MOST_CARRIED = 14  # words between a negator and what it denies
MOST_JOINED = 8  # words that "or" joins to what is denied


def _words(*text: str) -> frozenset[str]:
    return frozenset(" ".join(text).split())


NEGATORS = _words(
    "not no never without neither nothing none nobody hardly scarcely barely zero instead"
)
# Verbs by which their subject denies what it says itself.
GIVING_UP = _words(
    "forget skip drop dropping dropped withdraw withdrew withdrawing withdrawn waive decline",
    "refuse hesitate stop refrain",
)
NEEDING = _words("need needs needed require required must necessary")
WANTING = NEEDING | _words(
    "want wants wanted wanting wish wishing ask asks asked asking seek seeking demand demanding",
    "request requesting requested claim claiming pursue pursuing look looking after try trying",
    "interested bother bothered bothering worry worried fussed care caring intend intending",
    "intention intentions plan planning plans desire meaning meant here worth expecting chasing",
    "apply applying insist insisting prefer rather please",
)
ACTING = _words(
    "make making made file filing filed lodge lodging raise raising submit submitting put putting",
    "leave leaving write writing post posting take taking start starting call calling see seeing",
    "speak speaking talk talking involve involving bring bringing go going gone become escalate",
    "escalating consult hire hiring threaten threatening use using resort resorting do doing",
    "contact contacting find come came coming ring ringing phoning emailing",
)
GIVING = _words("give send issue offer pay grant process")
GETTING = _words("get getting got gets have has had having")
SAYING = _words(
    "think believe suppose say says saying said mean guess feel suggest suggesting that way"
)
CARRYING = WANTING | ACTING | GIVING | GETTING | SAYING | _words(
    "a an the any my our your his her their another further more single real major serious big",
    "formal official other particular specific valid sort kind type",
    "to for of about with in on at into as against over who",
    "really actually even ever currently particularly necessarily personally honestly exactly",
    "truly longer either anymore now again all right absolutely definitely certainly today",
    "am is are be being been was were will would should shall do does did 'm 's 're 'll 'd 've",
    "reason reasons cause grounds point interest time energy money thought thoughts question means",
    "someone anyone anybody anything",
)  # fmt: skip
TRANSITIVE = ACTING | GIVING | WANTING
LIKING = WANTING | {"like"}
OBJECTS = _words("you them him anyone anybody it this")

WISHING = _words("wish love")  # that something could be denied

SELVES = _words("i we")
OTHERS = _words(
    "you u ya they he she company shop store seller merchant agent support staff bank courier"
)
IMPERSONAL = _words("it this that there")
BESIDES = _words(  # between a subject and what is negated of it
    "do does did will would 'll 'd 've 'm 're 's am is are was were have has had can could should",
    "really just also still certainly definitely honestly simply personally actually truly going",
)
SUBJECTS = SELVES | IMPERSONAL
NEARBY = SUBJECTS | {""}
CONJUNCTIONS = _words("but and because so if")
OPENERS = _words("please pls plz so and but just kindly ok okay no yes well", ", :")
ITS_OWN = SELVES | OPENERS | {"to"}  # subjects of what is given up
APART = frozenset(',:()"“”—–、')  # signs that part a sentence
MINE = _words("me us my our")
REASONS = _words("any anything reason reasons cause grounds")

ASKING = _words("how where what which who whom when whose")
AUXILIARY = _words(
    "do does did is are was were can could should would will must may might to 's",
    "long much many soon often far",
)
NO_QUESTION = _words("how_about how_come how_dare what_about what_if")
TELLING = _words(
    "know wondering wonder tell explain ask asking advise see check find sure understand curious",
    "clarify confirm",
)
POLAR = _words("is are was were do does did has have will")
INVERTED = _words("i you we they it there this that")
GREETING = _words("hi hello hey ok okay well um uh also please and so but then yes no")
CLAIMING = _words("want need demand will 'll 'd 'm")

_TOKEN = re.compile(r"[^\W_]+(?:'[^\W_]+)?|\S")
_NOT = re.compile(r"((?:do|does|did|is|are|was|were|have|has|had|would|could|should|need|ai))n'?t")
_SPELLED = {
    "won't": "will not", "wont": "will not", "can't": "can not", "cant": "can not",
    "cannot": "can not", "gonna": "going to", "wanna": "want to", "im": "i 'm", "ive": "i 've",
    "its": "it 's", "nevermind": "forget", "nope": "no", "nowt": "nothing",
}  # fmt: skip
_RUN_TOGETHER = (("have to", "must"), ("has to", "must"), ("had to", "must"),
                 ("instead of", "instead"), ("rather than", "instead"),
                 ("feel like", "feel"), ("never mind", "forget"))  # fmt: skip

# What may follow the word, as _spelled gives it.
_UNWANTED = re.compile(
    r"(?:(?:of any kind|at all|really|itself|for (?:me|us|this)|as such|from you|,) )*"
    r"(?:(?:is|are|was|would be|will be|'s) )?"
    r"(?:(?:not|no longer) (?:(?:really|at all|actually|my|the|our|be) )*"
    r"(?:(?:needed|necessary|required|wanted|goal|intention|aim|point|purpose|plan|warranted)\b"
    r"|what (?:i|we) (?:want|need|am|'m|asked|came|mean)\b)"
    r"|unnecessary\b|out of the question)"
)
_PLEASE = re.compile(
    r"(?:, )?(?:(?:is|are|being) )?"
    r"(?:needed|necessary|required|wanted|please|pls|thanks|thank|for me|just|only)\b"
)
_NO = re.compile(r"\?\s*(?:none|nope|nah|not (?:at all|really|needed)|no(?=[,.!]|$))")
_NO_NEED = re.compile(
    r"\?\s*(?:no,? (?:thanks|thank you|need)|not (?:needed|necessary|required))\b"
)
_FOR_NOTHING = re.compile(r"(?:so much |a lot )?for (?:absolutely )?nothing\b")
_BARGAIN = re.compile(r"\b(?:if|unless|until|as long as|once|provided) (?:you|i|we|they)\b")
_MINE = re.compile(rf"(?:{'|'.join(sorted(MINE))})\b")


def denies(passage: Passage) -> bool:
    """Whether the word of `passage` is denied by what stands before or after it."""
    after = " ".join(_spelled(passage.after))
    return _is_denied_after(passage, after) or _is_denied_before(passage, after)


def _is_denied_after(passage: Passage, after: str) -> bool:
    if "thank" in passage.word and _FOR_NOTHING.match(after):
        return True
    if not after and (
        _NO_NEED.match(passage.rest) or (_NO.match(passage.rest) and not passage.is_owed)
    ):
        return True
    return _UNWANTED.match(after) is not None or after in (": none", ": no", ": zero")


def _is_denied_before(passage: Passage, after: str) -> bool:
    tokens = list(_spelled(passage.before))
    negators, carried = _chain(tokens)
    if len(negators) % 2 == 0:
        return False
    first = min(negators)  # the outermost
    negator, before = tokens[first], tokens[first - 1] if first else ""
    carried |= set(_spelled(passage.word))
    subject = next((one for one in reversed(tokens[:first]) if one not in BESIDES), "")
    if passage.is_question and after.count(" ") < 3:  # "no refund at all?"
        return False
    if not WISHING.isdisjoint(_clause(tokens[:first])[-6:]):  # "I wish I didn't have to complain"
        return False
    if negator == "not" and before in ("can", "could"):  # only an idiom denies by that
        idiom = passage.word.startswith("complain") and "even" not in carried
        idiom &= "enough" not in after.split()[:2]
        return idiom or not carried.isdisjoint(REASONS)
    if "yet" in after.split()[:4] and negator != "no":
        return False
    if negator in GIVING_UP:
        return not subject or subject in ITS_OWN
    if negator == "not" and _BARGAIN.search(after) and carried.isdisjoint(WANTING):
        return False  # "I won't sue you if you pay"
    if before == "do" and (first == 1 or tokens[first - 2] in OPENERS):  # "please don't refund it"
        return True
    is_mine = _MINE.match(after) is not None or not carried.isdisjoint(MINE)
    is_foreign = subject in OTHERS or (is_mine and subject not in NEARBY)
    if is_foreign and (passage.is_owed or is_mine) and carried.isdisjoint(NEEDING):
        return False  # "they won't refund me"
    return not passage.is_owed or _is_unwanted(tokens, first, carried, after)


def _is_unwanted(tokens: Sequence[str], first: int, carried: set[str], after: str) -> bool:
    """Whether something that a customer waits for is not wanted, rather than not given."""
    negator, before = tokens[first], tokens[first - 1] if first else ""
    if not carried.isdisjoint(WANTING):
        return True
    if negator in ("instead", "neither") or (negator == "not" and before not in BESIDES):
        return not LIKING.isdisjoint(tokens[:first])  # "I'd like a new one, not a refund"
    if negator in ("not", "never"):
        return "about" in carried
    return negator in ("no", "zero") and _PLEASE.match(after) is not None


def _chain(tokens: Sequence[str]) -> tuple[list[int], set[str]]:
    """Which negators the end of `tokens` is joined to, and the words between."""
    negators: list[int] = []
    carried: set[str] = set()
    for at in range(len(tokens) - 1, max(-1, len(tokens) - 1 - MOST_CARRIED), -1):
        token, before = tokens[at], tokens[at - 1] if at else ""
        if token in ("or", "nor"):
            found = _joined(tokens, at)
            if found is not None:
                negators.append(found)
                carried.update(tokens[found + 1 : at])
            elif token == "nor":
                negators.append(at)
            break
        if token in NEGATORS or token in GIVING_UP:
            negators.append(at)
        elif (
            token in CARRYING
            or (token in SUBJECTS and before in SAYING)
            or (token in OBJECTS and before in TRANSITIVE)
            or (token in ("me", "us") and before in GIVING)
        ):
            carried.add(token)
        elif token in ("me", "us") and before in ("for", "without"):
            continue
        else:
            break
    return negators, carried


def _joined(tokens: Sequence[str], at: int) -> int | None:
    """The negator of what "or" joins the word to: "I do not want a voucher or a refund"."""
    for place in range(at - 1, max(-1, at - 1 - MOST_JOINED), -1):
        if tokens[place] in NEGATORS:
            return place
        if tokens[place] in SUBJECTS or tokens[place] in CONJUNCTIONS:
            return None
    return None


def asks(passage: Passage) -> bool:
    """Whether the word of `passage` is in a question that wants to know something: not why, and not
    whether it can be had, which asks for it."""
    clause = _clause(list(_spelled(passage.before)))
    while clause and clause[0] in GREETING:
        clause = clause[1:]
    if not clause or "why" in clause or _is_claimed(passage, clause):
        return False
    for at, token in enumerate(clause):
        if token in ASKING:
            then = clause[at + 1] if at + 1 < len(clause) else ""
            if f"{token}_{then}" in NO_QUESTION:
                return False
            if then in AUXILIARY or (not at and passage.is_question):
                return True
            if not TELLING.isdisjoint(clause[:at]):
                return True
    if clause[0] not in POLAR or "not" in clause[1:2]:
        return False
    return passage.is_question or not INVERTED.isdisjoint(clause[1:2])


def _is_claimed(passage: Passage, clause: Sequence[str]) -> bool:
    """Whether it is asked for by the way: "when do I get my refund?", "is this a joke I want …"."""
    if passage.is_owed and (
        clause[-1] in ("my", "our") or _MINE.match(passage.after.strip()) or " me" in passage.word
    ):
        return True
    return any(
        clause[at] in SELVES and clause[at - 1] not in AUXILIARY
        for at in range(1, len(clause))
        if [*clause, *passage.word.split()][at + 1] in CLAIMING
    )


def _clause(tokens: Sequence[str]) -> Sequence[str]:
    """What of them stands in one clause with the last."""
    apart = [at for at, token in enumerate(tokens) if token in APART]
    return tokens[apart[-1] + 1 :] if apart else tokens


def _spelled(text: str) -> Iterator[str]:
    """Its words, with contractions written out."""
    tokens: list[str] = []
    for token in _TOKEN.findall(text):
        if spelled := _SPELLED.get(token):
            tokens += spelled.split()
        elif found := _NOT.fullmatch(token):
            tokens += [found[1], "not"]
        else:
            head, sign, tail = token.partition("'")
            tokens += [head, sign + tail] if tail else [token]
    whole = f" {' '.join(tokens)} "
    for phrase, word in _RUN_TOGETHER:
        whole = whole.replace(f" {phrase} ", f" {word} ")
    yield from whole.split()
