//! What the system knows of a process: the memory that it holds, whether that is too much, and its end. It refuses to stop
//! a process that merely holds too much: whoever asks decides.

use std::time::{Duration, Instant};

use harness_engine::free_memory_bytes;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// How often the system is asked.
const INTERVAL: Duration = Duration::from_millis(250);
/// What everything else on the machine is left, at most and as a share of what is free.
const RESERVE_BYTES: u64 = 1 << 30;
const RESERVE_SHARE: u64 = 10;

/// Memory that is free now, less what everything else on the machine is left; `None` where the system does not tell.
pub(crate) fn spare_memory_bytes() -> Option<u64> {
    let free = free_memory_bytes()?;
    Some(free - (free / RESERVE_SHARE).min(RESERVE_BYTES))
}

/// A process's resident memory, and its bound.
pub(super) struct ResidentMemory {
    /// Absent where the system does not tell.
    system: Option<System>,
    process: Pid,
    limit_bytes: u64,
    last_bytes: u64,
    peak_bytes: u64,
    looked: Option<Instant>,
}

impl ResidentMemory {
    /// Watches a process; without a limit, what is free now less a reserve is the limit.
    pub(super) fn of(process: u32, limit_bytes: Option<u64>) -> Self {
        Self {
            system: System::new().ok(),
            process: Pid::from_u32(process),
            limit_bytes: limit_bytes.or_else(spare_memory_bytes).unwrap_or(u64::MAX),
            last_bytes: 0,
            peak_bytes: 0,
            looked: None,
        }
    }

    /// What is wrong, if the process holds more than it may. Looks only where it has not looked for a while.
    pub(super) fn excess(&mut self) -> Option<String> {
        if (self.looked).is_some_and(|looked| looked.elapsed() < INTERVAL) {
            return None;
        }
        self.looked = Some(Instant::now());
        let wanted = ProcessesToUpdate::Some(&[self.process]);
        let memory = ProcessRefreshKind::nothing().with_memory().without_tasks();
        let system = self.system.as_mut()?;
        system.refresh_processes_specifics(wanted, true, memory);
        let process = system.process(self.process)?;
        self.last_bytes = process.memory();
        self.peak_bytes = self.peak_bytes.max(self.last_bytes);
        (self.last_bytes > self.limit_bytes).then(|| {
            let (held, limit) = (self.last_bytes >> 20, self.limit_bytes >> 20);
            format!("it held {held} MiB of memory, more than {limit} MiB (--max-memory)")
        })
    }

    /// Resident bytes when last looked at; 0 before that.
    pub(super) fn last_bytes(&self) -> u64 {
        self.last_bytes
    }

    /// The most resident bytes that were seen.
    pub(super) fn peak_bytes(&self) -> u64 {
        self.peak_bytes
    }
}

/// The most resident bytes that this process ever had; 0 where the system does not tell.
pub(super) fn peak_bytes_of_this_process() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mark = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = mark.and_then(|mark| mark.trim().strip_suffix("kB")?.trim().parse().ok());
    kibibytes.map_or(0, |kibibytes: u64| kibibytes << 10)
}

/// Tells the system to end this process first where memory runs out, and not the parent or somebody else's.
pub(super) fn offer_to_the_system() {
    // Where this file is not, the system chooses by itself.
    let _ = std::fs::write("/proc/self/oom_score_adj", "500");
}

/// Ends this process without running anything more in it.
pub(super) fn kill_this_process() {
    let own = Pid::from_u32(std::process::id());
    if let Ok(mut system) = System::new() {
        let wanted = ProcessesToUpdate::Some(&[own]);
        system.refresh_processes_specifics(wanted, false, ProcessRefreshKind::nothing());
        if let Some(process) = system.process(own) {
            process.kill();
        }
    }
    std::process::abort();
}
