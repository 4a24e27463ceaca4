//! Recognizes lines that report the end of a run.

use std::sync::LazyLock;

use regex::{Regex, RegexSet};

use super::languages;
use crate::log_parser::observation::EndOf;
use crate::model::TaskStatus;

/// Every end matches this pattern, which is also a part of the pre-filter of [`plain`](super).
///
/// The pre-filter sees lines with colours, so that a word is not always followed by the end of the
/// line.
pub(super) const HINT: &str = concat!(
    r"(?i-u:pass(?:ed|ing)|fail(?:ed|ing|ure|[\s\x1b]|$)|succe|complete| done|done in|finished|exited",
    r"|terminated with|returned a non-zero|rolled out|Error [0-9]|[0-9] error|not exit|timed out after",
    r"|panicked at|could not compile|\*\*\* |build stopped: |command error: |job stopped",
    r"|received exit code|operation was canceled|NOT_BUILT|ABORTED|UNSTABLE)",
);

struct Ends {
    completed: RegexSet,
    completed_by_tools: RegexSet,
    completed_by_counting_tools: RegexSet,
    partly_completed: RegexSet,
    failed: RegexSet,
    failed_tools: RegexSet,
    cancelled: RegexSet,
}

const COMPLETED: [&str; 7] = [
    // Scripts and trainers
    r"^\W*(?i:all done)\W*$",
    concat!(
        r"^\W*(?i:(?:training|pipeline|workflow|execution|migration|deployment|simulation",
        r"|all (?:tasks|steps|jobs|stages|phases|batches|items|files|epochs|tests))",
        r"(?: run)?(?: is| has| have| was| were)?(?: been)?(?: now)?(?: all)?(?: successfully)?",
        r" (?:completed?|finished|done|succeeded|passed)(?: successfully)?(?: in [0-9][\w.: ]*)?)\W*$",
    ),
    r"^Training completed\. Do not forget",
    r"^[0-9]+ epochs completed in [0-9.]+",
    // CI servers
    r"^(?:Finished: SUCCESS|Job succeeded|Build success|CircleCI received exit code 0)$",
    r"^Done\. Your build exited with 0\.?$",
    // SageMaker
    r"^Completed - Training job completed$",
];

/// Lines of tools that agents run, and that print no counters.
const COMPLETED_BY_TOOLS: [&str; 12] = [
    // pytest, with or without its rulers
    r"^=* ?[0-9]+ passed(?:, [0-9]+ [a-z]+)* in [0-9.]+s(?: \([0-9:]+\))? ?=*$",
    // ant, gradle, maven, xcodebuild, dotnet
    r"^(?:\*\* )?(?:BUILD|TEST|ARCHIVE) (?:SUCCESSFUL|SUCCESS|SUCCEEDED)\b",
    r"^Build succeeded(?: in .*)?[.!]?$",
    // git clone
    r"^Resolving deltas: 100% \([0-9]+/[0-9]+\)(?:, completed with [0-9]+ local objects)?, done\.",
    // docker and podman
    r"^Successfully built [0-9a-f]{12}$",
    r"^Successfully tagged \S+$",
    // kubectl, terraform
    r#"^\S+ "[^"]+" successfully rolled out$"#,
    r"^(?:Apply|Destroy) complete! Resources: ",
    // jest, vitest
    r"^Tests: +(?:[0-9]+ (?:skipped|todo), )*[0-9]+ passed, [0-9]+ total$",
    r"^Tests +[0-9]+ passed(?: \| [0-9]+ (?:skipped|todo))* \([0-9]+\)$",
    // cargo
    r"^Finished `[a-z-]+` profile \[",
    r"^test result: ok\. [0-9]+ passed; 0 failed;",
];

/// Lines of tools that count their own steps, and need not count to the end.
const COMPLETED_BY_COUNTING_TOOLS: [&str; 4] = [
    // yarn
    r"^(?:✨ +)?Done in [0-9.]+m?s\.?$",
    // dbt
    r"^Completed successfully$",
    // ctest
    r"^100% tests passed, 0 tests failed out of [0-9]+",
    // bazel
    r"^Build completed successfully, [0-9,]+ total actions?",
];

