use std::io::{self, Write};

/// Prints a table for `docs/benchmarks.md`: the first column is text, all others are numbers.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) {
    let mut lines = vec![
        format!("| {} |", header.join(" | ")),
        format!("|---|{}", "--:|".repeat(header.len() - 1)),
    ];
    lines.extend(rows.iter().map(|row| format!("| {} |", row.join(" | "))));
    line(&lines.join("\n"));
    line("");
}

/// Prints a line of the result. A reader that is gone is no reason to stop: there are the files in `target/bench`.
pub(crate) fn line(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// A count with its thousands apart: `12 345`.
pub(crate) fn count(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}
