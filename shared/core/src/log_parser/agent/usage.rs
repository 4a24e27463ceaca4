//! Parses what a run has used: its `usage`, cost, turns, model and tool.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{count, item, number};
use crate::log_parser::json::{self, Object};
use crate::log_parser::observation::Usage;

/// The tokens of a `usage` object, under the names that agents and providers use.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Tokens {
    input_tokens: Option<u64>,
    prompt_tokens: Option<u64>,
    output_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cached_input_tokens: Option<u64>,
    cached_tokens: Option<u64>,
}

/// Parses the usage in an object. A value that is not valid is ignored.
pub(super) fn parse(object: &Object<'_>) -> Option<Usage> {
    let tokens: Tokens = object.usage.and_then(json::object).unwrap_or_default();
    let cost = object.total_cost_usd.or(object.cost_usd);
    let turns = object.num_turns.or(object.turns);
    let usage = Usage {
        model: object.model.and_then(item),
        input_tokens: tokens.input_tokens.or(tokens.prompt_tokens),
        output_tokens: tokens.output_tokens.or(tokens.completion_tokens),
        cached_tokens: tokens
            .cache_read_input_tokens
            .or(tokens.cached_input_tokens)
            .or(tokens.cached_tokens),
        turns: turns.and_then(|turns| count(Some(turns)).ok()?),
        cost_micro_usd: cost.and_then(micro_usd),
        tool: object.tool.or(object.tool_name).and_then(item),
    };
    Some(usage).filter(|usage| *usage != Usage::default())
}

impl Usage {
    /// Whether an object with this usage is a report. Other programs also log models, tools and
    /// turns.
    pub(super) fn makes_report(&self) -> bool {
        let tokens = self.input_tokens.or(self.output_tokens);
        tokens.or(self.cost_micro_usd).is_some()
    }
}

/// Converts a cost in US dollars to millionths.
fn micro_usd(cost: &RawValue) -> Option<u64> {
    const MOST_USD: f64 = 1e9;
    let usd = number(cost).ok()??;
    // It is in range, so the cast only drops the fraction.
    (0.0..=MOST_USD)
        .contains(&usd)
        .then(|| (usd * 1e6).round() as u64)
}
