//! `harness model`: what is known about a model without computing anything with it.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, Subcommand};
use harness_model::{Model, ModelDescription, Tokenizer};
use harness_report::{Align, Table};
use serde::Serialize;

use crate::model_source::ModelSource;
use crate::progress::Terminal;

/// Look at models
#[derive(Args)]
pub(crate) struct ModelCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Show family, size, tokenizer and the memory that scoring and training take
    Show {
        /// Model directory, GGUF file or hub id
        #[arg(value_name = "DIR|GGUF|ORG/NAME")]
        model: PathBuf,
        /// Print JSON instead of a table
        #[arg(long)]
        json: bool,
    },
}

/// Weights are computed in f32.
const F32_BYTES: usize = 4;
/// The batch that the estimate of training's memory is made for.
const SEQUENCES: usize = 4;
const SEQUENCE_TOKENS: usize = 128;
/// Tokens that scoring computes at a time.
const SCORED_TOKENS: usize = 1024;

impl ModelCommand {
    pub(crate) fn run(self) -> Result<()> {
        let Action::Show { model, json } = self.action;
        let path = ModelSource::new(&model).locate(&mut Terminal::default())?;
        let facts = Facts::of(&model, &Model::describe(&path)?)?;
        let text = if json {
            serde_json::to_string_pretty(&facts)? + "\n"
        } else {
            facts.table().plain()
        };
        // Not `print!`, which panics where the reader has gone.
        Ok(std::io::stdout().write_all(text.as_bytes())?)
    }
}

/// All that is shown; the names are those of the JSON.
#[derive(Serialize)]
struct Facts {
    model: PathBuf,
    family: String,
    parameters: usize,
    files: usize,
    bytes_on_disk: u64,
    stored_types: std::collections::BTreeMap<String, usize>,
    layers: usize,
    width: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    vocabulary: usize,
    context_tokens: usize,
    tied_head: bool,
    tokenizer: TokenizerFacts,
    memory: MemoryEstimate,
}

#[derive(Serialize)]
struct TokenizerFacts {
    bos: Option<Token>,
    eos: Option<Token>,
    pad: Option<Token>,
    ends_of_text: Vec<Token>,
    added_before: Vec<Token>,
    added_after: Vec<Token>,
    chat_template: bool,
}

#[derive(Serialize)]
struct Token {
    id: u32,
    text: String,
}

/// Bytes, f32 with AdamW; activations are estimated. Training holds the weights twice, as they were and as they become; a
/// method that does not compare with the original holds them once.
#[derive(Serialize)]
#[allow(
    clippy::struct_field_names,
    reason = "the names are the JSON's, with their unit"
)]
struct MemoryEstimate {
    eval_bytes: usize,
    /// With a GGUF file's matrices kept in their blocks.
    eval_quantized_bytes: Option<usize>,
    training_bytes: usize,
    training_weights_bytes: usize,
    training_gradients_bytes: usize,
    training_moments_bytes: usize,
    training_activations_bytes: usize,
}

impl Facts {
    fn of(name: &Path, model: &ModelDescription) -> Result<Self> {
        let (spec, stored) = (&model.spec, &model.stored);
        Ok(Self {
            model: name.to_owned(),
            family: spec.family.clone(),
            parameters: spec.parameters(),
            files: stored.files,
            bytes_on_disk: stored.bytes,
            stored_types: stored.types.clone(),
            layers: spec.layers.len(),
            width: spec.width,
            heads: spec.attention.heads,
            kv_heads: spec.attention.kv_heads,
            head_dim: spec.attention.head_dim,
            vocabulary: spec.vocabulary,
            context_tokens: spec.max_positions,
            tied_head: spec.head.tied,
            tokenizer: TokenizerFacts::of(&model.tokenizer)?,
            memory: MemoryEstimate::of(model),
        })
    }

    fn table(&self) -> Table {
        let mut table = Table::new(&[
            ("Model", Align::Left),
            (&self.model.display().to_string(), Align::Left),
        ]);
        let heads = match self.kv_heads {
            kv_heads if kv_heads == self.heads => format!("{} of {}", self.heads, self.head_dim),
            kv_heads => format!(
                "{} of {}, {kv_heads} for keys and values",
                self.heads, self.head_dim
            ),
        };
        let head = if self.tied_head {
            ", one matrix for embedding and head"
        } else {
            ""
        };
        let mut rows = vec![
            ("Family", self.family.clone()),
            ("Parameters", grouped(self.parameters)),
            ("On disk", self.on_disk()),
            ("Layers", self.layers.to_string()),
            ("Width", grouped(self.width)),
            ("Attention heads", heads),
            ("Vocabulary", format!("{}{head}", grouped(self.vocabulary))),
            (
                "Context",
                format!("{} tokens", grouped(self.context_tokens)),
            ),
        ];
        rows.extend(self.tokenizer.rows());
        rows.extend(self.memory.rows());
        for (name, value) in rows {
            table.push(vec![name.to_owned(), value]);
        }
        table
    }

