"""The labels of training curves and preflights, in English and in Japanese."""

from __future__ import annotations

TRAINING: dict[str, tuple[str, str]] = {
    # curves
    "curves_note": (
        "Faint lines are the logged values, bold lines a moving average. Move over a chart, or focus it and use the "
        "arrow keys, to read it.",
        "薄い線は記録された値、濃い線は移動平均です。グラフにカーソルを合わせるか、選択して矢印キーを押すと値が表示されます。",
    ),
    "curves_pretrain": ("Pre-training", "事前学習"),
    "curves_sft": ("Supervised fine-tuning: {name}", "教師ありファインチューニング（SFT）：{name}"),
    "curves_dpo": ("Preference training: {name}", "選好学習（DPO）：{name}"),
    "curves_other": ("Training: {name}", "学習：{name}"),
    "curves_tokenizers": (
        "The loss is per token, so stages with different tokenizers cannot be compared by it; bits per character can.",
        "損失はトークン単位のため、トークナイザーが異なるステージ同士は比較できません。比較には1文字あたりのビット数を"
        "使ってください。",
    ),
    "loss": ("Loss (nats per token)", "損失（nat/トークン）"),
    "dpo_loss": ("Loss", "損失"),
    "lr": ("Learning rate", "学習率"),
    "accuracy": ("Preference accuracy (training batch)", "選好の正解率（学習バッチ）"),
    "margin": ("Reward margin", "報酬の差"),
    "loss_log": ("Loss (nats per token; logarithmic)", "損失（nat/トークン、対数目盛）"),
    "lr_log": ("Learning rate (logarithmic)", "学習率（対数目盛）"),
    "rewards": ("Reward: chosen bold, rejected thin", "報酬（太線：好ましい回答、細線：好ましくない回答）"),
    "kl": (
        "Log-ratio to the reference: chosen bold, rejected thin",
        "参照との対数比（太線：好ましい回答、細線：好ましくない回答）",
    ),
    "length_gap": (
        "How many tokens longer the preferred reply is",
        "報酬の高い回答がどれだけ長いか（トークン）",
    ),
    "leaks": (
        "Reward: replies with foreign words bold, others thin",
        "報酬（太線：他言語の語を含む回答、細線：含まない回答）",
    ),
    "chosen_nll": ("Loss of the chosen reply (nats per token)", "好ましい回答の損失（nat/トークン）"),
    "drift": ("Rewards and drift", "報酬とドリフト"),
    "held_note": ("Dots: pairs that were held back.", "点は評価用ペアでの値です。"),
    "grad_norm": ("Gradient norm", "勾配ノルム"),
    "bits_of": ("Bits per character · {language}", "1文字あたりのビット数・{language}"),
    "bits_line_note": (
        "Bits per character are of held-back text; lower is better. Dashed: the base, before it was trained. A curve "
        "that rises above it shows what is being forgotten.",
        "1文字あたりのビット数は評価用テキストでの値で、低いほど良い値です。破線は学習前のベースモデルの値です。曲線が"
        "破線より上にあれば、その分だけ忘却が進んでいます。",
    ),
    "bits_table": ("Bits per character during training", "学習中の1文字あたりのビット数"),
    "bits_note": (
        "Held-back text, the same at every measurement of a stage. A change above 0% is forgetting.",
        "評価用テキストでの値です。同じステージでは常に同じテキストで測定しています。変化が0%を上回れば忘却を意味します。",
    ),
    "bits_first": ("Before", "学習前"),
    "bits_last": ("After", "学習後"),
    "bits_best": ("Best", "最良"),
    "bits_change": ("Change", "変化"),
    "bits_base": ("Change since the base", "ベースからの変化"),
    "bits_characters": ("Characters", "文字数"),
    "spikes": ("Spikes", "スパイク"),
    "skipped_steps": ("Steps left out", "除外したステップ"),
    "spikes_noted": ("spikes: {n}", "スパイク：{n}"),
    "spikes_skipped": (
        "spikes: {n}, steps left out: {skipped}",
        "スパイク：{n}、除外したステップ：{skipped}",
    ),
    "marks_note": (
        "▲ a spike (loss or gradient far above the steps before), × a step left out because of one; those beyond the "
        "axis stand at its upper end.",
        "▲ はスパイク（損失または勾配が直前のステップを大きく上回ったもの）、× はそのために学習から除外したステップです。"
        "目盛りの範囲を超えるものは上端に示します。",
    ),
    "course": ("The whole course of training", "学習全体の経過"),
    "course_note": (
        "Every stage that the model went through, one after the other. Within a stage the axis is even; short stages are "
        "drawn wider than their share of the tokens.",
        "モデルが経たすべての学習ステージを順に並べています。横軸は各ステージ内では等間隔で、短いステージは"
        "トークン数の割合より広く描いています。",
    ),
    "course_dpo": (
        "The loss of preference training is per pair: another quantity than that of the stages before.",
        "選好学習の損失はペア単位の値で、それまでのステージの損失とは別の量です。",
    ),
    "course_tokens": ("Training tokens seen", "学習トークン数（累計）"),
    "course_stages": ("Stage by stage", "ステージ別"),
    "course_table": ("Figures of this picture", "この図の数値"),
    "place": ("No.", "番号"),
    "shared": ("shared", "共通"),
    "steps": ("Steps", "ステップ"),
    "tokens": ("Tokens", "トークン数"),
    "curve_table": ("Figures of this chart", "このグラフの数値"),
    "first_loss": ("First loss", "最初の損失"),
    "last_loss": ("Last loss", "最後の損失"),
    "least_loss": ("Least loss", "最小の損失"),
    # preflight
    "preflight": ("Before the first step", "学習開始前の確認"),
    "preflight_trained": ("{share} of the tokens trained", "学習対象トークン {share}"),
    "preflight_warned": ("warnings: {n}", "警告 {n} 件"),
    "preflight_calm": ("no warnings", "警告なし"),
    "preflight_rows_in": ("Rows read", "入力行"),
    "preflight_rows_kept": ("Rows kept", "残した行"),
    "preflight_dropped": ("Dropped: {reason}", "除外：{reason}"),
    "preflight_sequences": ("Sequences", "系列数"),
    "preflight_tokens": ("Tokens in them", "トークン数"),
    "preflight_trained_tokens": ("Tokens trained", "学習対象トークン数"),
    "preflight_trained_share": ("Share of trained tokens", "学習対象トークンの割合"),
    "preflight_longest": ("Longest sequence, tokens", "最長の系列（トークン）"),
    "preflight_waste": ("Empty positions of the packing", "パッキングの空き位置"),
    "preflight_bos_missing": ("Without BOS", "BOSなし"),
    "preflight_bos_doubled": ("With two BOS", "BOSが二重"),
    "preflight_end_trained": ("Whose end is trained", "終端を学習する系列"),
    "preflight_norm_new": ("Median norm of new rows, {table}", "新しい行のノルム（中央値、{table}）"),
    "preflight_norm_old": ("Median norm of old rows, {table}", "既存の行のノルム（中央値、{table}）"),
    "preflight_trial": ("Loss of the trial pass", "試行時の損失"),
    "preflight_guess": ("Loss of a uniform guess", "一様な予測での損失"),
    "preflight_warnings": ("Warnings", "警告"),
}
