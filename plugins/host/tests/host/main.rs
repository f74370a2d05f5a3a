//! The host against real and broken libraries, candle, and recorded losses. It refuses mocks: every test loads a library as `harness` does.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that panics or prints has reported what it found"
)]

mod c_example;
mod common;
mod contract;
mod frozen;
mod golden;
mod gradients;
mod operations;
mod training;
