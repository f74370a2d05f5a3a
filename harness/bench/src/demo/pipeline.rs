//! The demo's stages: world, original, oracle, and for each method unlearn, score, relearn. Finished stages are not repeated.

use std::path::PathBuf;
use std::time::Instant;

use candle_core::Device;
use harness_data::DataSource;
use harness_engine::Scorer;
use harness_model::train::{Schedule, ScheduleKind};
use harness_model::{
    DecoderSpec, Model, Tokenizer, Weights, publish_directory, staging_path, write_model_files,
};
use harness_task::{RequestOptions, TaskLibrary};
use serde::{Deserialize, Serialize};

use super::model::write_untrained;
use super::world::{FORGET, RETAIN, World};
use crate::answers::{AnswerSet, Estimate, TextPair};
use crate::error::{Result, io};
use crate::evaluate::evaluate;
use crate::event::{Event, Observer};
use crate::finetune::FineTuner;
use crate::relearn::{RelearnCurve, RelearnOptions, relearn};
use crate::run_directory::RunDirectory;
use crate::scorecard::{Cost, Entry, Measurement, Outcome, RowKind, Scorecard, UtilityScore};
use crate::unlearn::{
    TrainingOptions, UnlearnJob, UnlearnSummary, WorkerCommand, run as run_method,
};

/// Raised whenever finished stages of older versions must not be taken over.
const RECIPE_VERSION: u32 = 1;
/// Accuracy of guessing on the demo's four-way choices.
const CHANCE: f64 = 0.25;

/// A method to show.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DemoMethod {
    /// Its name.
    pub id: String,
    /// Its library.
    pub library: PathBuf,
    /// Whether it wants a retain set.
    pub needs_retain: bool,
}

/// What to show.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// The methods, in the order of the card.
    pub methods: Vec<DemoMethod>,
    /// Seed of everything random.
    pub seed: u64,
}

/// How much each stage trains.
#[derive(Clone, Copy, Debug, Serialize)]
struct Recipe {
    version: u32,
    pretraining_epochs: usize,
    pretraining_batch: usize,
    pretraining_rate: f64,
    unlearning: TrainingOptions,
    relearning: RelearnOptions,
}

impl Recipe {
    fn new(seed: u64) -> Self {
        Self {
            version: RECIPE_VERSION,
            pretraining_epochs: 20,
            pretraining_batch: 16,
            pretraining_rate: 2e-3,
            unlearning: TrainingOptions {
                steps: 45,
                batch_size: 4,
                learning_rate: 2e-4,
                warmup_steps: 5,
                schedule: ScheduleKind::Linear,
                weight_decay: 0.01,
                max_gradient_norm: Some(1.0),
                seed,
            },
            relearning: RelearnOptions {
                batch_size: 3,
                learning_rate: 5e-4,
                max_steps: 240,
                seed,
            },
        }
    }
}

/// One demo in progress.
struct Demo<'a> {
    run: &'a RunDirectory,
    world: World,
    spec: DecoderSpec,
    tokenizer: Tokenizer,
    recipe: Recipe,
    worker: &'a WorkerCommand,
}

/// Runs what is not finished yet and returns the scorecard, which is also written to `scorecard.json`.
///
/// # Errors
/// When the world cannot be loaded, a model cannot be trained or the run directory cannot be written. A method that
/// fails is a row of the card, not an error.
pub fn run(
    options: &DemoOptions,
    library: &TaskLibrary,
    source: &DataSource,
    worker: &WorkerCommand,
    run: &RunDirectory,
    observer: &mut Observer,
) -> Result<Scorecard> {
    let world = World::load(library, source)?;
    let (spec, tokenizer) = write_untrained(&run.join("models/untrained"), &world.texts())?;
    let demo = Demo {
        run,
        world,
        spec,
        tokenizer,
        recipe: Recipe::new(options.seed),
        worker,
    };
    let (original, _) = demo.pretrain("original", &demo.world.everything(), observer)?;
    let (oracle, oracle_cost) = demo.pretrain("oracle", &demo.world.kept, observer)?;
    let target = demo.forget_loss(&original)?;
    let mut entries = vec![
        demo.entry(
            "original",
            RowKind::Original,
            &original,
            target,
            None,
            observer,
        )?,
        demo.entry(
            "oracle",
            RowKind::Oracle,
            &oracle,
            target,
            Some(oracle_cost),
            observer,
        )?,
    ];
    for method in &options.methods {
        entries.push(demo.method(method, target, observer)?);
    }
    let card = Scorecard::new(FORGET, options.seed, entries)?;
    run.write_json("scorecard.json", &card)?;
    Ok(card)
}

