//! A fuzzer for task files, templates, patterns and split expressions: it changes real ones at random and looks for panics,
//! hangs and overflowing stacks. It needs no nightly compiler and is not guided by coverage.
//!
//! ```sh
//! cargo run --profile fuzz -p harness-task --example fuzz -- --minutes 10 --seed 1 tasks
//! ```
//!
//! What it tries last stands in `fuzz-input` of the temporary folder, for the failures that end the process; `--replay FILE`
//! tries one such file again.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program for developers: it prints, and stops where its own files fail"
)]

mod corpus;
mod mutation;
mod targets;

use std::collections::BTreeSet;
use std::panic;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use harness_metric::PythonRandom;

use crate::corpus::Corpus;
use crate::targets::{Bench, TARGETS};

/// Longer than any honest input takes, on a busy machine.
const HANG: Duration = Duration::from_secs(10);

/// What threads of a pool have; the main thread has four times as much.
const STACK_BYTES: usize = 2 << 20;

struct Options {
    minutes: f64,
    seed: u64,
    replay: Option<PathBuf>,
    folders: Vec<PathBuf>,
}

fn options() -> Option<Options> {
    let mut options = Options {
        minutes: 1.0,
        seed: 0,
        replay: None,
        folders: Vec::new(),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--minutes" => options.minutes = arguments.next()?.parse().ok()?,
            "--seed" => options.seed = arguments.next()?.parse().ok()?,
            "--replay" => options.replay = Some(arguments.next()?.into()),
            folder => options.folders.push(folder.into()),
        }
    }
    Some(options)
}

/// Ends the process when one input takes too long; nothing else can end a thread.
fn watch(tried: &'static AtomicU64, input: PathBuf) {
    std::thread::spawn(move || {
        let (mut last, mut since) = (0, Instant::now());
        loop {
            std::thread::sleep(HANG / 20);
            let now = tried.load(Ordering::Relaxed);
            if now != last {
                (last, since) = (now, Instant::now());
            } else if since.elapsed() > HANG {
                println!("HANG: input {now}, kept in {}", input.display());
                std::process::exit(1);
            }
        }
    });
}

fn main() {
    let Some(options) = options() else {
        println!("usage: fuzz [--minutes N] [--seed N] [--replay FILE] [FOLDER of YAML files]...");
        std::process::exit(2);
    };
    let fuzz = move || match &options.replay {
        Some(file) => replay(file),
        None => fuzz(&options),
    };
    let thread = std::thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(fuzz);
    let failures = thread.unwrap().join().unwrap();
    std::process::exit(i32::from(failures > 0));
}

/// Tries a kept input, with whatever comes of it.
fn replay(file: &std::path::Path) -> usize {
    let text = std::fs::read_to_string(file).unwrap();
    let (kind, text) = text.split_once('\n').unwrap();
    let (_, target) = TARGETS.iter().find(|(name, _)| *name == kind).unwrap();
    println!("accepted: {}", target(&mut Bench::new(), text));
    0
}

/// Runs until the time is over; the number of places that panicked.
fn fuzz(options: &Options) -> usize {
    static TRIED: AtomicU64 = AtomicU64::new(0);
    let place: Arc<Mutex<String>> = Arc::default();
    let noted = Arc::clone(&place);
    panic::set_hook(Box::new(move |info| {
        let place = info.location().map(ToString::to_string);
        *noted.lock().unwrap() = place.unwrap_or_default();
    }));

    let input = std::env::temp_dir().join("fuzz-input");
    watch(&TRIED, input.clone());
    let corpus = Corpus::read(&options.folders);
    let mut random = PythonRandom::new(options.seed);
    let mut bench = Bench::new();
    let mut failures = BTreeSet::new();
    let mut accepted = [0_u64; TARGETS.len()];
    let end = Instant::now() + Duration::from_secs_f64(options.minutes * 60.0);
    while Instant::now() < end {
        let number = TRIED.fetch_add(1, Ordering::Relaxed) as usize % TARGETS.len();
        let (name, target) = TARGETS[number];
        let text = corpus.changed(name, &mut random);
        std::fs::write(&input, format!("{name}\n{text}")).unwrap();
        let outcome = panic::catch_unwind(panic::AssertUnwindSafe(|| target(&mut bench, &text)));
        if let Ok(was_accepted) = outcome {
            accepted[number] += u64::from(was_accepted);
        } else {
            let message = std::mem::take(&mut *place.lock().unwrap());
            if !failures.contains(&message) {
                let kept = input.with_extension(failures.len().to_string());
                std::fs::write(&kept, format!("{name}\n{text}")).unwrap();
                println!("PANIC: {name}: {message}, kept in {}", kept.display());
                failures.insert(message);
            }
            bench = Bench::new();
        }
    }
    println!(
        "{} inputs, seed {}",
        TRIED.load(Ordering::Relaxed),
        options.seed
    );
    for ((name, _), accepted) in TARGETS.iter().zip(accepted) {
        println!("  {name}: {accepted} accepted");
    }
    println!("{} kinds of panic", failures.len());
    failures.len()
}
