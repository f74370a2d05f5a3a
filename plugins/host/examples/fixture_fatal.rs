//! A method that ends its process, or never ends, in the entry that its options name. For tests of the process around it; it refuses to
//! be useful.
#![allow(unsafe_code, reason = "two of the faults are undefined on purpose")]

use std::alloc::{Layout, alloc, dealloc};
use std::cell::RefCell;
use std::hint::black_box;
use std::time::Duration;

use harness_sdk::prelude::*;

/// What to do in `describe`, which has no options.
const IN_DESCRIBE: &str = "HARNESS_FIXTURE_IN_DESCRIBE";

options! {
    /// Ends badly.
    pub struct Fatal {
        /// What to do: nothing, panic, abort, segfault, double free, loop, memory or chatter.
        fault: String = in_describe(),
        /// Where: create, loss or destroy.
        entry: String = String::from("loss"),
        /// In which step, for a loss.
        step: u64 = 2,
    }
    state {
        /// What remains to be done in `destroy`.
        parting: Parting = Parting::default(),
    }
}

/// Does a fault when it goes away.
#[derive(Clone, Debug, Default)]
pub struct Parting(RefCell<String>);

impl Drop for Parting {
    fn drop(&mut self) {
        commit(self.0.get_mut());
    }
}

/// The default of `fault`: `describe` is where defaults are evaluated first.
fn in_describe() -> String {
    commit(&std::env::var(IN_DESCRIBE).unwrap_or_default());
    String::from("nothing")
}

fn commit(fault: &str) {
    match fault {
        "panic" => panic!("told to panic"),
        "abort" => std::process::abort(),
        "segfault" => {
            // SAFETY: none; that is the fault.
            unsafe { std::ptr::null::<u8>().read_volatile() };
        }
        "double free" => free_twice(),
        "loop" => loop {
            std::thread::sleep(Duration::from_millis(1));
        },
        "memory" => fill_memory(),
        "chatter" => print_without_end_of_line(),
        _ => {}
    }
}

fn free_twice() {
    let layout = Layout::new::<[u64; 8]>();
    // SAFETY: none for the second; that is the fault.
    unsafe {
        let block = black_box(alloc(layout));
        dealloc(block, layout);
        dealloc(black_box(block), layout);
    }
}

/// Some 500 MB a second, so that a limit is seen to work before the machine is full.
fn fill_memory() {
    let mut hoard = Vec::new();
    loop {
        hoard.push(vec![1_u8; 8 << 20]);
        black_box(&hoard);
        std::thread::sleep(Duration::from_millis(16));
    }
}

#[allow(
    clippy::print_stdout,
    reason = "a method that prints where the harness's events go"
)]
fn print_without_end_of_line() {
    use std::io::Write;
    print!("half a line");
    std::io::stdout().flush().unwrap_or_default();
}

impl Method for Fatal {
    const ID: &'static str = "fatal";
    const NEEDS: Needs = Needs::NONE;

    fn check(&self) -> Result<()> {
        match self.entry.as_str() {
            "create" => commit(&self.fault),
            "destroy" => self.parting.0.replace_with(|_| self.fault.clone()).clear(),
            _ => {}
        }
        Ok(())
    }

    fn loss(&self, step: &Step) -> Result<Tensor> {
        let (done, _) = step.steps();
        if self.entry == "loss" && done + 1.0 >= self.step as f64 {
            commit(&self.fault);
        }
        Ok(-step.nll(Forget))
    }
}

export_method!(Fatal);
