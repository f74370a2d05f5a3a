//! The binary as a user runs it: on a model of a few thousand weights that the tests make themselves.
//!
//! Libraries are taken from where `cargo test` puts them, so nothing has to be built beforehand.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "tests may panic and print"
)]

mod adapter;
mod authoring;
mod bench;
mod bench_attacks;
mod bench_measures;
mod bench_running;
mod dataset_sources;
mod demo;
mod eval;
mod eval_groups;
mod eval_options;
mod eval_several;
#[cfg(target_os = "linux")]
mod fault_cases;
#[cfg(target_os = "linux")]
mod fault_table;
mod faults;
mod finetune;
mod hub_server;
mod integrity;
mod methods;
mod mistakes;
mod model_args;
mod model_show;
mod quantized;
mod relearn;
mod relearn_campaign;
mod script_commands;
mod shared_cache;
mod sources;
mod tasks;
mod unlearn;
mod unlearn_loop;
mod unlearn_options;
mod unlearn_resume;
mod world;
