//! The methods that own their loop, on a small Llama: identities of their formulas, and a loop that is the harness's own bit for bit.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use std::cell::RefCell;
use std::collections::BTreeMap;

use candle_core::{D, Device, Result, Tensor, Var};
use harness_bench::unlearn::{
    BatchSource, LoopParts, OwnLoop, RememberedAnswers, StepRecord, TrainingOptions,
};
use harness_host::{MethodPath, ParameterMap, Role};
use harness_model::train::{
    AdamW, AdamWOptions, AnswerBatch, GradientSet, Optimizer as _, Positions, Schedule,
    ScheduleKind, TokenizedPair,
};
use harness_model::{Decoder, DecoderSpec, Lora, LoraConfig, PassFlops, Weights, read_spec};
use serde_json::{Value, json};

const CONFIG: &str = r#"{
    "model_type": "llama", "vocab_size": 131, "hidden_size": 32, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 64,
    "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
    "hidden_act": "silu", "tie_word_embeddings": true
}"#;

fn spec() -> DecoderSpec {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("config.json"), CONFIG).unwrap();
    read_spec(directory.path()).unwrap()
}

/// Batches that are others at each draw.
#[derive(Default)]
struct Drawn(u32);

fn batch(role: Role, draw: u32) -> AnswerBatch {
    let pair = |seed: u32, prompt: u32, answer: u32| TokenizedPair {
        prompt: (0..prompt).map(|i| (seed + 5 * i) % 131).collect(),
        answer: (0..answer).map(|i| (seed * 3 + 7 * i) % 131).collect(),
    };
    let seed = role.code() * 17 + draw * 29;
    AnswerBatch::new(&[pair(1 + seed, 4, 2), pair(2 + seed, 3, 7)])
}

impl BatchSource for Drawn {
    fn draw(&mut self) -> Result<BTreeMap<Role, AnswerBatch>> {
        self.0 += 1;
        let of = |role| (role, batch(role, self.0));
        Ok(BTreeMap::from([of(Role::Forget), of(Role::Retain)]))
    }

    fn epoch(&self) -> f64 {
        0.0
    }

    fn documents(&self, _: Role) -> Vec<usize> {
        vec![self.0 as usize]
    }

    fn remembered(&self, _: &Decoder, _: Role) -> Result<Option<RememberedAnswers>> {
        Ok(None)
    }
}

/// A model with what is trained of it.
struct Tiny {
    weights: Weights,
    lora: Option<Lora>,
    decoder: Decoder,
    variables: BTreeMap<String, Var>,
}

impl Tiny {
    fn new() -> Self {
        let spec = spec();
        let weights = Weights::random(&spec, 11, &Device::Cpu).unwrap();
        let (weights, variables) = weights.into_trainable().unwrap();
        Self {
            decoder: Decoder::new(spec, &weights).unwrap(),
            weights,
            lora: None,
            variables,
        }
    }

    fn with_adapter() -> Self {
        let spec = spec();
        let weights = Weights::random(&spec, 11, &Device::Cpu).unwrap();
        let lora = Lora::new(&spec, LoraConfig::default(), 3, &Device::Cpu).unwrap();
        let (lora, variables) = lora.trainable(0).unwrap();
        let adapted = weights.with_adapters(&lora).unwrap();
        Self {
            decoder: Decoder::new(spec, &adapted).unwrap(),
            weights,
            lora: Some(lora),
            variables,
        }
    }

    /// A frozen model with other values of what is trained.
    fn frozen(&self, values: &ParameterMap) -> Decoder {
        let weights = match &self.lora {
            Some(lora) => self
                .weights
                .with_adapters(&lora.with_values(values).unwrap()),
            None => self.weights.with_values(values),
        };
        Decoder::new(spec(), &weights.unwrap()).unwrap()
    }

    fn values(&self) -> BTreeMap<String, Vec<f32>> {
        let flat = |var: &Var| var.flatten_all().unwrap().to_vec1().unwrap();
        let variables = self.variables.iter();
        variables
            .map(|(name, var)| (name.clone(), flat(var)))
            .collect()
    }

