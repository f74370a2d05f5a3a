//! Answers requests of every kind: continuations and rolling texts are scored, other texts generated. Answers are handed on as
//! soon as they are there.

use harness_model::train::TokenizedPair;
use harness_task::{Request, Response};
use sha2::{Digest, Sha256};

use crate::TokenScore;
use crate::encoded::{EncodedRequests, RequestTokens};
use crate::error::Result;
use crate::generate::{Generator, Prompt};
use crate::sampling::Sampling;
use crate::scorer::{PairScore, Progress, Scorer, answer_tokens};
use crate::stopping::Stopping;

/// What some work has brought.
#[derive(Clone, Debug)]
pub struct Step {
    /// Requests by their place in the list, with their answers.
    pub answered: Vec<(usize, Response)>,
    /// How far the whole list has come with them.
    pub progress: Progress,
}

/// Receives steps; an error ends the work.
pub type OnStep<'a> = dyn FnMut(Step) -> Result<()> + 'a;

/// What is to become of the scores of tokens.
#[derive(Clone, Copy)]
enum Wanted {
    Sum,
    RollingSum,
    /// The scores themselves.
    Tokens {
        ends_text: bool,
    },
}

/// A request to score that is not answered yet.
struct Scored {
    /// Its place in the list.
    request: usize,
    wanted: Wanted,
    pairs_left: usize,
    sum: PairScore,
}

impl Scored {
    fn add(&mut self, score: PairScore) {
        self.pairs_left -= 1;
        self.sum.logprob += score.logprob;
        self.sum.is_greedy &= score.is_greedy;
    }

    /// Once all pairs are scored; `last` are the tokens of the last one.
    fn response(&self, last: &[TokenScore]) -> Option<(usize, Response)> {
        let PairScore { logprob, is_greedy } = self.sum;
        let response = match self.wanted {
            Wanted::Sum => Response::Loglikelihood { logprob, is_greedy },
            Wanted::RollingSum => Response::LoglikelihoodRolling { logprob },
            Wanted::Tokens { ends_text } => Response::Answer(answer_tokens(last, ends_text)),
        };
        (self.pairs_left == 0).then_some((self.request, response))
    }
}

/// What some requests come to.
#[derive(Default)]
struct Work {
    scored: Vec<Scored>,
    /// Pairs to compute, with the places in `scored` of those they belong to.
    pairs: Vec<TokenizedPair>,
    owners: Vec<usize>,
    /// Whether tokens are also set against all others in their places.
    standardise: bool,
    prompts: Vec<Prompt>,
    /// The requests that prompts answer.
    generated: Vec<usize>,
    /// Requests that need no computing.
    answered: Vec<(usize, Response)>,
}

impl Scorer {
    /// Answers `requests` in their order.
    ///
    /// # Errors
    /// When a request cannot be tokenized or does not fit the model, the model gives no numbers, or `on_step` fails.
    pub fn answer(&mut self, requests: &[Request], on_step: &mut OnStep) -> Result<Vec<Response>> {
        let encoded = self.encoder.encode_requests(requests)?;
        self.answer_encoded(encoded, on_step)
    }

    /// Answers requests that are tokenized.
    ///
    /// # Errors
    /// As [`Self::answer`].
    pub fn answer_encoded(
        &mut self,
        encoded: EncodedRequests,
        on_step: &mut OnStep,
    ) -> Result<Vec<Response>> {
        let mut responses: Vec<Option<Response>> = vec![None; encoded.0.len()];
        self.work_off(encoded, &mut |step| {
            for (index, response) in &step.answered {
                responses[*index] = Some(response.clone());
            }
            on_step(step)
        })?;
        Ok(responses.into_iter().flatten().collect())
    }

    /// Hands on every answer once, in the order in which they come to be done.
    fn work_off(&mut self, encoded: EncodedRequests, on_step: &mut OnStep) -> Result<()> {
        let total = encoded.0.len();
        let mut work = self.work(encoded);
        let mut now = Progress {
            done: work.answered.len(),
            total,
            ..Progress::default()
        };
        if now.done > 0 {
            let answered = std::mem::take(&mut work.answered);
            on_step(Step {
                answered,
                progress: now,
            })?;
        }
        if !work.pairs.is_empty() {
            self.score_work(&mut work, &mut now, on_step)?;
        }
        if !work.prompts.is_empty() {
            self.generate_work(work, &mut now, on_step)?;
        }
        Ok(())
    }