impl Demo<'_> {
    fn directory(&self, name: &str) -> PathBuf {
        self.run.join("models").join(name)
    }

    fn answers(&self, name: &str, pairs: &[TextPair]) -> Result<AnswerSet> {
        let encoder = harness_engine::Encoder::new(self.tokenizer.clone(), self.spec.max_positions);
        AnswerSet::new(name, pairs, &encoder)
    }

    fn scorer(&self, weights: &Weights) -> Result<Scorer> {
        let decoder = harness_model::Decoder::new(self.spec.clone(), weights)?;
        Ok(Scorer::new(decoder, self.tokenizer.clone()))
    }

    /// Trains a model from scratch, or reads it if that is done.
    fn pretrain(
        &self,
        name: &str,
        pairs: &[TextPair],
        observer: &mut Observer,
    ) -> Result<(Weights, Cost)> {
        let inputs = (self.recipe, pairs);
        let directory = self.directory(name);
        if let Some(cost) = self.run.finished::<Cost>(name, &inputs)
            && let Ok(model) = Model::open(&directory, &Device::Cpu)
        {
            return Ok((model.weights, cost));
        }
        let set = self.answers(name, pairs)?;
        let steps =
            self.recipe.pretraining_epochs * pairs.len().div_ceil(self.recipe.pretraining_batch);
        observer(Event::StageStarted {
            name: format!("train {name}"),
            total: Some(steps),
            unit: "steps",
        });
        let (weights, cost) = self.train(&set, steps, observer)?;
        self.write_model(name, &weights)?;
        self.run.finish(name, &inputs, &cost)?;
        observer(Event::StageFinished {
            remark: format!("{} tokens", cost.tokens),
        });
        Ok((weights, cost))
    }

    fn train(
        &self,
        set: &AnswerSet,
        steps: usize,
        observer: &mut Observer,
    ) -> Result<(Weights, Cost)> {
        let seed = self.recipe.unlearning.seed;
        let untrained = Weights::random(&self.spec, seed, &Device::Cpu)?;
        let peak = self.recipe.pretraining_rate;
        let schedule = Schedule {
            peak,
            warmup_steps: steps / 20,
            total_steps: steps,
            kind: ScheduleKind::Linear,
        };
        let batch_size = self.recipe.pretraining_batch;
        let mut tuner = FineTuner::new(&self.spec, &untrained, set, batch_size, schedule, seed)?;
        let (start, mut tokens) = (Instant::now(), 0);
        for done in 1..=steps {
            let step = tuner.step()?;
            tokens += step.tokens;
            observer(Event::StageAdvanced {
                done,
                remark: format!("loss {:.3}", step.loss),
            });
        }
        let cost = self.cost(steps, tokens, 0, start.elapsed().as_secs_f64());
        Ok((tuner.weights().clone(), cost))
    }

    fn write_model(&self, name: &str, weights: &Weights) -> Result<()> {
        let directory = self.directory(name);
        let staging = staging_path(&directory);
        for stale in [&staging, &directory] {
            if stale.exists() {
                std::fs::remove_dir_all(stale).map_err(io(stale))?;
            }
        }
        std::fs::create_dir_all(&staging).map_err(io(&staging))?;
        write_model_files(&staging, &self.directory("untrained"), weights)?;
        Ok(publish_directory(&staging, &directory)?)
    }

    fn cost(&self, steps: usize, tokens: usize, reference_tokens: usize, seconds: f64) -> Cost {
        let mean_context = self.mean_sequence_length() / 2.0;
        let forward = self.spec.forward_flops(mean_context);
        Cost {
            steps,
            tokens,
            flops: forward * (3 * tokens + reference_tokens) as f64,
            seconds,
        }
    }

    fn mean_sequence_length(&self) -> f64 {
        let pairs = self
            .answers(FORGET, &self.world.forget)
            .map(|set| set.pairs)
            .unwrap_or_default();
        pairs
            .iter()
            .map(|pair| pair.prompt.len() + pair.answer.len())
            .sum::<usize>() as f64
            / pairs.len().max(1) as f64
    }

    /// The original's mean loss on the forget set: what relearning has to reach.
    fn forget_loss(&self, original: &Weights) -> Result<f64> {
        let set = self.answers(FORGET, &self.world.forget)?;
        Ok(set
            .knowledge(&mut self.scorer(original)?, &mut |_| {})?
            .loss)
    }

    /// Measures a model, or reads the measurement if that is done.
    fn entry(
        &self,
        name: &str,
        kind: RowKind,
        weights: &Weights,
        target: f64,
        cost: Option<Cost>,
        observer: &mut Observer,
    ) -> Result<Entry> {
        let stage = format!("measure-{name}");
        let inputs = (self.recipe, target, weights_fingerprint(weights)?);
        let measured = match self.run.finished::<Measurement>(&stage, &inputs) {
            Some(measured) => measured,
            None => {
                let measured = self.measure(name, weights, target, observer)?;
                self.run.finish(&stage, &inputs, &measured)?;
                measured
            }
        };
        Ok(Entry {
            name: name.to_owned(),
            kind,
            outcome: Outcome::Measured(Box::new(measured)),
            cost,
        })
    }

    fn measure(
        &self,
        name: &str,
        weights: &Weights,
        target: f64,
        observer: &mut Observer,
    ) -> Result<Measurement> {
        observer(Event::StageStarted {
            name: format!("score {name}"),
            total: None,
            unit: "tasks",
        });
        let mut scorer = self.scorer(weights)?;
        let mut knowledge = |pairs: &[TextPair]| {
            self.answers(FORGET, pairs)?
                .knowledge(&mut scorer, &mut |_| {})
        };
        let (forget, forget_paraphrased) = (
            knowledge(&self.world.forget)?,
            knowledge(&self.world.forget_paraphrased)?,
        );
        let utilities = self.utilities(&mut scorer)?;
        observer(Event::StageFinished {
            remark: format!(
                "forget answers' probability {:.3}",
                forget.probability.value
            ),
        });
        let relearning = self.attack(name, weights, target, observer)?;
        Ok(Measurement {
            forget,
            forget_paraphrased,
            utilities,
            relearning,
        })
    }

    fn utilities(&self, scorer: &mut Scorer) -> Result<Vec<UtilityScore>> {
        let mut scores = Vec::new();
        for task in &self.world.utility {
            let result = evaluate(task, scorer, &RequestOptions::default(), &mut |_| {})?.result;
            let accuracy = result.metrics.iter().find(|metric| metric.name == "acc");
            scores.extend(accuracy.map(|metric| UtilityScore {
                task: result.task.clone(),
                accuracy: Estimate {
                    value: metric.value,
                    stderr: metric.stderr,
                },
                chance: CHANCE,
            }));
        }
        Ok(scores)
    }

    fn attack(
        &self,
        name: &str,
        weights: &Weights,
        target: f64,
        observer: &mut Observer,
    ) -> Result<RelearnCurve> {
        let options = self.recipe.relearning;
        let total = Some(options.max_steps);
        observer(Event::StageStarted {
            name: format!("relearn {name}"),
            total,
            unit: "steps",
        });
        let forget = self.answers(FORGET, &self.world.forget)?;
        let curve = relearn(&self.spec, weights, &forget, target, options, observer)?;
        observer(Event::StageFinished {
            remark: format!("{} samples", curve.samples_text()),
        });
        Ok(curve)
    }

    /// Unlearns with a method and measures the result; a method's failure becomes its row.
    fn method(&self, method: &DemoMethod, target: f64, observer: &mut Observer) -> Result<Entry> {
        let summary = match self.unlearn(method, observer) {
            Ok(summary) => summary,
            Err(error) => {
                observer(Event::StageFinished {
                    remark: "failed".into(),
                });
                let outcome = Outcome::Failed(error.to_string());
                return Ok(Entry {
                    name: method.id.clone(),
                    kind: RowKind::Method,
                    outcome,
                    cost: None,
                });
            }
        };
        let weights = Model::open(&self.directory(&method.id), &Device::Cpu)?.weights;
        let cost = self.cost(
            summary.steps,
            summary.tokens,
            summary.reference_tokens,
            summary.seconds,
        );
        self.entry(
            &method.id,
            RowKind::Method,
            &weights,
            target,
            Some(cost),
            observer,
        )
    }

    fn unlearn(&self, method: &DemoMethod, observer: &mut Observer) -> Result<UnlearnSummary> {
        let output = self.directory(&method.id);
        let stage = format!("unlearn-{}", method.id);
        let library = std::fs::read(&method.library).map_err(io(&method.library))?;
        let inputs = (
            self.recipe,
            crate::run_directory::digest(&library),
            &self.world.forget,
            &self.world.retain,
        );
        if let Some(summary) = self.run.finished(&stage, &inputs)
            && output.is_dir()
        {
            return Ok(summary);
        }
        let steps = self.recipe.unlearning.steps;
        observer(Event::StageStarted {
            name: format!("unlearn with {}", method.id),
            total: Some(steps),
            unit: "steps",
        });
        if output.exists() {
            std::fs::remove_dir_all(&output).map_err(io(&output))?;
        }
        let summary = run_method(self.worker, self.job(method), &output, observer)?;
        self.run.finish(&stage, &inputs, &summary)?;
        observer(Event::StageFinished {
            remark: format!("loss {:.3} → {:.3}", summary.first_loss, summary.last_loss),
        });
        Ok(summary)
    }

    fn job(&self, method: &DemoMethod) -> UnlearnJob {
        UnlearnJob {
            model: self.directory("original"),
            library: method.library.clone(),
            options: serde_json::json!({}),
            forget_task: FORGET.into(),
            forget: self.world.forget.clone(),
            retain_task: RETAIN.into(),
            retain: if method.needs_retain {
                self.world.retain.clone()
            } else {
                Vec::new()
            },
            training: self.recipe.unlearning,
            output: PathBuf::new(),
        }
    }
}

/// A hash of all weights.
fn weights_fingerprint(weights: &Weights) -> Result<String> {
    let mut bytes = Vec::new();
    for (name, tensor) in weights.iter() {
        bytes.extend_from_slice(name.as_bytes());
        let values = tensor.flatten_all()?.to_vec1::<f32>()?;
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }
    Ok(crate::run_directory::digest(&bytes))
}
