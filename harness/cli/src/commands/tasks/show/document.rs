//! One document with everything that a model is asked about it, token by token where there is a tokenizer. Draws nothing.

use std::path::Path;

use anyhow::Result;
use harness_engine::Encoder;
use harness_model::train::TokenizedPair;
use harness_model::{Model, Tokenizer};
use harness_task::{DocumentRequests, Limit, OutputType, Request, RequestOptions, Task};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::exit::Refused;
use crate::model_source::ModelSource;
use crate::progress::Terminal;

/// A document as a model sees it.
#[derive(Serialize)]
pub(super) struct ShownDocument {
    pub(super) task: String,
    pub(super) output_type: OutputType,
    pub(super) split: String,
    /// Row number in the split, from 0.
    pub(super) doc_id: usize,
    /// Rows that the split has.
    pub(super) documents: usize,
    pub(super) num_fewshot: usize,
    pub(super) repeats: usize,
    pub(super) document: Map<String, Value>,
    /// What `doc_to_target` gave.
    pub(super) target: Value,
    /// Each once.
    pub(super) requests: Vec<AskedRequest>,
}

#[derive(Serialize)]
pub(super) struct AskedRequest {
    #[serde(flatten)]
    pub(super) request: Request,
    /// Absent where there is no tokenizer. A text that is longer than the model's context has several windows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tokens: Option<Tokens>,
}

#[derive(Serialize)]
pub(super) struct Tokens {
    /// Whether the context lost its beginning, to fit the model.
    pub(super) truncated: bool,
    pub(super) windows: Vec<Window>,
}

/// Tokens on both sides of the place where scoring, or generation, starts.
#[derive(Serialize)]
pub(super) struct Window {
    pub(super) context: Vec<Token>,
    pub(super) scored: Vec<Token>,
}

#[derive(Serialize)]
pub(super) struct Token {
    id: u32,
    pub(super) text: String,
}

impl ShownDocument {
    /// Few-shot examples are drawn for every document from the first, so they are those of a run.
    pub(super) fn of(
        task: &Task,
        doc_id: usize,
        options: &RequestOptions,
        reader: Option<&Reader>,
    ) -> Result<Self> {
        let (spec, documents) = (task.spec(), task.documents().len());
        if doc_id >= documents {
            let name = &spec.task;
            let message =
                format!("{name} has no document {doc_id}: there are {documents}, counted from 0");
            return Err(Refused(message).into());
        }
        let up_to_it = RequestOptions {
            limit: Some(Limit::Count(doc_id + 1)),
            ..options.clone()
        };
        let DocumentRequests {
            document,
            target,
            requests,
            ..
        } = task.requests(&up_to_it)?.swap_remove(doc_id);
        let asked = requests.into_iter().step_by(spec.repeats).map(|request| {
            Ok(AskedRequest {
                tokens: reader.map(|reader| reader.tokens(&request)).transpose()?,
                request,
            })
        });
        Ok(Self {
            task: spec.task.clone(),
            output_type: spec.output_type,
            split: spec.evaluated_split().unwrap_or_default().to_owned(),
            doc_id,
            documents,
            num_fewshot: spec.effective_num_fewshot(options.num_fewshot),
            repeats: spec.repeats,
            document,
            target,
            requests: asked.collect::<Result<_>>()?,
        })
    }
}

/// Reads texts as a model does.
pub(super) struct Reader {
    encoder: Encoder,
}

impl Reader {
    /// Of a model, or of a tokenizer alone, which knows no longest input.
    pub(super) fn open(model: Option<&Path>, tokenizer: Option<&Path>) -> Result<Option<Self>> {
        let encoder = match (model, tokenizer) {
            (Some(model), _) => {
                let place = ModelSource::new(model).locate(&mut Terminal::default())?;
                let model = Model::describe(&place)?;
                Encoder::new(model.tokenizer, model.spec.max_positions)
            }
            (None, Some(folder)) => Encoder::new(Tokenizer::read(folder)?, usize::MAX),
            (None, None) => return Ok(None),
        };
        Ok(Some(Self { encoder }))
    }

    pub(super) fn tokenizer(&self) -> &Tokenizer {
        self.encoder.tokenizer()
    }

    fn tokens(&self, request: &Request) -> Result<Tokens> {
        let (pairs, truncated) = match request {
            Request::Loglikelihood {
                context,
                continuation,
            } => {
                let pair = self.encoder.pair(context, continuation)?;
                let (pair, is_cut) = self.encoder.cut(pair, continuation)?;
                (vec![pair], is_cut)
            }
            Request::LoglikelihoodRolling { text } => (self.encoder.windows(text)?, false),
            Request::GenerateUntil {
                context,
                generation,
            } => {
                let (prompt, is_cut) = self.encoder.prompt(context, generation.max_tokens)?;
                let answer = Vec::new();
                (vec![TokenizedPair { prompt, answer }], is_cut)
            }
            Request::Answer { prompt, answer, .. } => {
                let (pair, is_cut) = self.encoder.ended_pair(prompt, answer)?;
                (vec![pair], is_cut)
            }
            other => return Err(Refused(format!("no tokens are known of {other:?}")).into()),
        };
        let windows = pairs.into_iter().map(|pair| self.window(&pair)).collect();
        Ok(Tokens { truncated, windows })
    }

    fn window(&self, pair: &TokenizedPair) -> Window {
        let ids = [pair.prompt.as_slice(), &pair.answer].concat();
        let text = |(place, &id): (usize, &u32)| Token {
            id,
            text: self.text(place.checked_sub(1).map(|before| ids[before]), id),
        };
        let mut context: Vec<Token> = ids.iter().enumerate().map(text).collect();
        let scored = context.split_off(pair.prompt.len());
        Window { context, scored }
    }

    /// What a token adds to the text of the one before it; a part of a character is shown as in the vocabulary.
    fn text(&self, before: Option<u32>, id: u32) -> String {
        let tokenizer = self.tokenizer();
        let decoded = |ids: &[u32]| tokenizer.decode(ids, false).unwrap_or_default();
        let added = match before {
            None => Some(decoded(&[id])),
            Some(before) => decoded(&[before, id])
                .strip_prefix(&decoded(&[before]))
                .map(str::to_owned),
        };
        added
            .filter(|text| !text.is_empty() && !text.contains(char::REPLACEMENT_CHARACTER))
            .or_else(|| tokenizer.token(id))
            .unwrap_or_default()
    }
}