    fn work(&mut self, encoded: EncodedRequests) -> Work {
        let mut work = Work::default();
        self.statistics.truncated += encoded.cut();
        for (request, encoded) in encoded.0.into_iter().enumerate() {
            match encoded.tokens {
                RequestTokens::Continuation(pair) => {
                    self.add_scored(request, vec![pair], Wanted::Sum, &mut work);
                }
                RequestTokens::Windows(windows) => {
                    self.add_scored(request, windows, Wanted::RollingSum, &mut work);
                }
                RequestTokens::Answer(pair, standardise) => {
                    let ends_text = self.encoder.ends_text(&pair);
                    work.standardise |= standardise;
                    self.add_scored(request, vec![pair], Wanted::Tokens { ends_text }, &mut work);
                }
                RequestTokens::Prompt(tokens, generation) => {
                    let number = encoded.number as u64;
                    let tokenizer = self.encoder.tokenizer();
                    work.prompts.push(Prompt {
                        tokens,
                        sampling: Sampling::new(&generation, self.sampling_seed, number),
                        stopping: Stopping::new(
                            &generation.until,
                            generation.max_tokens,
                            tokenizer,
                        ),
                        max_tokens: generation.max_tokens,
                    });
                    work.generated.push(request);
                }
            }
        }
        work
    }

    /// Adds a request; a sum that was taken before is not taken again.
    fn add_scored(
        &self,
        request: usize,
        pairs: Vec<TokenizedPair>,
        wanted: Wanted,
        work: &mut Work,
    ) {
        let mut scored = Scored {
            request,
            wanted,
            pairs_left: pairs.len(),
            sum: PairScore {
                logprob: 0.0,
                is_greedy: true,
            },
        };
        for pair in pairs {
            let known = match wanted {
                Wanted::Tokens { .. } => None,
                _ => self.known.get(&pair_key(&pair)),
            };
            if let Some(&score) = known {
                scored.add(score);
            } else {
                work.pairs.push(pair);
                work.owners.push(work.scored.len());
            }
        }
        match scored.response(&[]) {
            Some(answer) => work.answered.push(answer),
            None => work.scored.push(scored),
        }
    }

    fn score_work(
        &mut self,
        work: &mut Work,
        now: &mut Progress,
        on_step: &mut OnStep,
    ) -> Result<()> {
        let before = *now;
        let (pairs, owners) = (std::mem::take(&mut work.pairs), &work.owners);
        let scored = &mut work.scored;
        let mut known = std::mem::take(&mut self.known);
        self.score_each(&pairs, work.standardise, &mut |finished, pass| {
            let mut answered = Vec::new();
            for (pair, scores) in finished {
                let score = summed(&scores);
                known.insert(pair_key(&pairs[pair]), score);
                let scored = &mut scored[owners[pair]];
                scored.add(score);
                answered.extend(scored.response(&scores));
            }
            now.done += answered.len();
            now.tokens_asked = before.tokens_asked + pass.tokens_asked;
            now.tokens_computed = before.tokens_computed + pass.tokens_computed;
            now.work_done =
                pass.work_done * (pairs.len() as f64) / (pairs.len() + work.prompts.len()) as f64;
            on_step(Step {
                answered,
                progress: *now,
            })
        })?;
        self.known = known;
        Ok(())
    }

    fn generate_work(
        &mut self,
        work: Work,
        now: &mut Progress,
        on_step: &mut OnStep,
    ) -> Result<()> {
        let tokenizer = self.encoder.tokenizer();
        let generator = Generator::new(&self.decoder, tokenizer, self.limits);
        let statistics = &mut self.statistics;
        generator.run(work.prompts, &mut |finished, rows| {
            statistics.tokens_computed += rows;
            now.tokens_computed += rows;
            let mut answered = Vec::with_capacity(finished.len());
            for text in finished {
                let asked = text.prompt_tokens + text.tokens;
                statistics.tokens_asked += asked;
                now.tokens_asked += asked;
                let response = Response::GenerateUntil { text: text.text };
                answered.push((work.generated[text.number], response));
            }
            now.done += answered.len();
            now.work_done = now.done as f64 / now.total as f64;
            on_step(Step {
                answered,
                progress: *now,
            })
        })
    }
}

/// Log-probabilities summed in f64.
fn summed(scores: &[TokenScore]) -> PairScore {
    PairScore {
        logprob: scores.iter().map(|score| f64::from(score.logprob)).sum(),
        is_greedy: scores.iter().all(|score| score.is_argmax),
    }
}

fn pair_key(pair: &TokenizedPair) -> [u8; 32] {
    let mut key = Sha256::new();
    key.update(pair.prompt.len().to_le_bytes());
    for token in pair.prompt.iter().chain(&pair.answer) {
        key.update(token.to_le_bytes());
    }
    key.finalize().into()
}
