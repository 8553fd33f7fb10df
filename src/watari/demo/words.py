"""The words of the little world, each with its English and its Japanese side, and how each is counted.

Colours are only said of made things and of animals in the colours that they have; food is counted but not coloured;
only what a hand can carry is put on tables. That keeps both languages' sentences the kind a reader would say.
"""

from __future__ import annotations

from dataclasses import dataclass

COUNTS: tuple[int, ...] = tuple(range(1, 13))
_ENGLISH_NUMBERS = (
    *("zero", "one", "two", "three", "four", "five", "six"),
    *("seven", "eight", "nine", "ten", "eleven", "twelve"),
)
_KANJI_NUMBERS = ("零", "一", "二", "三", "四", "五", "六", "七", "八", "九", "十", "十一", "十二")


def number_en(count: int) -> str:
    """`three` for 3; 0 to 12."""
    return _ENGLISH_NUMBERS[count]


def number_ja(count: int) -> str:
    """`三` for 3; 0 to 12."""
    return _KANJI_NUMBERS[count]


def article(noun: str) -> str:
    """`a` or `an`, by the first letter."""
    return "an" if noun[0] in "aeiou" else "a"


@dataclass(frozen=True)
class Person:
    """Somebody with a name; in Japanese always with さん."""

    en: str
    ja: str

    @property
    def san(self) -> str:
        """The polite Japanese name: ケンさん."""
        return f"{self.ja}さん"


@dataclass(frozen=True)
class Noun:
    """Something counted. `topic` is what English says where it does not count (`coffee`, not `the cups of coffee`)."""

    en: str
    plural: str
    ja: str
    counter: str
    topic: str = ""

    def form(self, count: int) -> str:
        """`pen` or `pens`."""
        return self.en if count == 1 else self.plural

    def many(self, count: int, adjective: str = "") -> str:
        """`three red pens`."""
        return " ".join(part for part in (number_en(count), adjective, self.form(count)) if part)

    def the(self, count: int) -> str:
        """`the pens`, `the pen`, or the topic where there is one."""
        return self.topic or f"the {self.form(count)}"

    def these(self, count: int, adjective: str = "") -> str:
        """`the three red pens`, `the red pen`."""
        return f"the {self.many(count, adjective) if count > 1 else ' '.join(filter(None, (adjective, self.en)))}"

    def counted(self, count: int) -> str:
        """The Japanese number with this noun's counter: 三本."""
        return f"{number_ja(count)}{self.counter}"


@dataclass(frozen=True)
class Food(Noun):
    """Something eaten or drunk; the verbs that go with it in both languages."""

    past: str = "ate"
    base: str = "eat"
    ja_past: str = "食べました"
    ja_plain: str = "食べた"


@dataclass(frozen=True)
class Colour:
    """A colour. `ja` stands before a noun (赤い, 緑の), `noun` answers 何色ですか (赤, 緑)."""

    en: str
    ja: str
    noun: str

    @property
    def predicate(self) -> str:
        """What stands before です or ですか when a thing is said to have the colour (赤い, 緑)."""
        return self.ja.removesuffix("の")


@dataclass(frozen=True)
class Place:
    """Somewhere; `en` carries its preposition (`in the kitchen`)."""

    en: str
    ja: str


@dataclass(frozen=True)
class Moment:
    """A weekday (`on Monday`, 月曜日) or a time of day (`in the morning`, 朝); `word` is the bare English word."""

    en: str
    word: str
    ja: str


@dataclass(frozen=True)
class Activity:
    """What somebody did: English past and base, Japanese polite past and plain past."""

    en: str
    base: str
    ja: str
    plain: str


@dataclass(frozen=True)
class Label:
    """A word that needs no grammar of its own: a relation, an occupation, a kind of weather."""

    en: str
    ja: str

    @property
    def a(self) -> str:
        """With its English article: `an actor`."""
        return f"{article(self.en)} {self.en}"


def _rows(text: str) -> list[list[str]]:
    return [
        [field.strip() for field in row.split("/")]
        for row in text.replace("\n", ",").split(",")
        if row.strip()
    ]


def _nouns(counter: str, text: str) -> tuple[Noun, ...]:
    return tuple(Noun(en, plural, ja, counter) for en, plural, ja in _rows(text))


PEOPLE: tuple[Person, ...] = tuple(
    Person(en, ja)
    for en, ja in _rows(
        """Ken/ケン, Tom/トム, Mary/メアリー, Anna/アンナ, Lisa/リサ, John/ジョン, Paul/ポール, Peter/ピーター
        David/デイビッド, Daniel/ダニエル, Mark/マーク, Luke/ルーク, Adam/アダム, Ben/ベン, Sam/サム, Max/マックス
        Leo/レオ, Jack/ジャック, Jim/ジム, Bob/ボブ, Mike/マイク, Nick/ニック, Eric/エリック, Henry/ヘンリー
        George/ジョージ, Oliver/オリバー, Emma/エマ, Emily/エミリー, Sarah/サラ, Laura/ローラ, Alice/アリス
        Kate/ケイト, Jane/ジェーン, Julia/ジュリア, Maria/マリア, Nina/ニナ, Lucy/ルーシー, Helen/ヘレン
        Linda/リンダ, Susan/スーザン, Amy/エイミー, Simon/サイモン, Jun/純, Yuki/由紀, Naomi/直美, Akira/明
        Emi/恵美, Taro/太郎"""
    )
)

