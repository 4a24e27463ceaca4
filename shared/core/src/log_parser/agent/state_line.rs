//! Parses lines of text in which agents say where they stand: `state changed from RUNNING to
//! FINISHED`, `job 7 QUEUED -> RUNNING`, `status is FAILED`, `Waiting for approval: …`.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::status::{self, Status};
use super::waiting;
use crate::log_parser::observation::{AgentObservation, EndOf, Need};
use crate::log_parser::plain::languages;
use crate::log_parser::text::clip_some;
use crate::model::TaskStatus;

/// Every line that this module reads matches this pattern.
pub(super) const HINT: &str = concat!(
    r"(?i:state|status)|(?:->|→) ?[A-Z]|(?i:waiting for|awaiting|approv|input|required)",
    r"|[(\[](?i:y|yes)(?:/(?i:n|no))?[)\]]|Invocation completed",
);

/// A longer line is prose or data, in bytes.
const LONGEST: usize = 512;

static LINES: LazyLock<Lines> = LazyLock::new(|| {
    let regex = |pattern: &str| Regex::new(pattern).expect("the pattern is a constant");
    Lines {
        change: regex(concat!(
            r"(?i:\b(?:state|status) (?:(?:has )?(?:changed|transitioned|moved|went) )?",
            r"(?:from \S+ )?to )",
            r"([\w.]+)[.!]?$",
        )),
        arrow: regex(r"\b([A-Z][A-Z_]{3,}) ?(?:->|=>|→) ?([A-Z][A-Z_]{3,})[.!]?$"),
        stands: regex(r"\b(?i:state|status)(?i: is(?: now)?| ?[=:]) ?([A-Z][A-Z_]{3,})[.!]?$"),
        waits: regex(concat!(
            r"(?i)^\W*(?:[\w-]+ (?:is )?)?(?:still )?(?:waiting for|awaiting|waits for) ",
            r"(?:(?:a|an|the|your|user|human|manual|operator) )*",
            r"(input|answer|reply|approval|confirmation|permission|review|sign-off)",
            r"(?: (?:from|by) (?:[\w'-]+ ?){1,4}| (?:to|before) .*)?(?:[:.,…(—-].*)?$",
        )),
        required: regex(
            r"(?i)^\W*(?:(?:user|human|manual) )?(input|approval|confirmation|permission) (?:is )?required(?:[:.,…(].*)?$",
        ),
        // `Print it? [y/N]`, `Print it (yes/no)?`
        asks: regex(concat!(
            r"(?i)\?.{0,80}[(\[](?:y|yes)(?:/(?:n|no))?[)\]]\W*$",
            r"|[(\[](?:y|yes)/(?:n|no)[)\]] ?\?\W*$",
        )),
        granted: regex(
            r"(?i)^\W*(?:approved by |(?:approval|permission) (?:was )?(?:granted|given|received)\b|(?:user )?input received\b)",
        ),
        invoked: regex(r"\bInvocation completed successfully\b"),
    }
});

struct Lines {
    change: Regex,
    arrow: Regex,
    stands: Regex,
    waits: Regex,
    required: Regex,
    asks: Regex,
    granted: Regex,
    invoked: Regex,
}

/// Parses a line without prefixes.
pub(super) fn parse(line: &str) -> Option<AgentObservation> {
    if line.len() > LONGEST {
        return None;
    }
    let lines = &*LINES;
    let word = |captures: &Captures<'_>, group: usize| status::parse(captures.get(group)?.as_str());
    if let Some(captures) = lines.change.captures(line) {
        return observe(line, word(&captures, 1)?, EndOf::Run);
    }
    if let Some(captures) = lines.arrow.captures(line) {
        word(&captures, 1)?;
        return observe(line, word(&captures, 2)?, EndOf::Tool);
    }
    if let Some(captures) = lines.stands.captures(line) {
        let status = word(&captures, 1).filter(|status| !status.is_vague)?;
        // A check of health says so again and again.
        let is_news = status.status.is_terminal() || status.need.is_some();
        return observe(line, status, EndOf::Tool).filter(|_| is_news);
    }
    let asked = lines
        .waits
        .captures(line)
        .or_else(|| lines.required.captures(line));
    if let Some(captures) = asked {
        let need = match captures.get(1)?.as_str().to_ascii_lowercase().as_str() {
            "input" | "answer" | "reply" => Need::Input,
            _ => Need::Approval,
        };
        return Some(waiting(need, clip_some(line)));
    }
    if lines.asks.is_match(line) || languages::waits_for_approval(line) {
        return Some(waiting(Need::Approval, clip_some(line)));
    }
    let status = match () {
        () if lines.granted.is_match(line) => TaskStatus::Running,
        () if lines.invoked.is_match(line) => TaskStatus::Completed,
        () => return None,
    };
    Some(AgentObservation {
        status: Some(status),
        message: clip_some(line),
        ..AgentObservation::default()
    })
}

fn observe(line: &str, status: Status, end_of: EndOf) -> Option<AgentObservation> {
    let line = status.observation(clip_some(line));
    Some(AgentObservation { end_of, ..line })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_tell_the_state_of_an_agent() {
        use TaskStatus::{Blocked, Cancelled, Completed, Failed, Pending, Running};
        for (line, status) in [
            (
                "state changed from AgentState.LOADING to AgentState.RUNNING",
                Running,
            ),
            ("[agent 7] state changed to FINISHED", Completed),
            ("agent state changed from RUNNING to ERROR", Failed),
            (
                "Setting agent(Tailor) state from A.RUNNING to A.STOPPED",
                Cancelled,
            ),
            ("state changed from RUNNING to AWAITING_USER_INPUT", Blocked),
            ("ticket 7 QUEUED -> RUNNING", Running),
            ("ticket 7 RUNNING → COMPLETED", Completed),
            ("ticket 7 CREATED -> QUEUED", Pending),
            ("flow print: status is FAILED", Failed),
            ("print 7 state=CANCELLED", Cancelled),
            ("Waiting for approval: print 9 pages", Blocked),
            ("⏸ Waiting for your input", Blocked),
            (
                "Agent is awaiting human confirmation before printing",
                Blocked,
            ),
            ("Approval required: print 9 pages", Blocked),
            ("Print 9 pages? [y/N]", Blocked),
            ("Do you want to print (y/n)?", Blocked),
            ("Go on? (y) ", Blocked),
            ("Are you sure (yes/no)?", Blocked),
            ("Approved by Kim", Running),
            ("Invocation completed successfully (2.1s)", Completed),
        ] {
            assert_eq!(parse(line).unwrap().status, Some(status), "{line}");
        }
    }

    #[test]
    fn other_lines_with_such_words_tell_nothing() {
        for line in [
            "state=RUNNING",
            "Go on? [y/N] y",
            "status: OK",
            "status is 200",
            "Status: DONE",
            "GET -> POST",
            "Waiting for input stream to close",
            "waiting for the server",
            "3 approvals required by policy",
            "The field input required a number",
            "usage: print [-y/n] FILE",
            "state changed from ON to OFF",
            "StackStatus is ROLLBACK_COMPLETE",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