    /// Lets a method train; the steps that it finished.
    fn train(&self, id: &str, settings: &Value, options: &TrainingOptions) -> Vec<StepRecord> {
        let test = std::env::current_exe().unwrap();
        let folder = test.parent().unwrap().to_owned();
        let method = MethodPath::new(vec![folder]).open(id).unwrap();
        let instance = method.create(settings).unwrap();
        let mut records = Vec::new();
        let spec = spec();
        let untrained = Weights::random(&spec, 11, &Device::Cpu).unwrap();
        let original = Decoder::new(spec.clone(), &untrained).unwrap();
        let freeze = |values: &_| Ok(self.frozen(values));
        let run = OwnLoop::new(LoopParts {
            policy: &self.decoder,
            original: Some(&original),
            variables: &self.variables,
            freeze: &freeze,
            batches: RefCell::new(Box::new(Drawn::default())),
            costs: [PassFlops::frozen(&spec), PassFlops::frozen(&spec)],
            options,
            report: RefCell::new(Box::new(|record, _| {
                records.push(record);
                Ok(true)
            })),
        });
        instance.train(&run).unwrap();
        drop(run);
        records
    }
}

fn options() -> TrainingOptions {
    TrainingOptions {
        steps: 4,
        learning_rate: 3e-3,
        schedule: ScheduleKind::Linear,
        ..TrainingOptions::default()
    }
}

/// The harness's own loop on the forget answers: the loss and the gradient norm of each step.
fn finetune(tiny: &Tiny, options: &TrainingOptions) -> Vec<(f64, f64)> {
    finetune_for(tiny, options, options.steps)
}

/// The first steps of it.
fn finetune_for(tiny: &Tiny, options: &TrainingOptions, steps: usize) -> Vec<(f64, f64)> {
    let schedule = Schedule {
        peak: options.learning_rate,
        warmup_steps: options.warmup_steps,
        total_steps: options.steps,
        kind: options.schedule,
    };
    let mut optimizer = AdamW::new(tiny.variables.clone(), AdamWOptions::default());
    let mut gradients = GradientSet::new(&tiny.variables);
    let step = |step: usize| {
        let logprobs = batch(Role::Forget, step as u32 + 1).logprobs(&tiny.decoder);
        let loss = logprobs.unwrap().mean_all().unwrap().neg().unwrap();
        gradients.clear();
        gradients.add_backward(&loss).unwrap();
        let norm = optimizer.step(&gradients, schedule.rate(step)).unwrap();
        (f64::from(loss.to_scalar::<f32>().unwrap()), norm)
    };
    (0..steps).map(step).collect()
}

#[track_caller]
fn assert_moved(from: &Tiny, by: f64, fine_tuned: &Tiny, got: &Tiny) {
    let (from, fine_tuned) = (from.values(), fine_tuned.values());
    for (name, values) in got.values() {
        let places = from[&name].iter().zip(&fine_tuned[&name]).zip(values);
        for ((start, end), value) in places {
            let expected = start + by as f32 * (end - start);
            assert!(
                (value - expected).abs() < 1e-5,
                "{name}: {value} is not {expected}"
            );
        }
    }
}

#[test]
fn the_loop_of_a_method_is_the_harnesss_own_bit_for_bit() {
    let (own, direct) = (Tiny::new(), Tiny::new());
    let options = options();
    let records = own.train("task_vector", &json!({ "alpha": -1.0 }), &options);
    let expected = finetune(&direct, &options);
    assert_eq!(records.len(), 4);
    for (record, (loss, norm)) in records.iter().zip(expected) {
        assert_eq!(
            record.loss.to_bits(),
            loss.to_bits(),
            "step {}",
            record.step
        );
        assert_eq!(record.gradient_norm.to_bits(), norm.to_bits());
        assert_eq!(record.forget_documents, [record.step]);
        assert!(record.tokens > 0 && record.reference_tokens == 0);
    }
}

#[test]
fn a_task_vector_leads_to_the_fine_tuned_model_and_away_from_it() {
    let (start, fine_tuned) = (Tiny::new(), Tiny::new());
    finetune(&fine_tuned, &options());
    assert_ne!(start.values(), fine_tuned.values());
    for alpha in [-1.0, 0.0, 0.5, 3.0] {
        let got = Tiny::new();
        got.train("task_vector", &json!({ "alpha": alpha }), &options());
        assert_moved(&start, -alpha, &fine_tuned, &got);
    }
}

#[test]
fn with_an_adapter_the_product_is_scaled() {
    let (fine_tuned, turned) = (Tiny::with_adapter(), Tiny::with_adapter());
    fine_tuned.train("task_vector", &json!({ "alpha": -1.0 }), &options());
    turned.train("task_vector", &json!({ "alpha": 2.0 }), &options());
    let (fine_tuned, turned) = (fine_tuned.values(), turned.values());
    assert!(
        fine_tuned
            .keys()
            .any(|name| name.ends_with(".lora_B.weight"))
    );
    for (name, values) in turned {
        let factor = if name.ends_with(".lora_B.weight") {
            -2.0
        } else {
            1.0
        };
        for (value, end) in values.iter().zip(&fine_tuned[&name]) {
            assert!((value - factor * end).abs() < 1e-6, "{name}");
        }
    }
}