/// Lines of tools about a part of their work. Other lines may report that the rest failed.
const PARTLY_COMPLETED: [&str; 3] = [
    // Playwright prints the number of failed tests before this line; mocha prints it after
    r"^[0-9]+ passed \([0-9.]+(?:ms|s|m|h)\)$",
    r"^[0-9]+ passing \([0-9.]+(?:ms|s|m|h)\)$",
    // Ansible's recap, one line for each host
    r"^\S+ +: ok=[0-9]+ +changed=[0-9]+ +unreachable=0 +failed=0(?: |$)",
];

/// Lines of tools that agents run, and then mend what failed.
const FAILED_TOOLS: [&str; 20] = [
    r"^=* ?(?:[0-9]+ [a-z]+, )*[0-9]+ (?:failed|errors?)(?:, [0-9]+ [a-z]+)* in [0-9.]+s(?: \([0-9:]+\))? ?=*$",
    r"^(?:\*\* )?(?:BUILD|TEST|ARCHIVE) (?:FAILED|FAILURE)\b",
    r"^(?:Build FAILED\.?$|FAILURE: Build (?:failed|completed with [0-9]+ failures))",
    // ninja, make
    r"^FAILED: [^\s0-9]",
    // unittest
    r"^FAILED \((?:failures|errors)=",
    r"^ninja: build stopped: (?:subcommand failed|error)",
    r"^g?make(?:\[[0-9]+\])?: \*\*\* .*(?:Error [0-9]+|Stop\.)$",
    // docker, buildkit
    r"^(?:COPY|ADD) failed: ",
    r"^The command '.*' returned a non-zero code: [0-9]+",
    r"did not complete successfully: exit code: [0-9]+",
    // ctest, jest, cargo
    r"^[0-9]{1,2}% tests passed, [1-9][0-9]* tests? failed out of [0-9]+",
    r"^Tests: +[1-9][0-9]* failed, .*[0-9]+ total$",
    r"^Completed with [1-9][0-9]* (?:partial )?errors?\b",
    r"^test result: FAILED\. ",
    r"^error: could not compile `",
    // vitest, googletest
    r"^Tests +[1-9][0-9]* failed \| ",
    r"^\[  FAILED  \] [1-9][0-9]* tests?, listed below:",
    // Playwright, mocha; Ansible's recap; go
    r"^[1-9][0-9]* (?:failed|failing)$",
    r"^\S+ +: ok=[0-9]+ +changed=[0-9]+ +(?:unreachable=[1-9][0-9]* +failed=[0-9]+|unreachable=0 +failed=[1-9][0-9]*)(?: |$)",
    r"^FAIL$",
];

const FAILED: [&str; 12] = [
    // CodeBuild
    r"^Command did not exit successfully ",
    r"^Phase complete: [A-Z_]+ State: FAILED",
    // exit codes of processes; responses of servers have a status code without `exit`
    r"(?i:\b(?:exited|completed|terminated|finished) with (?:error |exit |non-zero exit )?code:? (?:exit status )?['\x22]?-?[1-9][0-9]{0,9})\b",
    r"(?i:\b(?:exited|completed|terminated|finished|failed) with (?:non-zero )?exit (?:code|status):? -?[1-9][0-9]{0,9})\b",
    // Lambda, and programs that crash
    r"^Task timed out after [0-9.]+ seconds$",
    r"^thread '[^']*' (?:\([0-9]+\) )?panicked at ",
    r"^(?:RequestId: [0-9a-f-]{36} )?(?:Error: )?Runtime exited (?:with error: |without providing a reason)",
    r"^(?:RequestId: [0-9a-f-]{36} )?Process exited before completing request$",
    // CI servers
    r"^(?:Finished: (?:FAILURE|UNSTABLE)$|(?:ERROR: )?Job failed(?:$|(?: \([a-z ]+\))?: ))",
    r"^(?:CircleCI received exit code|Exited with code exit status|Done\. Your build exited with) [1-9][0-9]*\.?$",
    r"^(?:(?:🚨 )?Error: The command exited with status -?[1-9]|user command error: )",
    // SageMaker
    r"^Failed - Training job failed",
];

