//! `--check_integrity` of `harness eval`: sound tasks are summed up and scored, others end the run before any is.

use crate::world::World;

const EVAL: [&str; 6] = [
    "eval",
    "--model",
    "model",
    "--check_integrity",
    "--tasks",
    "tasks/choices.yaml",
];

fn task(name: &str, lines: &str) -> String {
    format!(
        "task: {name}\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: rows.jsonl}}}}\ntest_split: test\n{lines}"
    )
}

const CHOICES: &str = "output_type: multiple_choice\ndoc_to_text: \"Q: {{question}}\\nA:\"\n";

#[test]
fn sound_tasks_are_summed_up() {
    let world = World::new();
    let outcome = world.succeeds(&[&EVAL[..], &["--limit", "5"]].concat());
    let summary = outcome
        .stderr
        .lines()
        .find(|line| line.starts_with("choices: "))
        .unwrap();
    assert!(
        summary.contains("5 of 12 documents and 20 requests are sound"),
        "{summary}"
    );
    assert!(outcome.stdout.contains("|acc_norm|"), "scored all the same");
    let fingerprint = |outcome: &str| outcome.split("; ").nth(1).unwrap().to_owned();
    let again = world.succeeds(&[&EVAL[..], &["--limit", "5"]].concat());
    let again = again
        .stderr
        .lines()
        .find(|line| line.starts_with("choices: "))
        .unwrap()
        .to_owned();
    assert_eq!(fingerprint(&again), fingerprint(summary));
    let rows = world.read("tasks/rows.jsonl");
    world.write("tasks/rows.jsonl", &rows.replace("thing 11", "thing 10"));
    let other = world.succeeds(&[&EVAL[..], &["--limit", "5"]].concat());
    assert!(
        !other.stderr.contains(&fingerprint(summary)),
        "other rows have another fingerprint"
    );
}

#[test]
fn what_may_not_be_meant_is_said() {
    let world = World::new();
    let row = |label: usize| {
        format!(
            "{{\"question\": \"Which of these colours is warm?\", \"choices\": [\"red\", \"red\"], \"label\": {label}}}\n"
        )
    };
    world.write("tasks/rows.jsonl", &[row(0), row(1), row(1)].concat());
    let outcome = world.succeeds(&[&EVAL[..], &["--num_fewshot", "1"]].concat());
    for remark in [
        "1 rows repeat an earlier one (row 2 is row 1 again)",
        "3 documents have a choice twice (document 0)",
        "3 documents are among their own few-shot examples (document 0)",
    ] {
        assert!(
            outcome.stderr.contains(remark),
            "{remark}: {}",
            outcome.stderr
        );
    }
    let short = [
        "--model",
        "hf",
        "--model_args",
        "pretrained=model,max_length=9",
    ];
    let outcome = world.succeeds(&[&EVAL[..1], &short, &EVAL[3..]].concat());
    assert!(
        outcome.stderr.contains("6 requests do not fit the model"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn unsound_tasks_end_the_run_before_any_is_scored() {
    let refused = |lines: &str, parts: &[&str]| {
        let world = World::new();
        world.write("tasks/broken.yaml", &task("broken", lines));
        let eval = [&EVAL[..], &["tasks/broken.yaml", "-o", "out"]].concat();
        world.fails(2, &eval, parts);
        assert!(world.find("out", "results_", ".json").is_empty(), "{lines}");
    };
    // The label 3, of which there is no choice, comes first in document 1.
    refused(
        &format!("{CHOICES}doc_to_choice: \"{{{{choices[:3]}}}}\"\ndoc_to_target: label\n"),
        &["--check-integrity", "broken", "document 1"],
    );
    refused(
        &format!(
            "{CHOICES}doc_to_choice: \"{{{{['', 'a', 'b', 'c']}}}}\"\ndoc_to_target: label\ntarget_delimiter: \"\"\n"
        ),
        &["--check-integrity", "broken", "document 0"],
    );
    refused(
        "output_type: generate_until\ndoc_to_text: question\ndoc_to_target: answer\ngeneration_kwargs: {max_gen_toks: 600}\n",
        &["--check-integrity", "broken", "document 0", "600"],
    );
}

#[test]
fn prompts_that_differ_from_time_to_time_are_found() {
    let world = World::new();
    if std::process::Command::new("python3")
        .arg("--version")
        .output()
        .is_err()
    {
        eprintln!("SKIPPED: no python3");
        return;
    }
    world.write(
        "tasks/functions.py",
        "count = 0\ndef text(doc):\n    global count\n    count += 1\n    return f'{doc[\"question\"]} {count}'\n",
    );
    let lines = "output_type: loglikelihood\ndoc_to_text: !function functions.text\ndoc_to_target: \" x\"\n";
    world.write("tasks/broken.yaml", &task("broken", lines));
    let eval = [&EVAL[..], &["tasks/broken.yaml", "--trust_remote_code"]].concat();
    world.fails(2, &eval, &["broken", "document 0", "rendered twice"]);
    world.write(
        "tasks/functions.py",
        "import time\ndef text(doc):\n    time.sleep(60)\n",
    );
    let eval = [
        &EVAL[..3],
        &[
            "--tasks",
            "tasks/broken.yaml",
            "--trust_remote_code",
            "--hook_timeout_s",
            "0.5",
        ],
    ];
    world.fails(2, &eval.concat(), &["functions.text", "0.5 s"]);
    let eval = [&EVAL[..], &["--hook_timeout_s", "-1"]].concat();
    assert_eq!(world.harness(&eval).code, 2);
}
