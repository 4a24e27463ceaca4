//! Schemas of texts that have limits.

use utoipa::openapi::ObjectBuilder;
use utoipa::openapi::schema::Type;

/// Gives each type a schema of its own; its comment is the description.
macro_rules! text_schema {
    ($($(#[doc = $doc:literal])+ $name:ident = $schema:expr;)+) => {
        $(
            impl utoipa::PartialSchema for $name {
                fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                    let description = concat!($($doc, "\n"),+).trim();
                    let schema: utoipa::openapi::ObjectBuilder = $schema;
                    schema.description(Some(description)).build().into()
                }
            }

            impl utoipa::ToSchema for $name {
                fn name() -> std::borrow::Cow<'static, str> {
                    std::borrow::Cow::Borrowed(stringify!($name))
                }
            }
        )+
    };
}
pub(crate) use text_schema;

/// A text of `min` to `max` characters.
pub(crate) fn text(min: usize, max: usize) -> ObjectBuilder {
    let text = ObjectBuilder::new().schema_type(Type::String);
    text.min_length(Some(min).filter(|min| *min > 0))
        .max_length(Some(max))
}

/// A text that is not blank and has no control characters.
pub(crate) fn name(max: usize) -> ObjectBuilder {
    let pattern = r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$";
    text(1, max).pattern(Some(pattern))
}

/// One of these words.
pub(crate) fn words(values: &[&str]) -> ObjectBuilder {
    let text = ObjectBuilder::new().schema_type(Type::String);
    text.enum_values(Some(values.iter().copied()))
}
