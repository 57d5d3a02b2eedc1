//! Text on the terminal, coloured where it is one.

use std::{
    env,
    io::{IsTerminal, stdout},
};

/// Writes to standard output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    colour: bool,
}

impl Paint {
    /// Colours only on a terminal, and only where `NO_COLOR` is not set.
    pub(crate) fn for_stdout() -> Self {
        Self { colour: stdout().is_terminal() && env::var_os("NO_COLOR").is_none() }
    }

    pub(crate) fn title(self, text: &str) {
        println!("\n{}", self.with(BOLD, text));
    }

    pub(crate) fn line(self, text: &str) {
        println!("  {text}");
    }

    pub(crate) fn field(self, name: &str, value: &str) {
        println!("  {} {value}", self.with(DIM, &format!("{name:<14}")));
    }

    pub(crate) fn code(self, text: &str) {
        println!("    {}", self.with(CYAN, text));
    }

    pub(crate) fn status(self, status: u16, what: &str) {
        let colour = if status < 400 { GREEN } else { YELLOW };
        println!("  {} {what}", self.with(colour, &status.to_string()));
    }

    pub(crate) fn good(self, text: &str) {
        println!("  {} {text}", self.with(GREEN, "ok"));
    }

    fn with(self, colour: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

const BOLD: &str = "1";
const DIM: &str = "2";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const CYAN: &str = "36";
