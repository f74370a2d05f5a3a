//! Work on several models at once, on a thread each. Events come to the observer on the caller's thread and outcomes in the order of
//! the items, so that nobody can tell how many jobs there were. After an error it begins nothing more.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};

use crate::error::{BenchError, Result};
use crate::event::{Event, Observer};

/// As much as the main thread has: graphs are walked recursively when gradients are computed.
const STACK_BYTES: usize = 256 << 20;

/// How far the whole is.
pub(super) struct Progress {
    before: usize,
    total: usize,
    deed: &'static str,
}

impl Progress {
    /// `before` of `total` models are done.
    pub(super) fn new(before: usize, total: usize, deed: &'static str) -> Self {
        Self {
            before,
            total,
            deed,
        }
    }

    fn after(&self, items: usize) -> Event {
        Event::WholeAdvanced {
            done: self.before + items,
            total: self.total,
            deed: self.deed,
        }
    }
}

/// Where a thread finds its next item, and whether there is any use in going on.
struct Queue {
    next: AtomicUsize,
    has_failed: AtomicBool,
}

/// An event of a lane, or the outcome of the item at a place.
enum News<T> {
    Event(usize, Event),
    Outcome(usize, Result<T>),
}

/// Does `work` on each item, `jobs` at a time.
///
/// # Errors
/// The first error of any item, in the order of the items.
pub(super) fn in_parallel<I: Sync, T: Send>(
    items: &[I],
    jobs: usize,
    progress: &Progress,
    observer: &mut Observer,
    work: impl Fn(&I, &mut Observer) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    if jobs.min(items.len()) < 2 {
        let mut outcomes = Vec::new();
        for item in items {
            outcomes.push(work(item, observer)?);
            observer(progress.after(outcomes.len()));
        }
        return Ok(outcomes);
    }
    let queue = Queue {
        next: AtomicUsize::new(0),
        has_failed: AtomicBool::new(false),
    };
    let mut outcomes: Vec<Option<Result<T>>> = items.iter().map(|_| None).collect();
    std::thread::scope(|scope| -> Result<()> {
        let (tell, news) = channel();
        for lane in 0..jobs.min(items.len()) {
            let (tell, queue, work) = (tell.clone(), &queue, &work);
            std::thread::Builder::new()
                .stack_size(STACK_BYTES)
                .spawn_scoped(scope, move || queue.serve(lane, items, &tell, work))
                .map_err(|error| BenchError::Request(format!("--jobs {jobs}: {error}")))?;
        }
        drop(tell);
        let mut done = 0;
        for news in news {
            match news {
                News::Event(lane, event) => observer(Event::InLane {
                    lane,
                    event: Box::new(event),
                }),
                News::Outcome(place, outcome) => {
                    done += 1;
                    outcomes[place] = Some(outcome);
                    observer(progress.after(done));
                }
            }
        }
        Ok(())
    })?;
    // What is missing was not begun, for an error that is there.
    outcomes.into_iter().flatten().collect()
}

impl Queue {
    /// Works until nothing is left.
    fn serve<I, T>(
        &self,
        lane: usize,
        items: &[I],
        tell: &Sender<News<T>>,
        work: &impl Fn(&I, &mut Observer) -> Result<T>,
    ) {
        while !self.has_failed.load(Ordering::Relaxed) {
            let place = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(place) else {
                return;
            };
            // Nobody hears where the caller has given up.
            let outcome = work(item, &mut |event| drop(tell.send(News::Event(lane, event))));
            if outcome.is_err() {
                self.has_failed.store(true, Ordering::Relaxed);
            }
            let _ = tell.send(News::Outcome(place, outcome));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    fn heard(
        jobs: usize,
        work: impl Fn(&usize, &mut Observer) -> Result<usize> + Sync,
    ) -> (Result<Vec<usize>>, usize) {
        let mut events = 0;
        let outcome = in_parallel(
            &[4, 3, 2, 1],
            jobs,
            &Progress::new(0, 4, "done"),
            &mut |event| events += usize::from(!matches!(event, Event::WholeAdvanced { .. })),
            work,
        );
        (outcome, events)
    }

    #[test]
    fn outcomes_come_in_order_and_every_event_arrives() {
        for jobs in [1, 2, 9] {
            let (outcome, events) = heard(jobs, |item, observer| {
                observer(Event::Message("begun".into()));
                std::thread::sleep(std::time::Duration::from_millis(*item as u64));
                Ok(item * 10)
            });
            assert_eq!(
                (outcome.unwrap(), events),
                (vec![40, 30, 20, 10], 4),
                "{jobs} jobs"
            );
        }
    }

    #[test]
    fn two_are_at_work_at_once() {
        // Each waits for another, for ever if it were alone.
        let both = Barrier::new(2);
        let (outcome, _) = heard(2, |item, _| {
            both.wait();
            Ok(*item)
        });
        assert_eq!(outcome.unwrap(), [4, 3, 2, 1]);
    }

    #[test]
    fn after_an_error_nothing_more_begins() {
        for jobs in [1, 2] {
            let begun = AtomicUsize::new(0);
            let (outcome, _) = heard(jobs, |item, _| {
                begun.fetch_add(1, Ordering::Relaxed);
                if *item == 4 {
                    return Err(BenchError::Request("four".into()));
                }
                std::thread::sleep(std::time::Duration::from_millis(50));
                Ok(*item)
            });
            assert_eq!(outcome.unwrap_err().to_string(), "four");
            assert!(begun.load(Ordering::Relaxed) <= jobs);
        }
    }
}
