//! Which recorded case belongs to which method, with which options and batches. It refuses to compute: see `comparison.rs` and `trajectory.rs`.

use std::path::Path;

use harness_host::{LoadedMethod, Role};
use serde_json::{Map, Value, json};

use crate::recording::Recording;
use crate::{Asked, Recordings, comparison, trajectory};

/// Recorded folders with the families of their models.
const FOLDERS: [(&str, &str); 4] = [
    ("llama", "llama"),
    ("llama-mem", "llama"),
    ("opt", "opt"),
    ("opt-mem", "opt"),
];

/// Recorded cases of open-unlearning, with the methods that answer to them.
const CASES: [(&str, &str); 26] = [
    ("GradAscent", "grad_ascent"),
    ("GradDiff", "grad_diff"),
    ("GradDiff_KL", "kl_min"),
    ("GradDiff_weights", "grad_diff"),
    ("NPO", "npo"),
    ("NPO_KL", "npo"),
    ("NPO_beta1", "npo"),
    ("SimNPO", "simnpo"),
    ("SimNPO_delta", "simnpo"),
    ("DPO", "dpo"),
    ("DPO_KL", "dpo"),
    ("RMU", "rmu"),
    ("RMU_down_proj", "rmu"),
    ("RMU_NLL", "rmu"),
    ("UNDIAL", "undial"),
    ("UNDIAL_retain", "undial"),
    ("WGA", "wga"),
    ("WGA_beta05", "wga"),
    ("SatImp", "satimp"),
    ("SatImp_class", "satimp"),
    ("CEU", "ceu"),
    ("CEU_ignore0", "ceu"),
    ("CEU_ignore3", "ceu"),
    ("PDU_warmup", "pdu"),
    ("PDU", "pdu"),
    ("PDU_no_dual", "pdu"),
];
/// Recorded of the authors' own code, elsewhere in the index.
const LLMU: &str = "llmu";

/// A recorded run of a method: on which batches, with which options, and what came out.
pub(crate) struct Run<'a> {
    /// The case, in words.
    pub(crate) title: String,
    pub(crate) options: Value,
    pub(crate) batches: Vec<RecordedBatch>,
    /// Losses of ten steps, by optimiser.
    pub(crate) trajectory: Option<&'a Value>,
    /// What the names of recorded tensors begin with.
    pub(crate) tensors: String,
    /// Patterns one of which must match the whole name of a weight that is trained.
    pub(crate) trained: Vec<String>,
}

/// A batch with the numbers that were recorded for it.
pub(crate) struct RecordedBatch {
    pub(crate) name: &'static str,
    pub(crate) roles: Vec<(Role, String)>,
    pub(crate) expected: Value,
}

/// The methods that recordings exist for.
pub fn method_ids() -> Vec<&'static str> {
    let mut ids: Vec<_> = CASES.iter().map(|(_, id)| *id).chain([LLMU]).collect();
    ids.dedup();
    ids
}

/// The recorded arguments as options of ours.
fn options(id: &str, arguments: &Value) -> Value {
    let mut options = Map::new();
    for (name, value) in arguments.as_object().into_iter().flatten() {
        let name = match (name.as_str(), id) {
            ("ignore_first_n_answer_tokens", _) => "ignore_first",
            ("retain_loss_type", "npo" | "dpo" | "rmu") => "retain_loss",
            (
                "retain_loss_type"
                | "dual_update_upon"
                | "loss_names"
                | "trainable_params_regex"
                | "module_regex",
                _,
            ) => continue,
            (name, _) => name,
        };
        let value = match value.as_str() {
            Some("EMBED_DIFF") => json!("hidden"),
            Some(text) => json!(text.to_lowercase()),
            None => value.clone(),
        };
        options.insert(name.to_owned(), value);
    }
    let quirk = match id {
        "undial" => Some("all_positions"),
        "pdu" => Some("unshifted"),
        "rmu" => Some("across_answers"),
        _ => None,
    };
    options.extend(quirk.map(|name| (name.to_owned(), json!(true))));
    if id == "rmu" {
        options.insert("layer".into(), json!(1));
    }
    Value::Object(options)
}

/// A role's batch by the names that the recordings have for both.
fn roles<const N: usize>(batch: &str, names: [(Role, &str); N]) -> Vec<(Role, String)> {
    names
        .map(|(role, name)| (role, format!("{batch}.{name}")))
        .into()
}

