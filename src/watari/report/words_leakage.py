"""The labels of leakage: scans, sampler sweeps and repairs, in English and in Japanese."""

from __future__ import annotations

LEAKAGE: dict[str, tuple[str, str]] = {
    "leakage": ("Language leakage", "言語の混入"),
    "leakage_note": (
        "Words of one language in another's sentences. An event is one stretch, of whatever length; what stands in the prompt, "
        "code, quotations and names do not count. Intervals: 95%, a bootstrap over prompts.",
        "ある言語の応答に混じった別の言語の語です。長さにかかわらず、ひと続きの混入を1件と数えます。プロンプトにある語句、"
        "コード、引用、固有名は数えません。区間は95%信頼区間（プロンプト単位のブートストラップ）です。",
    ),
    "own_page": ("Its own page", "専用のページ"),
    "leakage_card": ("Language leakage", "言語の混入"),
    "leakage_card_note": (
        "Share of responses with words of another language; lower is better.",
        "別の言語の語が混じった応答の割合です。低いほど良い値です。",
    ),
    "leakage_answers_in": ("answers in {language}", "{language}の応答"),
    "leakage_table": ("How often", "混入の頻度"),
    "leakage_table_note": (
        "Each scan's page shows every span in its response: {pages}",
        "混入箇所と応答の全文は各スキャンのページにあります：{pages}",
    ),
    "leakage_part": ("Which", "対象"),
    "leakage_expected": ("should be in {language}", "{language}での応答"),
    "leakage_leaked": ("of which leaked: {language}", "混入した言語：{language}"),
    "leakage_share": ("responses with a leak", "混入のある応答"),
    "leakage_rate": ("events per 1,000 characters", "1,000文字あたりの件数"),
    "leakage_curve": ("Leakage by {column}", "{column} と混入"),
    "leakage_curve_note": (
        "Bars are 95% intervals; the same prompts are asked at every value. Trend for 1 more: {trends}",
        "縦棒は95%信頼区間です。どの値でも同じプロンプトを使っています。1増えるごとの変化：{trends}",
    ),
    "leakage_share_axis": ("Responses with a leak (%)", "混入のある応答（%）"),
    "leakage_rate_axis": ("Events per 1,000 characters", "1,000文字あたりの件数"),
    "leakage_points": ("{value} points [{low}, {high}], p {p}", "{value} ポイント [{low}, {high}]、p {p}"),
    "sweep_table": ("Sampler sweep: {name}", "サンプラーの比較：{name}"),
    "sweep_table_note": (
        "Model <code>{model}</code>; {prompts} prompts. Every setting is asked the same. Page: {page}",
        "モデル：<code>{model}</code>、プロンプト {prompts} 件。どの設定にも同じ質問をしています。ページ：{page}",
    ),
    "sweep_recommended": ("recommended", "推奨"),
    "sweep_default": ("default", "既定"),
    "sweep_front": ("on the front", "パレート前線"),
    "sweep_setting": ("Setting", "設定"),
    "sweep_card": ("Leakage by sampler", "サンプラーと混入"),
    "sweep_card_note": (
        "Share of responses with a leak: at the default setting, and at the recommended one.",
        "混入のある応答の割合です。既定の設定と、推奨する設定での値です。",
    ),
    "sweep_card_kept": (
        "Share of responses with a leak. No setting is told apart from the default, which stays.",
        "混入のある応答の割合です。既定の設定と差があるといえる設定はなく、既定のままとします。",
    ),
    "metric_leaking": ("Responses with a leak", "混入のある応答"),
    "metric_events": ("Events per 1,000 characters", "1,000文字あたりの件数"),
    "metric_sound": ("Sound responses", "健全な応答"),
    "metric_judge": ("Judge's rating", "審査モデルの評点"),
    "metric_loops": ("Loops", "ループ"),
    "metric_truncated": ("Cut off", "打ち切り"),
    "metric_empty": ("Empty", "空の応答"),
    "metric_distinct_2": ("Distinct 2-grams", "異なる2-gramの割合"),
    "metric_self_repetition": ("Self-repetition", "繰り返し"),
    "metric_characters": ("Characters", "文字数"),
    "repair_table": ("Repair of leaks", "混入の修復"),
    "repair_note": (
        "How probable the leaks' own tokens are, and those that mend them, before and after. Mended: the share of rows in which "
        "the mend's first token is the likelier one (95%: Wilson). Read beside a scan of the repaired model.",
        "混入したトークンと、それを直すトークンの確率を修復の前後で比べます。「修復済み」は、直すほうの最初のトークンの確率が"
        "上回った行の割合です（95%信頼区間：Wilson）。修復後のモデルのスキャンと合わせて読んでください。",
    ),
    "repair_p_bad": ("Leaking token, {when}", "混入トークンの確率・{when}"),
    "repair_first_p_bad": ("First of a leak, {when}", "混入の先頭トークン・{when}"),
    "repair_p_good": ("Mending token, {when}", "修復トークンの確率・{when}"),
    "repair_mended": ("Mended, {when}", "修復済み・{when}"),
    "repair_card": ("Leaks after repair", "修復後の混入"),
    "repair_card_note": (
        "Mean probability of the tokens that leaked, before and after training; held-out rows where there are any.",
        "混入したトークンの平均確率（学習の前後）です。評価用の行があれば、その値です。",
    ),
    "mine_table": ("Leaks mended for training", "学習用に修復した混入"),
    "mine_leaking": ("Leaking responses", "混入のある応答"),
    "mine_mended": ("Leaks in kept rows", "残した行の混入"),
    "mine_classes": ("Of these, by class", "種類別"),
    "curves_repair": ("Repair of leaks: {name}", "混入の修復：{name}"),
    "spans": (
        "Probability: leaking tokens bold, mending ones thin",
        "確率（太線：混入トークン、細線：修復トークン）",
    ),
    "course_repair": (
        "The loss of a repair is over the tokens of leaks and their mends alone.",
        "修復の損失は、混入したトークンと、それを直すトークンだけについての値です。",
    ),
    "read_p_bad": ("leaking tokens", "混入トークン"),
    "read_p_good": ("mending", "修復トークン"),
    "read_leak_share": ("responses with a leak", "混入のある応答"),
    "read_leak_rate": ("events per 1,000 characters", "1,000文字あたりの件数"),
}
