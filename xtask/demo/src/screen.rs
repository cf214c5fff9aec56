use std::io::{self, IsTerminal, Write};

/// The output of the table. On a terminal it is drawn again in place; elsewhere every change is
/// printed below the last.
pub(crate) struct Screen {
    notes: String,
    shown: Option<String>,
    terminal: bool,
}

impl Screen {
    /// Makes a screen. `notes` do not change: they are shown with every table on a terminal, and
    /// once elsewhere.
    pub(crate) fn new(notes: String) -> Self {
        Self {
            notes,
            shown: None,
            terminal: io::stdout().is_terminal(),
        }
    }

    /// Shows the table if it differs from the last one.
    pub(crate) fn show(&mut self, table: &str) -> io::Result<()> {
        if self.shown.as_deref() == Some(table) {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        if self.terminal {
            // Home, then clear all below.
            write!(out, "\x1b[H\x1b[J")?;
        }
        if self.terminal || self.shown.is_none() {
            writeln!(out, "{}", self.notes)?;
        }
        writeln!(out, "{table}")?;
        self.shown = Some(table.to_owned());
        out.flush()
    }
}