THINGS: tuple[Noun, ...] = (
    *_nouns(
        "本", "pen/pens/ペン, bottle/bottles/瓶, umbrella/umbrellas/傘, candle/candles/ろうそく, key/keys/鍵"
    ),
    *_nouns(
        "本",
        "rope/ropes/ロープ, tie/ties/ネクタイ, flower/flowers/花, ribbon/ribbons/リボン, belt/belts/ベルト",
    ),
    *_nouns("冊", "book/books/本, notebook/notebooks/ノート, album/albums/アルバム, diary/diaries/日記帳"),
    *_nouns("冊", "magazine/magazines/雑誌, dictionary/dictionaries/辞書"),
    *_nouns(
        "枚",
        "plate/plates/皿, shirt/shirts/シャツ, towel/towels/タオル, card/cards/カード, ticket/tickets/切符",
    ),
    *_nouns(
        "枚", "flag/flags/旗, blanket/blankets/毛布, mask/masks/マスク, stamp/stamps/切手, coin/coins/コイン"
    ),
    *_nouns(
        "個",
        "bag/bags/かばん, box/boxes/箱, ball/balls/ボール, cup/cups/コップ, hat/hats/帽子, stone/stones/石",
    ),
    *_nouns(
        "個",
        "button/buttons/ボタン, clock/clocks/時計, basket/baskets/かご, pillow/pillows/枕, bell/bells/鈴",
    ),
    *_nouns("個", "toy/toys/おもちゃ, ring/rings/指輪, bucket/buckets/バケツ"),
    *_nouns(
        "台", "computer/computers/パソコン, phone/phones/電話, camera/cameras/カメラ, radio/radios/ラジオ"
    ),
    *_nouns("台", "lamp/lamps/ランプ"),
)

_VEHICLES = _nouns(
    "台", "car/cars/車, bicycle/bicycles/自転車, truck/trucks/トラック, television/televisions/テレビ"
)


def _foods(counter: str, text: str) -> tuple[Food, ...]:
    return tuple(Food(en, plural, ja, counter) for en, plural, ja in _rows(text))


def _drinks(vessel: str, vessels: str, text: str) -> tuple[Food, ...]:
    return tuple(
        Food(
            f"{vessel} of {en}", f"{vessels} of {en}", ja, "杯", en, "drank", "drink", "飲みました", "飲んだ"
        )
        for en, ja in _rows(text)
    )


FOODS: tuple[Food, ...] = (
    *_foods(
        "個",
        "apple/apples/りんご, orange/oranges/みかん, lemon/lemons/レモン, egg/eggs/卵, tomato/tomatoes/トマト",
    ),
    *_foods(
        "個",
        "potato/potatoes/じゃがいも, peach/peaches/桃, cake/cakes/ケーキ, sandwich/sandwiches/サンドイッチ",
    ),
    *_foods("個", "rice ball/rice balls/おにぎり, melon/melons/メロン"),
    *_foods("本", "banana/bananas/バナナ, carrot/carrots/人参"),
    *_foods("枚", "cookie/cookies/クッキー, pizza/pizzas/ピザ"),
)
DRINKS: tuple[Food, ...] = (
    *_drinks("cup", "cups", "coffee/コーヒー, tea/紅茶, cocoa/ココア"),
    *_drinks("glass", "glasses", "water/水, milk/牛乳, juice/ジュース"),
)
MEALS: tuple[Food, ...] = FOODS + DRINKS
GOODS: tuple[Noun, ...] = THINGS + _VEHICLES + FOODS
SMALL_GOODS: tuple[Noun, ...] = THINGS + FOODS

ANIMALS: tuple[Noun, ...] = (
    *_nouns(
        "匹", "cat/cats/猫, dog/dogs/犬, rabbit/rabbits/うさぎ, hamster/hamsters/ハムスター, fish/fish/魚"
    ),
    *_nouns("匹", "turtle/turtles/亀, snake/snakes/蛇"),
    *_nouns("羽", "bird/birds/鳥, chicken/chickens/鶏, duck/ducks/あひる, pigeon/pigeons/鳩"),
    *_nouns("頭", "horse/horses/馬, cow/cows/牛, pig/pigs/豚, sheep/sheep/羊, goat/goats/やぎ"),
)

CROWDS: tuple[Noun, ...] = (
    *_nouns(
        "人",
        "child/children/子ども, student/students/学生, man/men/男の人, woman/women/女の人, boy/boys/男の子",
    ),
    *_nouns("人", "girl/girls/女の子, tourist/tourists/観光客, baby/babies/赤ちゃん, player/players/選手"),
    *_nouns("人", "worker/workers/作業員, customer/customers/お客さん, young person/young people/若者"),
)