const CANCELLED: [&str; 3] = [
    r"^Finished: (?:ABORTED|NOT_BUILT)$",
    // GitHub Actions
    r"^(?:##\[error\]|Error: )?The operation was canceled\.$",
    // SageMaker
    r"^Stopped - Training job stopped$",
];

static ENDS: LazyLock<Ends> = LazyLock::new(|| {
    let set = |patterns: &[&str]| RegexSet::new(patterns).expect("the patterns are constants");
    Ends {
        completed: set(&COMPLETED),
        completed_by_tools: set(&COMPLETED_BY_TOOLS),
        completed_by_counting_tools: set(&COMPLETED_BY_COUNTING_TOOLS),
        partly_completed: set(&PARTLY_COMPLETED),
        failed: set(&FAILED),
        failed_tools: set(&FAILED_TOOLS),
        cancelled: set(&CANCELLED),
    }
});

/// The pre-filter of ends.
static MAY_END: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(&format!("{HINT}|{}", languages::END_HINT)).expect("the pattern is a constant")
});

/// The longest line that can be an end, in bytes. Longer lines with such words are prose or data.
const LONGEST: usize = 2048;

/// The end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    /// The terminal status.
    pub(super) status: TaskStatus,
    /// What ended.
    pub(super) of: EndOf,
}

/// Returns the end of the run, if `line` reports it.
pub(super) fn parse(line: &str) -> Option<End> {
    if line.len() > LONGEST || !MAY_END.is_match(line) {
        return None;
    }
    parse_short(line)
}

/// [`parse`] without its pre-filter.
#[cfg(test)]
pub(super) fn parse_unfiltered(line: &str) -> Option<End> {
    (line.len() <= LONGEST).then(|| parse_short(line)).flatten()
}

fn parse_short(line: &str) -> Option<End> {
    let line = line.trim_end();
    let is_ignored = line.ends_with("(ignored)");
    let (status, of) = if ENDS.failed.is_match(line) && !is_ignored {
        (TaskStatus::Failed, EndOf::Run)
    } else if ENDS.failed_tools.is_match(line) && !is_ignored {
        (TaskStatus::Failed, EndOf::Tool)
    } else if ENDS.completed.is_match(line) {
        (TaskStatus::Completed, EndOf::Run)
    } else if ENDS.completed_by_tools.is_match(line) {
        (TaskStatus::Completed, EndOf::ToolWithoutCounter)
    } else if ENDS.completed_by_counting_tools.is_match(line) {
        (TaskStatus::Completed, EndOf::Tool)
    } else if ENDS.partly_completed.is_match(line) {
        (TaskStatus::Completed, EndOf::Part)
    } else if ENDS.cancelled.is_match(line) {
        (TaskStatus::Cancelled, EndOf::Run)
    } else if let Some(status) = languages::end(line) {
        let of = match status {
            // Such a word may be about a step.
            TaskStatus::Completed => EndOf::ToolWithoutCounter,
            _ => EndOf::Run,
        };
        (status, of)
    } else {
        return None;
    };
    Some(End { status, of })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::string::string_regex;

    /// Lines that any of the rules matches, except for lines with letters that are not ASCII but
    /// equal ASCII letters when case is ignored.
    fn any_end() -> impl Strategy<Value = String> {
        let rules = [
            &COMPLETED[..],
            &COMPLETED_BY_TOOLS,
            &COMPLETED_BY_COUNTING_TOOLS,
            &PARTLY_COMPLETED,
            &FAILED,
            &FAILED_TOOLS,
            &CANCELLED,
        ];
        let lines = rules.concat().into_iter().map(|rule| {
            // A generator of strings knows no anchors.
            let rule = rule.strip_prefix('^').unwrap_or(rule);
            let rule = rule.replace('$', "").replace(r"\b", "");
            string_regex(&rule).expect("the rule has no other anchors")
        });
        proptest::strategy::Union::new(lines).prop_filter("long s and the Kelvin sign", |line| {
            !line.contains(['\u{17f}', '\u{212a}'])
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn a_line_that_a_rule_matches_passes_the_pre_filters(line in any_end()) {
            prop_assert!(MAY_END.is_match(&line), "{line:?}");
            prop_assert!(super::super::may_match(&line), "{line:?}");
        }
    }
}
