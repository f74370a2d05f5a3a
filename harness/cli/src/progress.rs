//! Progress on a terminal: a bar with rate and time left. Nothing is drawn where standard error is no terminal.

use std::fmt::Write;
use std::time::Duration;

use harness_bench::Event;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};

const COUNTED: &str = "{prefix:<26.bold} {bar:24} {pos}/{len} {unit}  {msg}  {rate}, {eta} left";
const UNCOUNTED: &str = "{prefix:<26.bold} {spinner} {msg}";

/// Shows what an experiment reports.
#[derive(Default)]
pub(crate) struct Terminal {
    bar: Option<ProgressBar>,
}

impl Terminal {
    pub(crate) fn show(&mut self, event: Event) {
        match event {
            Event::StageStarted { name, total, unit } => self.start(name, total, unit),
            Event::StageAdvanced { done, remark } => {
                if let Some(bar) = &self.bar {
                    bar.set_position(done as u64);
                    bar.set_message(remark);
                }
            }
            Event::StageFinished { remark } => self.finish(&remark),
            Event::Message(text) => self.say(&text),
            _ => {}
        }
    }

    fn start(&mut self, name: String, total: Option<usize>, unit: &'static str) {
        let bar = match total {
            Some(total) => ProgressBar::new(total as u64).with_style(style(COUNTED, unit)),
            None => ProgressBar::new_spinner().with_style(style(UNCOUNTED, unit)),
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

fn style(template: &str, unit: &'static str) -> ProgressStyle {
    let rate = |state: &ProgressState, out: &mut dyn Write| {
        // Nobody can do anything about a bar that cannot be written to.
        let _ = write!(out, "{:.1}/s", state.per_sec());
    };
    let unit_name = move |_: &ProgressState, out: &mut dyn Write| {
        let _ = out.write_str(unit);
    };
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("rate", rate)
        .with_key("unit", unit_name)
        .progress_chars("━╸ ")
}
