//! Progress on a terminal: a bar with rate and time left. Nothing is drawn where standard error is no terminal.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use harness_bench::Event;
use indicatif::{HumanDuration, ProgressBar, ProgressState, ProgressStyle};

const COUNTED: &str = "{prefix:<26.bold} {bar:24} {pos}/{len} {unit}  {rate}{msg}, {left} left";
const UNCOUNTED: &str = "{prefix:<26.bold} {spinner} {msg}";

/// Shows what an experiment reports.
#[derive(Default)]
pub(crate) struct Terminal {
    bar: Option<ProgressBar>,
    /// Share of the stage's work that is done, as the bits of an `f64`: what the time left is told by.
    work_done: Arc<AtomicU64>,
}

impl Terminal {
    pub(crate) fn show(&mut self, event: Event) {
        match event {
            Event::StageStarted { name, total, unit } => self.start(name, total, unit),
            Event::StageAdvanced {
                done,
                work_done,
                remark,
            } => self.advance(done, work_done, &remark),
            Event::StageFinished { remark } => self.finish(&remark),
            Event::Message(text) => self.say(&text),
            _ => {}
        }
    }

    fn advance(&self, done: usize, work_done: Option<f64>, remark: &str) {
        let Some(bar) = &self.bar else { return };
        let by_units = || done as f64 / bar.length().unwrap_or(0).max(1) as f64;
        let work_done = work_done.unwrap_or_else(by_units);
        self.work_done.store(work_done.to_bits(), Ordering::Relaxed);
        bar.set_position(done as u64);
        let gap = if remark.is_empty() { "" } else { ", " };
        bar.set_message(format!("{gap}{remark}"));
    }

    fn start(&mut self, name: String, total: Option<usize>, unit: &'static str) {
        self.work_done = Arc::default();
        let bar = match total {
            Some(total) => {
                ProgressBar::new(total as u64).with_style(style(COUNTED, unit, &self.work_done))
            }
            None => ProgressBar::new_spinner().with_style(style(UNCOUNTED, unit, &self.work_done)),
        };
        bar.set_prefix(name);
        bar.enable_steady_tick(Duration::from_millis(200));
        self.bar = Some(bar);
    }

    fn finish(&mut self, remark: &str) {
        if let Some(bar) = self.bar.take() {
            let line = format!(
                "{:<26} {remark} ({:.1} s)",
                bar.prefix(),
                bar.elapsed().as_secs_f64()
            );
            bar.println(line);
            bar.finish_and_clear();
        }
    }

    /// Messages are shown with or without a terminal.
    #[allow(clippy::print_stderr, reason = "messages belong on standard error")]
    fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }
}

fn style(template: &str, unit: &'static str, work_done: &Arc<AtomicU64>) -> ProgressStyle {
    let work_done = Arc::clone(work_done);
    let left = move |state: &ProgressState, out: &mut dyn Write| {
        let done = f64::from_bits(work_done.load(Ordering::Relaxed));
        let seconds = state.elapsed().as_secs_f64() * (1.0 - done) / done;
        // Nobody can do anything about a bar that cannot be written to.
        let _ = match Duration::try_from_secs_f64(seconds) {
            Ok(left) => write!(out, "{:#}", HumanDuration(left)),
            // Nothing is done yet.
            Err(_) => out.write_str("?"),
        };
    };
    let rate = |state: &ProgressState, out: &mut dyn Write| {
        let _ = write!(out, "{:.1}/s", state.per_sec());
    };
    let unit_name = move |_: &ProgressState, out: &mut dyn Write| {
        let _ = out.write_str(unit);
    };
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("left", left)
        .with_key("rate", rate)
        .with_key("unit", unit_name)
        .progress_chars("━╸ ")
}
