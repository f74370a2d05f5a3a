//! The child process as its parent sees it: what it says, what it holds, and how it ends. A child that is silent for too long or
//! holds too much memory is ended; it refuses to wait for one that does not come back.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::job::{Job, WorkerEvent};
use super::process::ResidentMemory;
use crate::error::{BenchError, Result, io};
use crate::event::{Event, Observer};

/// How often a child that says nothing is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How long a child may take to end after it has closed its output.
const TO_END: Duration = Duration::from_secs(5);
/// The longest line that is read as one; a longer one is a method's print and comes in pieces.
const LONGEST_LINE: u64 = 1 << 20;
/// Lines that wait to be heard; then the child waits.
const LINES: usize = 64;

/// How to start a child: a program that calls [`super::serve`] with its standard input and output.
#[derive(Clone, Debug)]
pub struct WorkerCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments; `--threads N` follows them.
    pub arguments: Vec<String>,
    /// Threads that it computes with.
    pub threads: usize,
    /// What ends the child.
    pub limits: ChildLimits,
}

impl WorkerCommand {
    /// The same where several children run at once: each with its share of the threads.
    #[must_use]
    pub fn beside(&self, children: usize) -> Self {
        Self {
            threads: (self.threads / children.max(1)).max(1),
            ..self.clone()
        }
    }
}

/// What a child may take before it is ended.
#[derive(Clone, Copy, Debug)]
pub struct ChildLimits {
    /// Time to load a library and say what it is.
    pub describe: Duration,
    /// Time without a finished step; also what loading the model, and writing it, may take.
    pub step: Duration,
    /// Resident bytes; absent: what is free on the machine when the child starts, less a reserve.
    pub memory_bytes: Option<u64>,
}

impl Default for ChildLimits {
    fn default() -> Self {
        Self {
            describe: Duration::from_mins(1),
            step: Duration::from_mins(10),
            memory_bytes: None,
        }
    }
}

/// What a child is about, and for how long.
pub(super) struct Phase {
    /// For messages: when something went wrong.
    pub(super) during: String,
    /// Time until the next event.
    pub(super) patience: Duration,
    /// The option that says how long, where one does.
    pub(super) option: Option<&'static str>,
}

/// A running child.
pub(super) struct ChildProcess {
    child: Child,
    /// Nothing more is written, but it stays open: a child that finds it closed has lost its parent and ends.
    _stdin: ChildStdin,
    lines: Receiver<String>,
    memory: ResidentMemory,
    library: PathBuf,
}

