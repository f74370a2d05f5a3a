//! Against recordings of lm-eval: prompts, filters, scores and standard errors of whole tasks, and chat templates. What is
//! not there is said to be skipped.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test: panics are failures, skips are said aloud, recorded numbers are exact"
)]

mod chat;
mod end_to_end;
mod filters;
mod fixture;
mod process_results;
mod python_json;
mod tasks;
