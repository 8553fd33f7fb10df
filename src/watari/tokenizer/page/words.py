"""Every label of the page, in English and in Japanese."""

from __future__ import annotations

from watari.pages.labels import FRAME, Labels, Pair

WORDS: dict[str, Pair] = FRAME | {
    # the page
    "report": ("Tokenizer report", "トークナイザーレポート"),
    "counts": (
        "{language} · {added} new pieces on {base} · vocabulary {vocabulary}",
        "{language} · 元の語彙 {base} に {added} 個を追加 · 語彙数 {vocabulary}",
    ),
    "footer": (
        "Written by Watari from the tokenizer's own files. The base's ids and its cutting of all other text stay as "
        "they were: <code>watari tokenizer verify</code> proves it.",
        "Watari がトークナイザーのファイルから作成しました。元のトークン ID と、対象言語以外の文の分割は変わりません"
        "（<code>watari tokenizer verify</code> で証明できます）。",
    ),
    # headline
    "headline": ("In short", "概要"),
    "chars_per_token": ("Characters per token", "1トークンあたりの文字数"),
    "chars_per_token_note": (
        "Base and extended; higher means fewer tokens for the same text.",
        "拡張前と拡張後の値です。大きいほど、同じ文が少ないトークンで表せます。",
    ),
    "on_learning": ("on the learning text", "学習に使った文書"),
    "on_text": ("on {name}", "{name}"),
    "times": ("× {ratio}", "{ratio} 倍"),
    "documents": ("{n} documents", "{n} 文書"),
    "part_of_it": ("a part of it, by draw", "無作為に選んだ一部"),
    "interval": ("95% interval", "95%信頼区間"),
    "new_pieces": ("New pieces", "追加したトークン"),
    "new_pieces_note": (
        "Each holds at least one character that only the target language writes.",
        "どれも、対象言語だけが使う文字を1つ以上含みます。",
    ),
    "vocabulary_grows": ("vocabulary {before} → {after}", "語彙数 {before} → {after}"),
    "cost_note": (
        "Their rows hold {untied} parameters at hidden size {hidden}, {tied} if input and output are tied.",
        "隠れ次元 {hidden} の場合、埋め込みは {untied} パラメーター増えます（入力と出力を共有するなら {tied}）。",
    ),
    # gain
    "gain": ("What each size is worth", "語彙数ごとの効果"),
    "gain_note": (
        "Grafts are nested: the first k pieces of this one are what a run for k gives, so any smaller number can be "
        "had without learning again. Lines: the learning text, as it was learned. Dots: texts given, cut with the "
        "first k pieces.",
        "追加したトークンは入れ子になっており、先頭の k 個は k 個だけ追加した場合と同じです。学習し直さずに、より小さい数を"
        "選べます。線は学習に使った文書、点は与えられた文書を先頭 k 個で実際に分割した結果です。",
    ),
    "gain_measured_note": (
        "Grafts are nested: the first k pieces of this one are what a run for k gives, so any smaller number can be "
        "had without learning again. Dots: texts given, cut with the first k pieces.",
        "追加したトークンは入れ子になっており、先頭の k 個は k 個だけ追加した場合と同じです。学習し直さずに、より小さい数を"
        "選べます。点は与えられた文書を先頭 k 個で実際に分割した結果です。",
    ),
    "no_saved": (
        "graft.json does not hold what each piece saved on the learning text, so that curve is left out.",
        "graft.json に学習時の削減量が記録されていないため、学習文書の曲線は省いています。",
    ),
    "no_text": (
        "No text was given: with <code>--text</code>, the gain on text that was not learned from stands here too.",
        "文書が与えられていません。<code>--text</code> を指定すると、学習に使っていない文書での効果も表示されます。",
    ),
    "given_note": (
        "A text given with <code>--text</code> tells what to expect only if nothing was learned from it.",
        "<code>--text</code> の文書は、学習に使っていない場合にだけ実際の効果の目安になります。",
    ),
    "gain_title": ("Characters per token", "1トークンあたりの文字数"),
    "marginal_title": (
        "Tokens saved in a million characters by the next 1,000 pieces",
        "次の1,000個で、100万文字あたりに減るトークン数",
    ),
    "pieces_axis": ("new pieces (logarithmic)", "追加したトークン数（対数目盛）"),
    "gain_table": ("The same in figures", "数値の一覧"),
    "size": ("New pieces", "追加数"),
    "vocabulary": ("Vocabulary", "語彙数"),
    "learning_text": ("Learning text", "学習文書"),
    "next_save": ("Next 1,000 save", "次の1,000個で減る数"),
    "per_million": ("tokens per million characters", "100万文字あたりのトークン"),
    "parameters": ("Parameters at {hidden}", "パラメーター数（{hidden}）"),
    "untied_tied": ("untied / tied", "非共有 / 共有"),
    # pieces
    "kinds": ("What the new pieces are", "追加したトークンの内訳"),
    "kinds_note": (
        "By what they are made of; “used” is the share of all new tokens in the learning text.",
        "文字の種類による分類です。「使用」は、学習文書に現れた追加トークン全体に占める割合です。",
    ),
    "category": ("Kind", "種類"),
    "count": ("Pieces", "個数"),
    "share": ("Share", "割合"),
    "used": ("Used", "使用"),
    "mean_length": ("Mean length", "平均文字数"),
    "examples": ("Most frequent", "頻度の高い例"),
    "cat_part": ("Parts of characters", "文字の一部"),
    "cat_single": ("Single characters", "1文字"),
    "cat_digits": ("With digits", "数字を含む"),
    "cat_marks": ("Punctuation only", "記号・句読点のみ"),
    "cat_punctuated": ("With punctuation", "記号・句読点を含む"),
    "cat_han": ("Kanji only", "漢字のみ"),
    "cat_hiragana": ("Hiragana only", "ひらがなのみ"),
    "cat_katakana": ("Katakana only", "カタカナのみ"),
    "cat_kana": ("Hiragana and katakana", "ひらがなとカタカナ"),
    "cat_mixed": ("Kanji and kana", "漢字かな交じり"),
    "cat_letters": ("Letters", "その他の文字"),
    "cat_phrase": ("Across words", "語をまたぐもの"),
    "lengths": ("Length in characters", "文字数の分布"),
    "commonest": ("Most frequent", "頻度の高いもの"),
    "commonest_note": (
        "The figure is how often it comes out of the learning text.",
        "数字は学習文書に現れた回数です。",
    ),
    "longest": ("Longest", "長いもの"),
    "rarest": ("Rarest", "頻度の低いもの"),
    "rarest_note": (
        "{n} pieces come out fewer than 10 times: their rows learn little.",
        "{n} 個は出現が10回未満で、埋め込みがほとんど学習されません。",
    ),
    # suspicious
    "suspicious": ("Worth a look", "確認したいもの"),
    "suspicious_note": (
        "Pieces that look like an accident of the learning text. They do no harm to other text; forbid them and learn "
        "again if they take room that you want.",
        "学習文書の偏りから生じたとみられるトークンです。ほかの文には影響しませんが、不要なら禁止パターンに加えて"
        "学習し直してください。",
    ),
    "suspicious_none": ("None was found.", "見つかりませんでした。"),
    "suspicious_count": ("{n} of {all}", "{all} 個のうち {n} 個"),
    "why_repeated": ("Repeated characters", "同じ文字の繰り返し"),
    "why_run": ("Runs of punctuation", "記号の連続"),
    "why_address": ("Addresses", "アドレス"),
    "why_boilerplate": ("Boilerplate of licences and pages", "奥付・利用規約などの定型文"),
    "why_one_source": (
        "In one of the texts only: its subject, or its habit",
        "与えられた文書の1つだけに現れる（主題や文体によることもあります）",
    ),
    "why_unused": (
        "Never used by itself: a step on the way to longer ones",
        "単独では使われず、より長いトークンの途中段階になるだけのもの",
    ),
    "and_more": ("and {n} more", "ほか {n} 個"),
    # segmentation
    "cutting": ("How text is cut", "文の分割"),
    "cutting_note": (
        "Each colour is a token; new pieces are underlined. A small figure stands behind a character that takes "
        "several tokens.",
        "色の区切りが1トークンです。追加したトークンには下線があります。1文字に複数のトークンが必要な場合は、その数を小さく"
        "示しています。",
    ),
    "built_in": ("built-in sentence", "用意された文"),
    "base": ("Base", "拡張前"),
    "extended": ("Extended", "拡張後"),
    "n_tokens": ("{n} tokens", "{n} トークン"),
    "same_ids": ("the same ids", "ID は同一"),
}

LABELS = Labels(WORDS)
