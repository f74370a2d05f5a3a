//! YAML as lm-eval reads it: YAML 1.1 scalars, `include`, positions for every node; refuses duplicate keys, several
//! documents in a file, and aliases that expand without bound.

mod include;
mod node;
mod parse;
mod scalar;

pub use include::load_with_includes;
pub use node::{Mapping, Node, NodeValue, Position};
pub use parse::parse;
