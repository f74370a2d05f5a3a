//! Answers requests of every kind, in their order: continuations and rolling texts are scored, other texts generated.

use harness_model::train::TokenizedPair;
use harness_task::{Generation, Request, Response};

use crate::TokenScore;
use crate::error::{EngineError, Result};
use crate::generate::{Generated, Generator, Prompt};
use crate::rolling::windows;
use crate::sampling::Sampling;
use crate::scorer::{Progress, Scorer};
use crate::stopping::Stopping;

/// What some requests come to, by their places in the list.
#[derive(Default)]
struct Work {
    /// Pairs to score, one after the other.
    pairs: Vec<TokenizedPair>,
    /// The requests that pairs answer, with the number of pairs of each.
    scored: Vec<(usize, usize)>,
    prompts: Vec<Prompt>,
    /// The requests that prompts answer.
    generated: Vec<usize>,
}

impl Scorer {
    /// Answers `requests` in their order.
    ///
    /// # Errors
    /// When a request cannot be tokenized or does not fit the model, or the model gives no numbers.
    pub fn answer(
        &mut self,
        requests: &[Request],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Response>> {
        let streams: Vec<usize> = (0..requests.len()).collect();
        self.answer_in_streams(requests, &streams, progress)
    }

    /// As [`Scorer::answer`], each request drawing from the random stream of its number.
    pub(crate) fn answer_in_streams(
        &mut self,
        requests: &[Request],
        streams: &[usize],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Response>> {
        let work = self.work(requests, streams)?;
        let total = requests.len();
        let mut responses: Vec<Option<Response>> = vec![None; total];
        let (pairs, scored) = (work.pairs.len(), work.scored.len());
        let mut scores = self
            .score_pairs(&work.pairs, &mut |done| {
                // Long texts are several pairs.
                let done_requests = done.done * scored / pairs.max(1);
                progress(Progress {
                    done: done_requests,
                    total,
                    ..done
                });
            })?
            .into_iter();
        for (index, count) in work.scored {
            let own: Vec<Vec<TokenScore>> = scores.by_ref().take(count).collect();
            responses[index] = Some(scored_response(&requests[index], &own.concat()));
        }
        let computed = self.statistics.tokens_computed;
        let asked: usize = work.prompts.iter().map(|prompt| prompt.tokens.len()).sum();
        let tokenizer = self.encoder.tokenizer();
        let generator = Generator::new(&self.decoder, tokenizer, self.batch_sequences);
        let mut last = Generated::default();
        let texts = generator.run(work.prompts, &mut |generated| {
            last = generated;
            progress(Progress {
                done: scored + generated.texts,
                total,
                tokens_computed: computed + generated.rows,
            });
        })?;
        self.statistics.tokens_computed += last.rows;
        self.statistics.tokens_asked += asked + last.tokens;
        for (index, text) in work.generated.into_iter().zip(texts) {
            responses[index] = Some(Response::GenerateUntil { text });
        }
        Ok(responses.into_iter().flatten().collect())
    }

    fn work(&mut self, requests: &[Request], streams: &[usize]) -> Result<Work> {
        let mut work = Work::default();
        for (index, (request, &stream)) in requests.iter().zip(streams).enumerate() {
            self.add(request, (index, stream), &mut work)
                .map_err(|source| EngineError::InRequest {
                    index,
                    source: Box::new(source),
                })?;
        }
        Ok(work)
    }

    fn add(
        &mut self,
        request: &Request,
        (index, stream): (usize, usize),
        work: &mut Work,
    ) -> Result<()> {
        let before = work.pairs.len();
        match request {
            Request::Loglikelihood {
                context,
                continuation,
            } => {
                let pair = self.encoder.pair(context, continuation)?;
                let (pair, is_cut) = self.encoder.cut(pair, continuation)?;
                self.statistics.truncated += usize::from(is_cut);
                work.pairs.push(pair);
            }
            Request::LoglikelihoodRolling { text } => {
                let tokenizer = self.encoder.tokenizer();
                let prefix = tokenizer.prefix().ok_or(EngineError::NoPrefixToken)?;
                let tokens = tokenizer.encode(text)?;
                let windows = windows(&tokens, prefix, self.encoder.max_length());
                work.pairs.extend(windows);
            }
            Request::GenerateUntil {
                context,
                generation,
            } => {
                let prompt = self.prompt(context, generation, stream)?;
                work.prompts.push(prompt);
                work.generated.push(index);
                return Ok(());
            }
            other => return Err(EngineError::UnsupportedRequest(format!("{other:?}"))),
        }
        work.scored.push((index, work.pairs.len() - before));
        Ok(())
    }

    /// The prompt, cut from the left so that what may be generated fits the model.
    fn prompt(&mut self, context: &str, generation: &Generation, stream: usize) -> Result<Prompt> {
        let tokenizer = self.encoder.tokenizer();
        let (max_tokens, max_length) = (generation.max_tokens, self.encoder.max_length());
        let room = max_length.saturating_sub(max_tokens);
        if room == 0 {
            return Err(EngineError::NoRoomForPrompt {
                max_tokens,
                max_length,
            });
        }
        let mut tokens = tokenizer.encode(context)?;
        if tokens.is_empty() {
            tokens.push(tokenizer.prefix().ok_or(EngineError::NoPrefixToken)?);
        }
        let excess = tokens.len().saturating_sub(room);
        tokens.drain(..excess);
        self.statistics.truncated += usize::from(excess > 0);
        Ok(Prompt {
            tokens,
            sampling: Sampling::new(generation, self.sampling_seed, stream as u64),
            stopping: Stopping::new(&generation.until, max_tokens, tokenizer),
            max_tokens,
        })
    }
}

/// Log-probabilities summed in f64.
fn scored_response(request: &Request, scores: &[TokenScore]) -> Response {
    let logprob = scores.iter().map(|score| f64::from(score.logprob)).sum();
    match request {
        Request::LoglikelihoodRolling { .. } => Response::LoglikelihoodRolling { logprob },
        _ => Response::Loglikelihood {
            logprob,
            is_greedy: scores.iter().all(|score| score.is_argmax),
        },
    }
}
