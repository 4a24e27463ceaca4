//! Words of other languages than English that make a number progress at first sight.
//!
//! Each list has Japanese, Chinese, Korean, German, French, Spanish, Portuguese and Italian words,
//! as far as they differ. A word that is not here is no loss for a counter that moves.

use crate::log_parser::observation::CounterKind;

/// Words for progress at the end of a label, in languages without spaces between words.
const PROGRESS: [&str; 14] = [
    "進捗",
    "進捗率",
    "進捗状況",
    "進行状況",
    "完了率",
    "进度",
    "進度",
    "完成度",
    "진행률",
    "진행도",
    "진행",
    "진행 상황",
    "処理状況",
    "진척률",
];

/// Words for a large or small step of the work at the end of a label.
const STEP: [&str; 12] = [
    "ステップ",
    "フェーズ",
    "タスク",
    "エポック",
    "工程",
    "手順",
    "步骤",
    "步驟",
    "阶段",
    "任务",
    "단계",
    "스텝",
];

/// Work: `処理` in `処理中`.
const WORK: [&str; 72] = [
    "処理",
    "作成",
    "変換",
    "取得",
    "生成",
    "読み込み",
    "読込",
    "書き込み",
    "書込",
    "実行",
    "解析",
    "分析",
    "学習",
    "同期",
    "送信",
    "受信",
    "更新",
    "検証",
    "圧縮",
    "展開",
    "翻訳",
    "計算",
    "集計",
    "登録",
    "削除",
    "移行",
    "保存",
    "出力",
    "収集",
    "描画",
    "転送",
    "構築",
    "ダウンロード",
    "アップロード",
    "コピー",
    "インポート",
    "エクスポート",
    "ビルド",
    "インストール",
    "コンパイル",
    "スキャン",
    "レンダリング",
    "エンコード",
    "デプロイ",
    "处理",
    "處理",
    "转换",
    "下载",
    "上传",
    "生成",
    "读取",
    "写入",
    "训练",
    "编译",
    "安装",
    "导入",
    "导出",
    "复制",
    "完成",
    "翻译",
    "처리",
    "변환",
    "생성",
    "다운로드",
    "업로드",
    "설치",
    "복사",
    "학습",
    "분석",
    "빌드",
    "작업",
    "저장",
];

/// The ends of a label about work that goes on or is done. Alone they may mean `among`.
const WORKING: [&str; 6] = ["中", "済み", "済", "完了", "중", "완료"];

/// The starts of such a label in Chinese.
const WORKING_START: [&str; 2] = ["正在", "已"];

/// The kind of a counter after a label in Japanese, Chinese or Korean: `処理中: 3/10`.
pub(super) fn kind_after(label: &str) -> Option<CounterKind> {
    let label = label.trim_end_matches([' ', '\t', ':', '#', '=', '[', '(', '第', '-', '>']);
    if label.ends_with(|character: char| character.is_ascii()) {
        return None;
    }
    let ends = |text: &str, words: &[&str]| words.iter().any(|word| text.ends_with(word));
    if ends(label, &PROGRESS) || ends(label, &STEP) {
        return Some(CounterKind::Step);
    }
    let stripped = WORKING.iter().find_map(|word| label.strip_suffix(word));
    let clause = label.rsplit([' ', ',', '、', '。', ';', '|', ']']).next()?;
    let started = WORKING_START
        .iter()
        .find_map(|word| clause.strip_prefix(word));
    let is_work = stripped.is_some_and(|text| ends(text.trim_end(), &WORK))
        || started.is_some_and(|text| WORK.iter().any(|word| text.starts_with(word)));
    is_work.then_some(CounterKind::Item)
}

/// Whether work is done according to the start of `text`: `3/10 完了`, `96件目を処理`.
pub(super) fn is_working(text: &str) -> bool {
    const DONE: [&str; 5] = ["完了", "済", "目", "完毕", "완료"];
    const NOT_DONE: [&str; 5] = ["ません", "ない", "失敗", "エラー", "실패"];
    /// A word may follow the word for what is counted.
    const MOST_CHARS: usize = 8;
    let start = |count| {
        let end = text.char_indices().nth(count);
        text.get(..end.map_or(text.len(), |(at, _)| at))
            .unwrap_or_default()
    };
    let has = |text: &str, words: &[&str]| words.iter().any(|word| text.contains(word));
    let near = start(MOST_CHARS);
    (has(near, &DONE) || has(near, &WORK)) && !has(start(3 * MOST_CHARS), &NOT_DONE)
}

/// The kind of a counter after `word`, which is in lower case: `Schritt 3/10`.
pub(super) fn counted(word: &str) -> Option<CounterKind> {
    Some(match word {
        "aufgabe" | "tâche" | "tarea" | "tarefa" | "époque" | "época" => CounterKind::Phase,
        "schritt" | "étape" | "paso" | "etapa" | "passo" | "durchlauf" | "runde" | "fase" => {
            CounterKind::Step
        }
        _ if is_progress(word) => CounterKind::Step,
        "datei" | "dateien" | "bild" | "seite" | "datensatz" | "zeile" | "fichier" | "fichiers"
        | "lot" | "ligne" | "archivo" | "archivos" | "página" | "lote" | "elemento" | "fila"
        | "registro" | "registros" | "arquivo" | "arquivos" | "ficheiro" | "linha" => {
            CounterKind::Item
        }
        _ => return None,
    })
}

/// Whether `word`, which is in lower case, means progress: `Fortschritt: 42 %`.
pub(super) fn is_progress(word: &str) -> bool {
    matches!(
        word,
        "fortschritt" | "progression" | "avancement" | "progreso" | "avance" | "progresso"
    )
}

/// Whether `word`, which is in lower case, is a verb or a noun of work: `Verarbeitet`, `Procesando`.
pub(super) fn is_work(word: &str) -> bool {
    /// German and French, with any ending.
    const STARTS: [&str; 25] = [
        "verarbeite",
        "bearbeite",
        "kopier",
        "heruntergeladen",
        "hochgeladen",
        "importier",
        "exportier",
        "konvertier",
        "erzeug",
        "übersetz",
        "überprüf",
        "geprüft",
        "geladen",
        "gelesen",
        "geschrieben",
        "erledigt",
        "abgeschlossen",
        "traitement",
        "traité",
        "télécharg",
        "chargement",
        "chargé",
        "copié",
        "terminé",
        "indexation",
    ];
    /// Spanish, Portuguese and Italian, with the ending of a gerund or participle.
    const STEMS: [&str; 30] = [
        "proces",
        "process",
        "descarg",
        "carg",
        "carreg",
        "baix",
        "copi",
        "import",
        "export",
        "compil",
        "gener",
        "ger",
        "analiz",
        "analis",
        "instal",
        "envi",
        "actualiz",
        "atualiz",
        "complet",
        "termin",
        "conclu",
        "sub",
        "convirt",
        "convert",
        "traduc",
        "sincroniz",
        "verific",
        "migr",
        "index",
        "elabor",
    ];
    const ENDINGS: [&str; 13] = [
        "ando", "iendo", "endo", "indo", "ado", "ados", "ada", "adas", "ido", "idos", "ído", "ato",
        "ati",
    ];
    STARTS.iter().any(|start| word.starts_with(start))
        || ENDINGS
            .iter()
            .filter_map(|ending| word.strip_suffix(ending))
            .any(|stem| STEMS.contains(&stem))
}
