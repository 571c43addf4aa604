//! How far the training is: a bar on a terminal, a line now and then elsewhere.

use indicatif::{ProgressBar, ProgressStyle};

/// Lines of a whole training where there is no terminal.
const LINES: u32 = 4;

/// Shows a training's iterations on standard error.
pub(super) struct Progress {
    bar: ProgressBar,
    lines_shown: u32,
}

impl Progress {
    /// Starts to show.
    ///
    /// # Errors
    /// When the bar's template is malformed.
    pub(super) fn start() -> anyhow::Result<Progress> {
        let style = ProgressStyle::with_template(
            "   [{bar:40}] {pos} of at most {len} iterations, {elapsed}",
        )?
        .progress_chars("=> ");
        let bar = ProgressBar::new(0).with_style(style);
        Ok(Progress {
            bar,
            lines_shown: 0,
        })
    }

    /// Shows `done` of at most `most` iterations; 0 of 0 while the parties join.
    pub(super) fn show(&mut self, done: u32, most: u32) {
        if most == 0 {
            return;
        }
        self.bar.set_length(u64::from(most));
        self.bar.set_position(u64::from(done));
        let lines = done * LINES / most;
        if self.bar.is_hidden() && lines > self.lines_shown {
            self.lines_shown = lines;
            say(&format!("   iteration {done} of at most {most}"));
        }
    }

    /// Takes the bar away.
    pub(super) fn end(self) {
        self.bar.finish_and_clear();
    }
}

#[expect(clippy::print_stderr, reason = "the bar's place")]
fn say(line: &str) {
    eprintln!("{line}");
}
