//! How many models are worked on at once: as many as somebody asks for, or as threads and free memory allow. It never leaves a
//! job without a thread unless it is told to.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

use crate::unlearn::spare_memory_bytes;

/// How many models are worked on at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Jobs {
    /// What threads and memory allow.
    #[default]
    Auto,
    /// So many.
    Exactly(NonZeroUsize),
}

impl FromStr for Jobs {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            number => (number.parse().map(Self::Exactly)).map_err(|_| "auto, or a positive number"),
        }
    }
}

impl fmt::Display for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Exactly(number) => number.fmt(f),
        }
    }
}

/// What jobs share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Threads to compute with.
    pub threads: usize,
    /// Memory that is free, less a reserve; `None` where the system does not tell.
    pub spare_bytes: Option<u64>,
}

impl Capacity {
    /// What there is now.
    pub fn now() -> Self {
        Self {
            threads: rayon::current_num_threads(),
            spare_bytes: spare_memory_bytes(),
        }
    }
}

impl Jobs {
    /// How many models of which none takes more than `bytes_each`.
    pub fn at_once(self, bytes_each: usize, capacity: Capacity) -> usize {
        match self {
            Self::Exactly(number) => number.get(),
            Self::Auto => {
                let each = u64::try_from(bytes_each).unwrap_or(u64::MAX).max(1);
                let fit = capacity.spare_bytes.map_or(u64::MAX, |bytes| bytes / each);
                let fit = usize::try_from(fit).unwrap_or(usize::MAX);
                capacity.threads.min(fit).max(1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_threads_nor_memory_are_promised_twice() {
        let capacity = |threads, spare_bytes| Capacity {
            threads,
            spare_bytes,
        };
        let auto = |bytes, capacity| Jobs::Auto.at_once(bytes, capacity);
        assert_eq!(auto(4, capacity(2, Some(100))), 2);
        assert_eq!(auto(4, capacity(8, Some(15))), 3);
        assert_eq!(auto(4, capacity(8, Some(3))), 1, "one is always tried");
        assert_eq!(auto(0, capacity(8, Some(0))), 1);
        assert_eq!(auto(usize::MAX, capacity(8, None)), 8);
        let three = Jobs::from_str("3").unwrap();
        assert_eq!(three.at_once(4, capacity(2, Some(3))), 3);
    }

    #[test]
    fn jobs_are_auto_or_a_positive_number() {
        for text in ["auto", "1", "12"] {
            assert_eq!(text.parse::<Jobs>().unwrap().to_string(), text);
        }
        for text in ["0", "-1", "many", ""] {
            assert_eq!(text.parse::<Jobs>(), Err("auto, or a positive number"));
        }
    }
}
