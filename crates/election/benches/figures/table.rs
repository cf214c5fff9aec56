//! Tables as Markdown.

use std::time::Duration;

pub(crate) struct Table {
    columns: usize,
}

impl Table {
    /// Prints the title and the head. The first column is text, the others are numbers.
    pub(crate) fn begin(title: &str, head: &[&str]) -> Self {
        println!("\n### {title}\n\n| {} |", head.join(" | "));
        println!("|---|{}", "--:|".repeat(head.len() - 1));
        Self { columns: head.len() }
    }

    pub(crate) fn row(&self, cells: &[String]) {
        assert_eq!(cells.len(), self.columns, "a cell for every column");
        println!("| {} |", cells.join(" | "));
    }
}

/// Returns 1234567 as `1 234 567`.
pub(crate) fn whole(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Returns the least and the largest of these, or the one number if all are equal.
pub(crate) fn range(numbers: impl Iterator<Item = u64> + Clone) -> String {
    let (least, largest) = (numbers.clone().min(), numbers.max());
    match (least, largest) {
        (Some(least), Some(largest)) if least != largest => format!("{}–{}", whole(least), whole(largest)),
        (Some(only), _) => whole(only),
        _ => "–".to_owned(),
    }
}

pub(crate) fn ms(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    match ms {
        100.0.. => format!("{ms:.0} ms"),
        10.0.. => format!("{ms:.1} ms"),
        1.0.. => format!("{ms:.2} ms"),
        _ => format!("{:.0} µs", ms * 1e3),
    }
}

/// Returns the value that `percent` of the sorted values do not exceed.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1]
}
