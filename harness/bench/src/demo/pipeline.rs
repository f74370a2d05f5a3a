//! The demo's stages in order: world, original, oracle, then each method. Finished stages are not repeated.

use std::path::{Path, PathBuf};
use std::time::Instant;

use candle_core::Device;
use harness_data::DataSource;
use harness_engine::{Encoder, Scorer};
use harness_model::train::{Schedule, ScheduleKind};
use harness_model::{Decoder, DecoderSpec, Model, Staging, Tokenizer, Weights, write_model_files};
use harness_task::TaskLibrary;

use super::model::write_untrained;
use super::recipe::Recipe;
use super::world::{FORGET, World};
use crate::answers::{AnswerSet, TextPair};
use crate::error::{Result, io};
use crate::event::{Event, Observer};
use crate::finetune::FineTuner;
use crate::run_directory::{RunDirectory, sha256_hex};
use crate::scorecard::{Cost, RowKind, Scorecard};
use crate::unlearn::WorkerCommand;

/// A method to show.
#[derive(Clone, Debug)]
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

/// One demo in progress.
pub(super) struct Demo<'a> {
    pub(super) run: &'a RunDirectory,
    pub(super) world: World,
    pub(super) forget: AnswerSet,
    pub(super) forget_paraphrased: AnswerSet,
    pub(super) spec: DecoderSpec,
    pub(super) tokenizer: Tokenizer,
    /// Hash of the untrained model's config and tokenizer, on which every stage depends.
    pub(super) untrained: String,
    pub(super) recipe: Recipe,
    pub(super) worker: &'a WorkerCommand,
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
    let demo = Demo::new(run, world, Recipe::new(options.seed), worker)?;
    let (original, _) = demo.pretrain("original", &demo.world.everything(), observer)?;
    let (oracle, oracle_cost) = demo.pretrain("oracle", &demo.world.kept, observer)?;
    let target = demo
        .forget
        .knowledge(&mut demo.scorer(&original)?, &mut |_| {})?
        .loss;
    let mut entry = |name, kind, weights, cost| {
        let outcome = demo.measured(name, weights, target, observer)?;
        Ok::<_, crate::BenchError>(outcome.into_entry(name, kind, cost))
    };
    let mut entries = vec![
        entry("original", RowKind::Original, &original, None)?,
        entry("oracle", RowKind::Oracle, &oracle, Some(oracle_cost))?,
    ];
    for method in &options.methods {
        entries.push(demo.method(method, target, observer)?);
    }
    let card = Scorecard::new(FORGET, options.seed, entries)?;
    run.write_json("scorecard.json", &card)?;
    Ok(card)
}

impl<'a> Demo<'a> {
    fn new(
        run: &'a RunDirectory,
        world: World,
        recipe: Recipe,
        worker: &'a WorkerCommand,
    ) -> Result<Self> {
        let directory = run.join("models/untrained");
        let (spec, tokenizer) = write_untrained(&directory, &world.texts())?;
        let read = |name| {
            let file = directory.join(name);
            std::fs::read(&file).map_err(io(&file))
        };
        let untrained = sha256_hex(&[read("config.json")?, read("tokenizer.json")?].concat());
        let encoder = Encoder::new(tokenizer.clone(), spec.max_positions);
        let answers = |pairs: &[TextPair]| AnswerSet::new(FORGET, pairs, &encoder);
        Ok(Self {
            forget: answers(&world.forget)?,
            forget_paraphrased: answers(&world.forget_paraphrased)?,
            run,
            world,
            spec,
            tokenizer,
            untrained,
            recipe,
            worker,
        })
    }

    pub(super) fn directory(&self, name: &str) -> PathBuf {
        self.run.join("models").join(name)
    }

    pub(super) fn scorer(&self, weights: &Weights) -> Result<Scorer> {
        let decoder = Decoder::new(self.spec.clone(), weights)?;
        Ok(Scorer::new(decoder, self.tokenizer.clone()))
    }

    /// Trains a model from scratch, or reads it if that is done.
    fn pretrain(
        &self,
        name: &str,
        pairs: &[TextPair],
        observer: &mut Observer,
    ) -> Result<(Weights, Cost)> {
        let inputs = (self.recipe, &self.untrained, pairs);
        if let Some(cost) = self.run.finished::<Cost>(name, &inputs)
            && let Ok(model) = Model::open(&self.directory(name), &Device::Cpu)
        {
            return Ok((model.weights, cost));
        }
        let encoder = Encoder::new(self.tokenizer.clone(), self.spec.max_positions);
        let set = AnswerSet::new(name, pairs, &encoder)?;
        let batches = pairs.len().div_ceil(self.recipe.pretraining_batch);
        let steps = self.recipe.pretraining_epochs * batches;
        observer(Event::StageStarted {
            name: format!("train {name}"),
            total: Some(steps),
            unit: "steps",
        });
        let (weights, cost) = self.train(&set, steps, observer)?;
        self.write_model(name, &weights)?;
        self.run.finish(name, &inputs, &cost)?;
        let remark = format!("{} tokens", cost.tokens);
        observer(Event::StageFinished { remark });
        Ok((weights, cost))
    }

    fn train(
        &self,
        set: &AnswerSet,
        steps: usize,
        observer: &mut Observer,
    ) -> Result<(Weights, Cost)> {
        let seed = self.recipe.seed;
        let untrained = Weights::random(&self.spec, seed, &Device::Cpu)?;
        let schedule = Schedule {
            peak: self.recipe.pretraining_rate,
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
            let remark = format!("loss {:.3}", step.loss);
            observer(Event::StageAdvanced {
                done,
                work_done: None,
                remark,
            });
        }
        let cost = self.cost(steps, tokens, 0, start.elapsed().as_secs_f64());
        Ok((tuner.weights().clone(), cost))
    }

    fn write_model(&self, name: &str, weights: &Weights) -> Result<()> {
        let directory = self.directory(name);
        remove(&directory)?;
        let staging = Staging::begin(&directory)?;
        write_model_files(staging.path(), &self.directory("untrained"), weights)?;
        Ok(staging.publish()?)
    }

    /// Three forward passes a trained token, one a token of the frozen original.
    pub(super) fn cost(
        &self,
        steps: usize,
        tokens: usize,
        reference_tokens: usize,
        seconds: f64,
    ) -> Cost {
        let lengths = self
            .forget
            .pairs
            .iter()
            .map(|pair| pair.prompt.len() + pair.answer.len());
        // A token attends to half its sequence on average.
        let context = lengths.sum::<usize>() as f64 / self.forget.pairs.len() as f64 / 2.0;
        let passes = (3 * tokens + reference_tokens) as f64;
        Cost {
            steps,
            tokens,
            flops: self.spec.forward_flops(context) * passes,
            seconds,
        }
    }
}

/// Makes room for a model that this run has to make anew; the run directory is the demo's own.
pub(super) fn remove(directory: &Path) -> Result<()> {
    for stale in [Staging::path_of(directory), directory.to_owned()] {
        if stale.exists() {
            std::fs::remove_dir_all(&stale).map_err(io(&stale))?;
        }
    }
    Ok(())
}
