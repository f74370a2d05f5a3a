//! The example in C, compiled against the header that is made from the contract. Skipped where there is no C compiler.

use std::path::Path;
use std::process::Command;

use harness_host::{LoadedMethod, Role};
use serde_json::json;

use crate::common::{Batches, library_name};

#[test]
fn the_example_in_c_compiles_loads_and_runs() {
    let abi = Path::new(env!("CARGO_MANIFEST_DIR")).join("../abi");
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join(library_name("harness_method_ascent"));
    let compiler = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()))
        .args([
            "-std=c99", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-I",
        ])
        .arg(&abi)
        .arg(abi.join("examples/ascent.c"))
        .arg("-o")
        .arg(&library)
        .output();
    let Ok(compiler) = compiler else {
        eprintln!("SKIPPED: no C compiler");
        return;
    };
    assert!(
        compiler.status.success(),
        "{}",
        String::from_utf8_lossy(&compiler.stderr)
    );
    let method = LoadedMethod::open(&library).unwrap();
    let batches = Batches::default().with(Role::Forget, &[2, 1], &[-1.0, -2.0, -6.0], &[]);
    let step = method.create(&json!({})).unwrap().loss(&batches).unwrap();
    assert_eq!(step.value.to_bits(), (-3.0f32).to_bits());
    assert_eq!(step.logged, [("forget_loss".to_owned(), -3.0)]);
    let refused = method.create_unchecked(&json!({ "rate": 1 })).unwrap_err();
    assert!(refused.to_string().contains("no options"), "{refused}");
}
