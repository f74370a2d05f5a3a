//! One Python process: a call goes in as a line of JSON, its answer comes out as one. Refuses to wait beyond the limit, and to
//! outlive its owner.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::PythonSettings;
use crate::error::PythonError;
use crate::files;
use crate::tail::Tail;

/// How often a silent process is looked at.
const GLANCE: Duration = Duration::from_millis(50);
/// How long a process may take to end by itself, which takes those with it that it started.
const FAREWELL: Duration = Duration::from_millis(500);

pub(crate) struct Process {
    child: Child,
    /// Dropped first at the end: then stdin closes, at which the driver ends its whole process group.
    calls: Option<Sender<Vec<u8>>>,
    answers: Receiver<Line>,
    pub(crate) tail: Tail,
    time_limit: Duration,
    answer_limit: u64,
    _files: TempDir,
}

enum Line {
    Whole(Vec<u8>),
    TooLong,
    Failed(io::Error),
}

impl Process {
    pub(crate) fn start(settings: &PythonSettings) -> Result<Self, PythonError> {
        let failed = |source| PythonError::Start {
            interpreter: settings.interpreter.clone(),
            source,
        };
        let files = files::write().map_err(PythonError::Files)?;
        // No bytecode beside the task's files; the same order of sets and the same encoding everywhere.
        let mut child = Command::new(&settings.interpreter)
            .arg("-B")
            .arg(files.path().join(files::DRIVER))
            .args([settings.python_seed, settings.numpy_seed].map(seed))
            .env("PYTHONHASHSEED", "0")
            .env("PYTHONUTF8", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(failed(io::Error::other("it has no pipes")));
        };
        Ok(Self {
            child,
            calls: Some(writer(stdin)),
            answers: reader(stdout, settings.answer_limit),
            tail: Tail::of(stderr),
            time_limit: settings.time_limit,
            answer_limit: settings.answer_limit,
            _files: files,
        })
    }

    /// Sends a line and waits for the one that answers it. After an error the process is of no more use.
    pub(crate) fn exchange(&mut self, mut call: Vec<u8>) -> Result<Vec<u8>, PythonError> {
        self.tail.clear();
        call.push(b'\n');
        if let Some(calls) = &self.calls {
            // Where the writer is gone, so is the process, and the answer says so.
            let _ = calls.send(call);
        }
        match self.answer()? {
            Line::Whole(line) => Ok(line),
            Line::TooLong => {
                self.end();
                Err(PythonError::TooLong {
                    limit: self.answer_limit,
                    written: self.tail.written(),
                })
            }
            Line::Failed(source) => {
                self.end();
                Err(PythonError::Read {
                    source,
                    written: self.tail.written(),
                })
            }
        }
    }

    fn answer(&mut self) -> Result<Line, PythonError> {
        let begun = Instant::now();
        while begun.elapsed() < self.time_limit {
            match self.answers.recv_timeout(GLANCE) {
                Ok(line) => return Ok(line),
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended()),
                // What it started may hold the pipe open after its end.
                Err(RecvTimeoutError::Timeout) => {
                    if let Ok(Some(_)) = self.child.try_wait() {
                        return self.answers.try_recv().map_err(|_| self.ended());
                    }
                }
            }
        }
        self.end();
        Err(PythonError::TimedOut {
            seconds: self.time_limit.as_secs_f64(),
            written: self.tail.written(),
        })
    }

    fn ended(&mut self) -> PythonError {
        let status = self.end();
        PythonError::Ended {
            status,
            written: self.tail.written(),
        }
    }

    /// Ends the process if it has not ended, and those that it started.
    fn end(&mut self) -> ExitStatus {
        self.calls = None;
        let begun = Instant::now();
        while begun.elapsed() < FAREWELL {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status;
            }
            thread::sleep(Duration::from_millis(2));
        }
        // It may have ended by itself meanwhile; `wait` tells.
        let _ = self.child.kill();
        self.child.wait().unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// As the driver reads it; nothing where there is none.
fn seed(seed: Option<u64>) -> String {
    seed.map(|seed| seed.to_string()).unwrap_or_default()
}

/// Writes in a thread of its own, so that a process which does not read cannot hold up the clock.
fn writer(mut stdin: ChildStdin) -> Sender<Vec<u8>> {
    let (calls, lines) = mpsc::channel::<Vec<u8>>();
    thread::spawn(move || {
        for line in lines {
            if stdin.write_all(&line).and_then(|()| stdin.flush()).is_err() {
                break;
            }
        }
    });
    calls
}

fn reader(stdout: ChildStdout, limit: u64) -> Receiver<Line> {
    let (lines, answers) = mpsc::channel();
    thread::spawn(move || {
        let mut stdout = BufReader::new(stdout);
        loop {
            let mut line = Vec::new();
            let read = stdout.by_ref().take(limit + 1).read_until(b'\n', &mut line);
            let line = match read {
                Ok(0) => break,
                Ok(_) if line.ends_with(b"\n") => Line::Whole(line),
                Ok(count) if count as u64 > limit => Line::TooLong,
                // The end came within a line: the process is gone.
                Ok(_) => break,
                Err(error) => Line::Failed(error),
            };
            let last = !matches!(line, Line::Whole(_));
            if lines.send(line).is_err() || last {
                break;
            }
        }
    });
    answers
}
