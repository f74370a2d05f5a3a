//! What the C boundary costs: the whole of a method's call for its loss, on batches so small that arithmetic takes next to nothing.
//! `cargo bench -p harness-host`; needs the methods' libraries, which `cargo build --release` makes.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark may panic and print"
)]

#[path = "../tests/host/common.rs"]
#[allow(dead_code, reason = "shared with the tests, which use more of it")]
mod common;

use std::time::Instant;

use common::Batches;
use harness_host::{MethodPath, Role};
use serde_json::json;

/// Calls of one measurement.
const CALLS: u32 = 20_000;

fn main() {
    let folder = common::build_folder().parent().unwrap().to_owned();
    for id in ["grad_ascent", "grad_diff", "npo"] {
        let method = MethodPath::new(vec![folder.clone()]).open(id).unwrap();
        let instance = method.create(&json!({})).unwrap();
        let (policy, original) = ([-1.0, -2.0, -0.5, -4.0], [-1.5, -1.0, -0.5, -3.0]);
        let batches = Batches::default()
            .with(Role::Forget, &[3, 1], &policy, &original)
            .with(Role::Retain, &[2, 2], &policy, &original);
        let start = Instant::now();
        for _ in 0..CALLS {
            instance.loss(&batches).unwrap();
        }
        let microseconds = start.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS);
        println!("{id:<12} {microseconds:8.1} µs a call, arithmetic on four numbers included");
    }
}