#[test]
fn noise_has_the_norm_that_was_asked_for_whatever_the_threads() {
    let settings = json!({ "norm": 0.25, "parameters": r".*\.mlp\..*" });
    let noisy = |threads, seed| {
        let options = TrainingOptions { seed, ..options() };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(|| {
            let tiny = Tiny::new();
            assert!(tiny.train("noise", &settings, &options).is_empty());
            tiny.values()
        })
    };
    let (start, end) = (Tiny::new().values(), noisy(1, 0));
    let (mut change, mut size) = (0.0, 0.0);
    for (name, values) in &end {
        if !name.contains(".mlp.") {
            assert_eq!(values, &start[name]);
            continue;
        }
        for (end, start) in values.iter().zip(&start[name]) {
            change += f64::from(end - start).powi(2);
            size += f64::from(*start).powi(2);
        }
    }
    assert!(((change / size).sqrt() - 0.25).abs() < 1e-5);
    assert_eq!(end, noisy(2, 0));
    assert_ne!(end, noisy(2, 1));
}

#[test]
fn no_op_changes_nothing() {
    let tiny = Tiny::new();
    assert!(tiny.train("no_op", &json!({}), &options()).is_empty());
    assert_eq!(tiny.values(), Tiny::new().values());
}

#[test]
fn gru_forgets_and_says_when_the_gradients_conflict() {
    let tiny = Tiny::new();
    let settings = json!({ "memory": 0.5 });
    let steps = 12;
    let records = tiny.train("gru", &settings, &TrainingOptions { steps, ..options() });
    assert_eq!(records.len(), steps);
    let loss = |record: &StepRecord| record.parts["forget_loss"];
    assert!(loss(&records[steps - 1]) < loss(&records[0]), "ascent");
    assert!(records.iter().any(|record| record.parts["agreement"] < 0.0));
    assert!(
        records
            .iter()
            .all(|record| record.parts["retain_loss"].is_finite())
    );
}

/// Logits at the positions that predict the answers of the forget batch of a draw.
fn answer_logits(decoder: &Decoder, draw: u32) -> Tensor {
    let batch = batch(Role::Forget, draw);
    let hidden = decoder.hidden(batch.packed()).unwrap();
    let rows = decoder
        .logits_of(&hidden, &batch.rows(Positions::Answer))
        .unwrap();
    Tensor::new(rows, &Device::Cpu).unwrap()
}

fn log_softmax(logits: &Tensor) -> Tensor {
    let sums = logits.exp().unwrap().sum_keepdim(D::Minus1).unwrap();
    logits.broadcast_sub(&sums.log().unwrap()).unwrap()
}

#[test]
fn whp_learns_what_the_original_says_away_from_the_reinforced_copy() {
    let options = options();
    let generic_loss = |start: &Tiny, reinforced: &Tiny, alpha: f64| {
        let own = answer_logits(&start.decoder, 3);
        let ahead = (answer_logits(&reinforced.decoder, 3) - &own).unwrap();
        let labels = (&own - (ahead.relu().unwrap() * alpha).unwrap()).unwrap();
        let q = log_softmax(&labels).exp().unwrap();
        let terms = (q * log_softmax(&own)).unwrap().sum(D::Minus1).unwrap();
        let mean = terms.mean_all().unwrap().to_scalar::<f32>().unwrap();
        f64::from(-mean)
    };
    for new in [Tiny::new, Tiny::with_adapter] {
        let (start, reinforced, got) = (new(), new(), new());
        let records = got.train("whp", &json!({}), &options);
        assert_eq!(records.len(), 4);
        assert!(records[1].parts.is_empty() && records[1].reference_tokens == 0);
        // The reinforced copy is the fine-tuned model half way through the run's schedule.
        finetune_for(&reinforced, &options, 2);
        let expected = generic_loss(&start, &reinforced, 5.0);
        let loss = records[2].loss;
        assert!((loss - expected).abs() < 1e-4, "{loss} is not {expected}");
        assert!((records[2].parts["generic_loss"] - loss).abs() < 1e-12);
        assert!(records[2].gradient_norm > 1e-3 && records[2].reference_tokens > 0);
        // Labels that are the original's own teach nothing.
        let own = new().train("whp", &json!({ "alpha": 0.0 }), &options);
        assert!(own[2].gradient_norm < 1e-5, "{}", own[2].gradient_norm);
    }
}
