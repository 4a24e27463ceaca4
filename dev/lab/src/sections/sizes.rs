//! Sizes of the programs.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use lab::table::Table;
use shared::error::Source;

use super::bench::Bench;

pub(super) fn measure(bench: &Bench) -> Result<String, Source> {
    let arguments = &bench.arguments;
    let mut programs = vec![
        ("no-op, as measured here".to_owned(), arguments.noop.clone()),
        (
            "api-lambda, as measured here".to_owned(),
            arguments.api.clone(),
        ),
        (
            "progress-collector, as measured here".to_owned(),
            arguments.collector.clone(),
        ),
    ];
    if let Some(folder) = &arguments.arm64 {
        for name in ["api-lambda", "progress-collector"] {
            programs.push((
                format!("{name}, arm64"),
                folder.join(name).join("bootstrap"),
            ));
        }
    }
    let mut table = Table::new(&["MB", "program", "zip"]);
    for (name, program) in &programs {
        let (plain, packed) = sizes(program)?;
        let megabytes = |bytes: usize| format!("{:.2}", bytes as f64 / 1e6);
        table.row(&[name, &megabytes(plain), &megabytes(packed)]);
    }
    Ok(format!("\n### Size\n\n{}", table.render()))
}

/// The size of a program in bytes, plain and compressed.
fn sizes(program: &Path) -> io::Result<(usize, usize)> {
    let bytes = fs::read(program)?;
    let mut packer = DeflateEncoder::new(Vec::new(), Compression::best());
    packer.write_all(&bytes)?;
    Ok((bytes.len(), packer.finish()?.len()))
}
