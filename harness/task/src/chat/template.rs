//! A model's own chat template, in Jinja as Hugging Face's tokenizers run it; in minijinja, without access to files.
//! Refuses what the template itself refuses.

use std::fmt;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde};
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value,
};
use serde_json::Map;

use super::{ChatMessage, ChatTemplate, json};
use crate::template::{is_space, python_method, python_text, strip};

/// The name of the only template of an environment.
const NAME: &str = "chat_template";

/// Appended to a message that is left open, to find its end in what the template makes of it (as transformers does).
const OPEN_END: &str = "CONTINUE_FINAL_MESSAGE_TAG ";

/// A tokenizer's special tokens by name, such as `bos_token`.
pub type SpecialTokens = Map<String, serde_json::Value>;

/// A compiled chat template.
pub struct JinjaChatTemplate {
    environment: Environment<'static>,
    source: String,
    special_tokens: SpecialTokens,
}

impl JinjaChatTemplate {
    /// Compiles a template: `chat_template` of a tokenizer's configuration, or its `chat_template.jinja`.
    ///
    /// # Errors
    /// In words, where it does not compile.
    pub fn compile(source: &str, special_tokens: SpecialTokens) -> Result<Self, String> {
        let mut environment = environment();
        let compiled = environment.add_template_owned(NAME, without_generation_tags(source));
        compiled.map_err(|error| format!("chat template: {error:#}"))?;
        Ok(Self {
            environment,
            source: source.to_owned(),
            special_tokens,
        })
    }

    /// The template as it was given.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The whole conversation, and after it, if asked for, where the assistant begins to speak.
    ///
    /// # Errors
    /// In words, where the template refuses the messages.
    pub fn render_whole(
        &self,
        messages: &[ChatMessage],
        add_generation_prompt: bool,
    ) -> Result<String, String> {
        let mut context = self.special_tokens.clone();
        context.insert("messages".to_owned(), serde_json::json!(messages));
        context.insert(
            "add_generation_prompt".to_owned(),
            add_generation_prompt.into(),
        );
        for absent in ["tools", "documents"] {
            context.insert(absent.to_owned(), serde_json::Value::Null);
        }
        let template = self.environment.get_template(NAME);
        template
            .and_then(|template| template.render(Value::from(Serde(&context))))
            .map_err(|error| format!("chat template: {error:#}"))
    }
}

impl ChatTemplate for JinjaChatTemplate {
    fn render(
        &self,
        messages: &[ChatMessage],
        add_generation_prompt: bool,
    ) -> Result<String, String> {
        if add_generation_prompt {
            return self.render_whole(messages, true);
        }
        let mut open = messages.to_vec();
        let Some(last) = open.last_mut() else {
            return Err("chat template: there is no message to go on with".to_owned());
        };
        last.content.push_str(OPEN_END);
        let mut rendered = self.render_whole(&open, false)?;
        let Some(end) = rendered.rfind(strip(OPEN_END)) else {
            return Err(
                "chat template: it leaves out the message that is to be gone on with".to_owned(),
            );
        };
        let keeps_spaces = rendered[end..].starts_with(OPEN_END);
        rendered.truncate(end);
        // Where the template strips messages, the open one must not end in white space either.
        if !keeps_spaces {
            rendered.truncate(rendered.trim_end_matches(is_space).len());
        }
        Ok(rendered)
    }
}

impl fmt::Debug for JinjaChatTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JinjaChatTemplate")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// Jinja as `transformers` sets it up: blocks take their line with them, undefined names are nothing.
fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Lenient);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_syntax(blocks_take_their_line());
    environment.set_formatter(write_python_text);
    environment.set_unknown_method_callback(python_method);
    environment.add_filter("string", python_text);
    environment.add_filter("tojson", tojson);
    environment.add_function("raise_exception", raise_exception);
    environment.add_function("strftime_now", strftime_now);
    environment
}

fn blocks_take_their_line() -> SyntaxConfig {
    let mut builder = SyntaxConfig::builder();
    builder.trim_blocks(true).lstrip_blocks(true);
    builder.build().unwrap_or_default()
}

/// `{% generation %}` marks what the assistant said, for training; it renders as its inside.
fn without_generation_tags(source: &str) -> String {
    let mut text = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let (before, tag) = rest.split_at(start);
        text.push_str(before);
        let end = tag.find("%}").map_or(tag.len(), |end| end + 2);
        let (tag, after) = tag.split_at(end);
        let name = tag.trim_start_matches("{%").trim_end_matches("%}");
        let name = name.trim_matches(|c: char| c == '-' || c == '+' || is_space(c));
        match name {
            "generation" => text.push_str(&tag.replacen("generation", "if true", 1)),
            "endgeneration" => text.push_str(&tag.replacen("endgeneration", "endif", 1)),
            _ => text.push_str(tag),
        }
        rest = after;
    }
    text.push_str(rest);
    text
}

fn write_python_text(output: &mut Output, _: &mut State, value: &Value) -> Result<(), Error> {
    output.write_str(&python_text(value)).map_err(Error::from)
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "the form of a filter's arguments"
)]
fn tojson(value: &Value, options: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = options.get("indent")?;
    // Never escaped to ASCII, which is what templates ask for where they ask.
    let _: Option<bool> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    serde_json::to_value(value)
        .and_then(|value| json::dumps(&value, indent))
        .map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))
}

fn raise_exception(message: String) -> Result<String, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message))
}

/// Today's date and time in UTC, in the form that `strftime` makes.
fn strftime_now(form: &str) -> Result<String, Error> {
    use std::fmt::Write;
    let mut text = String::new();
    write!(text, "{}", chrono::Utc::now().format(form)).map_err(|_| {
        Error::new(
            ErrorKind::InvalidOperation,
            format!("strftime_now: {form:?} is no form of dates"),
        )
    })?;
    Ok(text)
}
