//! A method that was written for ABI 1.0, in C against the header of that version: it must load and run in every host of the same major
//! version, and what is no such method must be refused by name. Skipped where there is no C compiler.

use std::path::{Path, PathBuf};
use std::process::Command;

use candle_core::{Result, Tensor};
use harness_host::{LoadedMethod, Measure, MeasureRequest, Positions, Progress, Role, StepSource};
use serde_json::json;

use crate::common::{Batches, library_name};

/// Compiles the method with these macros; `None` where there is no compiler.
fn compile(folder: &Path, name: &str, macros: &[&str]) -> Option<PathBuf> {
    let frozen = Path::new(env!("CARGO_MANIFEST_DIR")).join("../abi/tests/frozen");
    let library = folder.join(library_name(name));
    let compiler = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()))
        .args([
            "-std=c99", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
        ])
        .args(macros)
        .arg(frozen.join("method_1_0.c"))
        .arg("-o")
        .arg(&library)
        .output();
    let Ok(compiler) = compiler else {
        eprintln!("SKIPPED: no C compiler");
        return None;
    };
    let said = String::from_utf8_lossy(&compiler.stderr);
    assert!(compiler.status.success(), "{said}");
    Some(library)
}

/// Written-down batches that also answer for distributions.
struct Measured(Batches);

impl StepSource for Measured {
    fn token_logprobs(&self, role: Role) -> Result<Tensor> {
        self.0.token_logprobs(role)
    }

    fn reference_token_logprobs(&self, role: Role) -> Result<Tensor> {
        self.0.reference_token_logprobs(role)
    }

    fn answer_lengths(&self, role: Role) -> Vec<usize> {
        self.0.answer_lengths(role)
    }

    fn position_counts(&self, role: Role, _: Positions) -> Result<Vec<usize>> {
        Ok(self.0.answer_lengths(role))
    }

    fn measure(&self, request: &MeasureRequest) -> Result<Tensor> {
        assert_eq!(request.measure, Measure::Divergence);
        self.0.token_logprobs(request.role)?.neg()
    }

    fn progress(&self, _: Progress) -> f64 {
        1.0
    }

    fn seed(&self) -> u64 {
        0
    }
}

#[test]
fn a_method_of_abi_1_0_loads_and_runs() {
    let folder = tempfile::tempdir().unwrap();
    let Some(library) = compile(folder.path(), "frozen", &[]) else {
        return;
    };
    let method = LoadedMethod::open(&library).unwrap();
    assert_eq!(method.abi_version(), (1, 0));
    let batches = Batches::default()
        .with(Role::Forget, &[2, 1], &[-1.0, -2.0, -6.0], &[])
        .with(Role::Retain, &[1, 1], &[-0.5, -1.5], &[]);
    let instance = method.create(&json!({ "alpha": 2.0 })).unwrap();
    let step = instance.loss(&Measured(batches)).unwrap();
    assert_eq!(step.value.to_bits(), (-3.75f32 + 1.0).to_bits());
    assert_eq!(step.logged, [("retain_loss".to_owned(), 1.0)]);
    assert_eq!(step.messages[0].1, "still here");
}

#[test]
fn other_versions_and_short_tables_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&str, &[&str], &[&str]); 4] = [
        (
            "other_major",
            &["-DMAJOR=2u"],
            &["built for plugin ABI 2.0", "rebuild"],
        ),
        (
            "newer_minor",
            &["-DMINOR=99u"],
            &["built for plugin ABI 1.99", "update the harness"],
        ),
        (
            "truncated",
            &["-DSIZE=40"],
            &["claims 40 bytes", "expected at least"],
        ),
        ("no_header", &["-DSIZE=8"], &["claims 8 bytes"]),
    ];
    for (name, macros, parts) in cases {
        let Some(library) = compile(folder.path(), name, macros) else {
            return;
        };
        let error = LoadedMethod::open(&library).unwrap_err().to_string();
        for part in parts.iter().chain(&[name]) {
            assert!(error.contains(part), "`{error}` lacks `{part}`");
        }
    }
}
