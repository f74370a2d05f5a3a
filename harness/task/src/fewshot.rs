//! Few-shot examples: which documents, and their text; one random stream per task, consumed document after document.

use harness_data::{DataSource, Document};
use harness_metric::PythonRandom;

use crate::field::{Row, Turn};
use crate::{FewshotSpec, Sampler, TaskError, TaskSpec};

/// Draws examples out of a pool.
pub(crate) struct FewshotSampler {
    sampler: Sampler,
    count: usize,
    random: PythonRandom,
}

impl FewshotSampler {
    pub(crate) fn new(sampler: Sampler, count: usize, seed: u64) -> Self {
        Self {
            sampler,
            count,
            random: PythonRandom::new(seed),
        }
    }

    /// Indices into the pool. With `exclude`, documents equal to it are left out, and the random sampler draws one more to
    /// make up for it: that changes the stream even where nothing is left out. `None` if the pool is too small.
    pub(crate) fn draw(
        &mut self,
        pool: &[Document],
        exclude: Option<&Document>,
    ) -> Option<Vec<usize>> {
        let drawn = match self.sampler {
            Sampler::FirstN => (0..pool.len()).collect(),
            Sampler::Default => {
                let wanted = self.count + usize::from(exclude.is_some());
                self.random.sample(pool.len(), wanted).ok()?
            }
        };
        let mut kept: Vec<usize> = drawn
            .into_iter()
            .filter(|&index| Some(&pool[index]) != exclude)
            .collect();
        kept.truncate(self.count);
        (kept.len() == self.count).then_some(kept)
    }
}

/// The examples of one run over a task.
pub(crate) struct Examples<'a> {
    task: &'a str,
    config: &'a FewshotSpec,
    turn: &'a Turn,
    pool: Pool,
    /// Text of the pool's documents, made when first drawn.
    rendered: Vec<Option<String>>,
    sampler: FewshotSampler,
    exclude_evaluated: bool,
}

/// Documents that examples come from.
struct Pool {
    name: String,
    documents: Vec<Document>,
}

impl<'a> Examples<'a> {
    pub(crate) fn new(
        spec: &'a TaskSpec,
        turn: &'a Turn,
        source: &DataSource,
        count: usize,
        seed: u64,
    ) -> Result<Self, TaskError> {
        let config = &spec.fewshot_config;
        let pool = if count == 0 {
            Pool {
                name: String::new(),
                documents: Vec::new(),
            }
        } else {
            pool(spec, source)?
        };
        Ok(Self {
            task: &spec.task,
            config,
            turn,
            rendered: vec![None; pool.documents.len()],
            pool,
            sampler: FewshotSampler::new(config.sampler, count, seed),
            // Also where both are absent, so that the pool is another split: upstream compares None with None.
            exclude_evaluated: config.split == spec.test_split,
        })
    }

    /// The examples for a document, each with its delimiters.
    pub(crate) fn text_for(&mut self, evaluated: &Document) -> Result<String, TaskError> {
        if self.sampler.count == 0 {
            return Ok(String::new());
        }
        let exclude = self.exclude_evaluated.then_some(evaluated);
        let Some(drawn) = self.sampler.draw(&self.pool.documents, exclude) else {
            return Err(TaskError::Task {
                task: self.task.to_owned(),
                message: self.too_small(),
            });
        };
        drawn.into_iter().map(|index| self.example(index)).collect()
    }

    fn example(&mut self, index: usize) -> Result<String, TaskError> {
        if let Some(text) = &self.rendered[index] {
            return Ok(text.clone());
        }
        let row = Row::new(
            self.task,
            &self.pool.documents[index],
            format!("{index} of {}", self.pool.name),
        );
        let (question, answer) = (self.turn.question_text(&row)?, self.turn.answer_text(&row)?);
        // Without an answer upstream adds no delimiter either.
        let text = if answer.is_empty() {
            question
        } else {
            question + &self.config.target_delimiter + &answer + &self.config.fewshot_delimiter
        };
        self.rendered[index] = Some(text.clone());
        Ok(text)
    }

    fn too_small(&self) -> String {
        format!(
            "{} few-shot examples cannot be drawn from the {} documents of {}; ask for fewer with --num_fewshot",
            self.sampler.count,
            self.pool.documents.len(),
            self.pool.name
        )
    }
}

/// The pool: the few-shot split, written samples, or the training, validation or test split, whichever is first there.
fn pool(spec: &TaskSpec, source: &DataSource) -> Result<Pool, TaskError> {
    let config = &spec.fewshot_config;
    if let (None, Some(samples)) = (&config.split, &config.samples) {
        return Ok(Pool {
            name: "fewshot_config.samples".to_owned(),
            documents: samples.clone(),
        });
    }
    let own = [
        &config.split,
        &spec.training_split,
        &spec.validation_split,
        &spec.test_split,
    ];
    let Some(split) = own.into_iter().flatten().next() else {
        let message = "there is no split to take few-shot examples from".to_owned();
        return Err(TaskError::Task {
            task: spec.task.clone(),
            message,
        });
    };
    let loaded = source
        .load(&spec.dataset(), split)
        .map_err(|source| TaskError::Data {
            task: spec.task.clone(),
            source: Box::new(source),
        })?;
    Ok(Pool {
        name: format!("split `{split}`"),
        documents: loaded.documents,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test: panics are failures")]

    use serde_json::Value;

    use super::*;
    use crate::golden::recorded;

    fn documents(value: &Value) -> Vec<Document> {
        value
            .as_array()
            .unwrap()
            .iter()
            .map(|document| document.as_object().unwrap().clone())
            .collect()
    }

    /// What was drawn, as the recording has it: the `id` of every document.
    fn drawn(sampler: &mut FewshotSampler, pool: &[Document], call: &Value) -> Option<Vec<Value>> {
        let indices = sampler.draw(pool, call["eval_doc"].as_object())?;
        Some(
            indices
                .into_iter()
                .map(|index| pool[index]["id"].clone())
                .collect(),
        )
    }

    #[test]
    fn the_random_sampler_draws_as_lm_evals() {
        let Some(recorded) = recorded("python/random_streams.json") else {
            return;
        };
        for case in recorded["fewshot_default_sampler"].as_array().unwrap() {
            let pool = documents(&case["docs"]);
            let (count, seed) = (
                case["n_fewshot"].as_u64().unwrap(),
                case["seed"].as_u64().unwrap(),
            );
            let mut sampler = FewshotSampler::new(Sampler::Default, count as usize, seed);
            for call in case["calls"].as_array().unwrap() {
                assert_eq!(
                    drawn(&mut sampler, &pool, call).as_ref(),
                    call["result"].as_array(),
                    "{call}"
                );
            }
        }
    }

    #[test]
    fn the_first_ones_are_those_of_lm_eval() {
        let Some(recorded) = recorded("python/random_streams.json") else {
            return;
        };
        for case in recorded["fewshot_first_n"].as_array().unwrap() {
            let count = case["n"].as_u64().unwrap() as usize;
            let mut sampler = FewshotSampler::new(Sampler::FirstN, count, 1234);
            assert_eq!(
                drawn(&mut sampler, &documents(&case["docs"]), case).as_ref(),
                case["result"].as_array(),
                "{case}"
            );
        }
    }
}