COLOURS: tuple[Colour, ...] = tuple(
    Colour(en, ja, noun)
    for en, ja, noun in _rows(
        """red/赤い/赤, blue/青い/青, white/白い/白, black/黒い/黒, yellow/黄色い/黄色, brown/茶色い/茶色
        green/緑の/緑, purple/紫の/紫, pink/ピンクの/ピンク, gray/灰色の/灰色, orange/オレンジ色の/オレンジ色"""
    )
)
COATS: tuple[Colour, ...] = tuple(
    colour for colour in COLOURS if colour.en in ("white", "black", "brown", "gray")
)

SPOTS: tuple[Place, ...] = tuple(
    Place(en, ja)
    for en, ja in _rows(
        """in the kitchen/台所, in the garden/庭, in the bedroom/寝室, in the garage/車庫, in the classroom/教室
        in the office/事務所, in the bathroom/浴室, in the hall/広間, in the basement/地下室, in the warehouse/倉庫
        at the entrance/玄関, on the table/テーブルの上, on the desk/机の上, on the bed/ベッドの上, on the floor/床の上
        on the sofa/ソファーの上, on the shelf/棚の上, on the chair/いすの上"""
    )
)
GROUNDS: tuple[Place, ...] = tuple(
    Place(en, ja)
    for en, ja in _rows(
        """in the park/公園, at the school/学校, at the station/駅, in the library/図書館, at the museum/博物館
        on the beach/浜辺, in the forest/森, on the farm/農場, at the church/教会, at the hospital/病院
        at the airport/空港, at the temple/お寺, at the theater/劇場, at the castle/お城, at the factory/工場
        in the village/村, in the gym/体育館, at the zoo/動物園"""
    )
)
CITIES: tuple[Place, ...] = tuple(
    Place(f"in {en}", ja)
    for en, ja in _rows(
        """Tokyo/東京, Osaka/大阪, Kyoto/京都, London/ロンドン, Paris/パリ, Rome/ローマ, Berlin/ベルリン
        Boston/ボストン, Chicago/シカゴ, Madrid/マドリード, Vienna/ウィーン, Sydney/シドニー"""
    )
)
SHOPS: tuple[Place, ...] = (
    *(
        Place(en, ja)
        for en, ja in _rows(
            "at the market/市場, at the supermarket/スーパー, at the department store/デパート"
        )
    ),
    *CITIES,
)

DAYS: tuple[Moment, ...] = tuple(
    Moment(f"on {en}", en, f"{ja}曜日")
    for en, ja in _rows("Monday/月, Tuesday/火, Wednesday/水, Thursday/木, Friday/金, Saturday/土, Sunday/日")
)
TIMES: tuple[Moment, ...] = tuple(
    Moment(f"{preposition} {en}", en.removeprefix("the "), ja)
    for preposition, en, ja in _rows(
        "in/the morning/朝, in/the afternoon/午後, in/the evening/夕方, at/night/夜"
    )
)

ACTIVITIES: tuple[Activity, ...] = tuple(
    Activity(en, base, ja, plain)
    for en, base, ja, plain in _rows(
        """sang/sing/歌いました/歌った, danced/dance/踊りました/踊った, slept/sleep/寝ました/寝た
        ran/run/走りました/走った, studied/study/勉強しました/勉強した, worked/work/働きました/働いた
        cried/cry/泣きました/泣いた, laughed/laugh/笑いました/笑った, rested/rest/休みました/休んだ
        waited for a friend/wait for a friend/友だちを待ちました/友だちを待った
        talked with a friend/talk with a friend/友だちと話しました/友だちと話した
        played the guitar/play the guitar/ギターを弾きました/ギターを弾いた
        read a story/read a story/物語を読みました/物語を読んだ
        wrote a letter/write a letter/手紙を書きました/手紙を書いた
        took a photo/take a photo/写真を撮りました/写真を撮った
        drew a picture/draw a picture/絵を描きました/絵を描いた
        listened to music/listen to music/音楽を聞きました/音楽を聞いた
        played a game/play a game/ゲームをしました/ゲームをした"""
    )
)

RELATIONS: tuple[Label, ...] = tuple(
    Label(en, ja)
    for en, ja in _rows(
        """father/お父さん, mother/お母さん, older brother/お兄さん, older sister/お姉さん, younger brother/弟さん
        younger sister/妹さん, uncle/おじさん, aunt/おばさん, son/息子さん, daughter/娘さん
        grandfather/おじいさん, grandmother/おばあさん"""
    )
)
JOBS: tuple[Label, ...] = tuple(
    Label(en, ja)
    for en, ja in _rows(
        """doctor/医者, teacher/先生, nurse/看護師, writer/作家, singer/歌手, driver/運転手, cook/料理人
        lawyer/弁護士, painter/画家, actor/俳優, scientist/科学者, engineer/技術者, pilot/パイロット
        photographer/写真家, musician/音楽家, journalist/記者, dentist/歯医者, carpenter/大工
        police officer/警察官, farmer/農家"""
    )
)
WEATHERS: tuple[Label, ...] = tuple(
    Label(en, ja) for en, ja in _rows("sunny/晴れ, rainy/雨, cloudy/曇り, snowy/雪, stormy/嵐, foggy/霧")
)
