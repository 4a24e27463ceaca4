//! Markdown tables that are also readable on a terminal.

/// A table whose cells are padded to columns.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column headings.
    pub fn new(heads: &[&str]) -> Self {
        Self {
            rows: vec![heads.iter().map(|&head| head.to_owned()).collect()],
        }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: &[&str]) {
        self.rows
            .push(cells.iter().map(|&cell| cell.to_owned()).collect());
    }

    /// The text of the table.
    pub fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or_default()
        };
        let widths: Vec<_> = (0..columns).map(width).collect();
        let mut text = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            for (column, cell) in row.iter().enumerate() {
                let padding = widths[column] - cell.chars().count();
                // Numbers are aligned to the right.
                text += &match column {
                    0 => format!("| {cell}{} ", " ".repeat(padding)),
                    _ => format!("| {}{cell} ", " ".repeat(padding)),
                };
            }
            text += "|\n";
            if number == 0 {
                for (column, width) in widths.iter().enumerate() {
                    let dashes = "-".repeat(*width);
                    text += &match column {
                        0 => format!("| {dashes} "),
                        _ => format!("| {}: ", "-".repeat(width.saturating_sub(1))),
                    };
                }
                text += "|\n";
            }
        }
        text
    }
}
