//! The last lines that Python wrote to stderr. Refuses to keep more: a function may print without end.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::process::ChildStderr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::Written;

const LINES: usize = 8;
/// Bytes after which a line is taken as two.
const LONGEST_LINE: u64 = 2000;
/// Ends what a failed call has written; the driver's `MARK`.
const MARK: &str = "\u{1e}";
const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(2);

#[derive(Clone, Default)]
pub(crate) struct Tail(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    lines: VecDeque<String>,
    /// A mark or the end was read since the last `clear`.
    complete: bool,
}

impl Tail {
    /// Reads to the end in a thread of its own.
    pub(crate) fn of(stderr: ChildStderr) -> Self {
        let tail = Self::default();
        let kept = tail.clone();
        thread::spawn(move || {
            let mut stderr = BufReader::new(stderr);
            let mut line = Vec::new();
            while let Ok(1..) = stderr
                .by_ref()
                .take(LONGEST_LINE)
                .read_until(b'\n', &mut line)
            {
                kept.push(String::from_utf8_lossy(&line).trim_end());
                line.clear();
            }
            kept.state().complete = true;
        });
        tail
    }

    /// Forgets what earlier calls wrote.
    pub(crate) fn clear(&self) {
        let mut state = self.state();
        state.lines.clear();
        state.complete = false;
    }

    /// What the call that just failed wrote last; waits shortly until all of it has come.
    pub(crate) fn written(&self) -> Written {
        let deadline = Instant::now() + PATIENCE;
        while !self.state().complete && Instant::now() < deadline {
            thread::sleep(PAUSE);
        }
        Written(self.state().lines.iter().cloned().collect())
    }

    fn push(&self, line: &str) {
        let mut state = self.state();
        if line == MARK {
            state.complete = true;
        } else if !line.is_empty() {
            state.lines.push_back(line.to_owned());
            if state.lines.len() > LINES {
                state.lines.pop_front();
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
