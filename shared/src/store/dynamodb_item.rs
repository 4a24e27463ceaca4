//! The items of the three tables. Only this module knows the names of attributes.
//!
//! Every item has a `format`, which is raised when older code would misread the item. Each kind of
//! item has one file that writes and reads it: [`task`] (heads, details, facts, history),
//! [`idempotency_record`], [`duration_estimate`], [`named_ids`], [`expiry_receipt`], [`log_tail`], [`counters`], [`project`], [`checkpoint`].

pub(crate) mod checkpoint;
pub(crate) mod counters;
pub(crate) mod duration_estimate;
pub(crate) mod expiry_receipt;
pub(crate) mod idempotency_record;
pub(crate) mod log_tail;
pub(crate) mod named_ids;
pub(crate) mod project;
pub(crate) mod task;

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

/// The attributes of an item or of its key, by name.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// The version of the item's format.
pub(crate) const FORMAT: &str = "format";
/// When DynamoDB may delete the item, in seconds since 1970.
pub(crate) const TTL: &str = "ttl";

/// The present format of all items but those of runs.
const PRESENT_FORMAT: u32 = 1;
/// The present format of the items of runs: heads, details, facts and history.
pub(crate) const RUN_FORMAT: u32 = 3;

/// The fault in an item.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ItemError {
    /// An attribute is missing.
    #[error("attribute {0} is missing")]
    Missing(&'static str),
    /// An attribute has the wrong type or an impossible value.
    #[error("attribute {0} has an invalid value")]
    Invalid(&'static str),
}

/// An update of an item's attributes, with the names and values of its expressions.
#[derive(Debug, Clone)]
pub(crate) struct ItemUpdate {
    /// The update expression.
    pub(crate) expression: String,
    /// The condition expression, if there is one.
    pub(crate) condition: Option<String>,
    /// The attribute names in both.
    pub(crate) names: HashMap<String, String>,
    /// The values in both.
    pub(crate) values: Item,
}

impl ItemUpdate {
    /// Creates an update that sets the attributes of `set` and removes those of `remove`.
    pub(crate) fn new(set: Item, remove: &[&str]) -> Self {
        let mut assigned: Vec<&String> = set.keys().collect();
        assigned.sort_unstable();
        let assignments: Vec<String> = assigned
            .into_iter()
            .map(|name| format!("#{name} = :{name}"))
            .collect();
        let mut expression = format!("SET {}", assignments.join(", "));
        if !remove.is_empty() {
            let removed: Vec<String> = remove.iter().map(|name| format!("#{name}")).collect();
            expression = format!("{expression} REMOVE {}", removed.join(", "));
        }
        let names = set.keys().map(String::as_str).chain(remove.iter().copied());
        Self {
            expression,
            condition: None,
            names: names.map(alias).collect(),
            values: set
                .into_iter()
                .map(|(name, value)| (format!(":{name}"), value))
                .collect(),
        }
    }
}

/// The condition of a write, with the names and values of its expression.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    /// The condition expression.
    pub(crate) expression: String,
    /// The attribute names in it.
    pub(crate) names: HashMap<String, String>,
    /// The values in it.
    pub(crate) values: Item,
}

/// The placeholder of an attribute in expressions, and the attribute. Names need placeholders,
/// because some are reserved words.
pub(crate) fn alias(name: &str) -> (String, String) {
    (format!("#{name}"), name.to_owned())
}

