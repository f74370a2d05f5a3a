//! Conversations: messages with roles, and what renders them into one prompt. Knows no model's form; that is a template's.

mod json;
mod template;

use serde::{Deserialize, Serialize};

pub use template::{JinjaChatTemplate, SpecialTokens};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions.
    System,
    /// Questions.
    User,
    /// The model.
    Assistant,
}

/// One turn of a conversation, as chat templates take it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

/// Renders conversations in the form that a model was trained on.
pub trait ChatTemplate: Send + Sync {
    /// The prompt. With `add_generation_prompt` it ends where the assistant begins to speak; without, the last message is
    /// the assistant's and is left open, to be gone on with.
    ///
    /// # Errors
    /// In words, where the form does not allow these messages.
    fn render(
        &self,
        messages: &[ChatMessage],
        add_generation_prompt: bool,
    ) -> Result<String, String>;
}
