//! Few-shot examples: which documents, and their text; one random stream per task, consumed document after document.

use harness_data::Document;
use harness_metric::PythonRandom;

use crate::dataset::{Dataset, Pool};
use crate::field::{Row, Turn};
use crate::hooks::Bridge;
use crate::prompt::{Exchange, Message};
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
        let differs = |index: &usize| Some(&pool[*index]) != exclude;
        let mut kept: Vec<usize> = if self.sampler == Sampler::FirstN {
            (0..pool.len()).filter(differs).collect()
        } else {
            let wanted = self.count + usize::from(exclude.is_some());
            let drawn = self.random.sample(pool.len(), wanted).ok()?;
            drawn.into_iter().filter(differs).collect()
        };
        if kept.len() < self.count && self.sampler == Sampler::Default {
            // The pool holds the document more than once: upstream draws again, from the others.
            let others: Vec<usize> = (0..pool.len()).filter(differs).collect();
            let drawn = self.random.sample(others.len(), self.count).ok()?;
            kept = drawn.into_iter().map(|index| others[index]).collect();
        }
        kept.truncate(self.count);
        (kept.len() == self.count).then_some(kept)
    }
}

/// The examples of one run over a task.
pub(crate) struct Examples<'a> {
    bridge: &'a Bridge,
    config: &'a FewshotSpec,
    turn: &'a Turn,
    pool: Pool,
    /// Messages of the pool's documents, made when first drawn.
    rendered: Vec<Option<Vec<Message>>>,
    sampler: FewshotSampler,
    exclude_evaluated: bool,
}

impl<'a> Examples<'a> {
    pub(crate) fn new(
        spec: &'a TaskSpec,
        turn: &'a Turn,
        dataset: &Dataset<'_>,
        bridge: &'a Bridge,
        (count, seed): (usize, u64),
    ) -> Result<Self, TaskError> {
        let config = &spec.fewshot_config;
        let pool = if count == 0 {
            Pool::default()
        } else {
            dataset.pool()?
        };
        let sampler = config.sampler.clone();
        Ok(Self {
            bridge,
            config,
            turn,
            rendered: vec![None; pool.documents.len()],
            pool,
            sampler: FewshotSampler::new(sampler, count, seed),
            // Also where both are absent, so that the pool is another split: upstream compares None with None.
            exclude_evaluated: config.split == spec.test_split,
        })
    }

    /// The examples for a document.
    pub(crate) fn messages_for(&mut self, evaluated: &Document) -> Result<Vec<Message>, TaskError> {
        if self.sampler.count == 0 {
            return Ok(Vec::new());
        }
        let exclude = self.exclude_evaluated.then_some(evaluated);
        let Some(drawn) = self.sampler.draw(&self.pool.documents, exclude) else {
            return Err(TaskError::Task {
                task: self.bridge.task().to_owned(),
                message: self.too_small(),
            });
        };
        let mut messages = Vec::new();
        for index in drawn {
            messages.extend(self.example(index)?);
        }
        Ok(messages)
    }

    fn example(&mut self, index: usize) -> Result<Vec<Message>, TaskError> {
        if let Some(messages) = &self.rendered[index] {
            return Ok(messages.clone());
        }
        let label = format!("{index} of {}", self.pool.name);
        let row = Row::new(self.bridge, &self.pool.documents[index], label);
        let exchange = Exchange {
            question: self.turn.question_text(&row)?,
            answer: Some(self.turn.answer_text(&row)?),
            gen_prefix: &self.turn.gen_prefix(&row)?,
            target_delimiter: &self.config.target_delimiter,
            fewshot_delimiter: &self.config.fewshot_delimiter,
        };
        let messages = exchange.messages();
        self.rendered[index] = Some(messages.clone());
        Ok(messages)
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
