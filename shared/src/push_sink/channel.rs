//! The channels that messages are published on.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::model::TaskId;

/// The namespace of all channels: their first segment.
const NAMESPACE: &str = "progress";
/// The number of hexadecimal digits that name a task. A segment of a channel has at most 50
/// characters, and none of the punctuation of task ids
/// (<https://docs.aws.amazon.com/appsync/latest/eventapi/channel-namespaces.html>).
const NAME_DIGITS: usize = 32;

/// A channel that subscribers get messages from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Channel {
    /// `/progress/tasks`: the entry in lists of every run that changes.
    Tasks,
    /// `/progress/task/<name>`: the whole state of each run of one task. The name is the first
    /// half of the SHA-256 digest of the task's id, in hexadecimal.
    Task(TaskName),
}

/// The name of a task in a channel.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TaskName(String);

impl Channel {
    /// The channel of the runs of a task.
    pub fn of_task(task_id: &TaskId) -> Self {
        let digest = Sha256::digest(task_id.as_str());
        let digits = digest.iter().take(NAME_DIGITS / 2);
        Self::Task(TaskName(digits.map(|byte| format!("{byte:02x}")).collect()))
    }

    /// Reads a channel, with a slash before it or without. `None` if there is no such channel; a
    /// pattern for several channels is none.
    pub fn parse(text: &str) -> Option<Self> {
        let path = text.strip_prefix('/').unwrap_or(text);
        let path = path.strip_prefix(NAMESPACE)?.strip_prefix('/')?;
        if path == "tasks" {
            return Some(Self::Tasks);
        }
        let name = path.strip_prefix("task/")?;
        let is_digit = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
        let is_name = name.len() == NAME_DIGITS && name.bytes().all(is_digit);
        is_name.then(|| Self::Task(TaskName(name.to_owned())))
    }
}

impl fmt::Display for Channel {
    /// The channel as subscribers name it, with a slash before it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tasks => write!(formatter, "/{NAMESPACE}/tasks"),
            Self::Task(TaskName(name)) => write!(formatter, "/{NAMESPACE}/task/{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_channel_of_a_task_is_named_by_the_digest_of_its_id() {
        // printf cdk:shop-deploy | sha256sum
        let channel = Channel::of_task(&"cdk:shop-deploy".parse().unwrap());
        assert_eq!(
            channel.to_string(),
            "/progress/task/7c2eb715b1526854539f692c4ecda263"
        );
    }

    #[test]
    fn a_channel_is_read_as_it_is_written() {
        for channel in [Channel::Tasks, Channel::of_task(&"a".parse().unwrap())] {
            let text = channel.to_string();
            assert_eq!(Channel::parse(&text), Some(channel.clone()));
            assert_eq!(Channel::parse(text.trim_start_matches('/')), Some(channel));
        }
    }

    #[test]
    fn other_texts_are_no_channels() {
        for text in [
            "",
            "/",
            "/progress",
            "/progress/*",
            "/progress/tasks/",
            "/progress/tasks/*",
            "//progress/tasks",
            "/progress/task/*",
            "/progress/task/0123456789abcdef0123456789abcde",
            "/progress/task/0123456789ABCDEF0123456789ABCDEF",
            "/progress/task/0123456789abcdef0123456789abcdef0",
            "/progresstasks",
            "/other/tasks",
            "*",
        ] {
            assert_eq!(Channel::parse(text), None, "{text}");
        }
    }
}
