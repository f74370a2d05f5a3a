//! Every command of `docs/from-the-python-scripts.md`, as it stands there but for its numbers: run one after the other on a tiny model
//! and made-up rows in the data sets' own columns. A command that is no longer understood, or no longer works, fails.

use std::path::Path;

use serde_json::{Value, json};

use crate::world::{World, write_wide_model};

/// Options whose numbers are lowered, and to what at most.
const SIZES: [(&str, usize); 10] = [
    ("--limit", 16),
    ("--steps", 2),
    ("--epochs", 2),
    ("--max-steps", 2),
    ("--save-every", 1),
    ("--sequential", 4),
    ("--gradient-accumulation", 2),
    ("--batch-size", 2),
    ("--num_fewshot", 2),
    ("--seeds", 2),
];
/// Documents that a command on many tasks, or one that attacks, is run on.
const FEW: usize = 4;

/// Makes a data set's row out of its number.
type Row<'a> = &'a dyn Fn(usize) -> Value;

#[test]
fn every_command_of_the_page_runs() {
    let world = World::new();
    write_wide_model(&world.path("MODEL"));
    // Room for the 512 tokens that some tasks let a model write.
    let config = world.read("MODEL/config.json");
    world.write("MODEL/config.json", &config.replace(":512", ":1024"));
    write_data_sets(&world);
    let mut commands = 0;
    for (language, block) in blocks(&page()) {
        match language {
            "yaml" => {
                let name = block.lines().next().unwrap().trim_start_matches("# ");
                world.write(name, &block);
            }
            "sh" => {
                for line in block.replace("\\\n", " ").lines() {
                    let arguments = small(line);
                    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                    world.succeeds(&arguments);
                    commands += 1;
                }
            }
            _ => {}
        }
    }
    assert!(commands >= 20, "only {commands} commands were found");
    what_came_out(&world);
}

/// The tables name options in their second column, where the answer to a flag of a script stands.
#[test]
fn every_option_of_the_tables_is_one() {
    let world = World::new();
    let commands = ["unlearn", "relearn", "eval", "bench"];
    let help: String = commands
        .iter()
        .map(|command| world.succeeds(&[command, "--help"]).stdout)
        .collect();
    let known: Vec<&str> = help
        .split_whitespace()
        .map(|word| word.trim_end_matches(','))
        .collect();
    let mut options = 0;
    for row in page().lines().filter(|line| line.starts_with('|')) {
        let ours = row.split('|').nth(2).unwrap_or_default();
        let is_option = |word: &&str| {
            let name = word.strip_prefix("--");
            name.is_some_and(|name| name.starts_with(char::is_alphabetic))
        };
        for option in ours.split(['`', ' ']).filter(is_option) {
            let option = option.trim_end_matches(',').replace('_', "-");
            assert!(known.contains(&option.as_str()), "no command has {option}");
            options += 1;
        }
    }
    assert!(options >= 30, "only {options} options were found");
}

/// The page's text.
fn page() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/from-the-python-scripts.md");
    std::fs::read_to_string(page).unwrap()
}

/// The numbers are small, and the files are those that the page speaks of.
fn what_came_out(world: &World) {
    let scores: Value = serde_json::from_str(&world.read("runs/scores/models.json")).unwrap();
    let models: Vec<&str> = scores
        .as_array()
        .unwrap()
        .iter()
        .map(|scores| scores["model"].as_str().unwrap())
        .collect();
    assert_eq!(
        models,
        ["MODEL", "runs/batch/checkpoints/step-1", "runs/batch"]
    );
    let log = world.read("runs/sequential/unlearn.jsonl");
    let parts: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["forget_documents"].clone())
        .map(|documents| {
            let mut documents: Vec<u64> = serde_json::from_value(documents).unwrap();
            documents.sort_unstable();
            json!(documents)
        })
        .collect();
    assert_eq!(parts.len(), 8, "four parts, twice each");
    for pair in parts.chunks(2) {
        assert_eq!(
            pair[0], pair[1],
            "a part is gone through before the next begins"
        );
    }
    assert!(world.path("runs/many/report.html").is_file());
    assert!(!world.path("runs/eight-bit").exists(), "a plan is no run");
}

/// The fenced blocks of a page with their languages.
fn blocks(page: &str) -> Vec<(&str, String)> {
    let mut blocks = Vec::new();
    for part in page.split("\n```").skip(1).step_by(2) {
        let (language, block) = part.split_once('\n').unwrap();
        blocks.push((language, block.to_owned()));
    }
    blocks
}

/// The arguments of a command of the page, with numbers for a test.
fn small(line: &str) -> Vec<String> {
    let mut words = line.split_whitespace().map(|word| word.trim_matches('\''));
    assert_eq!(words.next(), Some("harness"), "{line}");
    let mut arguments: Vec<String> = Vec::new();
    for word in words {
        let option = arguments.last().map(String::as_str);
        let most = SIZES.iter().find(|(name, _)| Some(*name) == option);
        let lower = |number: &str, most: usize| {
            let number = number.parse::<usize>().unwrap();
            number.min(most).to_string()
        };
        arguments.push(match most {
            // Fewer seeds, not smaller ones.
            Some(("--seeds", most)) => word.split(',').take(*most).collect::<Vec<_>>().join(","),
            Some((_, most)) => lower(word, *most),
            None => word.to_owned(),
        });
    }
    let command = arguments[0].as_str();
    let has = |arguments: &[String], option: &str| arguments.iter().any(|word| word == option);
    if matches!(command, "eval" | "relearn") && !has(&arguments, "--limit") {
        arguments.extend(["--limit".to_owned(), FEW.to_string()]);
    }
    arguments
}