/// The batches of a case; their names begin with `prefix`.
fn batches(recorded: &Value, prefix: &str) -> Vec<RecordedBatch> {
    let batch = |name: &'static str| {
        let mut expected = recorded["batches"].get(name)?.clone();
        if let Some(weight) = expected.pointer("/preferences_before/1").cloned() {
            expected["retain_preference"] = weight;
        }
        let names = [
            (Role::Forget, "forget"),
            (Role::Alternate, "alternate"),
            (Role::Retain, "retain"),
        ];
        let roles = roles(&format!("{prefix}{name}"), names);
        Some(RecordedBatch {
            name,
            roles,
            expected,
        })
    };
    ["b0", "b1"].into_iter().filter_map(batch).collect()
}

/// Every recorded run of a case of open-unlearning: on whole batches, on one row, and where padding is the end-of-text token.
fn runs<'a>(recording: &'a Recording, case: &str, id: &str) -> Vec<Run<'a>> {
    let sections = [
        ("/cases", "", ""),
        ("/cases_single_row", "single.", " of one row"),
        (
            "/cases_pad_is_eos/cases",
            "padeos.",
            " where padding ends texts",
        ),
    ];
    let run = |(section, prefix, words): (&str, &str, &str)| {
        let recorded = recording
            .numbers
            .pointer(&format!("{section}/{case}"))
            .filter(|recorded| !recorded.is_null())?;
        let arguments = &recorded["method_args"];
        let patterns = arguments["trainable_params_regex"].as_array();
        let patterns = patterns.into_iter().flatten().filter_map(Value::as_str);
        Some(Run {
            title: format!("{} {case}{words}", recording.name),
            options: options(id, arguments),
            batches: batches(recorded, prefix),
            trajectory: recorded.get("trajectory"),
            tensors: format!("{prefix}{case}"),
            trained: patterns.map(str::to_owned).collect(),
        })
    };
    sections.into_iter().filter_map(run).collect()
}

/// LLMU as its authors' code has it. That takes token 1 for padding; with other tokenizers it counts padding as answer, and only the
/// normal term is the method's.
fn llmu(recording: &Recording) -> Run<'_> {
    let recorded = &recording.numbers["yao"];
    let is_whole = recording.pads_with_one();
    let batch = |name: &'static str| {
        let numbers = &recorded["batches"][name];
        let mut expected = json!({ "normal_loss": numbers["normal_loss"] });
        if is_whole {
            expected = numbers.clone();
            expected["bad_loss"] = numbers["bad_loss_ga"].clone();
        }
        let names = [
            (Role::Forget, "bad"),
            (Role::Mismatch, "random"),
            (Role::Normal, "normal"),
        ];
        let roles = roles(&format!("yao.{name}"), names);
        RecordedBatch {
            name,
            roles,
            expected,
        }
    };
    let words = if is_whole { "" } else { "'s normal term" };
    Run {
        title: format!("{} LLMU{words}", recording.name),
        options: json!({ "count_one_more": true }),
        batches: ["b0", "b1"].map(batch).into(),
        trajectory: recorded.get("trajectory").filter(|_| is_whole),
        tensors: "yao".into(),
        trained: vec![],
    }
}

/// Compares the method with every recording of it.
pub(crate) fn check(method: &LoadedMethod, recordings: &Recordings, asked: &mut Asked) {
    let id = method.description().id.as_str();
    if !method_ids().contains(&id) {
        return asked.skip("recordings", format!("there are none of {id}"));
    }
    for (name, family) in FOLDERS {
        let recording = match Recording::open(name, family, recordings) {
            Ok(recording) => recording,
            Err(error) => {
                asked.ask(format!("recording {name}"), || Err(error));
                continue;
            }
        };
        let cases = CASES.iter().filter(|(_, method)| *method == id);
        let mut all: Vec<Run> = cases
            .flat_map(|(case, id)| runs(&recording, case, id))
            .collect();
        if id == LLMU {
            all.push(llmu(&recording));
        }
        for run in &all {
            asked.ask(format!("{}: losses and gradients", run.title), || {
                comparison::compare(method, &recording, run)
            });
            for optimizer in ["sgd", "adamw"] {
                if let Some(recorded) = run.trajectory {
                    asked.ask(format!("{}: ten steps of {optimizer}", run.title), || {
                        trajectory::compare(
                            method,
                            &recording,
                            run,
                            &recorded[optimizer],
                            optimizer,
                        )
                    });
                }
            }
        }
    }
}

/// The folder of small models that belongs to a folder of recordings.
pub fn models_beside(golden: &Path) -> std::path::PathBuf {
    golden.join("../../models")
}
