//! Every method of the house against the contract and all recordings, loaded as a library.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests may panic and print"
)]

use std::path::{Path, PathBuf};

use harness_conformance::{Answer, Event, Recordings, check, method_ids};
use harness_host::MethodPath;

/// Where cargo puts this test and the methods' libraries.
fn build_folder() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().to_owned()
}

fn shared(variable: &str, folder: &str) -> PathBuf {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    std::env::var_os(variable).map_or_else(|| default.join(folder), PathBuf::from)
}

fn recordings() -> Option<Recordings> {
    let golden = shared("HARNESS_GOLDEN", "golden").join("unlearning");
    let models = shared("HARNESS_MODELS", "models");
    if !golden.is_dir() || !models.is_dir() {
        eprintln!("SKIPPED: no recorded losses in {}", golden.display());
        return None;
    }
    Some(Recordings { golden, models })
}

/// What a method cannot run without.
fn settings(id: &str) -> Vec<String> {
    let settings: &[&str] = match id {
        "pdu" => &["retain_loss_eps=1"],
        "rmu" => &["layer=0"],
        _ => &[],
    };
    settings.iter().map(|&setting| setting.to_owned()).collect()
}

#[test]
fn all_methods_pass() {
    let recordings = recordings();
    let path = MethodPath::new(vec![build_folder()]);
    let libraries = path.list().unwrap();
    let is_there = |id: &&str| libraries.contains_key(*id);
    assert!(method_ids().iter().all(is_there), "{libraries:?}");
    let (mut failures, mut passed) = (Vec::new(), 0);
    for (id, library) in &libraries {
        let mut hear = |event| {
            let Event::Found(finding) = event else { return };
            eprintln!("{id}: {}: {:?}", finding.question, finding.answer);
            passed += usize::from(matches!(finding.answer, Answer::Passed(_)));
            if finding.is_failure() {
                failures.push(format!("{id}: {}: {:?}", finding.question, finding.answer));
            }
        };
        check(library, &settings(id), recordings.as_ref(), &mut hear).unwrap();
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(passed >= 8 * libraries.len());
}
