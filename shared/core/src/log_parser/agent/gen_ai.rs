//! Parses the attributes of OpenTelemetry's conventions for generative AI
//! (<https://github.com/open-telemetry/semantic-conventions-genai>), as fields of an object or of
//! its `attributes`. They tell of models, tokens and tools, and not how far a run is.

use super::item;
use super::number::number_of;
use crate::log_parser::json::Object;
use crate::log_parser::observation::Usage;

/// Parses the usage in the attributes of an object.
pub(super) fn usage(object: &Object<'_>) -> Usage {
    let nested = object.object("attributes");
    let attributes = nested.as_ref().filter(|nested| is_known(nested));
    let Some(attributes) = attributes.or_else(|| Some(object).filter(|object| is_known(object)))
    else {
        return Usage::default();
    };
    Usage {
        name: attributes.get("gen_ai.agent.name").and_then(item),
        model: attributes
            .first(&["gen_ai.request.model", "gen_ai.response.model"])
            .and_then(item),
        input_tokens: number_of(
            attributes,
            &["gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"],
        ),
        output_tokens: number_of(
            attributes,
            &[
                "gen_ai.usage.output_tokens",
                "gen_ai.usage.completion_tokens",
            ],
        ),
        cached_tokens: number_of(attributes, &["gen_ai.usage.cache_read.input_tokens"]),
        tool: attributes.get("gen_ai.tool.name").and_then(item),
        ..Usage::default()
    }
}

fn is_known(object: &Object<'_>) -> bool {
    object.fields().any(|(name, _)| name.starts_with("gen_ai."))
}
