//! Task after task through the model: each is scored, judged and written down before the next begins. Reads no option.

use std::time::Instant;

use anyhow::Result;
use harness_bench::{
    Event, Integrity, check_integrity, evaluate_with_cache, score_groups, warnings,
};
use harness_engine::{AnswerCache, Progress, Scorer};
use harness_report::{EvalFiles, EvalRun, SamplesFormat, ScoredTask};
use harness_task::{Limit, RequestOptions, Task, TaskResult, python_str};

use super::documents::Documents;
use crate::exit::Refused;
use crate::progress::Terminal;

/// What answers, how it is asked, and where the answers go.
pub(super) struct Scoring<'a> {
    pub(super) documents: &'a Documents,
    pub(super) options: &'a RequestOptions,
    pub(super) files: Option<&'a EvalFiles>,
    /// Absent where samples are not written.
    pub(super) samples: Option<SamplesFormat>,
    pub(super) write_out: bool,
    pub(super) cache: Option<AnswerCache>,
    pub(super) scorer: Scorer,
    pub(super) terminal: Terminal,
}

impl Scoring<'_> {
    /// Looks at the data and prompts of all tasks, before any is scored.
    pub(super) fn check_integrity(&mut self, tasks: &[Task]) -> Result<()> {
        for task in tasks {
            let options = self.documents.of(task.spec(), self.options);
            let checked = check_integrity(task, self.scorer.encoder(), &options);
            let checked =
                checked.map_err(|error| Refused(format!("--check-integrity: {error}")))?;
            self.say(integrity(task, &checked));
        }
        Ok(())
    }

    /// Adds every task to `run`, and the groups that are complete with it.
    pub(super) fn add_all(&mut self, tasks: &[Task], run: &mut EvalRun) -> Result<()> {
        let start = Instant::now();
        for task in tasks {
            let options = self.documents.of(task.spec(), self.options);
            if self.write_out {
                self.say(first_prompt(task, &options)?);
            }
            let scored = self.score(task, &options)?;
            if let (Some(files), Some(format)) = (self.files, self.samples) {
                files.write_samples(&scored, format)?;
            }
            run.tasks.push(scored);
            run.groups = score_groups(&run.tree, &results(run))?;
            run.seconds = start.elapsed().as_secs_f64();
            if let Some(files) = self.files {
                files.write_results(run)?;
            }
        }
        self.say_the_rest(run);
        Ok(())
    }

    fn score(&mut self, task: &Task, options: &RequestOptions) -> Result<ScoredTask> {
        let spec = task.spec();
        let mut started = false;
        let terminal = &mut self.terminal;
        let mut progress = |progress: Progress| {
            if !started {
                let (name, total) = (spec.task.clone(), Some(progress.total));
                terminal.show(Event::StageStarted {
                    name,
                    total,
                    unit: "requests",
                });
                started = true;
            }
            terminal.show(Event::StageAdvanced {
                done: progress.done,
                remark: String::new(),
            });
        };
        let cache = self.cache.as_mut();
        let evaluation =
            evaluate_with_cache(task, &mut self.scorer, options, cache, &mut progress)?;
        self.terminal.show(Event::StageFinished {
            remark: format!("{} documents", evaluation.result.effective_documents),
        });
        for warning in warnings(&evaluation) {
            self.say(format!("{}: {warning}", spec.task));
        }
        let num_fewshot = spec.effective_num_fewshot(options.num_fewshot);
        Ok(ScoredTask::new(spec.clone(), num_fewshot, evaluation))
    }

    /// What is known when all is scored.
    fn say_the_rest(&mut self, run: &EvalRun) {
        for group in &run.groups {
            for lacking in &group.lacking {
                self.say(format!("group {}: {lacking}", group.group));
            }
        }
        let truncated = self.scorer.statistics().truncated;
        if truncated > 0 {
            self.say(format!(
                "{truncated} requests were longer than the model's context and lost the beginning of their prompts"
            ));
        }
        if let Some(cache) = &self.cache {
            let (found, asked) = cache.found_and_asked();
            let file = cache.file().display();
            self.say(format!("{found} of {asked} answers were in {file}"));
        }
    }

    fn say(&mut self, message: String) {
        self.terminal.show(Event::Message(message));
    }
}

fn results(run: &EvalRun) -> Vec<&TaskResult> {
    run.tasks
        .iter()
        .map(|task| &task.evaluation.result)
        .collect()
}

/// What a model sees first of a task.
fn first_prompt(task: &Task, options: &RequestOptions) -> Result<String> {
    let first = RequestOptions {
        limit: Some(Limit::Count(1)),
        ..options.clone()
    };
    let documents = task.requests(&first)?;
    let (name, Some(document)) = (&task.spec().task, documents.first()) else {
        return Ok(String::new());
    };
    let prompt = document
        .requests
        .first()
        .and_then(|request| request.arguments().into_iter().next());
    let (row, target) = (document.doc_id, python_str(&document.target));
    let prompt = prompt.as_ref().map(python_str).unwrap_or_default();
    Ok(format!(
        "{name}, document {row}, target {target}:\n{prompt}"
    ))
}

/// In a line what was looked at, and a line for each remark.
fn integrity(task: &Task, checked: &Integrity) -> String {
    let (documents, requests, rows) = (checked.documents, checked.requests, checked.rows);
    let mut text = format!(
        "{}: {documents} of {rows} documents and {requests} requests are sound; rows {:.12}, requests {:.12}",
        task.spec().task,
        checked.rows_sha256,
        checked.requests_sha256
    );
    let cut = (checked.cut > 0).then(|| {
        format!(
            "{} requests do not fit the model and lose the beginning of their prompts",
            checked.cut
        )
    });
    for remark in checked.remarks.iter().chain(&cut) {
        text.push_str("\n  ");
        text.push_str(remark);
    }
    text
}
