//! Chat templates as transformers renders them, and whole tasks asked through one.

use std::sync::Arc;

use harness_task::{ChatMessage, JinjaChatTemplate, RequestOptions, SpecialTokens};
use serde_json::{Value, json};

use crate::fixture::{golden_json, golden_lines, response, shared, task_on_data};
use crate::tasks::result_is_as_recorded;

fn special_tokens(source: &Value) -> SpecialTokens {
    ["bos_token", "eos_token", "unk_token", "pad_token"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), source.get(name)?.clone())))
        .collect()
}

#[test]
fn templates_render_as_in_transformers() {
    let Some(recorded) = golden_json("python/chat_templates.json") else {
        return;
    };
    let mut differing = Vec::new();
    for case in recorded["cases"].as_array().unwrap() {
        let messages: Vec<ChatMessage> = serde_json::from_value(case["messages"].clone()).unwrap();
        let source = case["template"].as_str().unwrap();
        let rendered =
            JinjaChatTemplate::compile(source, special_tokens(case)).and_then(|template| {
                // Without a prompt to go on from, a template is only rendered whole.
                template.render_whole(&messages, case["add_generation_prompt"] == true)
            });
        let same = match &rendered {
            Ok(text) => *text == case["rendered"],
            Err(_) => case["rendered"]["error"].is_string(),
        };
        if !same {
            differing.push(format!("{source}\n{rendered:?}\n{}", case["rendered"]));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n\n"));
}

#[test]
fn tasks_in_conversation_ask_and_score_as_recorded() {
    for (name, run, num_fewshot) in [
        ("arc_challenge", "arc_challenge.5shot.chat", 5),
        ("gsm8k_cot_llama", "gsm8k_cot_llama.2shot.chat", 2),
    ] {
        let (Some(models), Some(results), Some(lines)) = (
            shared("HARNESS_MODELS", "models"),
            golden_json(&format!("lm-eval/{run}.results.json")),
            golden_lines(&format!("lm-eval/{run}.samples.jsonl")),
        ) else {
            return;
        };
        let Some(task) = task_on_data(&results["configs"][name]) else {
            return;
        };
        let model = models.join("smollm2-135m-it");
        let read = |file: &str| std::fs::read_to_string(model.join(file)).unwrap();
        let tokens = serde_json::from_str(&read("tokenizer_config.json")).unwrap();
        let template =
            JinjaChatTemplate::compile(&read("chat_template.jinja"), special_tokens(&tokens));
        let options = RequestOptions {
            num_fewshot: Some(num_fewshot),
            chat_template: Some(Arc::new(template.unwrap())),
            ..RequestOptions::default()
        };
        let mut requests = task.requests(&options).unwrap();
        requests.truncate(lines.len());
        let mut responses = Vec::new();
        for (document, line) in requests.iter().zip(&lines) {
            let arguments: Vec<Value> = document
                .requests
                .iter()
                .map(|request| json!(request.arguments()))
                .collect();
            assert_eq!(json!(arguments), line["arguments"], "{run}");
            responses.extend(
                line["resps"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|repeats| response(&repeats[0])),
            );
        }
        let scores = task.score(&requests, &responses).unwrap();
        result_is_as_recorded(run, &scores, &results["results"][name]);
    }
}
