"""What of a mail is its writer's own word, and that of a chat nothing is taken."""

from __future__ import annotations

import pytest

from modalities.text.mail import not_own


def own(text: str) -> str:
    """What is left, its lines joined by a space."""
    for start, end in reversed(not_own(text)):
        text = text[:start] + text[end:]
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("It is broken.\n\n> Are you happy with us?\n> The team", "It is broken."),
        ("> Are you happy with us?\n\nNo.", "No."),
        ("Hello,\n> Did it come?\nNo.\n> Did we call?\n>> We did.\nNo!", "Hello, No. No!"),
        ("Hello,\nThe team asked me this:\n> Did it come?\nNo.", "Hello, No."),
        ("＞ 届きましたか。\nいいえ。", "いいえ。"),
        ("It is broken.\n-----Original Message-----\nFrom: shop\nDid it come?", "It is broken."),
        ("It is broken.\nFrom: shop\nSent: Monday\nDid it come?", "It is broken."),
        ("Kaputt.\nVon: Laden\nGesendet: Montag\nWar alles gut?", "Kaputt."),
        ("坏了。\n发件人：客服\n发送时间：周一\n您满意吗？", "坏了。"),
        ("坏了。\n\n-----原始邮件-----\n您满意吗？", "坏了。"),
    ],
)
def test_quoted_mail_goes_wherever_it_stands(text: str, read: str) -> None:
    assert own(text) == read


@pytest.mark.parametrize(
    "wrote",
    [
        "On Mon, 3 Nov 2025 at 10:00, Anna <anna@example.com> wrote:",
        "Am Mo., 3. Nov. 2025 um 10:00 Uhr schrieb Anna <anna@example.com>:",
        "Le lun. 3 nov. 2025 à 10:00, Anna <anna@example.com> a écrit :",
        "El lun, 3 nov 2025 a las 10:00, Anna (<anna@example.com>) escribió:",
        "Em seg., 3 de nov. de 2025 às 10:00, Anna <anna@example.com> escreveu:",
        "Il giorno lun 3 nov 2025 alle ore 10:00 Anna <anna@example.com> ha scritto:",
        "在 2025年11月3日，10:00，Anna <anna@example.com> 写道：",
        "Anna <anna@example.com> 於 2025年11月3日 週一 寫道：",
        "2025/11/03 10:00、Annaのメール:",
        "2025년 11월 3일 (월) 10:00, Anna <anna@example.com>님이 작성:",
        "3 ноября 2025 г. пользователь Анна <anna@example.com> написал:",
        "في 3 نوفمبر 2025، كتب Anna <anna@example.com>:",
        "3 नव॰ 2025 को Anna ने लिखा:",
    ],
)
def test_what_a_mail_program_introduces_goes_with_its_introduction(wrote: str) -> None:
    """All below it, too, where the quoted lines have no mark."""
    assert own(f"No.\n\n{wrote}\n> Did it come?\n> The team") == "No."
    assert own(f"No.\n\n{wrote}\nDid it come?\nThe team") == "No."


@pytest.mark.parametrize(
    "signature",
    [
        "Best regards,\nAnna Smith\nHead of Purchasing, Example Ltd\n+44 20 5550 0000",
        "Thanks,\nJ. R.",
        "Many thanks and kind regards\nAnna",
        "Kind regards, Anna Smith",
        "-- \nAnna Smith\nSee our new flats! Visit us today.",
        "Mit freundlichen Grüßen\nAnna Schmidt",
        "Cordialement,\nAnna",
        "Un saludo,\nAnna",
        "Atenciosamente,\nAnna",
        "Cordiali saluti\nAnna",
        "С уважением,\nАнна",
        "مع خالص التحية\nأحمد",
        "सादर\nराम",
        "此致\n敬礼\n张三",
        "谢谢！\n张三\n上海示例有限公司",
        "よろしくお願いいたします。\n田中",
        "감사합니다.\n김철수",
    ],
)
def test_a_closing_formula_goes_with_the_name_below_it(signature: str) -> None:
    said = "The lift is broken again. Nobody comes!"
    assert own(f"{said}\n\n{signature}") == said


@pytest.mark.parametrize(
    "footer",
    [
        "This e-mail is confidential and for the intended recipient only.",
        "CONFIDENTIAL: contains health data.",
        "Diese Nachricht ist vertraulich.",
        "Este correo puede contener información confidencial.",
        "本邮件含有机密信息，误收请删除。",
        "이 메일은 기밀 정보를 포함합니다.",
        "Данное сообщение конфиденциально.",
        "هذه الرسالة سرية.",
        "Please consider the environment before printing.",
        "Sent from my phone",
        "Gesendet von meinem iPhone",
        "Envoyé de mon iPhone",
        "Enviado desde mi iPhone",
        "Inviato dal mio iPhone",
        "iPhoneから送信",
        "发自我的iPhone",
        "发自我的小米手机",
        "发自 iPhone",
        "发自网易邮箱大师",
        "發自我的 Galaxy S24",
        "發自我的手機",
        "从我的iPhone发送",
        "從我的 iPad 傳送",
        "나의 iPhone에서 보냄",
        "Отправлено с iPhone",
    ],
)
def test_footers_of_the_law_and_of_telephones_go(footer: str) -> None:
    said = "The lift is broken again. Nobody comes!"
    assert own(f"{said}\n\n{footer}") == said


@pytest.mark.parametrize(
    "chat",
    [
        "Thanks",
        "> this",
        "On Monday he wrote: never again",
        "Best regards, Anna",
        "It does not work\nthanks",
        "It does not work.\nThanks,\nnobody answers!",
        "where is it\nthanks\nstill waiting since monday",
        "I am waiting\nvery much\nstill here",
        "收到了\n发自内心地感谢你们",
        "收到了\n發自我的內心感謝",
        "还没到\n发自广州的包裹到现在没有消息",
        "请处理\n从我的账户扣了两次钱",
        "在吗\n我要退货\n谢谢\n真的太慢了我很生气",
        "Order 88123\n------\nIt never came!",
        "Hi,\nyou gave my confidential records to a stranger.\nI am furious.",
        "你好\n你们说好保密的，结果全泄露了！",
        "Unbelievable!\nPrivileged customers wait two hours?",
        "Here is what I need:\na new phone\nmy money back",
    ],
)
def test_of_a_chat_nothing_is_taken(chat: str) -> None:
    assert not_own(chat) == []


@pytest.mark.parametrize(
    "text",
    [
        "> Did it come?\n> The team",
        "> Did it come?\n\n\n",
        "On 3 Nov 2025 Anna wrote:\n> Did it come?",
    ],
)
def test_where_nothing_would_be_left_all_stays(text: str) -> None:
    assert not_own(text) == []


def test_stretches_go_by_place_and_are_whole_lines() -> None:
    text = "Hello,\n> one\nNo.\n> two\n\nThanks,\nAnna"
    stretches = not_own(text)
    assert [text[start:end] for start, end in stretches] == [
        "> one\n",
        "> two\n",
        "Thanks,\n",
        "Anna",
    ]
