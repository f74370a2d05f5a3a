//! The demonstration: a small model learns a made-up world, methods make it forget a part, and everything is scored and
//! attacked, against the original and an oracle that never saw the part. Minutes on a laptop, the same path as real runs.

mod model;
mod pipeline;
mod recipe;
mod world;

pub use pipeline::{DemoOptions, run};
