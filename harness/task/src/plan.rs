//! From a document to its requests: prompt, examples, choices and settings put together as the output type wants them.
//! Draws no examples itself and asks no model.

use crate::fewshot::Examples;
use crate::field::{Question, Row};
use crate::prompt::{Exchange, Message, Renderer, system_message};
use crate::spec::{AnswerNeeds, Generation, TargetNeed};
use crate::template::is_space;
use crate::{Metric, MetricFunction, OutputType, Request, RequestOptions, Task, TaskError};

/// A task with the options of one run.
pub(crate) struct Plan<'a> {
    task: &'a Task,
    renderer: Renderer<'a>,
    system_instruction: &'a str,
    /// Between prompt and choice.
    choice_delimiter: &'a str,
    /// Present where text is generated.
    generation: Option<Generation>,
}

/// What comes before the question, and before the answer.
struct Setting<'a> {
    before: Vec<Message>,
    gen_prefix: &'a str,
}

impl<'a> Plan<'a> {
    pub(crate) fn new(task: &'a Task, options: &'a RequestOptions) -> Result<Self, TaskError> {
        let spec = &task.spec;
        // A template separates question and answer itself, unless the answer has begun.
        let open = spec
            .gen_prefix
            .as_ref()
            .is_some_and(|prefix| !prefix.is_empty() && !prefix.ends_with(is_space));
        let separated = options.chat_template.is_some() && !open;
        let generation = match (&spec.generation_kwargs, spec.output_type) {
            (Some(kwargs), OutputType::GenerateUntil | OutputType::Answer) => {
                let mut kwargs = kwargs.clone();
                kwargs.extend(options.generation_kwargs.clone());
                Some(Generation::from_kwargs(kwargs).map_err(|message| task.error(message))?)
            }
            _ => None,
        };
        Ok(Self {
            task,
            renderer: Renderer {
                template: options.chat_template.as_deref(),
                multiturn: options.fewshot_as_multiturn,
            },
            system_instruction: &options.system_instruction,
            choice_delimiter: if separated {
                ""
            } else {
                &spec.target_delimiter
            },
            generation,
        })
    }

    /// The requests of a document, each once.
    pub(crate) fn requests(
        &self,
        row: &Row<'_>,
        examples: &mut Examples<'_>,
    ) -> Result<Vec<Request>, TaskError> {
        let turn = &self.task.turn;
        if self.task.spec.output_type == OutputType::LoglikelihoodRolling {
            let text = turn.answer_text(row)?;
            return Ok(vec![Request::LoglikelihoodRolling { text }]);
        }
        let spec = &self.task.spec;
        let description = self.task.description.text(row)?;
        let system = system_message(
            self.system_instruction,
            &description,
            &spec.fewshot_delimiter,
        );
        let mut before: Vec<Message> = system.into_iter().collect();
        before.extend(examples.messages_for(row.document)?);
        let gen_prefix = turn.gen_prefix(row)?;
        let setting = Setting {
            before,
            gen_prefix: &gen_prefix,
        };
        match (spec.output_type, turn.question(row)?) {
            (OutputType::MultipleChoice, question) => self.choice_requests(row, &setting, question),
            (_, Question::Choice(_)) => Err(row.error(
                "doc_to_text gave a choice index, which needs output_type multiple_choice"
                    .to_owned(),
            )),
            (_, Question::Text(question)) => {
                let context = self.prompt(row, &setting, question, &spec.target_delimiter)?;
                if spec.output_type == OutputType::Answer {
                    return self.answer_requests(row, &context);
                }
                self.single_request(row, context)
                    .map(|request| vec![request])
            }
        }
    }

    fn single_request(&self, row: &Row<'_>, context: String) -> Result<Request, TaskError> {
        match &self.generation {
            Some(generation) => Ok(Request::GenerateUntil {
                context,
                generation: generation.clone(),
            }),
            None => Ok(Request::Loglikelihood {
                context,
                continuation: self.task.turn.answer_text(row)?,
            }),
        }
    }

    /// What the metrics need, in the order in which `score` expects it: the target, the paraphrased answer, the wrong ones, a text.
    fn answer_requests(&self, row: &Row<'_>, prompt: &str) -> Result<Vec<Request>, TaskError> {
        let needs = AnswerNeeds::of(&self.task.spec);
        let ask = |answer: String, standardise: bool| Request::Answer {
            prompt: prompt.to_owned(),
            answer: format!("{}{answer}", self.choice_delimiter),
            standardise,
        };
        let mut requests = Vec::new();
        if needs.target > TargetNeed::Nothing {
            let target = self.task.turn.answer_text(row)?;
            requests.push(ask(target, needs.target == TargetNeed::Standardised));
        }
        if needs.paraphrase {
            requests.push(ask(self.task.rivals.paraphrase(row)?, false));
        }
        if needs.wrong {
            let wrong = self.task.rivals.wrong(row)?;
            requests.extend(wrong.into_iter().map(|answer| ask(answer, false)));
        }
        if let (true, Some(generation)) = (needs.text, &self.generation) {
            requests.push(Request::GenerateUntil {
                context: prompt.to_owned(),
                generation: generation.clone(),
            });
        }
        Ok(requests)
    }

    fn choice_requests(
        &self,
        row: &Row<'_>,
        setting: &Setting<'_>,
        question: Question,
    ) -> Result<Vec<Request>, TaskError> {
        let choices = self.task.turn.choices(row)?;
        let delimited = |text: &str| format!("{}{text}", self.choice_delimiter);
        let ask = |context: String, continuation: String| Request::Loglikelihood {
            context,
            continuation,
        };
        let mut requests: Vec<Request> = match question {
            Question::Text(question) => {
                let delimiter = &self.task.spec.target_delimiter;
                let context = self.prompt(row, setting, question, delimiter)?;
                choices
                    .iter()
                    .map(|choice| ask(context.clone(), delimited(choice)))
                    .collect()
            }
            Question::Choice(_) => {
                let continuation = delimited(&self.task.turn.answer_text(row)?);
                choices
                    .iter()
                    .map(|choice| {
                        // Nothing goes between such a question and the start of the answer, as upstream.
                        let context = self.prompt(row, setting, choice.clone(), "")?;
                        Ok(ask(context, continuation.clone()))
                    })
                    .collect::<Result<_, TaskError>>()?
            }
        };
        if self.needs_unconditional() {
            requests.extend(
                choices
                    .iter()
                    .map(|choice| ask(String::new(), delimited(choice))),
            );
        }
        Ok(requests)
    }

    fn needs_unconditional(&self) -> bool {
        let metrics = &self.task.spec.metric_list;
        let unconditional = MetricFunction::Known(Metric::AccMutualInfo);
        metrics.iter().any(|metric| {
            metric.function == unconditional
                || (metric.function == MetricFunction::ProcessResults
                    && metric.name == Metric::AccMutualInfo.name())
        })
    }

    fn prompt(
        &self,
        row: &Row<'_>,
        setting: &Setting<'_>,
        question: String,
        target_delimiter: &str,
    ) -> Result<String, TaskError> {
        let mut messages = setting.before.clone();
        let exchange = Exchange {
            question,
            answer: None,
            gen_prefix: setting.gen_prefix,
            target_delimiter,
            fewshot_delimiter: "",
        };
        messages.extend(exchange.messages());
        self.renderer
            .prompt(&messages, !setting.gen_prefix.is_empty())
            .map_err(|message| row.error(message))
    }
}
