//! Things behind generation-tagged handles. It refuses every handle that it did not issue itself.

use std::sync::atomic::{AtomicU32, Ordering};

use harness_abi::Handle;

use crate::fault::Fault;

/// A number that no table or call of this process had before. Starts high, so that no small number that a method makes up is ever one.
pub(crate) fn next_generation() -> u32 {
    static GENERATIONS: AtomicU32 = AtomicU32::new(0x4861_0000);
    GENERATIONS.fetch_add(1, Ordering::Relaxed)
}

/// What a handle leads to.
pub(crate) enum Find<T> {
    Good(T),
    Poisoned(Fault),
    Stale,
}

/// A table of things, each good, poisoned or released.
pub(crate) struct Slots<T> {
    generation: u32,
    /// By the low half of a handle, less one; `None` once released.
    slots: Vec<Option<Result<T, Fault>>>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self {
            generation: next_generation(),
            slots: Vec::new(),
        }
    }
}

impl<T: Clone> Slots<T> {
    pub(crate) fn issue(&mut self, computed: Result<T, Fault>) -> Handle {
        self.slots.push(Some(computed));
        Handle(u64::from(self.generation) << 32 | self.slots.len() as u64)
    }

    pub(crate) fn find(&self, handle: Handle) -> Find<T> {
        match self.place(handle).and_then(|place| self.slots.get(place)) {
            Some(Some(Ok(thing))) => Find::Good(thing.clone()),
            Some(Some(Err(fault))) => Find::Poisoned(fault.clone()),
            Some(None) | None => Find::Stale,
        }
    }

    /// Whether the handle was issued here, released or not.
    pub(crate) fn issued(&self, handle: Handle) -> bool {
        let place = self.place(handle);
        place.is_some_and(|place| place < self.slots.len())
    }

    /// Forgets a handle; whether it was good.
    pub(crate) fn release(&mut self, handle: Handle) -> bool {
        let place = self.place(handle);
        let slot = place.and_then(|place| self.slots.get_mut(place));
        slot.and_then(Option::take).is_some()
    }

    /// Puts `change` of each good thing in its place.
    pub(crate) fn change(&mut self, change: impl Fn(&T) -> T) {
        for thing in self.slots.iter_mut().flatten().flatten() {
            *thing = change(thing);
        }
    }

    fn place(&self, handle: Handle) -> Option<usize> {
        let (generation, number) = (handle.0 >> 32, handle.0 & u64::from(u32::MAX));
        let place = usize::try_from(number).ok()?.checked_sub(1)?;
        (generation == u64::from(self.generation)).then_some(place)
    }
}