    fn on_disk(&self) -> String {
        let total: usize = self.stored_types.values().sum();
        let share = |count: usize| 100.0 * count as f64 / total.max(1) as f64;
        let types: Vec<String> = match self.stored_types.len() {
            1 => self.stored_types.keys().cloned().collect(),
            _ => (self.stored_types.iter())
                .map(|(dtype, &count)| format!("{dtype} {:.1} %", share(count)))
                .collect(),
        };
        let files = if self.files == 1 { "file" } else { "files" };
        format!(
            "{} in {} {files}: {}",
            size(self.bytes_on_disk as usize),
            self.files,
            types.join(", ")
        )
    }
}

impl TokenizerFacts {
    fn of(tokenizer: &Tokenizer) -> Result<Self> {
        let token = |id| Token {
            id,
            text: tokenizer.token(id).unwrap_or_default(),
        };
        let added = tokenizer.added_tokens()?;
        let tokens = |ids: Vec<u32>| ids.into_iter().map(token).collect();
        Ok(Self {
            bos: tokenizer.bos().map(token),
            eos: tokenizer.eos().map(token),
            pad: tokenizer.pad().map(token),
            ends_of_text: tokens(tokenizer.eos_tokens()),
            added_before: tokens(added.before),
            added_after: tokens(added.after),
            chat_template: tokenizer.chat_template().is_some(),
        })
    }

    fn rows(&self) -> [(&'static str, String); 6] {
        let one = |token: &Option<Token>| token.as_ref().map_or("none".to_owned(), shown);
        let some = |tokens: &[Token]| tokens.iter().map(shown).collect::<Vec<_>>().join(", ");
        let added = match (some(&self.added_before), some(&self.added_after)) {
            (before, after) if before.is_empty() && after.is_empty() => "nothing".to_owned(),
            (before, after) if after.is_empty() => format!("{before} before"),
            (before, after) if before.is_empty() => format!("{after} after"),
            (before, after) => format!("{before} before, {after} after"),
        };
        let template = if self.chat_template { "yes" } else { "no" };
        [
            ("BOS", one(&self.bos)),
            ("EOS", one(&self.eos)),
            ("Padding", one(&self.pad)),
            ("Ends of text", some(&self.ends_of_text)),
            ("Added to a text", added),
            ("Chat template", template.to_owned()),
        ]
    }
}

impl MemoryEstimate {
    fn of(model: &ModelDescription) -> Self {
        let spec = &model.spec;
        let weights = spec.parameters() * F32_BYTES;
        let layer = spec.layer_training_floats() * F32_BYTES;
        let activations = spec.layers.len() * layer * SEQUENCES * SEQUENCE_TOKENS;
        Self {
            eval_bytes: weights + layer * SCORED_TOKENS,
            eval_quantized_bytes: (model.quantized_bytes)
                .map(|weights| weights + layer * SCORED_TOKENS),
            training_bytes: 5 * weights + activations,
            training_weights_bytes: 2 * weights,
            training_gradients_bytes: weights,
            training_moments_bytes: 2 * weights,
            training_activations_bytes: activations,
        }
    }

    fn rows(&self) -> [(&'static str, String); 2] {
        let training = format!(
            "about {}: weights {}, gradients {}, moments {}, activations {} at {SEQUENCES} × {SEQUENCE_TOKENS} tokens",
            size(self.training_bytes),
            size(self.training_weights_bytes),
            size(self.training_gradients_bytes),
            size(self.training_moments_bytes),
            size(self.training_activations_bytes),
        );
        let quantized = self.eval_quantized_bytes.map_or_else(String::new, |bytes| {
            format!("; about {} with --keep-quantized", size(bytes))
        });
        [
            (
                "Memory to score",
                format!("about {}, f32{quantized}", size(self.eval_bytes)),
            ),
            ("Memory to train", training),
        ]
    }
}

fn shown(token: &Token) -> String {
    format!("{} ({})", token.text, token.id)
}

/// 1,234,567
pub(super) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// In decimal megabytes or gigabytes.
pub(super) fn size(bytes: usize) -> String {
    match bytes as f64 {
        bytes if bytes < 1e6 => format!("{:.1} kB", bytes / 1e3),
        bytes if bytes < 1e9 => format!("{:.0} MB", bytes / 1e6),
        bytes => format!("{:.2} GB", bytes / 1e9),
    }
}
