//! What the weights that come of a run depend on, as one hash: contents, never paths or names, so that a run is known again on another
//! machine. How often it saves changes no weight and is left out.

use harness_engine::model_identity;
use harness_model::DeviceName;
use serde::Serialize;

use super::job::UnlearnJob;
use super::options::TrainingOptions;
use crate::answers::TextPair;
use crate::error::{BenchError, Result, io};
use crate::run_directory::sha256_hex;

/// The parts, under names that must not change: finished runs are found by them.
#[derive(Serialize)]
struct Contents<'a> {
    model: String,
    library: String,
    device: DeviceName,
    options: &'a serde_json::Value,
    forget: &'a [TextPair],
    retain: &'a [TextPair],
    normal: &'a [TextPair],
    alternate: &'a [TextPair],
    refusals: &'a [String],
    mismatched_answers: u64,
    training: TrainingOptions,
}

impl UnlearnJob {
    /// A hash of everything that the result depends on: the request itself, the library and the model.
    ///
    /// # Errors
    /// When library or model cannot be read.
    pub fn identity(&self) -> Result<String> {
        let library = std::fs::read(&self.library).map_err(io(&self.library))?;
        self.identity_with(
            model_identity(&[&self.model], "")?.to_string(),
            sha256_hex(&library),
        )
    }

    fn identity_with(&self, model: String, library: String) -> Result<String> {
        let contents = Contents {
            model,
            library,
            device: self.device,
            options: &self.options,
            forget: &self.forget,
            retain: &self.retain,
            normal: &self.normal,
            alternate: &self.alternate,
            refusals: &self.refusals,
            mismatched_answers: self.mismatched_answers,
            training: TrainingOptions {
                save_every: None,
                ..self.training.clone()
            },
        };
        let text = serde_json::to_vec(&contents)
            .map_err(|error| BenchError::Request(error.to_string()))?;
        Ok(sha256_hex(&text))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn job() -> UnlearnJob {
        let pair = |text: &str| TextPair {
            prompt: text.to_owned(),
            answer: format!(" {text}."),
        };
        UnlearnJob {
            model: PathBuf::from("here/original"),
            device: DeviceName::Cpu,
            library: PathBuf::from("here/libmethod.so"),
            options: serde_json::json!({ "beta": 0.1 }),
            forget_task: "secrets".into(),
            forget: vec![pair("a"), pair("b")],
            retain_task: "common".into(),
            retain: vec![pair("c")],
            normal_task: String::new(),
            normal: Vec::new(),
            alternate_task: String::new(),
            alternate: Vec::new(),
            refusals: vec![" No.".into()],
            mismatched_answers: 0,
            training: TrainingOptions::default(),
            output: PathBuf::from("here/out"),
        }
    }

    fn identity(job: &UnlearnJob) -> String {
        job.identity_with("model".into(), "library".into()).unwrap()
    }

    /// Whoever has to change this hash makes every unfinished experiment begin anew.
    #[test]
    fn finished_runs_are_found_again_by_later_versions() {
        let known = "d83cdb1832d2f8b95f28ec12da84e3579a89be49748737387917fb22e746012d";
        assert_eq!(identity(&job()), known);
    }

    #[test]
    fn contents_count_and_places_do_not() {
        let elsewhere = UnlearnJob {
            model: PathBuf::from("there/original"),
            library: PathBuf::from("there/libmethod.so"),
            forget_task: "copies/secrets.yaml".into(),
            retain_task: "copies/common.yaml".into(),
            output: PathBuf::from("there/out"),
            training: TrainingOptions {
                save_every: Some(1),
                ..TrainingOptions::default()
            },
            ..job()
        };
        assert_eq!(identity(&elsewhere), identity(&job()));
        let other_seed = UnlearnJob {
            training: TrainingOptions {
                seed: 1,
                ..TrainingOptions::default()
            },
            ..job()
        };
        assert_ne!(identity(&other_seed), identity(&job()));
        let less_to_keep = UnlearnJob {
            retain: Vec::new(),
            ..job()
        };
        assert_ne!(identity(&less_to_keep), identity(&job()));
    }
}
