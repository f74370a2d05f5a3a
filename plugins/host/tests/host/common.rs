//! What the host's tests share: where the libraries are, and a batch written down by hand. It refuses to build anything: `cargo test` has done that.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Result, Tensor, Var};
use harness_host::{LoadedMethod, MethodPath, Progress, Role, StepSource};

/// Where cargo puts this test and the methods' libraries.
pub(crate) fn build_folder() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().to_owned()
}

/// A real method.
pub(crate) fn method(id: &str) -> LoadedMethod {
    MethodPath::new(vec![build_folder()]).open(id).unwrap()
}

/// The path of a fixture's library.
pub(crate) fn fixture(name: &str) -> PathBuf {
    let file = library_name(&format!("fixture_{name}"));
    build_folder().parent().unwrap().join("examples").join(file)
}

/// What the platform calls a library.
pub(crate) fn library_name(stem: &str) -> String {
    use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
    format!("{DLL_PREFIX}{stem}{DLL_SUFFIX}")
}

/// Batches by role: trainable log-probabilities, constants of the reference, lengths.
#[derive(Default)]
pub(crate) struct Batches {
    pub(crate) policy: BTreeMap<Role, Var>,
    pub(crate) reference: BTreeMap<Role, Tensor>,
    pub(crate) lengths: BTreeMap<Role, Vec<usize>>,
}

impl Batches {
    pub(crate) fn with(
        mut self,
        role: Role,
        lengths: &[usize],
        policy: &[f32],
        reference: &[f32],
    ) -> Self {
        let var = Var::new(policy, &Device::Cpu).unwrap();
        self.policy.insert(role, var);
        self.reference
            .insert(role, Tensor::new(reference, &Device::Cpu).unwrap());
        self.lengths.insert(role, lengths.to_vec());
        self
    }
}

impl StepSource for Batches {
    fn token_logprobs(&self, role: Role) -> Result<Tensor> {
        self.policy[&role].to_dtype(DType::F32)
    }

    fn reference_token_logprobs(&self, role: Role) -> Result<Tensor> {
        Ok(self.reference[&role].clone())
    }

    fn answer_lengths(&self, role: Role) -> Vec<usize> {
        self.lengths[&role].clone()
    }

    fn progress(&self, _: Progress) -> f64 {
        0.0
    }

    fn seed(&self) -> u64 {
        0
    }
}

/// The golden folder, or `None` with a word about it.
pub(crate) fn golden() -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/golden");
    let folder = std::env::var_os("HARNESS_GOLDEN").map_or(default, PathBuf::from);
    if !folder.is_dir() {
        eprintln!("SKIPPED: no golden values in {}", folder.display());
        return None;
    }
    Some(folder)
}
