//! The options that say how documents become prompts: shots, seeds, conversations, settings of generation. Renders nothing.

use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use harness_model::Tokenizer;
use harness_report::Prompting;
use harness_task::{ChatTemplate, Generation, JinjaChatTemplate, RequestOptions, SpecialTokens};
use serde::Serialize;
use serde_json::{Map, Value};

use super::pairs::pairs;
use crate::exit::Refused;
use crate::options::truth;

#[derive(Args, Serialize)]
pub(crate) struct PromptOptions {
    /// Few-shot examples a document; the task's own number if absent
    #[arg(long, short = 'f', value_name = "N")]
    num_fewshot: Option<usize>,
    /// One seed, or python,numpy,torch,fewshot; the third draws generated texts, the last few-shot examples
    #[arg(long, value_name = "SEED", default_value = "0,1234,1234,1234")]
    seed: String,
    /// Settings of generation over those of the tasks: key=value pairs or JSON
    #[arg(long, value_name = "ARGS", num_args = 1..)]
    gen_kwargs: Vec<String>,
    /// Ask in the model's own form of conversation; of several, in the one called NAME [default: "default"]
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "true")]
    apply_chat_template: Option<String>,
    /// Text before every task's description; the system's message in a conversation
    #[arg(long, value_name = "TEXT")]
    system_instruction: Option<String>,
    /// In a conversation, few-shot examples as turns of their own [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", value_parser = truth)]
    fewshot_as_multiturn: Option<bool>,
}

impl PromptOptions {
    /// Looks at everything that needs no model.
    pub(crate) fn check(&self) -> Result<()> {
        self.fewshot_seed()?;
        // Also where no task generates, and nothing would come of it.
        Generation::from_kwargs(pairs("--gen-kwargs", &self.gen_kwargs)?)
            .map_err(|problem| Refused(format!("--gen-kwargs: {problem}")))?;
        if self.fewshot_as_multiturn == Some(true) && !self.in_conversation() {
            let problem = "--fewshot-as-multiturn goes with --apply-chat-template";
            return Err(Refused(problem.into()).into());
        }
        Ok(())
    }

    /// How every task's requests are made, but for the choice of documents; and the same for the record.
    pub(crate) fn request_options(
        &self,
        tokenizer: Option<&Tokenizer>,
        template_variables: &Map<String, Value>,
    ) -> Result<(RequestOptions, Prompting)> {
        let template = self.chat_template(tokenizer, template_variables)?;
        let prompting = Prompting {
            num_fewshot: self.num_fewshot,
            seeds: seeds(&self.seed)?,
            generation_kwargs: pairs("--gen-kwargs", &self.gen_kwargs)?,
            system_instruction: self.system_instruction.clone(),
            chat_template: template
                .as_ref()
                .map(|template| template.source().to_owned()),
            fewshot_as_multiturn: self.fewshot_as_multiturn.unwrap_or(true),
        };
        let options = RequestOptions {
            chat_template: template.map(|template| Arc::new(template) as Arc<dyn ChatTemplate>),
            ..self.plain_options()?
        };
        Ok((options, prompting))
    }

    /// The same without a model's template.
    pub(super) fn plain_options(&self) -> Result<RequestOptions> {
        Ok(RequestOptions {
            num_fewshot: self.num_fewshot,
            fewshot_seed: self.fewshot_seed()?,
            generation_kwargs: pairs("--gen-kwargs", &self.gen_kwargs)?,
            system_instruction: self.system_instruction.clone().unwrap_or_default(),
            fewshot_as_multiturn: self.fewshot_as_multiturn.unwrap_or(true),
            ..RequestOptions::default()
        })
    }

    fn in_conversation(&self) -> bool {
        self.template_name().is_some()
    }

    /// The name after `--apply-chat-template`; "default" where there is none.
    fn template_name(&self) -> Option<&str> {
        match self.apply_chat_template.as_deref()? {
            "False" | "false" => None,
            "True" | "true" => Some("default"),
            name => Some(name),
        }
    }

    fn chat_template(
        &self,
        tokenizer: Option<&Tokenizer>,
        variables: &Map<String, Value>,
    ) -> Result<Option<JinjaChatTemplate>> {
        let refused = |problem: String| Refused(format!("--apply-chat-template: {problem}"));
        let Some(name) = self.template_name() else {
            return Ok(None);
        };
        let Some(tokenizer) = tokenizer else {
            return Err(refused("the template is a model's: name one with --model".into()).into());
        };
        let names = || tokenizer.chat_template_names();
        let Some(source) = tokenizer.named_chat_template(name) else {
            let all = names().collect::<Vec<_>>().join(", ");
            let problem = if all.is_empty() {
                "this model's tokenizer has no chat template".to_owned()
            } else if self.apply_chat_template.as_deref() == Some(name) {
                let hint = harness_spelling::hint(name, names());
                format!("{name}: no chat template of this model{hint}; there are {all}")
            } else {
                format!("this model has no default chat template; name one of {all}")
            };
            return Err(refused(problem).into());
        };
        let mut context = special_tokens(tokenizer);
        context.extend(variables.clone());
        let compiled = JinjaChatTemplate::compile(source, context);
        Ok(Some(compiled.map_err(refused)?))
    }

    fn fewshot_seed(&self) -> Result<u64> {
        let unset = || {
            Refused(
                "--seed None: few-shot examples drawn without a seed could never be drawn again"
                    .into(),
            )
        };
        seeds(&self.seed)?[3].ok_or_else(|| unset().into())
    }
}

fn special_tokens(tokenizer: &Tokenizer) -> SpecialTokens {
    let named = [
        ("bos_token", tokenizer.bos()),
        ("eos_token", tokenizer.eos()),
        ("pad_token", tokenizer.pad()),
    ];
    let text =
        |(name, id): (&str, Option<u32>)| Some((name.to_owned(), tokenizer.token(id?)?.into()));
    named.into_iter().filter_map(text).collect()
}

/// One seed for all four, or three or four of them; "None" leaves one unset.
fn seeds(text: &str) -> Result<[Option<u64>; 4]> {
    let wrong = || {
        Refused(format!(
            "--seed {text}: one whole number, or python,numpy,torch,fewshot"
        ))
    };
    let parse = |part: &str| match part.trim() {
        none if none.eq_ignore_ascii_case("none") => Ok(None),
        number => number.parse().map(Some).map_err(|_| wrong()),
    };
    let parts = text
        .split(',')
        .map(parse)
        .collect::<Result<Vec<Option<u64>>, Refused>>()?;
    match parts.as_slice() {
        [all] => Ok([*all; 4]),
        [python, numpy, torch] => Ok([*python, *numpy, *torch, Some(1234)]),
        [python, numpy, torch, fewshot] => Ok([*python, *numpy, *torch, *fewshot]),
        _ => Err(wrong().into()),
    }
}
