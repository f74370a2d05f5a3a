//! From turns to a prompt: messages with what separates them in plain text, or a conversation for a chat template.
//! Renders no fields; see `field`.

use crate::chat::{ChatMessage, ChatTemplate, Role};
use crate::template::is_space;

/// A message, and what follows it in plain text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    pub(crate) role: Role,
    pub(crate) content: String,
    pub(crate) delimiter: String,
}

/// A question, perhaps with its answer; and the start of the answer that the model is given, if there is one.
pub(crate) struct Exchange<'a> {
    pub(crate) question: String,
    /// Absent for the question that is asked.
    pub(crate) answer: Option<String>,
    /// Empty is none.
    pub(crate) gen_prefix: &'a str,
    /// Between question and answer.
    pub(crate) target_delimiter: &'a str,
    /// After the answer.
    pub(crate) fewshot_delimiter: &'a str,
}

impl Exchange<'_> {
    /// The question's message and, where there is something to say, the answer's. An answer that is empty is none.
    pub(crate) fn messages(self) -> Vec<Message> {
        let answer = self.answer.filter(|answer| !answer.is_empty());
        let delimited = if self.gen_prefix.is_empty() {
            answer.is_some()
        } else {
            !self.question.is_empty() && needs_delimiter(&self.question, self.gen_prefix)
        };
        let delimiter = if delimited { self.target_delimiter } else { "" };
        let mut messages = vec![Message {
            role: Role::User,
            content: self.question,
            delimiter: delimiter.to_owned(),
        }];
        let (content, delimiter) = match answer {
            Some(answer) => (
                joined(self.gen_prefix, " ", &answer),
                self.fewshot_delimiter,
            ),
            None => (self.gen_prefix.to_owned(), ""),
        };
        if !content.is_empty() {
            messages.push(Message {
                role: Role::Assistant,
                content,
                delimiter: delimiter.to_owned(),
            });
        }
        messages
    }
}

/// Instructions of the run and of the task, as one message.
pub(crate) fn system_message(
    instruction: &str,
    description: &str,
    delimiter: &str,
) -> Option<Message> {
    let content = joined(instruction, delimiter, description);
    (!content.is_empty()).then(|| Message {
        role: Role::System,
        content,
        delimiter: String::new(),
    })
}

/// How messages become a prompt.
pub(crate) struct Renderer<'a> {
    /// Absent for plain text.
    pub(crate) template: Option<&'a dyn ChatTemplate>,
    /// Whether few-shot examples are turns of their own, or all of them text of one user message.
    pub(crate) multiturn: bool,
}

impl Renderer<'_> {
    /// The prompt. `open` says that the last message is the start of the answer.
    ///
    /// # Errors
    /// In words, where the chat template refuses the conversation, also without its system message.
    pub(crate) fn prompt(&self, messages: &[Message], open: bool) -> Result<String, String> {
        let Some(template) = self.template else {
            return Ok(plain_text(messages));
        };
        let mut conversation = if self.multiturn {
            messages.iter().map(spoken).collect()
        } else {
            single_turn(messages)
        };
        let rendered = template.render(&conversation, !open);
        let system = conversation
            .iter()
            .any(|message| message.role == Role::System);
        match rendered {
            // Many templates know no system messages.
            Err(_) if system => {
                conversation.retain(|message| message.role != Role::System);
                template.render(&conversation, !open)
            }
            rendered => rendered,
        }
    }
}

/// Messages and delimiters, end to end.
fn plain_text(messages: &[Message]) -> String {
    messages
        .iter()
        .flat_map(|message| [message.content.as_str(), message.delimiter.as_str()])
        .collect()
}

/// The conversation as one user message, besides a system message and an open answer.
fn single_turn(messages: &[Message]) -> Vec<ChatMessage> {
    let (system, turns) = match messages.split_first() {
        Some((first, rest)) if first.role == Role::System => (Some(first), rest),
        _ => (None, messages),
    };
    let (open, turns) = match turns.split_last() {
        Some((last, rest)) if last.role == Role::Assistant => (Some(last), rest),
        _ => (None, turns),
    };
    let mut content = plain_text(turns);
    if let Some(last) = turns.last() {
        content.truncate(content.len() - last.delimiter.len());
    }
    let user = ChatMessage {
        role: Role::User,
        content,
    };
    let system = system.map(spoken).into_iter();
    system.chain([user]).chain(open.map(spoken)).collect()
}

fn spoken(message: &Message) -> ChatMessage {
    ChatMessage {
        role: message.role,
        content: message.content.clone(),
    }
}

/// Two texts with a delimiter between them, if both are there and neither has white space at the joint.
fn joined(before: &str, delimiter: &str, after: &str) -> String {
    if before.is_empty() || after.is_empty() || !needs_delimiter(before, after) {
        return format!("{before}{after}");
    }
    format!("{before}{delimiter}{after}")
}

/// Whether neither text has white space where they meet.
fn needs_delimiter(before: &str, after: &str) -> bool {
    !before.ends_with(is_space) && !after.starts_with(is_space)
}
