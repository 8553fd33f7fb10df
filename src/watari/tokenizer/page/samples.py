"""Sentences to cut where the user gave none, and what is taken of a user's text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from watari.tokenizer.texts import Text

SAMPLES: dict[str, tuple[str, ...]] = {
    "ja": (
        "朝の市場では、魚を並べる人たちの声が通りまで響いていた。私は温かいお茶を買い、川沿いのベンチに腰を下ろして、"
        "ゆっくりと明るくなっていく空を眺めた。",
        "新しい橋の工事は来年の春に終わる見込みで、完成すれば隣町までの時間が半分ほどになるという。ただし、費用の負担に"
        "ついては、まだ意見がまとまっていない。",
        "「もしもし、田中ですけど、明日の会議って何時からでしたっけ？」「ええと、十時半からですよ。資料は今晩中に送りますね！」",
    ),
    "ko": (
        "아침 시장에서는 생선을 늘어놓는 사람들의 목소리가 길까지 들려왔다. 나는 따뜻한 차를 사서 강가 벤치에 앉았다.",
    ),
    "zh": (
        "清晨的市场里，摆放鲜鱼的人们的声音一直传到街上。我买了一杯热茶，坐在河边的长椅上，看着天空慢慢变亮。",
    ),
    "th": ("เช้าวันนี้ที่ตลาดมีคนขายปลาหลายคน ฉันซื้อชาร้อนแล้วนั่งที่ม้านั่งริมแม่น้ำ",),
    "ru": (
        "Утром на рынке громко разговаривали торговцы рыбой. Я купил горячий чай и сел на скамейку у реки.",
    ),
    "el": (
        "Το πρωί στην αγορά ακούγονταν οι φωνές των ψαράδων. Αγόρασα ζεστό τσάι και κάθισα δίπλα στο ποτάμι.",
    ),
    "hi": ("सुबह बाज़ार में मछली बेचने वालों की आवाज़ें सड़क तक आ रही थीं। मैंने गरम चाय ली और नदी के किनारे बैठ गया।",),
    "ar": ("في الصباح كانت أصوات باعة السمك تصل إلى الشارع. اشتريت شايا ساخنا وجلست على مقعد قرب النهر.",),
    "he": ("בבוקר נשמעו בשוק קולות מוכרי הדגים עד לרחוב. קניתי תה חם וישבתי על ספסל ליד הנהר.",),
    "id": (
        "Sesudah apél pagi, para pedagang ikan menata dagangannya di pasar. Saya membeli teh hangat, lalu duduk di bangku "
        "tepi sungai.",
    ),
    "en": (
        "The ferry leaves at 7:45 and takes about forty minutes. Bring a coat: the wind on the upper deck is colder "
        "than it looks from the harbour.",
    ),
}
"""Sentences of our own. English stands behind every language, to show that it is cut as before."""
_CHARACTERS = 260
_SOURCES = 4
_EACH = 2


@dataclass(frozen=True)
class Sample:
    """A text to cut.

    Args:
        text: The text.
        source: Where it is from; "" for a built-in sentence.
        shortened: Whether the paragraph went on.
    """

    text: str
    source: str = ""
    shortened: bool = False


def samples_for(language: str, texts: Sequence[Text]) -> list[Sample]:
    """Return the first paragraphs of each source of `texts`, or built-in sentences; one in English at the end."""
    found: list[Sample] = []
    for source in list(dict.fromkeys(text.source for text in texts))[:_SOURCES]:
        paragraphs = [
            paragraph.strip()
            for text in texts
            if text.source == source
            for paragraph in text.text[: 20 * _CHARACTERS].splitlines()
            if paragraph.strip()
        ]
        # Headings say little; the first paragraphs of some length are taken, or what there is.
        long = [paragraph for paragraph in paragraphs if len(paragraph) >= 60] or paragraphs
        found += [
            Sample(paragraph[:_CHARACTERS], source, len(paragraph) > _CHARACTERS)
            for paragraph in long[:_EACH]
        ]
    if not found:
        found = [Sample(text) for text in SAMPLES.get(language, ())]
    return found + [Sample(text) for text in SAMPLES["en"]]