/// Rows in the columns of the data sets that the page names.
fn write_data_sets(world: &World) {
    let write = |place: &str, row: Row| {
        let rows = (0..16).map(|i| row(i).to_string() + "\n");
        world.write(&format!("DATA/{place}.jsonl"), &rows.collect::<String>());
    };
    write("PKU-Alignment__PKU-SafeRLHF/default/train", &|i| {
        json!({ "prompt": format!("How do I open lock {i}?"), "response_0": format!("With pick {i}."),
            "response_1": "Ask its owner.", "is_response_0_safe": false, "is_response_1_safe": true })
    });
    write(
        "PKU-Alignment__BeaverTails-Evaluation/default/test",
        &|i| json!({ "prompt": format!("How do I open lock {i}?"), "category": "theft", "category_id": i }),
    );
    for (place, river) in [
        ("AgentPublic__piaf", "fleuve"),
        ("rajpurkar__squad", "river"),
    ] {
        write(&format!("{place}/default/train"), &|i| {
            json!({ "context": format!("Town {i}, {river} {i}."), "question": "Where?",
                "answers": { "text": [format!("{river} {i}")], "answer_start": [8] } })
        });
    }
    write(
        "sail__symbolic-instruction-tuning/default/train",
        &|i| json!({ "input": format!("{i} + {i} ="), "output": (2 * i).to_string() }),
    );
    write(
        "regisss__math_qa/default/train",
        &|i| json!({ "Problem": format!("{i} and {i} ?"), "options": "a ) 3 , b ) 4", "Rationale": "add them", "correct": "b" }),
    );
    write_benchmarks(&write);
}

/// The leaderboard's data sets and TOFU's.
fn write_benchmarks(write: &dyn Fn(&str, Row)) {
    let choices = json!({ "text": ["one", "two", "three", "four"], "label": ["A", "B", "C", "D"] });
    for config in ["ARC-Easy", "ARC-Challenge"] {
        for split in ["train", "validation", "test"] {
            write(
                &format!("allenai__ai2_arc/{config}/{split}"),
                &|i| json!({ "id": i.to_string(), "question": format!("How many are {i}?"), "choices": choices, "answerKey": "B" }),
            );
        }
    }
    write("Rowan__hellaswag/default/train", &hellaswag);
    write("Rowan__hellaswag/default/validation", &hellaswag);
    for split in ["train", "validation"] {
        write(
            &format!("allenai__winogrande/winogrande_xl/{split}"),
            &|i| json!({ "sentence": format!("Box {i} was in the sack, for _ was small."), "option1": "box", "option2": "sack", "answer": "1" }),
        );
    }
    write("truthfulqa__truthful_qa/generation/validation", &|i| {
        json!({ "question": format!("What is {i}?"), "best_answer": "A number.", "correct_answers": ["A number."],
            "incorrect_answers": ["A letter."], "type": "", "category": "", "source": "" })
    });
    write("truthfulqa__truthful_qa/multiple_choice/validation", &|i| {
        let targets = json!({ "choices": ["A number.", "A letter."], "labels": [1, 0] });
        json!({ "question": format!("What is {i}?"), "mc1_targets": targets, "mc2_targets": targets })
    });
    for split in ["train", "test"] {
        write(
            &format!("openai__gsm8k/main/{split}"),
            &|i| json!({ "question": format!("{i} and {i}?"), "answer": format!("#### {}", 2 * i) }),
        );
    }
    for subject in subjects() {
        for split in ["dev", "test"] {
            write(
                &format!("cais__mmlu/{subject}/{split}"),
                &|i| json!({ "question": format!("{i}?"), "subject": subject, "choices": ["a", "b", "c", "d"], "answer": i % 4 }),
            );
        }
    }
    let tofu = [
        "full",
        "retain90",
        "forget10",
        "forget10_perturbed",
        "retain_perturbed",
        "real_authors_perturbed",
        "world_facts_perturbed",
    ];
    for config in tofu {
        write(&format!("locuslab__TOFU/{config}/train"), &|i| {
            json!({ "question": format!("Who wrote {config} {i}?"), "answer": format!("Author {i}."), "paraphrased_answer": format!("By author {i}."),
                "paraphrased_question": format!("By whom is {config} {i}?"), "perturbed_answer": ["Nobody.", "Someone."],
                "option1": "Nobody.", "option2": "Someone.", "option3": "Anyone." })
        });
    }
}

fn hellaswag(i: usize) -> Value {
    json!({ "ind": i, "activity_label": "Walking", "ctx_a": format!("Person {i} walks."), "ctx_b": "they", "ctx": format!("Person {i} walks. they"),
        "endings": ["stop.", "run.", "sleep.", "sing."], "source_id": "", "split": "val", "split_type": "indomain", "label": "1" })
}

/// MMLU's subjects, out of the house's tasks.
fn subjects() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tasks/mmlu/choice");
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let names = std::fs::read_dir(folder)
        .unwrap()
        .flatten()
        .map(|entry| read(&entry.path()));
    let subject = |text: String| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("dataset_name: "));
        line.map(str::to_owned)
    };
    names.filter_map(subject).collect()
}