/// A string attribute.
pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A number attribute.
pub(crate) fn number(value: impl Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// Builds an item.
#[derive(Debug)]
pub(crate) struct ItemWriter(Item);

impl ItemWriter {
    /// Begins an item of the present format.
    pub(crate) fn new() -> Self {
        Self::in_format(PRESENT_FORMAT)
    }

    /// Begins an item of another format.
    pub(crate) fn in_format(format: u32) -> Self {
        Self(Item::new()).number(FORMAT, format)
    }

    pub(crate) fn set(mut self, name: &'static str, value: AttributeValue) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }

    pub(crate) fn text(self, name: &'static str, value: impl Display) -> Self {
        self.set(name, text(value.to_string()))
    }

    pub(crate) fn number(self, name: &'static str, value: impl Display) -> Self {
        self.set(name, number(value))
    }

    pub(crate) fn bytes(self, name: &'static str, value: Vec<u8>) -> Self {
        self.set(name, AttributeValue::B(Blob::new(value)))
    }

    pub(crate) fn optional_text(self, name: &'static str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    pub(crate) fn optional_number(self, name: &'static str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.number(name, value),
            None => self,
        }
    }

    pub(crate) fn finish(self) -> Item {
        self.0
    }
}

/// Reads an item. Any attribute may be missing or invalid.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ItemReader<'a>(&'a Item);

impl<'a> ItemReader<'a> {
    /// Creates a reader of an item; an error if its format is not the present one.
    pub(crate) fn new(item: &'a Item) -> Result<Self, ItemError> {
        Self::in_format(item, PRESENT_FORMAT)
    }

    /// Creates a reader of an item; an error if it has another format.
    pub(crate) fn in_format(item: &'a Item, format: u32) -> Result<Self, ItemError> {
        let reader = Self(item);
        match reader.number::<u32>(FORMAT)? == format {
            true => Ok(reader),
            false => Err(ItemError::Invalid(FORMAT)),
        }
    }

    pub(crate) fn optional_text(self, name: &'static str) -> Result<Option<&'a str>, ItemError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(AttributeValue::S(value)) => Ok(Some(value)),
            Some(_) => Err(ItemError::Invalid(name)),
        }
    }

    pub(crate) fn text(self, name: &'static str) -> Result<&'a str, ItemError> {
        self.optional_text(name)?.ok_or(ItemError::Missing(name))
    }

    /// Reads an optional string attribute as a `T`.
    pub(crate) fn optional_parsed<T: FromStr>(
        self,
        name: &'static str,
    ) -> Result<Option<T>, ItemError> {
        let parse = |value: &str| value.parse().map_err(|_| ItemError::Invalid(name));
        self.optional_text(name)?.map(parse).transpose()
    }

    /// Reads a string attribute as a `T`.
    pub(crate) fn parsed<T: FromStr>(self, name: &'static str) -> Result<T, ItemError> {
        self.optional_parsed(name)?.ok_or(ItemError::Missing(name))
    }

    pub(crate) fn optional_number<T: FromStr>(
        self,
        name: &'static str,
    ) -> Result<Option<T>, ItemError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(AttributeValue::N(value)) => {
                let value = value.parse().map_err(|_| ItemError::Invalid(name))?;
                Ok(Some(value))
            }
            Some(_) => Err(ItemError::Invalid(name)),
        }
    }

    pub(crate) fn number<T: FromStr>(self, name: &'static str) -> Result<T, ItemError> {
        self.optional_number(name)?.ok_or(ItemError::Missing(name))
    }

    /// Reads an optional string attribute as JSON.
    pub(crate) fn optional_json<T: serde::de::DeserializeOwned>(
        self,
        name: &'static str,
    ) -> Result<Option<T>, ItemError> {
        let parse = |value| serde_json::from_str(value).map_err(|_| ItemError::Invalid(name));
        self.optional_text(name)?.map(parse).transpose()
    }

    /// Reads an optional binary attribute.
    pub(crate) fn optional_bytes(self, name: &'static str) -> Result<Option<&'a [u8]>, ItemError> {
        let read = |value: &'a AttributeValue| match value.as_b() {
            Ok(bytes) => Ok(bytes.as_ref()),
            Err(_) => Err(ItemError::Invalid(name)),
        };
        self.0.get(name).map(read).transpose()
    }

    /// Reads a list of strings; empty if the attribute is missing.
    pub(crate) fn texts(self, name: &'static str) -> Result<Vec<String>, ItemError> {
        let Some(value) = self.0.get(name) else {
            return Ok(Vec::new());
        };
        let values = value.as_l().map_err(|_| ItemError::Invalid(name))?;
        let texts: Result<_, _> = values.iter().map(|value| value.as_s().cloned()).collect();
        texts.map_err(|_| ItemError::Invalid(name))
    }
}

/// Whether an item has expired. DynamoDB may take days to delete it.
pub(crate) fn is_expired(item: &Item, now_seconds: i64) -> bool {
    let ttl = item.get(TTL).and_then(|ttl| ttl.as_n().ok());
    let ttl = ttl.and_then(|ttl| ttl.parse::<i64>().ok());
    ttl.is_some_and(|ttl| ttl <= now_seconds)
}
