"""Every label of the page, in English and in Japanese."""

from __future__ import annotations

from watari.pages.labels import FRAME, Labels, Pair

WORDS: dict[str, Pair] = FRAME | {
    # the page
    "report": ("Corpus report", "コーパスレポート"),
    "footer": (
        "Written by Watari from the build's own files: ledger, documents, measured, dropped and corpus.json. The same "
        "files give the same page.",
        "Watari がビルドの出力（ledger、documents、measured、dropped、corpus.json）から作成しました。同じファイルからは"
        "同じページができます。",
    ),
    "built_with": ("profile {profile} · seed {seed}", "プロファイル {profile} · シード {seed}"),
    "seed_only": ("no profile of rules · seed {seed}", "ルールなし · シード {seed}"),
    # headline cards
    "documents": ("Documents", "文書"),
    "bytes": ("Bytes", "バイト"),
    "tokens": ("Tokens", "トークン"),
    "tokens_note_bytes": (
        "Estimated from bytes per token, measured with {name}.",
        "{name} で測った1トークンあたりのバイト数による推定です。",
    ),
    "tokens_note_characters": (
        "Estimated from characters per token, measured with {name}.",
        "{name} で測った1トークンあたりの文字数による推定です。",
    ),
    "bytes_note": ("UTF-8, as the texts were read.", "読み込んだ時点のテキスト（UTF-8）の量です。"),
    "documents_note": ("Every row that was read is in the ledger.", "読み込んだ行はすべて台帳にあります。"),
    "stays": ("{share} stays", "{share} を採用"),
    "account_holds": ("The account holds", "収支は一致"),
    "account_fails": ("The account does not hold", "収支が一致しません"),
    "account_card": ("Account", "収支"),
    "account_card_note": (
        "in = kept + dropped, in documents, bytes and the sum of hashes: {n} comparisons.",
        "入力＝採用＋除外を、文書数・バイト数・ハッシュの和で照合しました（{n} 件）。",
    ),
    # flow
    "flow": ("What became of what was read", "読み込んだ文書のゆくえ"),
    "flow_short": ("Flow", "流れ"),
    "flow_note": (
        "From top to bottom the steps, and what each took out for which reason. Widths are shares of what was read; "
        "what is too thin to be seen is drawn as a line.",
        "上から下へ、各ステップが何をどの理由で除外したかを示します。幅は入力全体に対する割合です。細すぎるものは線で"
        "示します。",
    ),
    "flow_tokens_note_bytes": (
        "Tokens are estimated from bytes: bytes per token by language, measured with {name} ({rates}).",
        "トークン数は、{name} で測った言語別の1トークンあたりのバイト数（{rates}）からの推定です。",
    ),
    "flow_tokens_note_characters": (
        "Tokens are estimated from characters: characters per token by language, measured with {name} ({rates}).",
        "トークン数は、{name} で測った言語別の1トークンあたりの文字数（{rates}）からの推定です。",
    ),
    "no_tokens": (
        "No tokenizer was given to the build, so tokens are not estimated.",
        "ビルドにトークナイザーが指定されていないため、トークン数は推定していません。",
    ),
    "measure": ("Measure", "単位"),
    "flow_read": ("read", "入力"),
    "flow_kept": ("kept", "採用"),
    "nothing_dropped": ("nothing dropped", "除外なし"),
    "nothing_read": ("Nothing was read.", "入力がありません。"),
    # account
    "account": ("The account", "収支"),
    "account_note": (
        "The ledger holds one row for each row that was read. Hashes are the sum of the texts' 64\u2011bit hashes modulo "
        "2⁶⁴: a row lost or counted twice changes it.",
        "台帳には読み込んだ行ごとに1行あります。ハッシュはテキストの64ビットハッシュの和（2⁶⁴を法とする）で、行が失われ"
        "ても二重に数えられても値が変わります。",
    ),
    "step": ("Step", "ステップ"),
    "reason": ("Reason", "理由"),
    "hash_sum": ("Sum of hashes", "ハッシュの和"),
    "share": ("Share", "割合"),
    "in": ("Read", "入力"),
    "kept": ("Kept", "採用"),
    "dropped": ("Dropped", "除外"),
    "sum": ("Kept + dropped", "採用＋除外"),
    "check": ("Comparison", "照合"),
    "check_read": (
        "Read, as the build counted it = all rows of the ledger",
        "ビルドが数えた入力 ＝ 台帳の全行",
    ),
    "check_kept": (
        "Kept, as the build counted it = kept rows of the ledger",
        "ビルドが数えた採用 ＝ 台帳の採用行",
    ),
    "check_documents": (
        "Documents written = kept rows of the ledger (rows, hashes)",
        "出力した文書 ＝ 台帳の採用行（件数とハッシュ）",
    ),
    "check_reason": (
        "Dropped for “{about}”, as counted = by the ledger",
        "「{about}」による除外：ビルドの計数 ＝ 台帳",
    ),
    "check_recorded": (
        "No counts of the build itself were found (corpus.json): the ledger is compared with the documents only.",
        "ビルド自身の計数（corpus.json）がないため、台帳と出力文書だけを照合しました。",
    ),
    "check_reasons": (
        "Dropped for each reason ({n}), as counted = by the ledger",
        "理由ごとの除外（{n} 件）：ビルドの計数 ＝ 台帳",
    ),
    "same": ("same", "一致"),
    "differs": ("differs", "不一致"),
    # rules
    "rules": ("Rules and their thresholds", "ルールとしきい値"),
    "rules_short": ("Rules", "ルール"),
    "rules_note": (
        "Measured on a keyed sample of {n} of {all} documents that came to the rules. Each rule is shown over all of "
        "them, also those that an earlier rule drops. “Only this one” are documents that no other rule would drop.",
        "ルールの段階に達した {all} 文書から、キーによる抽選で選んだ {n} 文書の測定値です。ほかのルールで除外される文書も"
        "含みます。「このルールのみ」は、ほかのルールでは除外されない文書です。",
    ),
    "rules_note_alone": (
        "Measured on a keyed sample of {n} documents that came to the rules. Each rule is shown over all of them, also "
        "those that an earlier rule drops. “Only this one” are documents that no other rule would drop.",
        "ルールの段階に達した文書から、キーによる抽選で選んだ {n} 文書の測定値です。ほかのルールで除外される文書も"
        "含みます。「このルールのみ」は、ほかのルールでは除外されない文書です。",
    ),
    "no_rules": (
        "No sample of measured documents is in this build, so the rules' values cannot be shown.",
        "このビルドには測定した文書の標本がないため、ルールの値は表示できません。",
    ),
    "rule_holds": ("holds", "満たす"),
    "rule_breaks": ("breaks it", "満たさない"),
    "around": ("threshold ±10%", "しきい値 ±10%"),
    "breaking": ("breaks it: {n} ({share})", "満たさない：{n}（{share}）"),
    "alone": ("only this one: {n} ({share})", "このルールのみ：{n}（{share}）"),
    "unmeasured": ("nothing to measure: {n}", "測定対象なし：{n}"),
    "threshold": ("Threshold", "しきい値"),
    "in_sample": ("In the sample", "標本での変化"),
    "share_interval": ("Share, 95% interval", "割合（95%信頼区間）"),
    "estimated": ("All, estimated", "全体の推定"),
    "logarithmic": ("logarithmic axis", "対数軸"),
    # examples
    "examples": ("Examples", "例"),
    "examples_note": (
        "Up to {n} documents for each reason, and {n} of those kept, drawn by the build's seed and each row's key, not "
        "by hand. <code>watari corpus explain</code> tells the whole history of one.",
        "除外理由ごと、および採用した文書から、それぞれ最大 {n} 件を、シードと行のキーによる抽選で選びました。手作業での"
        "選別はしていません。個々の経緯は <code>watari corpus explain</code> で確認できます。",
    ),
    "kept_examples": ("Kept", "採用"),
    "value_of": ("measured {value}", "測定値 {value}"),
    "limit_of": ("limit {value}", "しきい値 {value}"),
    "stays_instead": ("stays in its place: {id}", "代わりに残る文書：{id}"),
    "characters_of": ("{n} characters", "{n} 文字"),
    "no_text": ("(its text was not kept)", "（テキストは保存されていません）"),
    "empty_text": ("(empty)", "（空）"),
    "nothing_kept": ("No document was kept.", "採用された文書はありません。"),
    "nothing_dropped_at_all": ("No document was dropped.", "除外された文書はありません。"),
    # breakdowns
    "sources": ("Sources", "ソース"),
    "source": ("Source", "ソース"),
    "hosts": ("Hosts", "ホスト"),
    "host": ("Host", "ホスト"),
    "languages": ("Languages", "言語"),
    "licenses": ("Licences", "ライセンス"),
    "license": ("Licence", "ライセンス"),
    "breakdowns": ("Where it came from", "内訳"),
    "breakdowns_short": ("Sources", "内訳"),
    "breakdowns_note": (
        "Documents and bytes as they were read and as they stay, with the reasons that cost the most.",
        "読み込んだ量と採用した量、および主な除外理由です。",
    ),
    "most_lost": ("Dropped most for", "主な除外理由"),
    "without": ("(none given)", "（記載なし）"),
    "and_more": ("The {shown} largest of {n}.", "全 {n} 件のうち上位 {shown} 件です。"),
    "no_hosts": ("No row gives a URL.", "URL のある行はありません。"),
    # duplicates
    "clusters": ("Duplicates", "重複"),
    "clusters_note": (
        "A cluster is a document that stays, and those that are the same or nearly so. The survivor is the one with the "
        "smallest key.",
        "クラスターは、残った文書と、それと同一またはほぼ同一の文書の集まりです。キーが最小の文書を残します。",
    ),
    "cluster_size": ("Documents in the cluster", "クラスター内の文書数"),
    "cluster_count": ("Clusters", "クラスター数"),
    "cluster_documents": ("Documents", "文書数"),
    "largest_clusters": ("Largest clusters and what stays of them", "大きいクラスターと残った文書"),
    "no_clusters": ("No document stands for others.", "重複をまとめた文書はありません。"),
    "survivor": ("Stays", "残った文書"),
    "text": ("Text", "テキスト"),
    # contamination
    "contamination": ("Contamination", "評価データの混入"),
    "contamination_note": (
        "Evaluation sets that were looked for, and documents dropped for holding parts of them. A document that "
        "holds two counts for both.",
        "照合した評価セットと、その一部を含むため除外した文書の数です。複数を含む文書はそれぞれに数えます。",
    ),
    "no_contamination": (
        "The build looked for no evaluation set: nothing is known about contamination.",
        "評価セットとの照合は行っていません。混入の有無は不明です。",
    ),
    "task": ("Evaluation set", "評価セット"),
    "documents_dropped": ("Documents dropped", "除外した文書"),
    # personal data
    "masked": ("Personal data masked", "個人情報のマスク"),
    "masked_note": (
        "Places in kept documents that look like personal data and were replaced. What does not look like it by its "
        "form (names, addresses) is not found.",
        "採用した文書のうち、形式から個人情報とみられ置き換えた箇所です。形式で判別できないもの（氏名や住所など）は検出"
        "しません。",
    ),
    "no_masked": ("Nothing was masked.", "マスクした箇所はありません。"),
    "kind": ("Kind", "種類"),
    "places": ("Places", "箇所"),
    # parameters
    "parameters": ("Parameters", "パラメーター"),
    "parameter": ("Parameter", "パラメーター"),
    "value": ("Value", "値"),
    "parameters_note": ("As the build recorded them.", "ビルドの記録によります。"),
    "profile_source": ("Source of the thresholds", "しきい値の出典"),
}

LABELS = Labels(WORDS)
