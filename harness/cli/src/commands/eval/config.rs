//! `--config FILE`: options out of a YAML, below those of the command line. Knows no option by name; the parser does.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Arg, ArgAction, Args, Command};
use harness_task::TaskError;
use harness_task::yaml::{NodeValue, parse};
use serde_json::Value;

use super::Eval;

/// Where the options of `eval` begin: behind the program's name and the subcommand's.
const FIRST_OPTION: usize = 2;

/// The command line, and after it what its `--config` says and it does not.
///
/// # Errors
/// On a file that cannot be read, and on keys that are no options.
pub(crate) fn with_config(mut arguments: Vec<OsString>) -> Result<Vec<OsString>> {
    if arguments
        .get(FIRST_OPTION - 1)
        .is_none_or(|command| command != "eval")
    {
        return Ok(arguments);
    }
    let Some(file) = config_file(&arguments[FIRST_OPTION..]) else {
        return Ok(arguments);
    };
    let text = std::fs::read_to_string(&file).map_err(|source| TaskError::Io {
        path: file.clone(),
        source,
    })?;
    let further = options(&text, &file, &arguments[FIRST_OPTION..])?;
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

fn options(text: &str, file: &Path, given: &[OsString]) -> Result<Vec<OsString>, TaskError> {
    let command = Eval::augment_args(Command::new("eval"));
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
        if !is_given(option, &name, given) {
            options.extend(as_arguments(option, &name, &node.to_json()));
        }
    }
    Ok(options)
}

fn is_given(option: &Arg, name: &str, given: &[OsString]) -> bool {
    let long = format!("--{name}");
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
    use std::path::Path;

    use super::{config_file, options};

    #[test]
    fn the_command_line_wins() {
        let text = "tasks: [a, b]\nnum_fewshot: 3\nlimit: 5\nlog_samples: true\nseed: [0, 1, 2, 3]\nuse_cache:\n\
                    model_args: {pretrained: DIR}\n";
        let given = ["-L", "2", "--num-fewshot=1"].map(Into::into);
        let found = options(text, Path::new("run.yaml"), &given).unwrap();
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
        let other = options("config: b.yaml\n", Path::new("run.yaml"), &[]);
        assert!(other.unwrap_err().to_string().contains("run.yaml:1"));
    }

    #[test]
    fn keys_that_are_no_options_are_named() {
        let error = options("tasks: a\nnum_fewshots: 3\n", Path::new("run.yaml"), &[]);
        let message = error.unwrap_err().to_string();
        assert!(
            message.contains("run.yaml:2") && message.contains("num-fewshot"),
            "{message}"
        );
    }
}
