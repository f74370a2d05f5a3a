//! What a user sees when a method misbehaves: an error that names plugin and cause, and a host that goes on.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::common::{Batches, build_folder, fixture, library_name, method};
use harness_host::{HostError, LoadedMethod, MethodInstance, MethodPath, Need, OptionType, Role};
use serde_json::json;

fn batches() -> Batches {
    let policy = [-1.0, -2.0, -3.0];
    Batches::default().with(Role::Forget, &[2, 1], &policy, &policy)
}

fn misbehaving(fault: &str) -> MethodInstance {
    let method = LoadedMethod::open(&fixture("misbehaving")).unwrap();
    method.create(&json!({ "fault": fault })).unwrap()
}

fn complaint(fault: &str) -> String {
    misbehaving(fault).loss(&batches()).unwrap_err().to_string()
}

fn open_error(path: &Path) -> String {
    LoadedMethod::open(path).unwrap_err().to_string()
}

#[track_caller]
fn assert_contains(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "`{message}` lacks `{part}`");
    }
}

#[test]
fn methods_are_listed_without_the_fixtures_and_describe_themselves() {
    let path = MethodPath::new(vec!["no/such/folder".into(), build_folder()]);
    let ids: Vec<String> = path.list().unwrap().into_keys().collect();
    for id in ["grad_ascent", "grad_diff", "npo"] {
        assert!(
            ids.iter().any(|listed| listed == id),
            "{id} is not in {ids:?}"
        );
    }
    assert!(!ids.iter().any(|id| id.contains("fixture")), "{ids:?}");

    let npo = path.open("npo").unwrap();
    let description = npo.description();
    assert_eq!(description.id, "npo");
    assert!(
        description
            .summary
            .starts_with("Negative preference optimization (Zhang")
    );
    assert!(description.needs(Need::Retain) && description.needs(Need::Reference));
    let beta = &description.options[0];
    assert_eq!(
        (beta.name.as_str(), beta.kind),
        ("beta", OptionType::Number)
    );
    assert_eq!(beta.default, json!(0.1));
    assert!(beta.doc.starts_with("Inverse temperature"));
}

#[test]
fn an_unknown_method_is_answered_with_the_nearest_one_and_the_folders() {
    let folder = build_folder();
    let error = MethodPath::new(vec![folder.clone()])
        .open("grad-diff")
        .unwrap_err();
    let searched = folder.display().to_string();
    assert_contains(
        &error.to_string(),
        &[
            "method `grad-diff`",
            "did you mean `grad_diff`?",
            &searched,
            "npo",
        ],
    );
    let nothing = MethodPath::new(vec![]).open("npo").unwrap_err();
    assert_contains(&nothing.to_string(), &["the search path is empty"]);
}

#[test]
fn a_library_under_a_wrong_name_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let npo = method("npo");
    fs::copy(
        npo.path(),
        folder.path().join(library_name("harness_method_mine")),
    )
    .unwrap();
    let error = MethodPath::new(vec![folder.path().into()])
        .open("mine")
        .unwrap_err();
    assert_contains(&error.to_string(), &["calls itself `npo`"]);
}

#[test]
fn files_that_are_no_methods_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join(library_name("harness_method_text"));
    assert_contains(&open_error(&text), &["no such file"]);
    fs::write(
        &text,
        "I am a text file, long enough to have a header.".repeat(9),
    )
    .unwrap();
    assert_contains(
        &open_error(&text),
        &[
            "harness_method_text",
            "cannot be loaded as a dynamic library",
        ],
    );
    assert_contains(
        &open_error(&fixture("no_symbol")),
        &["exports no `harness_method_entry`"],
    );
    assert_contains(
        &open_error(&fixture("wrong_version")),
        &[
            "fixture_wrong_version",
            "ABI 8.",
            "speaks 1.",
            "rebuild the method against SDK 1.",
        ],
    );
}

