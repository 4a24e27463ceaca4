//! Words of other languages than English: those that make a number progress at first sight, and
//! lines that tell how a whole run ended or that it waits for a person.
//!
//! Each list has Japanese, Chinese, Korean, German, French, Spanish, Portuguese and Italian words,
//! as far as they differ. A word that is not here is no loss for a counter that moves.

use std::sync::LazyLock;

use regex::Regex;

use crate::log_parser::observation::CounterKind;
use crate::model::TaskStatus;

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

/// Every line of [`end`] matches this pattern.
pub(super) const END_HINT: &str = concat!(
    "完了|終了|失敗|中断|中止|キャンセル|完成|失败|取消|终止|완료|종료|실패|취소|중단",
    "|(?i-u:abgeschlossen|beendet|fehlgeschlagen|gescheitert|abgebrochen|termin|achev|chou|annul",
    "|interrompu|completad|finalizad|cancelad|fall|conclu|falhou)",
);

/// Every line of [`waits_for_approval`] matches this pattern.
pub(in crate::log_parser) const WAIT_HINT: &str =
    "承認|审批|批准|승인|(?i-u:freigabe|genehmigung|approbation|aprobaci|aprova)";

/// A whole line about a whole run, by how it ended. Each has what runs, and then what became of it.
static ENDS: LazyLock<[(Regex, TaskStatus); 3]> = LazyLock::new(|| {
    const SUBJECTS: [&str; 6] = [
        "(?:(?:すべて|全て|全)の?)?(?:処理|タスク|ジョブ|工程|ステップ|パイプライン|ワークフロー|デプロイ|移行|学習|バッチ)[がはをに]?",
        "(?:所有|全部)?(?:任务|任務|步骤|部署|流水线|训练|迁移|处理)(?:执行)?",
        "(?:모든 )?(?:작업|배포|파이프라인|학습|마이그레이션|처리)(?:이|가|을|를|에)? ?",
        "(?:(?:alle|die|das|der) )?(?:aufgaben|schritte|pipeline|bereitstellung|training|migration|verarbeitung|ausführung) ",
        "(?:(?:toutes |tous )?(?:les |la |le |l['’]))?(?:tâches|étapes|déploiement|pipeline|entraînement|migration|traitement|exécution) ",
        "(?:(?:todas |todos )?(?:las |los |el |la |as |os |o |a ))?(?:tareas|pasos|despliegue|entrenamiento|migración|proceso|ejecución|tarefas|etapas|implantação|treinamento|migração|processo|execução) ",
    ];
    const COMPLETED: [&str; 6] = [
        "(?:すべて|全て|正常に|無事に?)*(?:完了|終了)(?:いた)?しました",
        "(?:已经|已|全部|均)*(?:成功)?完成了?",
        "(?:모두 |성공적으로 |정상적으로 )*(?:완료|종료)(?:되었|됐|했)습니다",
        "(?:(?:wurden?|ist|sind) )?(?:(?:erfolgreich|vollständig) )?(?:abgeschlossen|beendet)",
        "(?:(?:est|sont|a été|ont été) )?(?:terminée?s?|achevée?s?)(?: avec succès)?",
        "(?:(?:se ha|se han|ha sido|fue|foi|foram) )?(?:completad[oa]s?|finalizad[oa]s?|terminad[oa]s?|concluíd[oa]s?)(?: (?:con éxito|correctamente|com sucesso))?",
    ];
    const FAILED: [&str; 6] = [
        "(?:失敗|異常終了)しました",
        "已?失败了?",
        "실패(?:했|하였)습니다",
        "(?:(?:ist|sind) )?(?:fehlgeschlagen|gescheitert)",
        "(?:(?:a|ont) )?échoué",
        "(?:falló|fallid[oa]|ha fallado|falhou)",
    ];
    const CANCELLED: [&str; 6] = [
        "(?:ユーザーによって|手動で)?(?:中断|中止|キャンセル)(?:し|され)ました",
        "已?被?(?:用户)?(?:取消|中止|终止)了?",
        "(?:취소|중단)(?:되었|됐|했)습니다",
        "(?:wurden? )?abgebrochen",
        "(?:(?:a été|ont été) )?(?:annulée?s?|interrompue?s?)",
        "(?:(?:se ha|ha sido|fue|foi) )?cancelad[oa]s?",
    ];
    let regex = |words: [&str; 6]| {
        let lines = SUBJECTS.iter().zip(words);
        let lines: Vec<_> = lines.map(|(of, word)| format!("{of}(?:{word})")).collect();
        let line = format!(r"^\W*(?i:{})\W*$", lines.join("|"));
        Regex::new(&line).expect("the patterns are constants")
    };
    [
        (regex(COMPLETED), TaskStatus::Completed),
        (regex(FAILED), TaskStatus::Failed),
        (regex(CANCELLED), TaskStatus::Cancelled),
    ]
});

