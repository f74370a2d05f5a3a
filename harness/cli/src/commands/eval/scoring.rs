//! Task after task through the model: each is scored, judged and written down before the next begins. Reads no option.

use std::io::IsTerminal;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use anyhow::Result;
use harness_bench::{
    EvaluationProgress, Event, Integrity, Questions, check_integrity, score_groups, warnings,
};
use harness_engine::{AnswerCache, Progress, Scorer, ScoringStatistics};
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
    /// Whether a task's prompts are made while the one before it is scored.
    pub(super) prepares_ahead: bool,
    pub(super) cache: Option<AnswerCache>,
    pub(super) scorer: Scorer,
    pub(super) terminal: &'a mut Terminal,
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
        // Answers that are kept are looked for by text.
        let encoder = self.cache.is_none().then(|| self.scorer.encoder().clone());
        let (documents, options) = (self.documents, self.options);
        let questions = |task: &Task| -> Result<Questions> {
            let options = documents.of(task.spec(), options);
            Ok(Questions::new(task, &options, encoder.as_ref())?)
        };
        if self.prepares_ahead {
            std::thread::scope(|scope| {
                let (ready, next) = sync_channel(0);
                scope.spawn(move || {
                    for task in tasks {
                        // Whoever listens may have given up.
                        if ready.send(questions(task)).is_err() {
                            break;
                        }
                    }
                });
                self.add_each(tasks, &mut |_| next.recv()?, start, run)
            })?;
        } else {
            self.add_each(tasks, &mut |task| questions(task), start, run)?;
        }
        self.say_the_rest(run);
        Ok(())
    }

    fn add_each(
        &mut self,
        tasks: &[Task],
        next: &mut dyn FnMut(&Task) -> Result<Questions>,
        start: Instant,
        run: &mut EvalRun,
    ) -> Result<()> {
        for task in tasks {
            if self.write_out {
                let options = self.documents.of(task.spec(), self.options);
                self.say(first_prompt(task, &options)?);
            }
            let scored = self.score(task, next(task)?)?;
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
        Ok(())
    }

    fn score(&mut self, task: &Task, questions: Questions) -> Result<ScoredTask> {
        let spec = task.spec();
        let (terminal, start) = (&mut *self.terminal, Instant::now());
        terminal.show(Event::StageStarted {
            name: spec.task.clone(),
            total: Some(questions.documents()),
            unit: "documents",
        });
        let mut last = Progress::default();
        let mut progress = |progress: EvaluationProgress| {
            last = progress.requests;
            terminal.show(Event::StageAdvanced {
                done: progress.documents_done,
                work_done: Some(last.work_done),
                remark: work(last.tokens_asked, last.tokens_computed, start.elapsed()),
            });
        };
        let cache = self.cache.as_mut();
        let evaluation = questions.evaluate(task, &mut self.scorer, cache, &mut progress)?;
        self.terminal.show(Event::StageFinished {
            remark: format!(
                "{} documents, {}",
                evaluation.result.effective_documents,
                work(last.tokens_asked, last.tokens_computed, start.elapsed())
            ),
        });
        for warning in warnings(&evaluation) {
            self.say(format!("{}: {warning}", spec.task));
        }
        let num_fewshot = spec.effective_num_fewshot(self.options.num_fewshot);
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
        self.say_what_it_took(run);
    }

    /// One line on what it took, for whoever watches.
    fn say_what_it_took(&mut self, run: &EvalRun) {
        if !std::io::stderr().is_terminal() {
            return;
        }
        let ScoringStatistics {
            tokens_asked,
            tokens_computed,
            ..
        } = self.scorer.statistics();
        let results = results(run).into_iter();
        let documents: usize = results.map(|result| result.effective_documents).sum();
        let time = Duration::from_secs_f64(run.seconds);
        let work = work(tokens_asked, tokens_computed, time);
        let [tasks, documents] = [(run.tasks.len(), "task"), (documents, "document")]
            .map(|(n, unit)| format!("{n} {unit}{}", if n == 1 { "" } else { "s" }));
        self.say(format!(
            "{tasks}, {documents} in {:.1} s: {tokens_asked} tokens asked, {tokens_computed} computed, {work}",
            run.seconds
        ));
    }

    fn say(&mut self, message: String) {
        self.terminal.show(Event::Message(message));
    }
}

/// Speed, and what sharing saved.
fn work(tokens_asked: usize, tokens_computed: usize, time: Duration) -> String {
    let speed = tokens_computed as f64 / time.as_secs_f64().max(1e-3);
    let shared = tokens_asked.saturating_sub(tokens_computed) as f64 / tokens_asked.max(1) as f64;
    format!("{speed:.0} tokens/s, {:.0} % shared", 100.0 * shared)
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
