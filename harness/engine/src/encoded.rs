//! Requests as token ids, all cores at work: what scoring and generation start from.

use harness_model::train::TokenizedPair;
use harness_task::{Generation, Request};
use rayon::prelude::*;

use crate::encode::Encoder;
use crate::error::{EngineError, Result};

/// Requests that are tokenized, in their order.
#[derive(Clone, Debug, Default)]
pub struct EncodedRequests(pub(crate) Vec<EncodedRequest>);

impl EncodedRequests {
    /// How many lost the beginning of their contexts, to fit the model.
    pub fn cut(&self) -> usize {
        self.0.iter().filter(|request| request.is_cut).count()
    }

    /// Says which places in the run's list these requests have, where they are only some of it.
    pub(crate) fn at_places(mut self, places: &[usize]) -> Self {
        for (request, &place) in self.0.iter_mut().zip(places) {
            request.number = place;
        }
        self
    }
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct EncodedRequest {
    /// Its place in the run's list, which draws depend on.
    pub(crate) number: usize,
    pub(crate) tokens: RequestTokens,
    /// Whether the beginning of the context was cut off to fit the model.
    pub(crate) is_cut: bool,
}

/// What is to be done for a request.
#[derive(Clone, Debug)]
pub(crate) enum RequestTokens {
    /// Score the answer after the prompt.
    Continuation(TokenizedPair),
    /// Score every window; there may be none.
    Windows(Vec<TokenizedPair>),
    /// Score each token of the answer after the prompt, and where asked for set it against all others.
    Answer(TokenizedPair, bool),
    /// Generate after the prompt, at least one token long.
    Prompt(Vec<u32>, Box<Generation>),
}

impl Encoder {
    /// Tokenizes requests, each cut from the left to fit the model.
    ///
    /// # Errors
    /// For the first request that cannot be tokenized or does not fit ([`EngineError::InRequest`]).
    pub fn encode_requests(&self, requests: &[Request]) -> Result<EncodedRequests> {
        let encoded = requests.par_iter().enumerate();
        let encoded: Vec<Result<EncodedRequest>> = encoded
            .map(|(number, request)| {
                let encoded = self.encode_request(number, request);
                encoded.map_err(|source| EngineError::InRequest {
                    index: number,
                    source: Box::new(source),
                })
            })
            .collect();
        encoded
            .into_iter()
            .collect::<Result<_>>()
            .map(EncodedRequests)
    }

    fn encode_request(&self, number: usize, request: &Request) -> Result<EncodedRequest> {
        let (tokens, is_cut) = match request {
            Request::Loglikelihood {
                context,
                continuation,
            } => {
                let pair = self.pair(context, continuation)?;
                let (pair, is_cut) = self.cut(pair, continuation)?;
                (RequestTokens::Continuation(pair), is_cut)
            }
            Request::LoglikelihoodRolling { text } => {
                let windows = self.windows(text)?;
                (RequestTokens::Windows(windows), false)
            }
            Request::GenerateUntil {
                context,
                generation,
            } => {
                let (tokens, is_cut) = self.prompt(context, generation.max_tokens)?;
                let generation = Box::new(generation.clone());
                (RequestTokens::Prompt(tokens, generation), is_cut)
            }
            Request::Answer {
                prompt,
                answer,
                standardise,
            } => {
                let (pair, is_cut) = self.ended_pair(prompt, answer)?;
                (RequestTokens::Answer(pair, *standardise), is_cut)
            }
            other => return Err(EngineError::UnsupportedRequest(format!("{other:?}"))),
        };
        Ok(EncodedRequest {
            number,
            tokens,
            is_cut,
        })
    }
}
