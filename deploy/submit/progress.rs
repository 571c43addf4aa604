//! How far a batch is: a bar on a terminal, a line now and then elsewhere.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Lines of a whole batch where there is no terminal.
const LINES: usize = 10;
/// After how long without any answer it is said.
const SILENCE: Duration = Duration::from_secs(10);

/// How many lines are how far.
#[derive(Clone, Copy, Default, PartialEq)]
pub(super) struct Counts {
    /// Their jobs are on disk.
    pub(super) accepted: usize,
    /// Refused, or their jobs ended.
    pub(super) ended: usize,
    /// Of the ended ones those that did not end well.
    pub(super) bad: usize,
}

/// Shows a batch on standard error.
pub(super) struct Progress {
    bar: ProgressBar,
    lines: usize,
    last: Counts,
    moved: Instant,
    /// What was said since something moved.
    said: bool,
    tenths: usize,
}

impl Progress {
    /// Starts to show.
    ///
    /// # Errors
    /// When the bar's template is malformed.
    pub(super) fn start(lines: usize) -> anyhow::Result<Progress> {
        let style =
            ProgressStyle::with_template("[{bar:40}] {pos} of {len} ended{msg}, {elapsed}")?
                .progress_chars("=> ");
        let bar = ProgressBar::new(lines as u64).with_style(style);
        Ok(Progress {
            bar,
            lines,
            last: Counts::default(),
            moved: Instant::now(),
            said: false,
            tenths: 0,
        })
    }

    /// Shows how far it is.
    pub(super) fn show(&mut self, counts: &Counts) {
        let Counts {
            accepted,
            ended,
            bad,
        } = *counts;
        if *counts == self.last {
            return;
        }
        let message = format!(", {accepted} accepted, {bad} not well");
        self.bar.set_position(ended as u64);
        self.bar.set_message(message.clone());
        let tenths = (accepted + ended) * LINES / (2 * self.lines);
        if self.bar.is_hidden() && tenths > self.tenths {
            self.tenths = tenths;
            say(&format!("{ended} of {} ended{message}", self.lines));
        }
        self.last = *counts;
        (self.moved, self.said) = (Instant::now(), false);
    }

    /// The API did not tell where the jobs are.
    pub(super) fn silent(&mut self, error: &anyhow::Error) {
        self.tell(&format!(
            "the API does not answer; asking again ({error:#})"
        ));
    }

    /// So many lines are sent and not answered.
    pub(super) fn unanswered(&mut self, count: usize) {
        if count > 0 && self.moved.elapsed() >= SILENCE {
            let seconds = SILENCE.as_secs();
            self.tell(&format!(
                "{count} lines without an answer for {seconds} s; sending them until there is one"
            ));
        }
    }

    /// Once, until something moves.
    fn tell(&mut self, line: &str) {
        if !std::mem::replace(&mut self.said, true) {
            self.bar.suspend(|| say(line));
        }
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

#[expect(clippy::print_stderr, reason = "the bar's place")]
fn say(line: &str) {
    eprintln!("{line}");
}