/// How the run ended, if the whole of `line` says so: `すべての処理が完了しました`.
pub(super) fn end(line: &str) -> Option<TaskStatus> {
    let mut ends = ENDS.iter();
    let (_, status) = ends.find(|(regex, _)| regex.is_match(line))?;
    Some(*status)
}

/// Whether the whole of `line` says that the run waits until a person approves.
pub(in crate::log_parser) fn waits_for_approval(line: &str) -> bool {
    static WAITS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(concat!(
            r"^\W*(?i:承認待ち(?:です)?|承認(?:を|が必要|されるの?を)(?:待っています|待機中|待機しています|です)",
            r"|(?:正在)?等待(?:人工|用户)?(?:审批|批准)|승인(?:을)? ?(?:대기 ?중(?:입니다)?|기다리는 중(?:입니다)?)",
            r"|warte(?:n|t)? auf (?:die )?(?:freigabe|genehmigung)|en attente (?:d['’]une |d['’])approbation",
            r"|(?:esperando|en espera de|aguardando|à espera de) (?:la |a )?(?:aprobación|aprovação))(?:\W*|[:：] ?.*)$",
        ))
        .expect("the pattern is a constant")
    });
    WAITS.is_match(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log_parser::plain;

    #[test]
    fn a_whole_line_tells_how_a_run_ended() {
        use TaskStatus::{Cancelled, Completed, Failed};
        for (line, status) in [
            ("すべての処理が完了しました。", Completed),
            ("✅ デプロイが正常に完了しました", Completed),
            ("バッチは終了しました", Completed),
            ("デプロイに失敗しました。", Failed),
            ("処理が異常終了しました", Failed),
            ("ジョブはキャンセルされました", Cancelled),
            ("処理を中断しました", Cancelled),
            ("所有任务已完成！", Completed),
            ("部署失败", Failed),
            ("任务已被用户取消", Cancelled),
            ("모든 작업이 완료되었습니다.", Completed),
            ("배포에 실패했습니다", Failed),
            ("작업이 취소되었습니다", Cancelled),
            ("Alle Aufgaben wurden erfolgreich abgeschlossen.", Completed),
            ("Bereitstellung fehlgeschlagen!", Failed),
            ("Migration abgebrochen", Cancelled),
            ("Toutes les tâches sont terminées", Completed),
            ("Le déploiement a échoué.", Failed),
            ("L'exécution a été annulée", Cancelled),
            ("El despliegue se ha completado con éxito", Completed),
            ("Todas las tareas completadas", Completed),
            ("La ejecución falló", Failed),
            ("Proceso cancelado", Cancelled),
            ("Todas as tarefas foram concluídas com sucesso", Completed),
            ("A implantação falhou", Failed),
        ] {
            assert_eq!(end(line), Some(status), "{line}");
            let parsed = plain::parse_sure(line).and_then(|line| line.status);
            assert_eq!(parsed, Some(status), "{line}");
        }
    }

    #[test]
    fn such_words_in_other_lines_end_nothing() {
        for line in [
            "完了",
            "ファイル 3 の変換が完了しました",
            "処理が完了しましたら連絡します",
            "デプロイが完了していません",
            "失敗: 0",
            "失敗した処理はありません",
            "処理が完了するまで待機",
            "下载完成",
            "任务完成后通知我",
            "失败 0 个",
            "파일 변환 완료",
            "작업이 완료되면 알려 주세요",
            "Datei 3 abgeschlossen",
            "0 Aufgaben fehlgeschlagen",
            "Die Verarbeitung ist nicht abgeschlossen",
            "La tâche 3 est terminée",
            "Aucune étape n'a échoué",
            "0 tareas completadas",
            "archivo copiado, proceso casi completado",
        ] {
            assert_eq!(end(line), None, "{line}");
            assert_eq!(
                plain::parse_sure(line).and_then(|line| line.status),
                None,
                "{line}"
            );
        }
    }

    #[test]
    fn a_whole_line_tells_that_a_person_must_approve() {
        for line in [
            "承認待ち",
            "⏸ 承認を待っています",
            "等待审批",
            "승인 대기 중",
            "Warten auf Freigabe",
            "En attente d'approbation",
            "Esperando aprobación: despliegue",
            "Aguardando aprovação",
        ] {
            assert!(waits_for_approval(line), "{line}");
        }
        for line in [
            "承認待ちの件数: 0",
            "承認されました",
            "승인 대기 0건",
            "Keine Freigabe nötig",
            "0 esperando aprobación",
        ] {
            assert!(!waits_for_approval(line), "{line}");
        }
    }
}