impl ChildProcess {
    pub(super) fn start(command: &WorkerCommand, job: &Job, library: &Path) -> Result<Self> {
        let mut child = Command::new(&command.program)
            .args(&command.arguments)
            .args(["--threads", &command.threads.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(io(&command.program))?;
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(BenchError::Request("the child process has no pipes".into()));
        };
        let (said, lines) = sync_channel(LINES);
        std::thread::spawn(move || read_lines(stdout, &said));
        let memory = ResidentMemory::of(child.id(), command.limits.memory_bytes);
        let mut text =
            serde_json::to_vec(job).map_err(|error| BenchError::Request(error.to_string()))?;
        text.push(b'\n');
        // A child that dies before it has read everything is reported by its exit status, not by the broken pipe.
        let _ = stdin.write_all(&text).and_then(|()| stdin.flush());
        Ok(Self {
            child,
            _stdin: stdin,
            lines,
            memory,
            library: library.to_owned(),
        })
    }

    /// The next event; lines that are none are the method's own prints.
    ///
    /// # Errors
    /// When the child has ended or is ended: names library and cause.
    pub(super) fn next(
        &mut self,
        phase: &Phase,
        observer: &mut Observer,
    ) -> std::result::Result<WorkerEvent, String> {
        let (start, during) = (Instant::now(), &phase.during);
        loop {
            if let Some(excess) = self.memory.excess() {
                self.end();
                return Err(self.obituary(&format!("was ended {during}: {excess}")));
            }
            let Some(left) = phase.patience.checked_sub(start.elapsed()) else {
                self.end();
                let seconds = phase.patience.as_secs_f64();
                let option = phase.option.map(|option| format!(" ({option})"));
                let cause = format!(
                    "was ended {during}: it came no further for {seconds} seconds{}",
                    option.unwrap_or_default()
                );
                return Err(self.obituary(&cause));
            };
            match self.lines.recv_timeout(left.min(LOOK)) {
                Ok(line) => match serde_json::from_str(&line) {
                    Ok(event) => return Ok(event),
                    Err(_) => observer(Event::Message(format!("{}: {line}", self.name()))),
                },
                Err(RecvTimeoutError::Timeout) => {
                    // Its output may be held open by a process that it started.
                    if let Ok(Some(status)) = self.child.try_wait() {
                        return Err(self.ended(status, during));
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.closed(during)),
            }
        }
    }

    /// Lets a child that has done its work end by itself.
    ///
    /// # Errors
    /// When it crashes or does not end.
    pub(super) fn finish(
        mut self,
        during: &str,
        observer: &mut Observer,
    ) -> std::result::Result<(), String> {
        let start = Instant::now();
        while start.elapsed() < TO_END {
            match self.lines.recv_timeout(Duration::from_millis(10)) {
                Ok(line) => observer(Event::Message(format!("{}: {line}", self.name()))),
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(Duration::from_millis(1)),
                Err(RecvTimeoutError::Timeout) => {}
            }
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(self.ended(status, during)),
                Ok(None) | Err(_) => {}
            }
        }
        self.end();
        Err(self.obituary(&format!("did not end {during}")))
    }

    /// The library's name without its path.
    pub(super) fn name(&self) -> String {
        let name = self.library.file_stem().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// The most resident bytes that were seen.
    pub(super) fn peak_memory_bytes(&self) -> u64 {
        self.memory.peak_bytes()
    }

    fn end(&mut self) {
        // One that has ended already needs no ending.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// What became of a child that has closed its output.
    fn closed(&mut self, during: &str) -> String {
        let start = Instant::now();
        while start.elapsed() < TO_END {
            if let Ok(Some(status)) = self.child.try_wait() {
                return self.ended(status, during);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.end();
        self.obituary(&format!("closed its output {during} and went on"))
    }

    fn ended(&self, status: ExitStatus, during: &str) -> String {
        let memory = match self.memory.last_bytes() {
            bytes if is_kill(status) && bytes > 0 => format!(
                ", by hand or for want of memory; it held {} MiB when last looked at",
                bytes >> 20
            ),
            _ => String::new(),
        };
        self.obituary(&format!("{} {during}{memory}", how_it_ended(status)))
    }

    fn obituary(&self, cause: &str) -> String {
        let library = self.library.display();
        format!("method library {library}: the process running it {cause}")
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        self.end();
    }
}

/// Sends on what the child writes, a line at a time and without empty ones, until it ends or nobody listens.
fn read_lines(output: ChildStdout, said: &SyncSender<String>) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = output
            .by_ref()
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line);
        if !matches!(read, Ok(bytes) if bytes > 0) {
            return;
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\n', '\r']);
        if !text.is_empty() && said.send(text.to_owned()).is_err() {
            return;
        }
    }
}

#[cfg(unix)]
fn is_kill(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;
    status.signal() == Some(9)
}

#[cfg(not(unix))]
fn is_kill(_: ExitStatus) -> bool {
    false
}

#[cfg(unix)]
fn how_it_ended(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    let names = [
        (4, "illegal instruction"),
        (6, "abort"),
        (7, "bus error"),
        (8, "arithmetic error"),
        (11, "segmentation fault"),
        (15, "termination"),
        (24, "limit of processor time"),
        (25, "limit of file size"),
    ];
    match status.signal() {
        None => format!("ended with {status}"),
        Some(9) => "was killed (signal 9)".to_owned(),
        Some(signal) => {
            let name = names
                .iter()
                .find(|(number, _)| *number == signal)
                .map_or("signal", |(_, name)| name);
            format!("crashed ({name}, signal {signal})")
        }
    }
}

#[cfg(not(unix))]
fn how_it_ended(status: ExitStatus) -> String {
    format!("ended with {status}")
}
