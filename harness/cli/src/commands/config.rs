//! `--config FILE`: options out of a YAML, below those of the command line. Knows no option by name; the parser does.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Arg, ArgAction, Command, Subcommand};
use harness_task::TaskError;
use harness_task::yaml::{NodeValue, parse};
use serde_json::Value;

/// The command line, and after it what its `--config` says and it does not. Commands without that option are left alone.
///
/// # Errors
/// On a file that cannot be read, and on keys that are no options.
pub(crate) fn with_config(mut arguments: Vec<OsString>) -> Result<Vec<OsString>> {
    let commands = super::Command::augment_subcommands(Command::new("harness"));
    let found = arguments.iter().enumerate().skip(1).find_map(|(at, name)| {
        let command = commands.find_subcommand(name)?;
        Some((at, command))
    });
    let Some((at, command)) = found else {
        return Ok(arguments);
    };
    let given = &arguments[at + 1..];
    if !command
        .get_arguments()
        .any(|option| option.get_id() == "config")
    {
        return Ok(arguments);
    }
    let Some(file) = config_file(given) else {
        return Ok(arguments);
    };
    let text = std::fs::read_to_string(&file).map_err(|source| TaskError::Io {
        path: file.clone(),
        source,
    })?;
    let further = options(&text, &file, command, given)?;
    arguments.extend(further);
    Ok(arguments)
}

fn config_file(arguments: &[OsString]) -> Option<PathBuf> {
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--config" || argument == "-C" {
            return arguments.next().map(PathBuf::from);
        }
        let text = argument.to_str().unwrap_or_default();
        let attached = text
            .strip_prefix("--config=")
            .or_else(|| Some(text.strip_prefix("-C")?.trim_start_matches('=')));
        if attached.is_some() {
            return attached.map(PathBuf::from);
        }
    }
    None
}

fn options(
    text: &str,
    file: &Path,
    command: &Command,
    given: &[OsString],
) -> Result<Vec<OsString>, TaskError> {
    let node = parse(text, file)?;
    let NodeValue::Mapping(keys) = &node.value else {
        let message = format!("--config takes a map of options, not {}", node.kind());
        let at = node.at.clone();
        return Err(TaskError::Yaml { at, message });
    };
    let mut options = Vec::new();
    for (key, at, node) in keys.iter() {
        let name = key.replace('_', "-");
        if name == "config" {
            let message = "a file of options cannot name another".to_owned();
            return Err(TaskError::Yaml {
                at: at.clone(),
                message,
            });
        }
        let known = || command.get_arguments().filter_map(Arg::get_long);
        let Some(option) = command
            .get_arguments()
            .find(|option| option.get_long() == Some(&name))
        else {
            return Err(TaskError::UnknownKey {
                at: at.clone(),
                key: key.to_owned(),
                hint: harness_spelling::hint(&name, known()),
            });
        };
        if !is_given(option, given) && !has_rival(option, command, given) {
            options.extend(as_arguments(option, &name, &node.to_json()));
        }
    }
    Ok(options)
}

/// Whether the command line has an option that cannot stand beside this one; either may have been told so.
fn has_rival(option: &Arg, command: &Command, given: &[OsString]) -> bool {
    let conflict = |one: &Arg, other: &Arg| {
        let rivals = command.get_arg_conflicts_with(one);
        rivals.iter().any(|rival| rival.get_id() == other.get_id())
    };
    command
        .get_arguments()
        .filter(|other| is_given(other, given))
        .any(|other| conflict(option, other) || conflict(other, option))
}

/// Whether the command line has an option, by either of its names.
fn is_given(option: &Arg, given: &[OsString]) -> bool {
    let Some(long) = option.get_long().map(|name| format!("--{name}")) else {
        return false;
    };
    let short = option.get_short().map(|short| format!("-{short}"));
    given
        .iter()
        .filter_map(|argument| argument.to_str())
        .any(|argument| {
            let is_long = argument
                .strip_prefix(&long)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('='));
            let is_short = |short: &String| {
                argument.starts_with(short.as_str()) && !argument.starts_with("--")
            };
            is_long || short.as_ref().is_some_and(is_short)
        })
}

