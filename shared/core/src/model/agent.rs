//! What a run of an agent tells about itself.

use serde::{Deserialize, Serialize};

/// How far an item of a to-do list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TodoStatus {
    /// Not begun, or waiting.
    Pending,
    /// The agent works on it.
    InProgress,
    /// Done or cancelled: nothing is left to do.
    Done,
}

/// An item of an agent's to-do list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TodoItem {
    /// The words of the item, at most 160 bytes.
    pub text: String,
    /// How far it is.
    pub status: TodoStatus,
}

/// The agent of a run, and what it has used since the start of the run. Absent fields are unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The language model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Tokens that the model read. Some agents count cached tokens here, some do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Tokens that the model wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// Tokens that were read from the cache of the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<u64>,
    /// The cost in millionths of a US dollar. In JSON it is in US dollars.
    #[serde(
        rename = "cost_usd",
        default,
        with = "usd",
        skip_serializing_if = "Option::is_none"
    )]
    pub cost_micro_usd: Option<u64>,
    /// Requests to the model, as the agent counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turns: Option<u64>,
    /// The tool that it uses, or used last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// What it asks a person for, while the task is blocked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<String>,
    /// Its newest to-do list, at most 50 items. Lists do not have it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub todos: Vec<TodoItem>,
}

impl Agent {
    /// The agent as lists show it: without its to-do list.
    #[must_use]
    pub fn listed(&self) -> Self {
        Self {
            todos: Vec::new(),
            ..self.clone()
        }
    }
}

/// Amounts of money as JSON has them. Inside they are integers, so that they stay exact.
mod usd {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde passes a reference")]
    pub(super) fn serialize<S: Serializer>(
        micro: &Option<u64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        // Amounts are at most 10^15, so the cast is exact.
        micro.map(|micro| micro as f64 / 1e6).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<u64>, D::Error> {
        let usd = Option::<f64>::deserialize(deserializer)?;
        // The cast cuts what is out of range.
        Ok(usd.map(|usd| (usd * 1e6).round() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_in_dollars_in_json_and_stays_exact() {
        for (micro, json) in [
            (219_400, r#"{"cost_usd":0.2194}"#),
            (1, r#"{"cost_usd":1e-6}"#),
            (1_000_000_000_000_001, r#"{"cost_usd":1000000000.000001}"#),
        ] {
            let agent = Agent {
                cost_micro_usd: Some(micro),
                ..Agent::default()
            };
            assert_eq!(serde_json::to_string(&agent).unwrap(), json);
            assert_eq!(serde_json::from_str::<Agent>(json).unwrap(), agent);
        }
        assert_eq!(
            serde_json::from_str::<Agent>("{}").unwrap(),
            Agent::default()
        );
    }
}
