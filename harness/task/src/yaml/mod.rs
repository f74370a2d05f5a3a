//! YAML as lm-eval reads it: YAML 1.1 scalars and merge keys, `include`, positions for every node; refuses duplicate keys, several
//! documents in a file, and aliases that expand without bound.

mod build;
mod excerpt;
mod include;
mod node;
mod parse;
mod scalar;

pub use include::{Loaded, Loader};
pub use node::{Mapping, Node, NodeValue, Position};
pub use parse::parse;