/// A value as the command line would have it; what is empty says nothing.
fn as_arguments(option: &Arg, name: &str, value: &Value) -> Vec<OsString> {
    let repeatable = matches!(option.get_action(), ArgAction::Append);
    let names = option.get_value_names().unwrap_or_default();
    let takes_pairs = names.iter().any(|name| name == "KEY=VALUE");
    let with = |text: &str| OsString::from(format!("--{name}={text}"));
    match value {
        Value::Null | Value::Bool(false) if matches!(option.get_action(), ArgAction::SetTrue) => {
            Vec::new()
        }
        Value::Bool(true) if matches!(option.get_action(), ArgAction::SetTrue) => {
            vec![format!("--{name}").into()]
        }
        Value::Null => Vec::new(),
        Value::String(text) if text.is_empty() => Vec::new(),
        Value::Object(map) if map.is_empty() => Vec::new(),
        Value::Array(items) if items.is_empty() => Vec::new(),
        Value::Array(items) if repeatable => items.iter().map(|item| with(&plain(item))).collect(),
        Value::Object(map) if takes_pairs => {
            let pair = |(key, value): (&String, &Value)| with(&format!("{key}={}", plain(value)));
            map.iter().map(pair).collect()
        }
        Value::Array(items) => vec![with(&items.iter().map(plain).collect::<Vec<_>>().join(","))],
        one => vec![with(&plain(one))],
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "None".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::path::Path;

    use clap::{Command, Subcommand};
    use harness_task::TaskError;

    use super::config_file;

    fn options(text: &str, of: &str, given: &[&str]) -> Result<Vec<OsString>, TaskError> {
        let commands = crate::commands::Command::augment_subcommands(Command::new("harness"));
        let given: Vec<OsString> = given.iter().map(Into::into).collect();
        let command = commands.find_subcommand(of).unwrap();
        super::options(text, Path::new("run.yaml"), command, &given)
    }

    #[test]
    fn the_command_line_wins() {
        let text = "tasks: [a, b]\nnum_fewshot: 3\nlimit: 5\nlog_samples: true\nseed: [0, 1, 2, 3]\nuse_cache:\n\
                    model_args: {pretrained: DIR}\n";
        let found = options(text, "eval", &["-L", "2", "--num-fewshot=1"]).unwrap();
        let wanted = [
            "--tasks=a",
            "--tasks=b",
            "--log-samples=true",
            "--seed=0,1,2,3",
            "--model-args={\"pretrained\":\"DIR\"}",
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_map_is_as_many_settings_and_a_rival_gives_way() {
        let text = "set: {beta: 0.2, kind: tv}\nrefusals: no.txt\nactivation_checkpoints: true\n";
        let found = options(text, "unlearn", &["--alternate", "others"]).unwrap();
        let wanted = [
            "--set=beta=0.2",
            "--set=kind=tv",
            "--activation-checkpoints",
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn the_file_is_named_in_each_way() {
        let file = |arguments: &[&str]| {
            let arguments: Vec<_> = arguments.iter().map(Into::into).collect();
            config_file(&arguments)
        };
        let ways: [&[&str]; 5] = [
            &["--limit", "1", "--config", "run.yaml"],
            &["--config=run.yaml"],
            &["-C", "run.yaml"],
            &["-Crun.yaml"],
            &["-C=run.yaml"],
        ];
        for way in ways {
            assert_eq!(file(way), Some("run.yaml".into()), "{way:?}");
        }
        assert_eq!(file(&["--limit", "1"]), None);
        let other = options("config: b.yaml\n", "eval", &[]);
        assert!(other.unwrap_err().to_string().contains("run.yaml:1"));
    }

    #[test]
    fn keys_that_are_no_options_are_named() {
        let error = options("tasks: a\nnum_fewshots: 3\n", "eval", &[]);
        let message = error.unwrap_err().to_string();
        assert!(
            message.contains("run.yaml:2") && message.contains("num-fewshot"),
            "{message}"
        );
    }
}
