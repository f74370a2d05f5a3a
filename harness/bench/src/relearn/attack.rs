//! One attack on one model: training, with questions on the way that are never trained on. Judges nothing.

use std::collections::BTreeMap;
use std::time::Instant;

use harness_engine::Scorer;
use harness_model::{Decoder, DecoderSpec, Tokenizer, Weights};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::attacker::{Attacker, EvaluationGrid};
use super::materials::QuestionKind;
use crate::answers::{AnswerKnowledge, AnswerSet};
use crate::error::Result;
use crate::event::{Event, Observer};
use crate::finetune::FineTuner;

/// What an attacker has spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AttackSpend {
    /// Optimiser steps.
    pub steps: usize,
    /// Documents trained on, repetitions counted.
    pub samples: usize,
    /// Tokens trained on.
    pub tokens: usize,
    /// Floating-point operations of training.
    pub flops: f64,
    /// Wall time of training: the one number here that differs from run to run.
    pub seconds: f64,
}

/// What a model under attack knows at some point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// What the attack took so far.
    #[serde(flatten)]
    pub spend: AttackSpend,
    /// What the model knows, by kind of question.
    pub knowledge: BTreeMap<QuestionKind, AnswerKnowledge>,
}

/// An attack from its first step to its last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttackCurve {
    /// From before the first step on.
    pub evaluations: Vec<Evaluation>,
    /// Loss of each step's batch before its update, in nats a token.
    pub losses: Vec<f64>,
}

/// A model in memory, to be asked and attacked.
pub(super) struct Target<'a> {
    pub(super) spec: &'a DecoderSpec,
    pub(super) tokenizer: &'a Tokenizer,
    /// Tokenized questions by kind.
    pub(super) questions: &'a BTreeMap<QuestionKind, AnswerSet>,
}

/// What is asked on the way, when, and when enough has been seen.
pub(super) struct Inquiry<'a> {
    pub(super) kinds: &'a [QuestionKind],
    pub(super) grid: EvaluationGrid,
    /// Ends the attack before its last step.
    pub(super) is_enough: &'a dyn Fn(&[Evaluation]) -> bool,
}

impl Target<'_> {
    /// Asks a model of this architecture the questions of some kinds.
    pub(super) fn ask(
        &self,
        weights: &Weights,
        kinds: &[QuestionKind],
    ) -> Result<BTreeMap<QuestionKind, AnswerKnowledge>> {
        let decoder = Decoder::new(self.spec.clone(), weights)?;
        let mut scorer = Scorer::new(decoder, self.tokenizer.clone());
        let mut known = BTreeMap::new();
        for (&kind, set) in self.questions {
            if kinds.contains(&kind) {
                known.insert(kind, set.knowledge(&mut scorer, &mut |_| {})?);
            }
        }
        Ok(known)
    }

    /// Trains a copy of `weights` on `data` and asks on the way.
    pub(super) fn attack(
        &self,
        weights: &Weights,
        data: &AnswerSet,
        attacker: &Attacker,
        inquiry: &Inquiry,
        observer: &mut Observer,
    ) -> Result<AttackCurve> {
        let Inquiry {
            kinds,
            grid,
            is_enough,
        } = *inquiry;
        let tuning = &attacker.tuning;
        let mut tuner = FineTuner::new(self.spec, weights, data, tuning)?;
        let mut spend = AttackSpend::default();
        let mut evaluations = vec![Evaluation {
            spend,
            knowledge: self.ask(weights, kinds)?,
        }];
        let mut losses = Vec::with_capacity(tuning.steps);
        for done in 1..=tuning.steps {
            let start = Instant::now();
            let step = tuner.step()?;
            losses.push(step.loss);
            spend.steps = done;
            spend.samples += tuning.batch_size;
            spend.tokens += step.tokens;
            spend.flops += step.flops;
            spend.seconds += start.elapsed().as_secs_f64();
            if grid.includes(done, tuning.steps) {
                let knowledge = self.ask(&tuner.weights()?, kinds)?;
                evaluations.push(Evaluation { spend, knowledge });
            }
            observer(Event::StageAdvanced {
                done,
                work_done: None,
                remark: remark(&evaluations),
            });
            if is_enough(&evaluations) {
                break;
            }
        }
        Ok(AttackCurve {
            evaluations,
            losses,
        })
    }
}

fn remark(evaluations: &[Evaluation]) -> String {
    let last = evaluations.last();
    let losses = last.into_iter().flat_map(|last| last.knowledge.values());
    let losses: Vec<String> = losses.map(|known| format!("{:.3}", known.loss)).collect();
    format!("loss on questions {}", losses.join(", "))
}
