//! Charts for Markdown, in the language of Mermaid, which GitHub draws.

use std::time::Duration;

use crate::statistics::millis;

/// A chart with fewer points adds nothing to the table.
const FEWEST: usize = 3;

/// The two times of one x value.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    /// The x value.
    pub number: usize,
    /// The time drawn as a bar.
    pub bar: Duration,
    /// The time drawn as a point of the line.
    pub line: Duration,
}

/// The text of a chart of times over `numbers`. Charts have no legend, so `title` must explain bars
/// and line.
/// `None` if there are too few points.
pub fn render(title: &str, numbers: &str, points: &[Point]) -> Option<String> {
    if points.len() < FEWEST {
        return None;
    }
    let list = |of: fn(&Point) -> String| points.iter().map(of).collect::<Vec<_>>().join(", ");
    let highest = points.iter().map(|point| point.bar.max(point.line)).max();
    // The axis begins at zero, so that slopes are not exaggerated.
    let top = (highest.unwrap_or_default().as_secs_f64() * 1100.0).ceil();
    Some(format!(
        "```mermaid\nxychart-beta\n    title \"{title}\"\n    x-axis \"{numbers}\" [{}]\n    y-axis \"ms\" 0 --> {top}\n    \
         bar [{}]\n    line [{}]\n```\n",
        list(|point| point.number.to_string()),
        list(|point| millis(point.bar)),
        list(|point| millis(point.line)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(number: usize, bar_us: u64, line_us: u64) -> Point {
        Point {
            number,
            bar: Duration::from_micros(bar_us),
            line: Duration::from_micros(line_us),
        }
    }

    #[test]
    fn a_chart_has_bars_and_a_line_and_begins_at_zero() {
        let points = [
            point(100, 10_230, 266),
            point(10_000, 12_900, 273),
            point(100_000, 9_500, 261),
        ];
        let expected = r#"```mermaid
xychart-beta
    title "A page"
    x-axis "stored" [100, 10000, 100000]
    y-axis "ms" 0 --> 15
    bar [10.2, 12.9, 9.50]
    line [0.266, 0.273, 0.261]
```
"#;
        let chart = render("A page", "stored", &points);
        assert_eq!(chart.as_deref(), Some(expected));
    }

    #[test]
    fn two_points_are_too_few_for_a_chart() {
        let points = [point(100, 10, 1), point(10_000, 10, 1)];
        assert_eq!(render("A page", "stored", &points), None);
        assert_eq!(render("A page", "stored", &[]), None);
    }
}
