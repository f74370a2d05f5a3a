//! Metrics of answers: memorisation and membership from tokens, truth ratios from rival answers, and the likeness of what the
//! model writes; refuses results that are not those of the requests.

use harness_metric::{
    MetricError, Rouge, RougeTokenizer, answer_share, distinct_share, is_refusal,
    loss_per_compressed_byte, repetition_rate, rouge, truth_ratio,
};
use serde::Deserialize as _;
use serde_json::{Value, json};

use super::DocumentScore;
use super::values::misshapen;
use crate::field::Row;
use crate::spec::{AnswerNeeds, AnswerOptions, TargetNeed};
use crate::{AnswerTokens, DocumentRequests, Metric, Task, TaskError};

/// What the model said of a document.
struct Answers {
    /// Each list is empty unless a metric needs it.
    target: Vec<AnswerTokens>,
    paraphrase: Vec<AnswerTokens>,
    wrong: Vec<AnswerTokens>,
    /// What it wrote.
    text: String,
    /// What it should have.
    gold: String,
}

impl Task {
    pub(super) fn answer_scores(
        &self,
        row: &Row<'_>,
        document: &DocumentRequests,
        results: &[Value],
    ) -> Result<Vec<DocumentScore>, TaskError> {
        let answers = self.answers(row, results)?;
        self.each_metric_with(document.doc_id, |metric, spec| {
            // The options were read with the task; only a made-up one could fail here.
            let options =
                AnswerOptions::read(metric, &spec.options).map_err(|message| row.error(message))?;
            Ok(answers.value(metric, &options))
        })
    }

    fn answers(&self, row: &Row<'_>, results: &[Value]) -> Result<Answers, TaskError> {
        let needs = AnswerNeeds::of(&self.spec);
        let texts = usize::from(needs.text);
        let (tokens, texts) = results.split_at(results.len().saturating_sub(texts));
        let tokens = tokens.iter().map(|result| {
            let tokens = AnswerTokens::deserialize(result);
            tokens.map_err(|_| misshapen(row, result, "the tokens of an answer"))
        });
        let mut tokens = tokens.collect::<Result<Vec<_>, _>>()?.into_iter();
        let text = match texts.first() {
            None => "",
            Some(text) => text.as_str().ok_or_else(|| misshapen(row, text, "text"))?,
        };
        Ok(Answers {
            target: tokens
                .by_ref()
                .take(usize::from(needs.target > TargetNeed::Nothing))
                .collect(),
            paraphrase: (tokens.by_ref().take(usize::from(needs.paraphrase))).collect(),
            wrong: tokens.collect(),
            text: text.to_owned(),
            gold: self.turn.answer_text(row)?.trim().to_owned(),
        })
    }
}

impl Answers {
    fn value(&self, metric: Metric, options: &AnswerOptions) -> Result<Value, MetricError> {
        let end = options.end_of_text;
        let number = match metric {
            Metric::Probability => first(&self.target)?.probability(end)?,
            Metric::Loss => first(&self.target)?.loss(end)?,
            Metric::ExtractionStrength => {
                first(&self.target)?.extraction_strength(end, options.one_token_floor)?
            }
            Metric::ExactMemorisation => first(&self.target)?.exact_memorisation(end)?,
            Metric::MinK => first(&self.target)?.min_k(end, options.share)?,
            Metric::MinKPlusPlus => first(&self.target)?.min_k_plus_plus(end, options.share)?,
            Metric::Zlib => loss_per_compressed_byte(first(&self.target)?.loss(end)?, &self.gold)?,
            Metric::TruthRatio => self.truth_ratio(end)?,
            Metric::ProbabilityWithOptions => {
                let wrong = self.wrong.iter().map(|wrong| wrong.probability(end));
                let wrong = wrong.collect::<Result<Vec<f64>, _>>()?;
                answer_share(first(&self.target)?.probability(end)?, &wrong)?
            }
            Metric::Rouge1Recall => self.rouge(Rouge::Ngram(1), options).recall,
            Metric::RougeLRecall => self.rouge(Rouge::L, options).recall,
            Metric::RougeLF1 | Metric::VerbatimMemorisation => {
                self.rouge(Rouge::L, options).f_measure
            }
            Metric::RefusalRate => f64::from(u8::from(is_refusal(&self.text))),
            Metric::DistinctN => distinct_share(&self.text, options.order),
            Metric::RepetitionRate => repetition_rate(&self.text, options.order),
            _ => return Ok(Value::Null),
        };
        Ok(json!(number))
    }

    /// Without a paraphrase, the target stands for it, as in TOFU's real authors and world facts.
    fn truth_ratio(&self, end_of_text: bool) -> Result<f64, MetricError> {
        let right = self.paraphrase.first().or(self.target.first());
        let wrong = self.wrong.iter().map(|wrong| wrong.loss(end_of_text));
        let wrong: Vec<f64> = wrong
            .map(|loss| loss.map(|loss| -loss))
            .collect::<Result<_, _>>()?;
        let right = first(right.map(std::slice::from_ref).unwrap_or_default())?;
        truth_ratio(-right.loss(end_of_text)?, &wrong)
    }

    fn rouge(&self, variant: Rouge, options: &AnswerOptions) -> harness_metric::RougeScore {
        let tokenizer = if options.stems {
            RougeTokenizer::Stemmed
        } else {
            RougeTokenizer::Plain
        };
        rouge(variant, tokenizer, &self.gold, &self.text)
    }
}

fn first(answers: &[AnswerTokens]) -> Result<&AnswerTokens, MetricError> {
    answers.first().ok_or(MetricError::Empty {
        metric: "answer",
        unit: "scored answer",
    })
}
