//! Forgiving spelling of options, and one-line errors for what cannot be forgiven.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Turns `--num_fewshot` and `--num_fewshot=5` into their hyphenated forms; values keep their underscores.
pub(crate) fn with_hyphens(
    arguments: impl Iterator<Item = OsString>,
) -> impl Iterator<Item = OsString> {
    arguments.map(|argument| match argument.to_str() {
        Some(text) if text.starts_with("--") => {
            let (name, value) = text
                .split_once('=')
                .map_or((text, None), |(name, value)| (name, Some(value)));
            let name = name.replace('_', "-");
            value
                .map_or_else(|| name.clone(), |value| format!("{name}={value}"))
                .into()
        }
        _ => argument,
    })
}

/// Prints help to standard output, and anything else as one line to standard error.
pub(crate) fn report(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
        return ExitCode::from(2);
    }
    crate::exit::print_error(&one_line(error));
    ExitCode::from(2)
}

fn one_line(error: &clap::Error) -> String {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => Some(texts.join(", ")),
        _ => None,
    };
    let near = |kind| {
        context(kind)
            .map(|near| format!("; did you mean {near}?"))
            .unwrap_or_default()
    };
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let argument = context(ContextKind::InvalidArg).unwrap_or_default();
            format!(
                "unknown option {argument}{}",
                near(ContextKind::SuggestedArg)
            )
        }
        ErrorKind::InvalidSubcommand => {
            let command = context(ContextKind::InvalidSubcommand).unwrap_or_default();
            let hint = harness_spelling::hint(&command, crate::commands::NAMES);
            format!("unknown command {command}{hint}")
        }
        ErrorKind::MissingRequiredArgument => {
            format!(
                "missing {}",
                context(ContextKind::InvalidArg).unwrap_or_default()
            )
        }
        _ => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            first.strip_prefix("error: ").unwrap_or(first).to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::with_hyphens;

    #[test]
    fn names_change_and_values_do_not() {
        let arguments = [
            "harness",
            "--num_fewshot=1",
            "--tasks",
            "arc_easy",
            "--output_path=a_b",
        ];
        let changed: Vec<_> = with_hyphens(arguments.iter().map(Into::into)).collect();
        assert_eq!(
            changed,
            [
                "harness",
                "--num-fewshot=1",
                "--tasks",
                "arc_easy",
                "--output-path=a_b"
            ]
        );
    }
}
