//! Task after task through the model: each is scored, judged and written down before the next begins. Reads no option.

use std::time::Instant;

use anyhow::Result;
use harness_bench::{Event, evaluate, score_groups, warnings};
use harness_engine::{Progress, Scorer};
use harness_report::{EvalFiles, EvalRun, ScoredTask};
use harness_task::{Limit, RequestOptions, Task, TaskResult, python_str};

use super::documents::Documents;
use crate::progress::Terminal;

/// What is to be asked, and where the answers go.
pub(super) struct Scoring<'a> {
    pub(super) tasks: &'a [Task],
    pub(super) documents: &'a Documents,
    pub(super) options: &'a RequestOptions,
    pub(super) files: Option<&'a EvalFiles>,
    pub(super) log_samples: bool,
    pub(super) write_out: bool,
}

impl Scoring<'_> {
    /// Adds every task to `run`, and the groups that are complete with it.
    pub(super) fn add_all(
        &self,
        run: &mut EvalRun,
        scorer: &mut Scorer,
        terminal: &mut Terminal,
    ) -> Result<()> {
        let start = Instant::now();
        for task in self.tasks {
            let options = self.documents.of(task.spec(), self.options);
            if self.write_out {
                terminal.show(Event::Message(first_prompt(task, &options)?));
            }
            let scored = score_task(task, scorer, &options, terminal)?;
            if let Some(files) = self.files.filter(|_| self.log_samples) {
                files.write_samples(&scored)?;
            }
            run.tasks.push(scored);
            run.groups = score_groups(&run.tree, &results(run))?;
            run.seconds = start.elapsed().as_secs_f64();
            if let Some(files) = self.files {
                files.write_results(run)?;
            }
        }
        for group in &run.groups {
            for lacking in &group.lacking {
                let message = format!("group {}: {lacking}", group.group);
                terminal.show(Event::Message(message));
            }
        }
        say_truncated(scorer, terminal);
        Ok(())
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

fn score_task(
    task: &Task,
    scorer: &mut Scorer,
    options: &RequestOptions,
    terminal: &mut Terminal,
) -> Result<ScoredTask> {
    let spec = task.spec();
    let mut started = false;
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
    let evaluation = evaluate(task, scorer, options, &mut progress)?;
    terminal.show(Event::StageFinished {
        remark: format!("{} documents", evaluation.result.effective_documents),
    });
    for warning in warnings(&evaluation) {
        terminal.show(Event::Message(format!("{}: {warning}", spec.task)));
    }
    let num_fewshot = spec.effective_num_fewshot(options.num_fewshot);
    Ok(ScoredTask::new(spec.clone(), num_fewshot, evaluation))
}

fn say_truncated(scorer: &Scorer, terminal: &mut Terminal) {
    let truncated = scorer.statistics().truncated;
    if truncated > 0 {
        let message = format!(
            "{truncated} requests were longer than the model's context and lost the beginning of their prompts"
        );
        terminal.show(Event::Message(message));
    }
}
