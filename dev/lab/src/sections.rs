//! The measurements. Each gives a table.

pub(crate) mod bench;
mod cold;
mod collecting;
mod freshness;
mod lists;
pub(crate) mod section;
mod sizes;
mod system_calls;
mod viewers;
mod warm;

use shared::error::Source;

use bench::Bench;
use section::Section;

/// Measures a section. Returns a heading and tables.
pub(crate) fn measure(section: Section, bench: &Bench) -> Result<String, Source> {
    match section {
        Section::Cold => cold::measure(bench),
        Section::Warm => warm::measure(bench),
        Section::Freshness => freshness::measure(bench),
        Section::Viewers => viewers::measure(bench),
        Section::Lists => lists::measure(bench),
        Section::Collecting => collecting::measure(bench),
        Section::SystemCalls => system_calls::measure(bench),
        Section::Sizes => sizes::measure(bench),
    }
}
