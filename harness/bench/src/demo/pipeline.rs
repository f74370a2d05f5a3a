//! The demo's stages: the world, an original that learns all of it, oracles that never see a part, and then the experiment that
//! any other model would go through. Finished stages are not repeated.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::Device;
use harness_data::DataSource;
use harness_engine::Encoder;
use harness_model::train::ScheduleKind;
use harness_model::{DecoderSpec, Model, Tokenizer, Weights};
use harness_task::{RequestOptions, TaskLibrary};

use super::model::write_untrained;
use super::recipe::Recipe;
use super::world::World;
use crate::answers::{AnswerSet, TextPair};
use crate::error::{Result, io};
use crate::event::{Event, Observer};
use crate::experiment::{
    Capacity, Cost, Experiment, ExperimentRecord, Foresight, FoundMethod, Jobs, Materials, plan,
};
use crate::finetune::{FineTuning, finetune_into};
use crate::run_directory::{RunDirectory, sha256_hex};
use crate::unlearn::WorkerCommand;

/// What to show.
pub struct DemoOptions {
    /// The methods by id, noise among them.
    pub methods: BTreeMap<String, FoundMethod>,
    /// Seed of everything random.
    pub seed: u64,
    /// Models that are worked on at once.
    pub jobs: Jobs,
}

/// The models of the demo in the making.
struct Demo<'a> {
    run: &'a RunDirectory,
    spec: DecoderSpec,
    tokenizer: Tokenizer,
    /// Hash of the untrained model's config and tokenizer, on which every stage depends.
    untrained: String,
    recipe: Recipe,
}

/// Runs what is not finished yet and returns the experiment's record.
///
/// # Errors
/// When the world cannot be loaded, a model cannot be trained or the run directory cannot be written. A method that
/// fails is a row of the card, not an error.
pub fn run(
    options: DemoOptions,
    library: &TaskLibrary,
    source: &DataSource,
    worker: &WorkerCommand,
    run: &RunDirectory,
    observer: &mut Observer,
) -> Result<ExperimentRecord> {
    let world = World::load(library, source)?;
    let recipe = Recipe::new(options.seed);
    let demo = Demo::new(run, &world, recipe)?;
    let everything = world.everything();
    let (original, _) = demo.pretrain("original", &everything, recipe.seed, observer)?;
    let (oracle, oracle_cost) = demo.pretrain("oracle", &world.kept, recipe.seed, observer)?;
    let (twin, _) = demo.pretrain("oracle-twin", &world.kept, recipe.seed + 1, observer)?;
    let spec = recipe.experiment([original, oracle, twin], options.methods.keys());
    let materials = Materials {
        forget: world.forget.clone(),
        paraphrased: world.forget_paraphrased.clone(),
        holdout: world.holdout.clone(),
        retain: world.retain.clone(),
        related: Vec::new(),
        unrelated: Vec::new(),
        utility: world.utility,
        utility_options: RequestOptions::default(),
        measures: world.measures,
        methods: options.methods,
        oracle_cost: Some(oracle_cost),
    };
    let foresight = Foresight::of(&spec, &materials, &plan(&spec))?;
    let experiment = Experiment {
        spec: &spec,
        materials: &materials,
        run,
        worker,
        jobs: (options.jobs).at_once(foresight.bytes_each(), Capacity::now()),
    };
    experiment.run(observer)
}

impl<'a> Demo<'a> {
    fn new(run: &'a RunDirectory, world: &World, recipe: Recipe) -> Result<Self> {
        let directory = run.join("models/untrained");
        let (spec, tokenizer) = write_untrained(&directory, &world.texts())?;
        let read = |name| {
            let file = directory.join(name);
            std::fs::read(&file).map_err(io(&file))
        };
        let untrained = sha256_hex(&[read("config.json")?, read("tokenizer.json")?].concat());
        Ok(Self {
            run,
            spec,
            tokenizer,
            untrained,
            recipe,
        })
    }

    fn directory(&self, name: &str) -> PathBuf {
        self.run.join("models").join(name)
    }

    /// Trains a model from scratch, or finds it trained.
    fn pretrain(
        &self,
        name: &str,
        pairs: &[TextPair],
        seed: u64,
        observer: &mut Observer,
    ) -> Result<(PathBuf, Cost)> {
        let directory = self.directory(name);
        let inputs = (self.recipe, &self.untrained, pairs, seed);
        if let Some(cost) = self.run.finished::<Cost>(name, &inputs)
            && directory.is_dir()
        {
            return Ok((directory, cost));
        }
        let encoder = Encoder::new(self.tokenizer.clone(), self.spec.max_positions);
        let set = AnswerSet::new(name, pairs, &encoder)?;
        let steps =
            self.recipe.pretraining_epochs * pairs.len().div_ceil(self.recipe.pretraining_batch);
        observer(Event::StageStarted {
            name: format!("train {name}"),
            total: Some(steps),
            unit: "steps",
        });
        self.run.clear(&directory)?;
        let cost = self.train(&directory, &set, steps, seed, observer)?;
        self.run.finish(name, &inputs, &cost)?;
        let remark = format!("{} tokens", cost.tokens);
        observer(Event::StageFinished { remark });
        Ok((directory, cost))
    }

    fn train(
        &self,
        directory: &Path,
        set: &AnswerSet,
        steps: usize,
        seed: u64,
        observer: &mut Observer,
    ) -> Result<Cost> {
        let untrained = Model {
            source: self.directory("untrained"),
            spec: self.spec.clone(),
            weights: Weights::random(&self.spec, seed, &Device::Cpu)?,
            tokenizer: self.tokenizer.clone(),
        };
        let options = FineTuning {
            steps,
            batch_size: self.recipe.pretraining_batch,
            learning_rate: self.recipe.pretraining_rate,
            warmup_steps: steps / 20,
            schedule: ScheduleKind::Linear,
            seed,
            ..FineTuning::default()
        };
        let summary = finetune_into(directory, &untrained, set, &options, observer)?;
        Ok(Cost {
            steps,
            tokens: summary.tokens,
            flops: summary.flops,
        })
    }
}
