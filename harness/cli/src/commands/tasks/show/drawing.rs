//! A document for people to read: texts behind a bar, so that white space shows; tokens in quotes, with `||` where scoring
//! starts. Colours on terminals alone.

use harness_task::{Generation, Request};
use serde_json::Value;

use super::document::{AskedRequest, ShownDocument, Token, Tokens, Window};

/// Tokens before the place where scoring starts; JSON has all.
const CONTEXT_TOKENS: usize = 16;
/// Tokens after it.
const SCORED_TOKENS: usize = 48;

const BOLD: &str = "\u{1b}[1m";
const GREEN: &str = "\u{1b}[32m";
const PLAIN: &str = "\u{1b}[0m";

/// Collects lines.
struct Drawing {
    text: String,
    colours: bool,
}

pub(super) fn drawn(document: &ShownDocument, is_terminal: bool) -> String {
    let mut drawing = Drawing {
        text: String::new(),
        colours: is_terminal && std::env::var_os("NO_COLOR").is_none(),
    };
    drawing.document(document);
    drawing.text
}

impl Drawing {
    fn document(&mut self, document: &ShownDocument) {
        let shots = document.num_fewshot;
        self.heading(&format!(
            "{}, document {} of {} (split {}), {}",
            document.task,
            document.doc_id,
            document.documents,
            document.split,
            super::count(shots, "few-shot example"),
        ));
        self.line(&format!("target: {}", document.target));
        if document.repeats > 1 {
            self.line(&format!("each request is asked {} times", document.repeats));
        }
        let requests = &document.requests;
        match requests.as_slice() {
            [] => {}
            [only] => self.request(only, None),
            [first, others @ ..] if others.iter().all(|other| context(other) == context(first)) => {
                self.choices(document);
            }
            several => {
                for (index, request) in several.iter().enumerate() {
                    self.request(request, Some((index, is_gold(&document.target, index))));
                }
            }
        }
        if requests.iter().all(|request| request.tokens.is_none()) {
            self.line("\n(the tokens are shown with --model DIR or --tokenizer DIR)");
        }
    }

    /// Choices that follow one prompt.
    fn choices(&mut self, document: &ShownDocument) {
        self.block("prompt", context(&document.requests[0]));
        let is_answer = |asked: &AskedRequest| matches!(asked.request, Request::Answer { .. });
        let are_answers = document.requests.iter().any(is_answer);
        let (label, name) = if are_answers {
            ("\nanswers", "answer")
        } else {
            ("\nchoices", "choice")
        };
        self.heading(label);
        for (index, request) in document.requests.iter().enumerate() {
            if let Request::GenerateUntil { generation, .. } = &request.request {
                self.generation(generation);
                continue;
            }
            let mark = gold_mark(is_gold(&document.target, index));
            self.line(&format!("{mark} {index} {}", quoted(continuation(request))));
        }
        for (index, request) in document.requests.iter().enumerate() {
            if let Some(tokens) = &request.tokens {
                self.tokens(&format!("tokens of {name} {index}"), tokens);
            }
        }
    }

    /// A request with its own prompt; of several, its number and whether it is the right one.
    fn request(&mut self, asked: &AskedRequest, number: Option<(usize, bool)>) {
        let label = match (number, &asked.request) {
            (Some((index, gold)), _) => format!("request {index}{}", gold_mark(gold).trim_end()),
            (None, Request::LoglikelihoodRolling { .. }) => "text".to_owned(),
            _ => "prompt".to_owned(),
        };
        self.block(&label, context(asked));
        match &asked.request {
            Request::Loglikelihood { continuation, .. }
            | Request::Answer {
                answer: continuation,
                ..
            } => {
                self.heading("\ncontinuation");
                self.line(&format!("    {}", quoted(continuation)));
            }
            Request::GenerateUntil { generation, .. } => self.generation(generation),
            _ => {}
        }
        if let Some(tokens) = &asked.tokens {
            self.tokens("tokens", tokens);
        }
    }

    fn generation(&mut self, generation: &Generation) {
        self.heading("\ngeneration");
        let until: Vec<String> = generation.until.iter().map(|text| quoted(text)).collect();
        self.line(&format!("    ends at {}", until.join(", ")));
        self.line(&format!("    at most {} tokens", generation.max_tokens));
        self.line(&format!("    {}", Value::from(generation.given.clone())));
    }

    fn tokens(&mut self, label: &str, tokens: &Tokens) {
        let several = tokens.windows.len() > 1;
        for (index, window) in tokens.windows.iter().enumerate() {
            let label = if several {
                format!("{label}, window {index}")
            } else {
                label.to_owned()
            };
            let cut = if tokens.truncated {
                " (cut from the left to fit the model)"
            } else {
                ""
            };
            let after = match window.scored.len() {
                0 => "then what is generated".to_owned(),
                scored => format!("then {scored} scored"),
            };
            let before = window.context.len();
            self.heading(&format!("\n{label}: {before} of context{cut}, {after}"));
            self.window(window);
        }
    }

    fn window(&mut self, window: &Window) {
        let hidden = window.context.len().saturating_sub(CONTEXT_TOKENS);
        let start = if hidden > 0 { "… " } else { "" };
        let context = texts(&window.context[hidden..]);
        let shown = window.scored.len().min(SCORED_TOKENS);
        let end = if shown < window.scored.len() {
            " …"
        } else {
            ""
        };
        let scored = self.coloured(GREEN, &texts(&window.scored[..shown]));
        let line = format!("    {start}{context} || {scored}{end}");
        self.line(line.trim_end());
    }

    fn block(&mut self, label: &str, text: &str) {
        self.heading(&format!("\n{label}"));
        for line in text.split('\n') {
            self.line(&format!("  | {line}"));
        }
    }

    fn heading(&mut self, text: &str) {
        let text = self.coloured(BOLD, text);
        self.line(&text);
    }

    fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn coloured(&self, colour: &str, text: &str) -> String {
        if self.colours && !text.is_empty() {
            format!("{colour}{text}{PLAIN}")
        } else {
            text.to_owned()
        }
    }
}

/// What is given, or of a rolling request the text.
fn context(asked: &AskedRequest) -> &str {
    match &asked.request {
        Request::Loglikelihood { context, .. }
        | Request::GenerateUntil { context, .. }
        | Request::Answer {
            prompt: context, ..
        } => context,
        Request::LoglikelihoodRolling { text } => text,
        _ => "",
    }
}

fn continuation(asked: &AskedRequest) -> &str {
    match &asked.request {
        Request::Loglikelihood { continuation, .. }
        | Request::Answer {
            answer: continuation,
            ..
        } => continuation,
        _ => "",
    }
}

/// Whether the target is the index of this request, or has it among others.
fn is_gold(target: &Value, index: usize) -> bool {
    let is_it = |value: &Value| value.as_u64() == Some(index as u64);
    is_it(target)
        || target
            .as_array()
            .is_some_and(|items| items.iter().any(is_it))
}

fn gold_mark(gold: bool) -> &'static str {
    if gold { "  *" } else { "   " }
}

/// In JSON's quotes, which show line breaks and white space.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn texts(tokens: &[Token]) -> String {
    let quoted: Vec<String> = tokens.iter().map(|token| quoted(&token.text)).collect();
    quoted.join(" ")
}
