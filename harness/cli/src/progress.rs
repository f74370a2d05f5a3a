//! Progress on a terminal: a bar with rate and time left for every stage that runs, and one line for the whole. Nothing is drawn where
//! standard error is no terminal.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use harness_bench::Event;
use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressState, ProgressStyle};

const COUNTED: &str = "{prefix:<26.bold} {bar:24} {pos}/{len} {unit}  {rate}{msg}, {left} left";
const UNCOUNTED: &str = "{prefix:<26.bold} {spinner} {msg}";
const WHOLE: &str = "{pos} of {len} models {unit}, {left} left";

/// Shows what an experiment reports.
#[derive(Default)]
pub(crate) struct Terminal {
    bars: MultiProgress,
    /// The stage that runs in each lane.
    stages: BTreeMap<usize, Stage>,
    whole: Option<Stage>,
}

/// A bar with the share of its work that is done, as the bits of an `f64`: what the time left is told by.
struct Stage {
    bar: ProgressBar,
    work_done: Arc<AtomicU64>,
}

impl Terminal {
    pub(crate) fn show(&mut self, event: Event) {
        self.show_in(0, event);
    }

    fn show_in(&mut self, lane: usize, event: Event) {
        match event {
            Event::InLane { lane, event } => self.show_in(lane, *event),
            Event::StageStarted { name, total, unit } => self.start(lane, name, total, unit),
            Event::StageAdvanced {
                done,
                work_done,
                remark,
            } => {
                if let Some(stage) = self.stages.get(&lane) {
                    stage.advance(done, work_done);
                    let gap = if remark.is_empty() { "" } else { ", " };
                    stage.bar.set_message(format!("{gap}{remark}"));
                }
            }
            Event::StageFinished { remark } => self.finish(lane, &remark),
            Event::WholeAdvanced { done, total, deed } => self.advance_whole(done, total, deed),
            Event::Message(text) => self.say(&text),
            _ => {}
        }
    }

    fn start(&mut self, lane: usize, name: String, total: Option<usize>, unit: &'static str) {
        let stage = Stage::new(
            total,
            if total.is_some() { COUNTED } else { UNCOUNTED },
            unit,
        );
        let bar = match &self.whole {
            Some(whole) => self.bars.insert_before(&whole.bar, stage.bar),
            None => self.bars.add(stage.bar),
        };
        bar.set_prefix(name);
        bar.enable_steady_tick(Duration::from_millis(200));
        self.stages.insert(lane, Stage { bar, ..stage });
    }

    fn finish(&mut self, lane: usize, remark: &str) {
        if let Some(Stage { bar, .. }) = self.stages.remove(&lane) {
            let line = format!(
                "{:<26} {remark} ({:.1} s)",
                bar.prefix(),
                bar.elapsed().as_secs_f64()
            );
            bar.println(line);
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
    }

    fn advance_whole(&mut self, done: usize, total: usize, deed: &'static str) {
        let whole = self.whole.take().unwrap_or_else(|| {
            let stage = Stage::new(Some(total), WHOLE, deed);
            let bar = self.bars.add(stage.bar);
            Stage { bar, ..stage }
        });
        whole.advance(done, None);
        if done < total {
            self.whole = Some(whole);
        } else {
            whole.bar.finish_and_clear();
            self.bars.remove(&whole.bar);
        }
    }

    /// Messages are shown with or without a terminal.
    #[allow(clippy::print_stderr, reason = "messages belong on standard error")]
    fn say(&self, text: &str) {
        self.bars.suspend(|| eprintln!("{text}"));
    }
}

impl Stage {
    fn new(total: Option<usize>, template: &str, unit: &'static str) -> Self {
        let work_done = Arc::default();
        let bar = total.map_or_else(ProgressBar::new_spinner, |n| ProgressBar::new(n as u64));
        Self {
            bar: bar.with_style(style(template, unit, &work_done)),
            work_done,
        }
    }

    /// By units, where nothing tells the work better.
    fn advance(&self, done: usize, work_done: Option<f64>) {
        let by_units = || done as f64 / self.bar.length().unwrap_or(0).max(1) as f64;
        let work_done = work_done.unwrap_or_else(by_units);
        self.work_done.store(work_done.to_bits(), Ordering::Relaxed);
        self.bar.set_position(done as u64);
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
