"""Every label of the page, in English and in Japanese."""

from __future__ import annotations

from watari.pages.labels import FRAME, LANGUAGES, Labels, Pair
from watari.report.words_leakage import LEAKAGE
from watari.report.words_training import TRAINING

_PAGE: dict[str, Pair] = {
    # the page
    "report": ("Run report", "実行レポート"),
    "stages_count": ("{n} stages", "{n} ステージ"),
    "models_count": ("{n} models", "{n} モデル"),
    "variants_count": ("{n} variants", "{n} バリアント"),
    "footer": (
        "Written by Watari. Every figure links to the stage that produced it; report.json lists them all with their "
        "files and fields.",
        "Watari が作成しました。数値はすべて、それを出力したステージにリンクしています。出典のファイルとフィールドは "
        "report.json にまとめてあります。",
    ),
    # sections
    "graph": ("How the stages hang together", "ステージのつながり"),
    "curves": ("Training curves", "学習曲線"),
    "tables": ("Tables", "詳細な数値"),
    "samples": ("Samples", "サンプル"),
    "details": ("Every stage in full", "全ステージの詳細"),
    "times": ("Times and speed", "所要時間と速度"),
    "graph_short": ("Stages", "ステージ"),
    "times_short": ("Times", "所要時間"),
    "details_short": ("Manifests", "マニフェスト"),
    "share_of_time": ("Share of the longest", "最長のステージに対する割合"),
    # headline cards
    "characters_per_token": ("Characters per token", "1トークンあたりの文字数"),
    "characters_per_token_note": (
        "Before and after the vocabulary was extended; higher means shorter sequences.",
        "語彙拡張の前と後の値です。大きいほど、同じ文が少ないトークンで表せます。",
    ),
    "bits_per_character": ("Bits per character", "1文字あたりのビット数"),
    "bits_per_byte": ("Bits per byte (UTF-8)", "1バイト（UTF-8）あたりのビット数"),
    "bits_per_character_note": (
        "Lower is better. Comparable between tokenizers.",
        "低いほど良い値です。トークナイザーが異なっても比較できます。",
    ),
    "exact_match": ("Exact match", "完全一致率"),
    "exact_match_note": (
        "Share of questions whose answer is exactly the expected one.",
        "模範解答と完全に一致した回答の割合です。",
    ),
    "preference_accuracy": ("Preference accuracy", "選好の正解率"),
    "preference_accuracy_note": (
        "Share of held-out pairs in which the chosen answer gets the higher reward.",
        "評価用ペアのうち、好ましい回答の報酬のほうが高くなった割合です。",
    ),
    "preference_accuracy_train_note": (
        "Share of training pairs in which the chosen answer gets the higher reward.",
        "学習用ペアのうち、好ましい回答の報酬のほうが高くなった割合です。",
    ),
    "interval": ("95% interval", "95%信頼区間"),
    "times_more": ("× {ratio}", "{ratio} 倍"),
    "source": ("source", "出典"),
    # graph
    "graph_note": (
        "Each box is a stage: its name (and variant), its kind, and what it makes with the start of its digest. "
        "Choose one to see its manifest.",
        "四角は1つのステージで、上から名前（とバリアント）、種類、出力とダイジェストの先頭を示します。"
        "選ぶとマニフェストが開きます。",
    ),
    "room_data": ("data", "データ"),
    "room_tokenizer": ("tokenizer", "トークナイザー"),
    "room_model": ("model", "モデル"),
    "room_train": ("training", "学習"),
    "room_eval": ("evaluation", "評価"),
    "room_other": ("other", "その他"),
    # tables
    "scores_table": ("{kind}: {what}", "{kind}：{what}"),
    "scores_note": (
        "Value with its 95% interval; n counts the items, and answers that could not be read are counted as invalid.",
        "値と95%信頼区間です。n は項目数、「無効」は回答として読み取れなかった件数です。",
    ),
    "judged_by": ("judge: {judge}", "審査モデル：{judge}"),
    "suite_note": (
        "Value with its 95% interval; n counts what was rated or compared, runs how often each item was answered (± is "
        "the standard deviation of the runs). Judges are never mixed in one table. Every answer and rating: "
        "<code>{command}</code>",
        "値と95%信頼区間です。n は採点・照合した件数、runs は各項目に回答した回数（± は実行間の標準偏差）です。審査モデルの"
        "異なる値を1つの表に混ぜることはありません。全回答と採点の表示：<code>{command}</code>",
    ),
    "figure": ("Figure", "項目"),
    "figure_overall": ("overall", "総合"),
    "figure_average": ("average", "平均"),
    "figure_turn_1": ("first turn", "1ターン目"),
    "figure_turn_2": ("second turn", "2ターン目"),
    "runs_are": ("{n} runs", "{n} 回"),
    "suite_card_note": (
        "Compared with the right answers, by the spec's own rules.",
        "正解と照合し、spec の規則で採点した値です。",
    ),
    "rated": ("rated {rating}", "評点 {rating}"),
    "unrated": ("unreadable rating", "評点を読み取れず"),
    "answered": ("answered", "回答"),
    "metric": ("Metric", "指標"),
    "group": ("Group", "グループ"),
    "all_groups": ("all", "全体"),
    "invalid_is": ("{n} invalid", "無効 {n}"),
    "data_table": ("Corpora and data", "コーパスとデータ"),
    "data_note": (
        "Rows read, kept and dropped by each stage. A dropped row is in its dropped.parquet (corpora: ledger), with the reason.",
        "各ステージが読み込んだ行、残した行、除外した行の数です。除外した行とその理由は dropped.parquet（コーパスでは ledger）にあります。",
    ),
    "stage": ("Stage", "ステージ"),
    "rows_in": ("Rows read", "入力行"),
    "kept": ("Kept", "残した行"),
    "rows": ("Rows", "行数"),
    "dropped": ("Dropped", "除外"),
    "dropped_by_reason": ("Dropped, by reason", "除外の理由"),
    "rows_by_language": ("Kept, by language", "言語別の行数"),
    "characters_by_language": ("Characters, by language", "言語別の文字数"),
    "made_table": ("Made data, rung by rung", "生成データ（段階ごと）"),
    "made_note": (
        "Answers of teachers: how many were asked for and passed all checks, and what the checks caught. Repaired: by a "
        "repair prompt; escalated: by a stronger model. Rows side by side are in the stage's own report.html.",
        "教師モデルへの依頼数、すべてのチェックに合格した数、チェックが見つけた欠陥です。修復は修復プロンプト、"
        "引き上げはより強いモデルによるものです。行の対照は各ステージの report.html にあります。",
    ),
    "stage_and_rung": ("Stage · rung", "ステージ・段階"),
    "asked": ("Asked", "依頼"),
    "accepted": ("Accepted", "合格"),
    "faults_caught": ("Faults caught", "見つけた欠陥"),
    "repaired": ("Repaired", "修復"),
    "escalated": ("Escalated", "引き上げ"),
    "cost": ("Cost", "費用"),
    "tokenizer_table": ("Tokenizers", "トークナイザー"),
    "vocabulary": ("Vocabulary", "語彙数"),
    "vocabulary_before": ("Before", "拡張前"),
    "vocabulary_after": ("After", "拡張後"),
    "added": ("Added", "追加"),
    "before": ("before", "前"),
    "after": ("after", "後"),
    "model_table": ("Models", "モデル"),
    "parameters": ("Parameters", "パラメーター数"),
    "layers": ("Layers", "層数"),
    "hidden": ("Hidden size", "隠れ次元"),
    "heads": ("Heads", "ヘッド数"),
    "context": ("Context", "コンテキスト長"),
    "size": ("Size", "サイズ"),
    "train_table": ("Training", "学習"),
    "train_tokens": ("Tokens seen", "学習トークン数"),
    "rows_seen": ("Rows", "行数"),
    "final_loss": ("Last tenth's loss", "最後の1割の損失"),
    "preference_table": ("Agreement with preferences", "選好との一致"),
    "preference_note": (
        "The reward is how much likelier a reply has become against the reference; before training it is 0 for all.",
        "報酬は、参照モデルに比べて回答の確率がどれだけ上がったかを表します。学習前はすべて0です。",
    ),
    "pairs": ("Pairs", "ペア数"),
    "pairs_holdout": ("held back", "評価用"),
    "pairs_train": ("trained on", "学習用"),
    "reward_accuracy": ("Reward accuracy", "報酬の正解率"),
    "likelihood_accuracy": ("Likelihood accuracy, {when}", "確率の正解率・{when}"),
    "loss_when": ("Loss, {when}", "損失・{when}"),
    # samples
    "samples_note": (
        "Questions drawn at random from the evaluation (by seed, not by hand), answered by each model.",
        "評価用の質問からシードに従って無作為に選び、各モデルの回答を並べました。手作業での選別はしていません。",
    ),
    "expected": ("Expected", "模範解答"),
    "right": ("correct", "正解"),
    "wrong": ("wrong", "不正解"),
    "unreadable": ("invalid", "無効"),
    "empty_answer": ("(empty answer)", "(空の回答)"),
    "examples": ("Example rows of data", "データの例"),
    "examples_note": (
        "Drawn at random from the first {n} rows of each stage.",
        "各ステージの先頭 {n} 行から無作為に選びました。",
    ),
    "chosen": ("chosen", "好ましい回答"),
    "rejected": ("rejected", "好ましくない回答"),
    "role_system": ("system", "システム"),
    "role_user": ("user", "ユーザー"),
    "role_assistant": ("assistant", "アシスタント"),
    "role_tool": ("tool", "ツール"),
    "document": ("document", "文書"),
    "cut": ("… ({n} characters in all)", "…(全 {n} 文字)"),
    # details
    "details_note": (
        "The manifest of every artifact, but for what differs from one run to the next (times, speed, versions of "
        "libraries).",
        "各アーティファクトのマニフェストです。実行ごとに変わる項目（時刻、速度、ライブラリのバージョン）は除いています。",
    ),
    "open_all": ("Open all", "すべて開く"),
    "close_all": ("Close all", "すべて閉じる"),
    "kind": ("Kind", "種類"),
    "made_by": ("Made by", "作成したステージ"),
    "key": ("Key", "キー"),
    "digest": ("Digest", "ダイジェスト"),
    "seed": ("Seed", "シード"),
    "inputs": ("Inputs", "入力"),
    "parameter": ("Parameter", "パラメーター"),
    "selection": ("Selection", "選択条件"),
    "given": ("Parameters", "パラメーター"),
    "metrics": ("Metrics", "メトリクス"),
    "files": ("Files", "ファイル"),
    "file": ("File", "ファイル"),
    "hash": ("xxh128", "xxh128"),
    "bytes": ("Bytes", "バイト"),
    "outside": ("Outside files", "外部ファイル"),
    "field": ("Field", "フィールド"),
    "value": ("Value", "値"),
    "none": ("none", "なし"),
    "version": ("version {n}", "バージョン {n}"),
    "back_to_graph": ("Back to the graph", "グラフに戻る"),
    # times
    "times_note": (
        "From the run that made this copy. A stage from the store was not run again: its figures are those of the run "
        "that made it.",
        "このページを書き出した実行の記録です。ストアから再利用したステージは実行しておらず、作成時の値を示します。",
    ),
    "state": ("State", "状態"),
    "seconds": ("Time", "所要時間"),
    "tokens_per_second": ("Tokens/s", "トークン/秒"),
    "peak_memory": ("Peak memory", "最大メモリ"),
    "started": ("Started", "開始"),
    "finished": ("Finished", "終了"),
    "sum": ("Sum", "合計"),
    # the read-out of a chart
    "read_loss": ("loss", "損失"),
    "read_smooth": ("average", "平均"),
    "read_lr": ("learning rate", "学習率"),
    "read_accuracy": ("accuracy", "正解率"),
    "read_margin": ("margin", "差"),
    "read_chosen_reward": ("reward of chosen", "報酬（好ましい回答）"),
    "read_rejected_reward": ("of rejected", "報酬（好ましくない回答）"),
    "read_kl_chosen": ("log-ratio of chosen", "対数比（好ましい回答）"),
    "read_kl_rejected": ("of rejected", "対数比（好ましくない回答）"),
    "read_length_gap": ("longer by", "長さの差"),
    "read_leaking_reward": ("reward with foreign words", "報酬（他言語の語あり）"),
    "read_clean_reward": ("without", "報酬（他言語の語なし）"),
    "read_chosen_nll": ("loss of chosen", "好ましい回答の損失"),
    "read_grad_norm": ("gradient norm", "勾配ノルム"),
    "read_bits": ("bits/char", "ビット/文字"),
    "read_tokens": ("tokens", "トークン"),
    "read_step": ("steps", "ステップ"),
}

WORDS: dict[str, Pair] = FRAME | _PAGE | TRAINING | LEAKAGE
LABELS = Labels(WORDS)
t, t_svg = LABELS.t, LABELS.t_svg

FIGURE_NAMES = {
    "overall": "figure_overall",
    "average": "figure_average",
    "turn 1": "figure_turn_1",
    "turn 2": "figure_turn_2",
}
"""Labels of figures that suites name alike."""

STATES: dict[str, Pair] = {
    "done": ("done", "完了"),
    "built": ("built", "作成"),
    "cached": ("from the store", "再利用"),
    "running": ("running", "実行中"),
    "waiting": ("waiting", "待機中"),
    "failed": ("failed", "失敗"),
    "interrupted": ("interrupted", "中断"),
    "skipped": ("skipped", "スキップ"),
}
"""States of a stage in the run's own record, as the page's script names them."""


def for_script() -> dict[str, Pair]:
    """Return the labels that the page's script writes itself."""
    words = {key: pair for key, pair in WORDS.items() if key.startswith("read_")}
    words |= {f"lang_{code}": pair for code, pair in LANGUAGES.items()}
    words |= {f"state_{name}": pair for name, pair in STATES.items()}
    return words | {"sum": WORDS["sum"]}
