//! Tables as the documentation shows them, on stdout.

use std::io::{self, Write};

/// Prints a table for `docs/`: the first column is text, all others are numbers.
pub fn table(header: &[&str], rows: &[Vec<String>]) {
    let mut lines = vec![
        format!("| {} |", header.join(" | ")),
        format!("|---|{}", "--:|".repeat(header.len() - 1)),
    ];
    lines.extend(rows.iter().map(|row| format!("| {} |", row.join(" | "))));
    line(&lines.join("\n"));
    line("");
}

/// Prints a line of the result. A closed output is no reason to stop: the error has no receiver.
pub fn line(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// Formats a count with a gap after the thousands: `12 345`.
pub fn count(value: f64) -> String {
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
