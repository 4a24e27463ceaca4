//! Lines that report the end of a stack.

use crate::fold::end::Ending;
use crate::log_parser::CdkObservation;

/// A line that reports the end of a stack.
pub(super) struct EndLine<'a> {
    pub(super) name: &'a str,
    pub(super) ending: Ending,
    pub(super) message: Option<&'a str>,
}

/// Whether a mark has only one space after it, so that other programs may have printed it.
pub(super) fn is_squeezed(line: &CdkObservation) -> bool {
    matches!(line, CdkObservation::UnconfirmedEnd { is_squeezed, .. } if *is_squeezed)
}

/// A tick as CDK prints it, with two spaces.
pub(super) fn tick_in(line: &CdkObservation) -> Option<EndLine<'_>> {
    EndLine::of(line).filter(|end| !is_squeezed(line) && !end.ending.is_failure())
}

impl<'a> EndLine<'a> {
    pub(super) fn of(line: &'a CdkObservation) -> Option<Self> {
        let (name, outcome, message) = match line {
            CdkObservation::End {
                stack: name,
                outcome,
                message,
            }
            | CdkObservation::UnconfirmedEnd {
                stack: name,
                outcome,
                message,
                ..
            }
            | CdkObservation::BootstrapEnd {
                environment: name,
                outcome,
                message,
            } => (name, outcome, message.as_deref()),
            CdkObservation::StackIsIn {
                stack: name,
                outcome,
                message,
            } => (name, outcome, Some(message.as_str())),
            _ => return None,
        };
        Some(Self {
            name,
            ending: (*outcome).into(),
            message,
        })
    }
}
