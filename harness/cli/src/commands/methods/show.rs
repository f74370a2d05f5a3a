//! `harness methods show`: what a method says about itself, and which file says it. It refuses to run it.

use std::path::Path;

use anyhow::{Context, Result};
use clap::Args;
use harness_bench::sha256_hex;
use harness_host::{LoadedMethod, Need, OptionDescription, Tier};
use harness_report::{Align, Table};
use serde_json::json;

use super::Named;

/// What is shown, and how.
#[derive(Args)]
pub(super) struct Show {
    #[command(flatten)]
    named: Named,
    /// Print JSON, with a JSON Schema of the options
    #[arg(long)]
    json: bool,
}

impl Show {
    pub(super) fn run(&self) -> Result<()> {
        self.named.in_child(|library| self.show(library))
    }

    fn show(&self, library: &Path) -> Result<()> {
        let method = LoadedMethod::open(library)?;
        let bytes =
            std::fs::read(library).with_context(|| format!("cannot read {}", library.display()))?;
        let digest = sha256_hex(&bytes);
        let text = if self.json {
            json(&method, &digest)?
        } else {
            plain(&method, &digest)
        };
        crate::output::print(&text)
    }
}

/// The tier's name, and whose the training loop is.
fn tier(method: &LoadedMethod) -> (&'static str, &'static str) {
    match method.tier() {
        Tier::Loss => ("loss", "the harness owns the training loop"),
        Tier::Trainer => ("trainer", "the method owns the training loop"),
    }
}

/// The version of the contract that the library was built for.
fn abi(method: &LoadedMethod) -> String {
    let (major, minor) = method.abi_version();
    format!("{major}.{minor}")
}

fn json(method: &LoadedMethod, digest: &str) -> Result<String> {
    let description = method.description();
    let shown = json!({
        "id": description.id,
        "version": description.version,
        "summary": description.summary,
        "tier": tier(method).0,
        "needs": description.needs,
        "options": description.options,
        "options_schema": description.options_schema(),
        "abi": abi(method),
        "library": method.path(),
        "sha256": digest,
    });
    Ok(serde_json::to_string_pretty(&shown)? + "\n")
}

fn plain(method: &LoadedMethod, digest: &str) -> String {
    let description = method.description();
    let needs: Vec<&str> = description
        .needs
        .iter()
        .map(|need| meaning(*need))
        .collect();
    let needs = if needs.is_empty() {
        "the forget set alone".to_owned()
    } else {
        needs.join(", ")
    };
    let (tier, whose) = tier(method);
    let mut text = format!(
        "{} {}\n{}\n\nTier     {tier} ({whose})\nNeeds    {needs}\nABI      {}\nLibrary  {}\nSHA-256  {digest}\n",
        description.id,
        description.version,
        description.summary,
        abi(method),
        method.path().display(),
    );
    if description.options.is_empty() {
        return text + "\nIt has no options.\n";
    }
    let mut table = Table::new(&[
        ("Option", Align::Left),
        ("Type", Align::Left),
        ("Default", Align::Left),
        ("What it does", Align::Left),
    ]);
    for option in &description.options {
        table.push(row(option));
    }
    text.push('\n');
    text + &table.plain()
}

fn row(option: &OptionDescription) -> Vec<String> {
    let kind = if option.choices.is_empty() {
        option.kind.name().to_owned()
    } else {
        option.choices.join(" or ")
    };
    let default = match &option.default {
        serde_json::Value::String(word) => word.clone(),
        other => other.to_string(),
    };
    vec![option.name.clone(), kind, default, option.doc.clone()]
}

fn meaning(need: Need) -> &'static str {
    match need {
        Need::Retain => "a retain set",
        Need::Alternate => "other answers to the forget prompts",
        Need::Normal => "general prompts",
        Need::Mismatch => "answers that do not belong to the forget prompts",
        Need::Reference => "the original",
        Need::EveryPosition => "every position",
    }
}
