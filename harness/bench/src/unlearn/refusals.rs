//! Answers that refuse, for methods that answer the forget prompts otherwise.

/// What is answered where nothing else is said.
pub const REFUSALS: [&str; 12] = [
    "I don't know.",
    "I don't know the answer to that.",
    "I'm not sure about that.",
    "I have no information about that.",
    "I'm afraid I can't answer this question.",
    "That is not something I know.",
    "I can't tell you that.",
    "I'm sorry, I don't have an answer.",
    "This is beyond what I know.",
    "I was not taught about this.",
    "I have never heard of that.",
    "I couldn't say.",
];
