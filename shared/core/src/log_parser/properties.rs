//! Invariants of the observations of any message, for tests and fuzzing.

use super::observation::{
    AgentObservation, CdkObservation, MAX_ITEM_BYTES, MAX_TODOS, Observation, RowSubject, TodoEdit,
};
use super::{LineCounts, LogFormat, line::split_lines, parse_message};
use crate::model::MAX_MESSAGE_BYTES;

/// The longest stack name that a line can have, in bytes: a display name with a CloudFormation name
/// in parentheses.
const MAX_NAME_BYTES: usize = 1_024;

/// Checks for each format that parsing `message` is deterministic and does not panic. The result
/// must be the same as for its lines one by one, and its texts must be safe to show.
///
/// # Panics
///
/// Panics if a check fails.
pub fn check(message: &[u8]) {
    let message = String::from_utf8_lossy(message);
    for format in LogFormat::ALL {
        let (counts, observations) = parse(format, &message);
        assert_eq!(
            parse(format, &message),
            (counts, observations.clone()),
            "parsing the same message twice gave different results"
        );
        assert!(counts.parsed <= counts.lines && counts.failures <= counts.lines);
        let all: Vec<_> = observations.iter().map(|(_, one)| one.clone()).collect();
        assert_safe_to_show(&all);

        let mut sum = LineCounts::default();
        let mut of_lines = Vec::new();
        for (number, line) in (0..).zip(split_lines(&message)) {
            let (alone, found) = parse(format, line);
            sum.lines += alone.lines.max(1); // an empty message has no lines
            sum.parsed += alone.parsed;
            sum.failures += alone.failures;
            of_lines.extend(found.into_iter().map(|(_, one)| (number, one)));
        }
        assert_eq!(
            sum, counts,
            "the counts of a message differ from those of its lines"
        );
        assert_eq!(of_lines, observations);
    }
}

fn parse(format: LogFormat, message: &str) -> (LineCounts, Vec<(u32, Observation)>) {
    let mut observations = Vec::new();
    let counts = parse_message(format, message, &mut |line, observation| {
        observations.push((line, observation));
    });
    (counts, observations)
}

/// Checks that no text of an observation is too long or has control characters, and that the
/// observation survives being stored.
///
/// # Panics
///
/// Panics if a check fails.
pub fn assert_safe_to_show(observations: &[Observation]) {
    for observation in observations {
        assert_survives_storage(observation);
        let (names, texts) = texts_of(observation);
        for text in &texts {
            assert!(text.len() <= MAX_MESSAGE_BYTES, "{text:?}");
        }
        for name in &names {
            assert!(name.len() <= MAX_NAME_BYTES, "{name:?}");
        }
        for text in names.iter().chain(&texts) {
            assert!(!text.contains(char::is_control), "{text:?}");
        }
    }
}

/// Checks that an observation is the same after it was written to JSON and read again.
///
/// # Panics
///
/// Panics if the check fails.
pub fn assert_survives_storage(observation: &Observation) {
    let json = serde_json::to_string(observation).expect("an observation is valid JSON");
    let stored: Observation = serde_json::from_str(&json).expect("an observation can be read");
    assert_eq!(stored, *observation, "{json}");
}

/// Returns the names and the other texts of an observation.
fn texts_of(observation: &Observation) -> (Vec<&String>, Vec<&String>) {
    use CdkObservation as Cdk;
    let observation = match observation {
        Observation::Cdk(observation) => observation,
        Observation::Lambda(_) => return (vec![], vec![]),
        Observation::Samples(line) => {
            assert!(
                line.samples
                    .iter()
                    .all(|sample| sample.current <= sample.total)
            );
            return (vec![], present([&line.message]));
        }
        Observation::Agent(agent) => {
            for (_, counter) in &agent.counters {
                assert!(counter.percentage.is_none_or(|share| share <= 100));
            }
            let names = [&agent.task_id, &agent.project_id];
            let mut texts = present([&agent.message, &agent.phase, &agent.current_step]);
            texts.extend(items_of(agent));
            let waiting = agent.waiting.iter();
            texts.extend(waiting.filter_map(|waiting| waiting.question.as_ref()));
            return (present(names), texts);
        }
    };
    match observation {
        Cdk::Start { stack, .. } => (vec![stack], vec![]),
        Cdk::Row {
            stack,
            own_name,
            failure,
            subject,
            ..
        } => {
            let mut texts: Vec<_> = failure.iter().collect();
            match subject {
                RowSubject::Resource(resource) => {
                    assert!(resource.state().is_some(), "{resource:?}");
                    texts.extend([&resource.status, &resource.resource_type, &resource.name]);
                    texts.extend(&resource.logical_id);
                }
                RowSubject::CutOff { line } => texts.push(line),
            }
            (present([stack, own_name]), texts)
        }
        Cdk::CurrentlyInProgress { first_id, .. } => (vec![first_id], vec![]),
        Cdk::End { stack, message, .. } | Cdk::UnconfirmedEnd { stack, message, .. } => {
            (vec![stack], message.iter().collect())
        }
        Cdk::BootstrapStart { environment } => (vec![], vec![environment]),
        Cdk::BootstrapEnd {
            environment,
            message,
            ..
        } => (vec![], message.iter().chain([environment]).collect()),
        Cdk::StackArn { name } => (vec![name], vec![]),
        Cdk::AssetPublished { stack } => (vec![stack], vec![]),
        Cdk::StackIsIn { stack, message, .. } => (vec![stack], vec![message]),
        Cdk::RunFailed { message, .. }
        | Cdk::RunCancelled { message }
        | Cdk::Express { message }
        | Cdk::Exception { message }
        | Cdk::Cause { message } => (vec![], vec![message]),
        Cdk::Bar { .. }
        | Cdk::Hotswap
        | Cdk::Prepared
        | Cdk::TimeTaken { .. }
        | Cdk::Synthesized
        | Cdk::RunCompleted => (vec![], vec![]),
    }
}

/// Returns the texts of the usage and of the to-do list.
fn items_of(agent: &AgentObservation) -> Vec<&String> {
    assert!(agent.todos.len() <= MAX_TODOS);
    let usage = agent
        .usage
        .iter()
        .flat_map(|usage| present([&usage.name, &usage.model, &usage.tool]));
    let edits = agent.todo_edits.iter().filter_map(|edit| match edit {
        TodoEdit::Add(todo) | TodoEdit::Line(todo) | TodoEdit::Tick(todo) => Some(&todo.text),
        TodoEdit::Set(..) => None,
    });
    let parts = agent.parts.iter();
    let parts = parts.flat_map(|part| {
        present([&part.name, &part.message])
            .into_iter()
            .chain([&part.id])
    });
    let items: Vec<_> = usage
        .chain(agent.todos.iter().map(|todo| &todo.text))
        .chain(edits)
        .chain(parts)
        .collect();
    for item in &items {
        assert!(!item.is_empty() && item.len() <= MAX_ITEM_BYTES, "{item:?}");
    }
    items
}

fn present<const N: usize>(texts: [&Option<String>; N]) -> Vec<&String> {
    texts.into_iter().flatten().collect()
}
