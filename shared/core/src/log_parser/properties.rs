//! What holds of the observations of any message, for tests and for fuzzing.

use super::observation::{CdkObservation, Observation};
use super::{LineCounts, LogFormat, line::split_lines, parse_message};
use crate::model::MAX_MESSAGE_BYTES;

/// The longest name of a stack that may be taken from a line, in bytes: a display name with a CloudFormation
/// name in parentheses.
const MAX_NAME_BYTES: usize = 1_024;

/// Checks that `message`, as either kind of log, is read without a panic, as the sum of its lines, the same way each
/// time, into texts that are fit for people.
///
/// # Panics
///
/// If one of that does not hold.
pub fn check(message: &[u8]) {
    let message = String::from_utf8_lossy(message);
    for format in [LogFormat::CDK, LogFormat::AGENT] {
        let (counts, observations) = parse(format, &message);
        assert_eq!(
            parse(format, &message),
            (counts, observations.clone()),
            "the same message was read in two ways"
        );
        assert!(counts.parsed <= counts.lines && counts.failures <= counts.lines);
        let said: Vec<_> = observations.iter().map(|(_, said)| said.clone()).collect();
        assert_fit_for_people(&said);

        let mut sum = LineCounts::default();
        let mut of_lines = Vec::new();
        for (number, line) in (0..).zip(split_lines(&message)) {
            let (alone, said) = parse(format, line);
            sum.lines += alone.lines.max(1); // an empty line is no message
            sum.parsed += alone.parsed;
            sum.failures += alone.failures;
            of_lines.extend(said.into_iter().map(|(_, said)| (number, said)));
        }
        assert_eq!(sum, counts, "a message is not the sum of its lines");
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

/// No text of an observation is longer than what it becomes may be, or has control characters.
///
/// # Panics
///
/// If one is or has.
pub fn assert_fit_for_people(observations: &[Observation]) {
    for observation in observations {
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

/// The names and the other texts of an observation.
fn texts_of(observation: &Observation) -> (Vec<&String>, Vec<&String>) {
    use CdkObservation as Cdk;
    let observation = match observation {
        Observation::Cdk(observation) => observation,
        Observation::Agent(said) => {
            for (_, counter) in &said.counters {
                assert!(counter.percentage.is_none_or(|share| share <= 100));
            }
            let names = [&said.task_id, &said.project_id];
            let texts = [&said.message, &said.phase, &said.current_step];
            return (present(names), present(texts));
        }
    };
    match observation {
        Cdk::Start { stack, .. } => (vec![stack], vec![]),
        Cdk::Row {
            stack,
            own_name,
            failure,
            message,
            ..
        } => (
            present([stack, own_name]),
            failure.iter().chain([message]).collect(),
        ),
        Cdk::CurrentlyInProgress { first_id, .. } => (vec![first_id], vec![]),
        Cdk::End { stack, message, .. } | Cdk::PossibleEnd { stack, message, .. } => {
            (vec![stack], message.iter().collect())
        }
        Cdk::BootstrapStart { environment } => (vec![], vec![environment]),
        Cdk::BootstrapEnd {
            environment,
            message,
            ..
        } => (vec![], message.iter().chain([environment]).collect()),
        Cdk::StackArn { name } => (vec![name], vec![]),
        Cdk::RunFailed { message } => (vec![], vec![message]),
        Cdk::Bar { .. } | Cdk::Hotswap => (vec![], vec![]),
    }
}

fn present<const N: usize>(texts: [&Option<String>; N]) -> Vec<&String> {
    texts.into_iter().flatten().collect()
}