#[test]
fn settings_are_parsed_by_the_described_types() {
    let method = LoadedMethod::open(&fixture("misbehaving")).unwrap();
    let parse = |setting| method.description().parse_settings(&[setting]);
    assert_eq!(parse("fault=a=b").unwrap(), json!({"fault": "a=b"}));
    assert_eq!(parse("count=7").unwrap(), json!({"count": 7}));
    assert_eq!(parse("switch=true").unwrap(), json!({"switch": true}));
    assert_contains(
        &parse("count=1.5").unwrap_err().to_string(),
        &["must be of type integer", "`1.5`"],
    );
    assert_contains(
        &parse("switch=yes").unwrap_err().to_string(),
        &["type boolean"],
    );
    assert_contains(
        &parse("count").unwrap_err().to_string(),
        &["`count` is not of the form name=value"],
    );
    assert_contains(
        &parse("fualt=none").unwrap_err().to_string(),
        &[
            "no option `fualt`",
            "did you mean `fault`?",
            "available: fault, count, switch",
        ],
    );
    let npo = method_description_error("beta=nan");
    assert_contains(
        &npo,
        &["method `npo`", "option `beta` must be of type number"],
    );
}

fn method_description_error(setting: &str) -> String {
    method("npo")
        .description()
        .parse_settings(&[setting])
        .unwrap_err()
        .to_string()
}

#[test]
fn options_are_checked_by_host_and_method() {
    let npo = method("npo");
    let refusal = |options| npo.create(&options).unwrap_err().to_string();
    assert_contains(
        &refusal(json!({"betta": 1})),
        &["no option `betta`", "`beta`"],
    );
    assert_contains(&refusal(json!({"beta": "1"})), &["type number"]);
    assert_contains(&refusal(json!([])), &["JSON object"]);
    assert_contains(
        &refusal(json!({"beta": 0})),
        &["`create` failed: beta must be above 0, got 0"],
    );

    let words = refusal(json!({"retain_loss": "mse"}));
    assert_contains(&words, &["`retain_loss` must be nll or kl, got `\"mse\"`"]);
    let itself = npo
        .create_unchecked(&json!({"retain_loss": "mse"}))
        .unwrap_err();
    assert_contains(&itself.to_string(), &["unknown variant `mse`", "`nll`"]);

    let method = LoadedMethod::open(&fixture("misbehaving")).unwrap();
    let count = method.create(&json!({"count": -1})).unwrap_err();
    assert_contains(&count.to_string(), &["`create` failed", "-1"]);
    let panic = method
        .create(&json!({"fault": "panic in create"}))
        .unwrap_err();
    assert_contains(
        &panic.to_string(),
        &["panicked in `create`", "told to panic"],
    );
}

#[test]
fn a_good_step_yields_loss_log_and_messages() {
    let step = misbehaving("messages").loss(&batches()).unwrap();
    assert!((step.value + 2.0).abs() < 1e-6, "{}", step.value);
    let messages: Vec<&str> = step
        .messages
        .iter()
        .map(|(_, text)| text.as_str())
        .collect();
    assert_eq!(messages, ["as you wish", "careful"]);
}

#[test]
fn errors_and_panics_come_back_as_errors() {
    assert_eq!(
        complaint("error"),
        "method `misbehaving`: `loss` failed: told to fail"
    );
    assert_contains(
        &complaint("panic"),
        &[
            "method `misbehaving`: panicked in `loss`",
            "fixture_misbehaving.rs:",
            "told to panic",
        ],
    );
    let instance = misbehaving("panic");
    instance.loss(&batches()).unwrap_err();
    let again = instance.loss(&batches()).unwrap_err();
    assert!(matches!(again, HostError::AfterPanic { .. }), "{again}");
}

