"""Which languages are read, and that another one is refused only where it is surely one."""

from __future__ import annotations

import pytest

from modalities.errors import UnavailableError
from modalities.text.infer import TextReader
from modalities.text.language import LANGUAGES, other_language

READ = {
    "en": "My parcel has still not arrived and nobody answers the phone.",
    "zh": "我的包裹还没到，电话也没人接。",
    "de": "Mein Paket ist immer noch nicht da und niemand geht ans Telefon.",
    "fr": "Mon colis n'est toujours pas arrivé et personne ne répond.",
    "es": "Mi paquete todavía no ha llegado y nadie contesta el teléfono.",
    "pt": "A minha encomenda ainda não chegou e ninguém atende o telefone.",
    "it": "Il mio pacco non è ancora arrivato e nessuno risponde al telefono.",
    "ja": "荷物がまだ届いていないのに、電話に誰も出ません。",
    "ko": "택배가 아직도 안 왔는데 전화도 안 받네요.",
    "ru": "Моя посылка до сих пор не пришла, и никто не берёт трубку.",
    "ar": "لم تصل طرودي بعد ولا أحد يرد على الهاتف.",
    "hi": "मेरा पार्सल अभी तक नहीं आया और कोई फोन नहीं उठाता।",
    "th": "พัสดุของฉันยังไม่มาถึงและไม่มีใครรับโทรศัพท์",
}
CHINESE = (
    "我的包裹還沒到，電話也沒人接，真的很生氣。",
    "我個包裹仲未到，電話又冇人聽，嬲死我喇，點解咁㗎？",  # Cantonese
)
REFUSED = {
    "tr": "Siparişim hâlâ gelmedi, kimse telefona cevap vermiyor.",
    "pl": "Moja paczka jeszcze nie przyszła i nikt nie odpowiada na telefon.",
    "nl": "Mijn pakket is nog steeds niet aangekomen en niemand neemt de telefoon op.",
    "vi": "Đơn hàng của tôi vẫn chưa đến và không ai trả lời điện thoại.",
    "ur": "میرا پارسل ابھی تک نہیں پہنچا اور کوئی فون نہیں اٹھا رہا۔",
    "fa": "بسته من هنوز نرسیده است و هیچ کس پاسخ نمی دهد.",
}
OTHER_SCRIPTS = {
    "Greek": "Το δέμα μου δεν έχει φτάσει ακόμα και κανείς δεν απαντά.",
    "Hebrew": "החבילה שלי עדיין לא הגיעה ואף אחד לא עונה לטלפון.",
    "Tamil": "என் பார்சல் இன்னும் வரவில்லை, யாரும் பதிலளிக்கவில்லை.",
    "Georgian": "ჩემი ამანათი ჯერ არ მოსულა და არავინ პასუხობს ტელეფონზე.",
}


def test_every_language_of_the_list_is_read(reader: TextReader) -> None:
    assert READ.keys() == set(LANGUAGES)
    for text in (*READ.values(), *CHINESE):
        assert other_language(text) is None
        assert reader.prepare(text).unknown_share < 0.1


@pytest.mark.parametrize("language", REFUSED)
def test_another_language_is_refused_by_name(reader: TextReader, language: str) -> None:
    with pytest.raises(UnavailableError, match=f'its language \\("{language}"\\)') as error:
        reader.prepare(REFUSED[language])
    assert "en, zh, de" in error.value.remedy


@pytest.mark.parametrize("script", OTHER_SCRIPTS)
def test_another_script_is_refused(reader: TextReader, script: str) -> None:
    with pytest.raises(UnavailableError, match=r"\d\d% of it is in a script"):
        reader.prepare(OTHER_SCRIPTS[script])


@pytest.mark.parametrize(
    "text",
    [
        *(
            "ok",
            "merhaba",
            "Cześć",
            "grazie mille",
            "lol omg wtf",
            "好",
            "👍",
            "😡😡😡😡😡😡😡😡😡😡😡😡😡",
        ),
        *("1234 5678 9012 3456", "!!!???", "ID 88123-XZ-QQQ-ABCDEFGHIJKL", "asdfghjklqwertz"),
    ],
)
def test_what_is_too_short_to_tell_or_no_language_is_read(reader: TextReader, text: str) -> None:
    assert other_language(text) is None
    assert reader.prepare(text).windows


def test_the_mail_below_does_not_tell_the_language(reader: TextReader) -> None:
    """What is quoted is not the writer's own, nor in their language."""
    quoted = "\n".join(f"> {REFUSED['pl']}" for _ in range(5))
    assert reader.prepare(f"{READ['de']}\n\n{quoted}").windows
