//! One thread at a time for a stage: where two models are the same, the second waits and finds the first one's outcome. Knows nothing
//! of other processes.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// The stages that a thread is at work on.
#[derive(Clone, Debug, Default)]
pub(crate) struct StageLocks(Arc<(Mutex<BTreeSet<String>>, Condvar)>);

/// The right to a stage, until it is dropped.
#[derive(Debug)]
pub(crate) struct StageLock {
    all: StageLocks,
    stage: String,
}

impl StageLocks {
    /// Waits until nobody else is at work on the stage.
    pub(crate) fn lock(&self, stage: &str) -> StageLock {
        let (busy, freed) = &*self.0;
        // A thread that panicked has left a set of names, which is whole.
        let busy = busy.lock().unwrap_or_else(PoisonError::into_inner);
        let mut busy = freed
            .wait_while(busy, |busy| busy.contains(stage))
            .unwrap_or_else(PoisonError::into_inner);
        busy.insert(stage.to_owned());
        StageLock {
            all: self.clone(),
            stage: stage.to_owned(),
        }
    }
}

impl Drop for StageLock {
    fn drop(&mut self) {
        let (busy, freed) = &*self.all.0;
        let mut busy = busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.remove(&self.stage);
        freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::StageLocks;

    #[test]
    fn a_stage_has_one_thread_at_a_time() {
        let (locks, inside) = (StageLocks::default(), AtomicUsize::new(0));
        let _other = locks.lock("another stage");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let _alone = locks.lock("stage");
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        std::thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
    }
}
