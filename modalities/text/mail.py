"""What of a mail is not its writer's own word: quoted mail, signatures, legal footers.

Chat messages go this way, too, so that nothing is taken that may be said: a text of one line is
left alone, a closing formula goes only with a name below it, and where nothing would be left all
stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

# The line with which a mail program introduces what it quotes.
WROTE = re.compile(
    r"(?:on\b.*\bwrote|am\b.*\bschrieb\b.*|le\b.*\ba écrit|el\b.*\bescribió|em\b.*\bescreveu"
    r"|il\b.*\bha scritto|.*写道|.*寫道|.*のメール|.*さんは書きました|.*(?:님이|께서) (?:작성|씀).*"
    r"|.*\bнаписала?|.*\bпишет|.*كتب.*|.*ने लिखा)\s*[:：]",
    re.I,
)
ORIGINAL = re.compile(
    r"\W*(?:original message|forwarded message|ursprüngliche nachricht|message d'origine|"
    r"mensaje original|mensagem original|messaggio originale|原始邮件|原始郵件|転送メッセージ|"
    r"원본 메시지|исходное сообщение)\W*",
    re.I,
)
HEADER = re.compile(
    r"\W*(?:from|sent|von|gesendet|de|envoyé|enviado|da|inviato|发件人|发送时间|寄件者|寄件日期|差出人|"
    r"보낸 사람|от кого|من)\s*[:：]",
    re.I,
)
DASHES = re.compile(r"(?:--|__|——|==)[-_—= ]*")
_DEVICE = r"(?:[a-z][\w .+-]*|手机|手機|平板|邮箱(?:大师)?|郵箱|信箱)"
SENT_FROM = re.compile(
    r"\W*(?:sent from my|sent via|get outlook for|gesendet (?:von|mit) mein(?:em)?|"
    r"envoyé (?:de|depuis) mon|enviado desde mi|enviado do meu|inviato da(?:l mio)?|"
    r"iPhoneから送信|나의 .*에서 보냄|отправлено с)\b.*"
    # Of Chinese lines only those that name a device or a mailbox: 发自内心 is "from the heart".
    rf"|\W*[发發]自.{{0,20}}{_DEVICE}|\W*[从從]我的.{{0,20}}{_DEVICE}.{{0,20}}(?:发送|發送|傳送)",
    re.I,
)
_SECRET = (
    r"confidential|privileged|vertraulich|confidentiel|confidencial|riservat"
    r"|机密|機密|保密|误收|誤收|기밀|конфиденциал|سرية"
)
# Customers speak of secrets, too; a footer begins with the word, or speaks of the mail it is in.
SECRET = re.compile(_SECRET, re.I)
THIS_MAIL = re.compile(
    r"\b(?:this (?:e-?mail|message|communication)|diese (?:e-?mail|nachricht)"
    r"|ce (?:message|courriel)|cet e-?mail|este (?:correo|mensaje|e-?mail)|esta mensagem"
    r"|quest[oa] (?:messaggio|e-?mail))\b"
    r"|[本此](?:[邮郵]件|信)|(?:この|本)メール|[이본] ?이?메일|(?:это|данное) (?:сообщение|письмо)"
    r"|هذه الرسالة",
    re.I,
)
FOOTER = re.compile(
    r"\b(?:intended recipient|printing this e-?mail|before printing|do not reply to this)\b"
    rf"|谨慎打印|節約用紙|宛先の方のみ|^\W*(?:{_SECRET})\w*\s*(?:[.:：]|$)",
    re.I,
)
_POLITE = (
    r"with|many|much|kind(?:est)?|best|warm(?:est)?|all the|very|thanks?|thank you|thx|cheers"
    r"|regards|rgds|wishes|yours|sincerely|faithfully|truly|respectfully|love|and|in advance|again"
    r"|br|mit|viele[nm]?|freundliche[nmr]?|beste[nm]?|liebe[nm]?|herzliche[nm]?|schöne[nm]?"
    r"|gr(?:ü|ue)(?:ß|ss)en?|gru(?:ß|ss)|danke|vielen dank|im voraus|und|mfg|lg|vg"
    r"|hochachtungsvoll|bien|cordialement|sincères?|salutations|merci|d'avance|respectueusement"
    r"|amicalement|à vous|et|una?|cordial(?:es)?|saludos?|atentamente|muchas|gracias|de antemano"
    r"|y|reciba|atenciosamente|cumprimentos|melhores|abraços?|obrigad[oa]|desde já|e|grata|grato"
    r"|cordiali|distinti|saluti|saluto|grazie|in anticipo|cordialmente"
    r"|с уважением|спасибо|заранее|с наилучшими пожеланиями|всего доброго"
    r"|مع|تحياتي|التحية|خالص|أطيب|التحيات|شكرا|وشكرا|وتفضلوا|بقبول|فائق|الاحترام"
    r"|धन्यवाद|सादर|भवदीय"
)
_FILLERS = r"with|many|much|all the|very|and|again|in advance|mit|und|et|una?|y|e"
# A word ends before the next begins: else lines of them would match in too many ways to try.
CLOSING = re.compile(rf"(?!(?:(?:{_FILLERS})\b[\s,.!&]*)+$)(?:(?:{_POLITE})\b[\s,.!&]*)+", re.I)
# The formula and its name on one line.
CLOSED = re.compile(rf"(?:(?:{_POLITE})[\s,.!&]+)+(?-i:[A-ZÀ-ÞА-Я][\w.'’-]*\s?){{1,3}}", re.I)
CLOSING_CJK = re.compile(
    r"(?:此致|敬礼|敬禮|祝好|祝您?.{1,6}|顺颂.{0,6}|順頌.{0,6}|此颂.{0,4}|敬祝.{0,6}|谢谢|謝謝|多谢|感谢|感謝|"
    r"谨启|謹啟|敬上|よろしくお願い(?:いた|致)?します|以上|敬具|감사합니다|수고하세요|드림|올림)[。.！!，,]?"
)
SENTENCE_END = re.compile(r"[.!?…。！？]\s*$")
# What is said without a full stop: no name has a particle, nor three words of lower case.
SAID = re.compile(r"[了吗嗎呢吧啊呀你您没沒很别別]|(?:です|ます|ません|ない)$|(?:요|니다)$")
INITIALS = re.compile(r"(?:\b\w{1,3}\.\s*)$")
LONGEST_HEADER = 300  # characters of a line that introduces what is quoted: its pattern is slow
MOST_BELOW, LONGEST_BELOW = 5, 60  # lines under a closing formula, and characters of one


class Line(NamedTuple):
    start: int
    end: int
    text: str


def not_own(text: str) -> list[tuple[int, int]]:
    """Stretches (start, end) of `text` to take off, in order; none where nothing would be left."""
    if "\n" not in text.strip():
        return []
    lines = list(_lines(text))
    dropped = _dropped(lines)
    if not any(line.text and at not in dropped for at, line in enumerate(lines)):
        return []
    return [(lines[at].start, lines[at].end) for at in sorted(dropped)]


def _lines(text: str) -> Iterator[Line]:
    start = 0
    for line in text.splitlines(keepends=True):
        yield Line(start, start + len(line), line.strip())
        start += len(line)


def _dropped(lines: Sequence[Line]) -> set[int]:
    quoted = {at for at, line in enumerate(lines) if line.text.startswith((">", "＞"))}
    dropped = set(quoted)
    said = [at for at, line in enumerate(lines) if line.text]
    for place, at in enumerate(said):
        line = lines[at].text
        below = said[place + 1] if place + 1 < len(said) else None
        if line.endswith((":", "：")) and below in quoted:  # whatever introduces a quotation
            dropped.add(at)
        elif place and (
            (len(line) <= LONGEST_HEADER and WROTE.fullmatch(line))
            or ORIGINAL.fullmatch(line)
            or (HEADER.match(line) and below and HEADER.match(lines[below].text))
            or (DASHES.fullmatch(line) and _is_signed(line, lines[at + 1 :]))
        ):
            dropped.update(said[place:])
            break
        elif place and (SENT_FROM.fullmatch(line) or _is_footer(line)):
            dropped.add(at)
    return dropped | _signature(lines, [at for at in said if at not in dropped])


def _signature(lines: Sequence[Line], said: Sequence[int]) -> set[int]:
    """A closing formula with a name behind or below it, and all that follows."""
    for place in range(max(1, len(said) - MOST_BELOW - 1), len(said)):
        below = [lines[at].text for at in said[place + 1 :]]
        line = lines[said[place]].text
        if len(below) <= 2 and CLOSED.fullmatch(line) and all(_is_name(one) for one in below):
            return set(said[place:])
        if not (CLOSING.fullmatch(line) or CLOSING_CJK.fullmatch(line)) or not below:
            continue
        if len(below) <= MOST_BELOW and all(_is_name(one) for one in below):
            return set(said[place:])
    return set()


def _is_footer(line: str) -> bool:
    return bool(FOOTER.search(line) or (SECRET.search(line) and THIS_MAIL.search(line)))


def _is_signed(dashes: str, below: Sequence[Line]) -> bool:
    """Whether a line of dashes has a signature below it: two are how mails begin one, while a
    longer line may part what is said."""
    said = [line.text for line in below if line.text]
    return len(said) <= 2 * MOST_BELOW and (len(dashes) == 2 or all(map(_is_name, said)))


def _is_name(line: str) -> bool:
    """Whether a line may be of a signature: short, and no sentence."""
    if len(line) > LONGEST_BELOW or SAID.search(line):
        return False
    if line[:1].islower() and len(line.split()) > 2:
        return False
    return not SENTENCE_END.search(line) or bool(INITIALS.search(line))
