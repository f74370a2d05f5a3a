//! The run of a method that owns its loop on the documents of a job. It refuses what only the harness's own loop could do:
//! to accumulate gradients, and to write models of steps between.

use std::cell::RefCell;
use std::collections::BTreeMap;

use candle_core::{Error, Result as CandleResult};
use harness_engine::Encoder;
use harness_host::{MethodInstance, Need, Role};
use harness_model::train::AnswerBatch;
use harness_model::{Decoder, Model};

use super::answer_memory::AnswerMemory;
use super::job::{StepRecord, UnlearnJob};
use super::own_loop::{BatchSource, LoopParts, OwnLoop, RememberedAnswers};
use super::role_data::RoleData;
use super::trainee::Trainee;
use crate::error::{BenchError, Result};

/// A model that a method trains in its own loop.
pub(super) struct OwnRun {
    trainee: Trainee,
    data: RoleData,
}

impl OwnRun {
    pub(super) fn new(
        job: &UnlearnJob,
        model: Model,
        needs: &dyn Fn(Need) -> bool,
    ) -> Result<Self> {
        let refused = [
            (
                job.training.sequential.is_some(),
                "--sequential",
                "it goes through the whole forget set, --steps or --epochs long",
            ),
            (
                job.training.gradient_accumulation > 1,
                "--gradient-accumulation",
                "take a larger --batch-size",
            ),
            (
                job.training.save_every.is_some(),
                "--save-every",
                "its weights mean something when it is done",
            ),
        ];
        if let Some((_, flag, way_out)) = refused.iter().find(|(is_set, _, _)| *is_set) {
            let message = format!("{flag} is not for a method that owns its loop: {way_out}");
            return Err(BenchError::Request(message));
        }
        let encoder = Encoder::new(model.tokenizer.clone(), model.spec.max_positions);
        let data = RoleData::new(job, &encoder, needs)?;
        let trainee = Trainee::new(model, &job.training, needs(Need::Reference))?;
        Ok(Self { trainee, data })
    }

    /// Trains; `report` hears of each finished step and says whether to go on, and its error ends the run. Returns the method's last messages.
    pub(super) fn train(
        self,
        job: &UnlearnJob,
        instance: &MethodInstance,
        report: impl FnMut(StepRecord, Vec<String>) -> CandleResult<bool>,
    ) -> Result<(Trainee, Vec<String>)> {
        let Self { trainee, data } = self;
        let costs = trainee.costs();
        let documents = Documents {
            trainee: &trainee,
            data,
            memory: AnswerMemory::new(costs[1].clone()),
            drawn: 0,
        };
        let freeze = |values: &_| trainee.frozen(values).map_err(Error::wrap);
        let run = OwnLoop::new(LoopParts {
            policy: trainee.decoder(),
            original: trainee.original(),
            variables: trainee.variables(),
            freeze: &freeze,
            batches: RefCell::new(Box::new(documents)),
            costs,
            options: &job.training,
            report: RefCell::new(Box::new(report)),
        });
        let trained = instance.train(&run)?;
        drop(run);
        let messages = trained.messages.into_iter().map(|(_, text)| text);
        Ok((trainee, messages.collect()))
    }
}

/// A job's documents, batch by batch.
struct Documents<'a> {
    trainee: &'a Trainee,
    data: RoleData,
    memory: AnswerMemory,
    drawn: usize,
}

impl BatchSource for Documents<'_> {
    fn draw(&mut self) -> CandleResult<BTreeMap<Role, AnswerBatch>> {
        self.data.advance().map_err(Error::wrap)?;
        self.trainee.begin_batch(self.drawn);
        self.drawn += 1;
        Ok(self.data.batches())
    }

    fn epoch(&self) -> f64 {
        self.data.epoch()
    }

    fn documents(&self, role: Role) -> Vec<usize> {
        self.data.documents(role).to_vec()
    }

    fn remembered(
        &self,
        original: &Decoder,
        role: Role,
    ) -> CandleResult<Option<RememberedAnswers>> {
        let (tokens, flops) = (self.memory.tokens(), self.memory.flops());
        let known = self.memory.token_logprobs(original, role, &self.data);
        let known = known.map_err(Error::wrap)?;
        Ok(known.map(|logprobs| RememberedAnswers {
            logprobs,
            tokens: self.memory.tokens() - tokens,
            flops: self.memory.flops() - flops,
        }))
    }
}