#[test]
fn a_failed_operation_is_reported_once_with_its_shapes() {
    assert_contains(
        &complaint("shapes"),
        &["operation `add` failed", "shapes [2] and [3] do not fit"],
    );
    assert_contains(
        &complaint("checked"),
        &[
            "`loss` failed",
            "operation `subtract` failed",
            "[2] and [1]",
        ],
    );
    assert_contains(&complaint("log vector"), &["operation `log vector` failed"]);
    assert_contains(&complaint("log twice"), &["`log loss`", "already logged"]);
}

#[test]
fn unusable_losses_are_refused() {
    assert_contains(&complaint("vector"), &["shape [2]", "expected a scalar"]);
    assert_contains(&complaint("nan"), &["`loss` is NaN"]);
    assert_contains(&complaint("constant"), &["returned a constant"]);
}

#[test]
fn what_was_not_declared_is_not_served() {
    assert_contains(
        &complaint("undeclared"),
        &["does not declare that it needs `retain`"],
    );
    assert_contains(&complaint("undeclared reference"), &["needs `reference`"]);
}

#[test]
fn tensors_of_an_earlier_step_are_recognised() {
    for (fault, expected) in [
        ("stale", "returned a stale handle"),
        ("stale input", "is stale"),
    ] {
        // A thread of its own: the fixture keeps the tensor in a thread-local.
        let message = std::thread::spawn(move || {
            let instance = misbehaving(fault);
            instance.loss(&batches()).unwrap();
            instance.loss(&batches()).unwrap_err().to_string()
        });
        assert_contains(
            &message.join().unwrap(),
            &["method `misbehaving`", expected],
        );
    }
}

#[test]
fn garbage_does_not_crash_the_host() {
    let method = LoadedMethod::open(&fixture("hostile")).unwrap();
    let step = method.create(&json!({})).unwrap().loss(&batches()).unwrap();
    assert!((step.value + 2.0).abs() < 1e-6, "{}", step.value);
}

#[test]
fn the_harnesss_own_failures_are_not_blamed_on_the_method() {
    let short = Batches::default().with(Role::Forget, &[2, 2], &[-1.0; 3], &[-1.0; 3]);
    let error = misbehaving("none").loss(&short).unwrap_err();
    assert_contains(
        &error.to_string(),
        &["forget batch for method `misbehaving`", "[3], expected [4]"],
    );
    let empty = Batches::default().with(Role::Forget, &[3, 0], &[-1.0; 3], &[-1.0; 3]);
    let error = misbehaving("vector").loss(&empty).unwrap_err();
    assert_contains(
        &error.to_string(),
        &["forget batch", "[3, 0]", "at least 1"],
    );
}

/// Runs one of the tests below in a process of its own.
fn in_child(fault: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "contract::crashes_in_a_child_process",
            "--ignored",
            "--nocapture",
        ])
        .env("FIXTURE_FAULT", fault)
        .output()
        .unwrap()
}

#[test]
#[ignore = "run by a_crash_ends_the_child_only in a process of its own"]
fn crashes_in_a_child_process() {
    let fault = std::env::var("FIXTURE_FAULT").unwrap();
    let method = LoadedMethod::open(&fixture("fatal")).unwrap();
    let options = json!({ "fault": fault, "entry": "loss", "step": 1 });
    let instance = method.create(&options).unwrap();
    instance.loss(&batches()).unwrap();
    println!("survived");
}

#[cfg(unix)]
#[test]
fn a_crash_ends_the_child_only() {
    use std::os::unix::process::ExitStatusExt;
    let (sigabrt, sigsegv) = (6, 11);
    for (fault, signal) in [
        ("nothing", None),
        ("abort", Some(sigabrt)),
        ("segfault", Some(sigsegv)),
    ] {
        let child = in_child(fault);
        assert_eq!(child.status.signal(), signal, "{fault}: {child:?}");
        let survived = String::from_utf8_lossy(&child.stdout).contains("survived");
        assert_eq!(survived, signal.is_none(), "{fault}");
    }
}
