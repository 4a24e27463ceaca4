//! Parses what a run has used: its `usage`, cost, turns, model and tool.

use serde_json::value::RawValue;

use super::number::{number, number_of};
use super::{gen_ai, item};
use crate::log_parser::json::Object;
use crate::log_parser::observation::Usage;

/// Parses the usage in an object, under the names that agents and providers use. A value that is
/// not valid is ignored.
pub(super) fn parse(object: &Object<'_>) -> Option<Usage> {
    let gen_ai = gen_ai::usage(object);
    let tokens = tokens(&object.object("usage").unwrap_or_default());
    let usage = Usage {
        name: gen_ai.name,
        model: object.get("model").and_then(item).or(gen_ai.model),
        input_tokens: tokens.input_tokens.or(gen_ai.input_tokens),
        output_tokens: tokens.output_tokens.or(gen_ai.output_tokens),
        cached_tokens: tokens.cached_tokens.or(gen_ai.cached_tokens),
        turns: number_of(object, &["num_turns", "turns"]),
        cost_micro_usd: object
            .first(&["total_cost_usd", "cost_usd"])
            .and_then(micro_usd),
        tool: object
            .first(&["tool", "tool_name"])
            .and_then(item)
            .or(gen_ai.tool),
    };
    Some(usage).filter(|usage| *usage != Usage::default())
}

/// Parses an object with numbers of tokens.
pub(super) fn tokens(object: &Object<'_>) -> Usage {
    const CACHED: [&str; 4] = [
        "cache_read_input_tokens",
        "cached_input_tokens",
        "cached_tokens",
        "cached",
    ];
    Usage {
        input_tokens: number_of(object, &["input_tokens", "prompt_tokens"]),
        output_tokens: number_of(object, &["output_tokens", "completion_tokens"]),
        cached_tokens: number_of(object, &CACHED),
        ..Usage::default()
    }
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
