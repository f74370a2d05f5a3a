//! Jinja templates over documents, rendered as Python would; runs in minijinja, strict about undefined names. Has no
//! includes and no access to files.

#[cfg(test)]
mod conformance;
mod json_text;
mod literal;
mod methods;
mod python_string;
mod python_text;
mod replace;

use std::sync::LazyLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Expression, Output, State, UndefinedBehavior, Value,
};

pub use literal::parse_literal;
pub(crate) use methods::call as python_method;
pub(crate) use python_string::{capitalize, is_space, strip};
pub use python_text::python_str;
pub(crate) use python_text::python_text;

/// The name of the only template of an environment.
const NAME: &str = "template";

/// Signs in a row that a template may have; the stack of a thread holds several times as many.
const MOST_SIGNS: usize = 1000;

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_syntax(keep_trailing_newline());
    environment.set_formatter(write_python_text);
    environment.set_unknown_method_callback(methods::call);
    environment.add_filter("string", python_text);
    environment.add_filter("join", methods::join_filter);
    environment.add_filter("list", methods::list_filter);
    environment.add_filter("tojson", json_text::tojson);
    environment.add_filter("regex_replace", replace::regex_replace);
    environment
});

/// Jinja's own delimiters; only the newline at the end is kept, as lm-eval sets it.
fn keep_trailing_newline() -> SyntaxConfig {
    let mut builder = SyntaxConfig::builder();
    builder.keep_trailing_newline(true);
    builder.build().unwrap_or_default()
}

/// A compiled template.
pub(crate) struct Template {
    source: String,
    compiled: Compiled,
}

enum Compiled {
    /// The whole template is one `{{ expression }}`: its value is had without a detour over text.
    Expression(Expression<'static, 'static>),
    /// Anything else; the environment holds the one template.
    Text(Box<Environment<'static>>),
}

/// What a template gives for a document.
#[derive(Debug, PartialEq)]
pub(crate) enum Rendered {
    Text(String),
    /// A list, from a template that is one expression.
    List(Vec<serde_json::Value>),
}

impl Template {
    /// Compiles a template.
    pub(crate) fn compile(source: &str) -> Result<Self, Error> {
        if longest_signs(source) > MOST_SIGNS {
            let reason = format!("more than {MOST_SIGNS} of `-` or `not` in a row");
            return Err(Error::new(ErrorKind::SyntaxError, reason));
        }
        let expression = sole_expression(source)
            .and_then(|inner| ENVIRONMENT.compile_expression_owned(inner.to_owned()).ok());
        let compiled = if let Some(expression) = expression {
            Compiled::Expression(expression)
        } else {
            let mut environment = Box::new(ENVIRONMENT.clone());
            environment.add_template_owned(NAME, source.to_owned())?;
            Compiled::Text(environment)
        };
        Ok(Self {
            source: source.to_owned(),
            compiled,
        })
    }

    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// Renders the template with a document's columns as variables.
    pub(crate) fn render(&self, columns: &Value) -> Result<Rendered, Error> {
        match &self.compiled {
            Compiled::Text(environment) => environment
                .get_template(NAME)?
                .render(columns.clone())
                .map(Rendered::Text),
            Compiled::Expression(expression) => {
                let value = expression.eval(columns.clone())?;
                if value.is_undefined() {
                    // Rendering knows the name that is missing, and lets an `if` without `else` be nothing.
                    return ENVIRONMENT
                        .render_str(&self.source, columns.clone())
                        .map(Rendered::Text);
                }
                if value.kind() == ValueKind::Seq && !value.is_tuple() {
                    return list(&value).map(Rendered::List);
                }
                Ok(Rendered::Text(python_text(&value)))
            }
        }
    }
}

/// The longest row of `-` and `not`, white space aside: the engine's parser calls itself for each and has no limit of its
/// own for them, so that thousands overflow the stack.
fn longest_signs(source: &str) -> usize {
    let (mut row, mut longest) = (0, 0);
    for character in source.replace("not", "-").chars() {
        match character {
            '-' => row += 1,
            _ if character.is_whitespace() => {}
            _ => row = 0,
        }
        longest = longest.max(row);
    }
    longest
}

/// The inside of a template that is one `{{ … }}`; the marks of white-space control have nothing to act on there.
fn sole_expression(source: &str) -> Option<&str> {
    let inner = source.strip_prefix("{{")?.strip_suffix("}}")?;
    let inner = inner.strip_prefix(['-', '+']).unwrap_or(inner);
    Some(inner.strip_suffix(['-', '+']).unwrap_or(inner))
}

/// What the engine says of an error in the template `source`, with the part of it that is meant.
pub(crate) fn words(error: &Error, source: &str) -> String {
    let read = match error.name() {
        Some("<expression>") => sole_expression(source).unwrap_or(source),
        _ => source,
    };
    let mut words = error.detail().map_or_else(
        || error.kind().to_string(),
        |detail| format!("{}: {detail}", error.kind()),
    );
    let part = error.range().and_then(|range| read.get(range));
    if let Some(part) = part.filter(|part| !part.is_empty()) {
        words.extend([" at `", part, "`"]);
    }
    words
}

fn list(value: &Value) -> Result<Vec<serde_json::Value>, Error> {
    let item = |item: Value| {
        if item.is_undefined() {
            return Err(Error::new(
                ErrorKind::UndefinedError,
                "an item of the list is undefined",
            ));
        }
        serde_json::to_value(&item)
            .map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))
    };
    value.try_iter()?.map(item).collect()
}

/// minijinja refuses undefined names before it comes here.
fn write_python_text(output: &mut Output, _: &mut State, value: &Value) -> Result<(), Error> {
    output.write_str(&python_text(value)).map_err(Error::from)
}

#[cfg(test)]
mod tests {
    use super::{MOST_SIGNS, Template, words};

    #[test]
    fn rows_of_signs_do_not_overflow_the_stack() {
        for sign in ["-", "- \n", "not "] {
            let source = |count: usize| format!("{{{{ {}1 }}}}", sign.repeat(count));
            assert!(Template::compile(&source(MOST_SIGNS)).is_ok(), "{sign}");
            let source = source(50_000);
            let refused = Template::compile(&source).err();
            let words = refused.map(|error| words(&error, &source));
            assert!(
                words.is_some_and(|words| words.contains("in a row")),
                "{sign}"
            );
        }
    }
}
