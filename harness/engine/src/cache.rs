//! Answers kept on disk, found again by what they are answers to: the model's files by content, and the request. One `SQLite`
//! file, which several processes may share. Keeps no text that was drawn: a draw depends on its place in the run.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use harness_task::{Request, Response};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use sha2::{Digest, Sha256};

use crate::answer::{OnStep, Step};
use crate::error::{EngineError, Result};
use crate::scorer::{Progress, Scorer};

/// How long to wait for another process that writes.
const PATIENCE: Duration = Duration::from_mins(1);
/// Part of every key; raised when this crate comes to answer otherwise than before.
const FORMAT: &str = "1 float32";

/// What tells models apart: a hash of their files' contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelIdentity([u8; 32]);

/// The answers of one model.
pub struct AnswerCache {
    file: PathBuf,
    connection: Connection,
    model: ModelIdentity,
    found: usize,
    asked: usize,
}

impl AnswerCache {
    /// Opens or makes the file; `model` comes from [`model_identity`].
    ///
    /// # Errors
    /// When the file cannot be opened, or is something else.
    pub fn open(file: &Path, model: ModelIdentity) -> Result<Self> {
        let open = || -> rusqlite::Result<Connection> {
            let connection = Connection::open(file)?;
            connection.busy_timeout(PATIENCE)?;
            connection.execute_batch(
                "CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, answer TEXT NOT NULL) WITHOUT ROWID",
            )?;
            Ok(connection)
        };
        Ok(Self {
            connection: open().map_err(|error| failed(file, &error))?,
            file: file.to_owned(),
            model,
            found: 0,
            asked: 0,
        })
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// How many answers were found, and how many were looked for.
    pub fn found_and_asked(&self) -> (usize, usize) {
        (self.found, self.asked)
    }

    fn find(&mut self, requests: &[Request]) -> Result<Vec<Option<Response>>> {
        let keys: Vec<Vec<u8>> = requests
            .iter()
            .map(|request| self.key(request))
            .collect::<Result<_>>()?;
        let read = || -> rusqlite::Result<Vec<Option<String>>> {
            let mut find = self
                .connection
                .prepare("SELECT answer FROM answers WHERE key = ?")?;
            let mut find_one = |key: &Vec<u8>| find.query_row([key], |row| row.get(0)).optional();
            keys.iter().map(&mut find_one).collect()
        };
        let answers = read().map_err(|error| failed(&self.file, &error))?;
        let parse = |text: Option<String>| {
            let answer = text.map(|text| serde_json::from_str(&text)).transpose();
            answer.map_err(|error| failed(&self.file, &error))
        };
        let found: Vec<Option<Response>> = answers.into_iter().map(parse).collect::<Result<_>>()?;
        self.asked += found.len();
        self.found += found.iter().flatten().count();
        Ok(found)
    }

    /// Writes answers, each with the place of its request.
    fn keep(&mut self, requests: &[Request], answers: &[(usize, Response)]) -> Result<()> {
        if answers.is_empty() {
            return Ok(());
        }
        let row = |(index, response): &(usize, Response)| {
            let answer = serde_json::to_string(response);
            let answer = answer.map_err(|error| failed(&self.file, &error))?;
            Ok((self.key(&requests[*index])?, answer))
        };
        let rows: Vec<(Vec<u8>, String)> = answers.iter().map(row).collect::<Result<_>>()?;
        let mut write = || -> rusqlite::Result<()> {
            let write = TransactionBehavior::Immediate;
            let transaction = self.connection.transaction_with_behavior(write)?;
            let mut insert = transaction.prepare("INSERT OR REPLACE INTO answers VALUES (?, ?)")?;
            for row in &rows {
                insert.execute((&row.0, &row.1))?;
            }
            drop(insert);
            transaction.commit()
        };
        write().map_err(|error| failed(&self.file, &error))
    }

    fn key(&self, request: &Request) -> Result<Vec<u8>> {
        let request = serde_json::to_string(request).map_err(|error| failed(&self.file, &error))?;
        let mut key = Sha256::new();
        key.update(FORMAT);
        key.update(self.model.0);
        key.update(request);
        Ok(key.finalize().to_vec())
    }
}

impl Scorer {
    /// As [`Scorer::answer`], asking only what `cache` lacks, and keeping answers as they come.
    ///
    /// # Errors
    /// As [`Scorer::answer`], and when the cache fails.
    pub fn answer_with_cache(
        &mut self,
        requests: &[Request],
        cache: &mut AnswerCache,
        on_step: &mut OnStep,
    ) -> Result<Vec<Response>> {
        if requests.iter().any(is_drawn) {
            return self.answer(requests, on_step);
        }
        let mut responses = cache.find(requests)?;
        let (total, all) = (requests.len(), 0..requests.len());
        let missing: Vec<usize> = all.filter(|&index| responses[index].is_none()).collect();
        let answered: Vec<(usize, Response)> = responses
            .iter()
            .enumerate()
            .filter_map(|(index, found)| Some((index, found.clone()?)))
            .collect();
        let known = answered.len();
        on_step(Step {
            answered,
            progress: Progress {
                done: known,
                total,
                ..Progress::default()
            },
        })?;
        let asked: Vec<Request> = missing.iter().map(|&i| requests[i].clone()).collect();
        let answers = self.answer(&asked, &mut |mut step| {
            cache.keep(&asked, &step.answered)?;
            step.answered.iter_mut().for_each(|(i, _)| *i = missing[*i]);
            step.progress.done += known;
            step.progress.total = total;
            on_step(step)
        });
        let answers = answers.map_err(|error| at_place(error, &missing))?;
        for (index, answer) in missing.into_iter().zip(answers) {
            responses[index] = Some(answer);
        }
        Ok(responses.into_iter().flatten().collect())
    }
}

/// Names a request by its place in the whole list.
fn at_place(error: EngineError, places: &[usize]) -> EngineError {
    match error {
        EngineError::InRequest { index, source } => EngineError::InRequest {
            index: places[index],
            source,
        },
        other => other,
    }
}

fn is_drawn(request: &Request) -> bool {
    matches!(request, Request::GenerateUntil { generation, .. } if generation.do_sample)
}

/// What a model is, by the contents of its files and of its adapter's: the file or directory itself, with the settings that
/// lie beside a file.
///
/// # Errors
/// When a file cannot be read.
pub fn model_identity(sources: &[&Path]) -> Result<ModelIdentity> {
    let mut all = Sha256::new();
    for source in sources {
        for file in model_files(source).map_err(|error| failed(source, &error))? {
            all.update(file_hash(&file).map_err(|error| failed(&file, &error))?);
        }
        all.update(b"\n");
    }
    Ok(ModelIdentity(all.finalize().into()))
}

fn file_hash(file: &Path) -> std::io::Result<[u8; 32]> {
    let mut reader = BufReader::with_capacity(1 << 20, File::open(file)?);
    let mut hash = Sha256::new();
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            return Ok(hash.finalize().into());
        }
        hash.update(bytes);
        let read = bytes.len();
        reader.consume(read);
    }
}

/// Weights and settings, in order of name.
fn model_files(source: &Path) -> std::io::Result<Vec<PathBuf>> {
    let is_directory = source.is_dir();
    let folder = match source.parent() {
        _ if is_directory => source,
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let has = |wanted: &str| path.extension().is_some_and(|found| found == wanted);
        if path.is_file() && (has("json") || is_directory && has("safetensors")) {
            files.push(path);
        }
    }
    files.extend((!is_directory).then(|| source.to_owned()));
    files.sort();
    Ok(files)
}

fn failed(path: &Path, error: &dyn std::fmt::Display) -> EngineError {
    EngineError::Cache {
        path: path.to_owned(),
        problem: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(context: &str) -> Request {
        Request::Loglikelihood {
            context: context.to_owned(),
            continuation: " a".to_owned(),
        }
    }

    fn response(logprob: f64) -> Response {
        Response::Loglikelihood {
            logprob,
            is_greedy: true,
        }
    }

    #[test]
    fn answers_belong_to_model_and_request() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("answers.db");
        let open = |model: u8| AnswerCache::open(&file, ModelIdentity([model; 32])).unwrap();
        let exact = response(-0.1 - 1e-16);
        let (mut one, mut other) = (open(1), open(2));
        one.keep(&[request("x")], &[(0, exact.clone())]).unwrap();
        let asked = [request("x"), request("y")];
        assert_eq!(one.find(&asked).unwrap(), [Some(exact), None]);
        assert_eq!(other.find(&asked).unwrap(), [None, None]);
        assert_eq!(one.found_and_asked(), (1, 2));
    }

    #[test]
    fn writers_wait_for_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("answers.db");
        let write = |name: usize| {
            let mut cache = AnswerCache::open(&file, ModelIdentity([0; 32])).unwrap();
            for i in 0..20 {
                cache
                    .keep(&[request(&format!("{name} {i}"))], &[(0, response(-1.0))])
                    .unwrap();
            }
        };
        std::thread::scope(|scope| {
            let write = &write;
            (0..4).for_each(|name| drop(scope.spawn(move || write(name))));
        });
        let all: Vec<Request> = (0..80)
            .map(|i| request(&format!("{} {}", i / 20, i % 20)))
            .collect();
        let mut cache = AnswerCache::open(&file, ModelIdentity([0; 32])).unwrap();
        assert_eq!(cache.find(&all).unwrap(), vec![Some(response(-1.0)); 80]);
    }

    #[test]
    fn a_file_of_something_else_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("answers.db");
        std::fs::write(&file, "my thesis, and not a database at all ".repeat(50)).unwrap();
        let error = AnswerCache::open(&file, ModelIdentity([0; 32]))
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("answers.db"), "{error}");
        assert!(
            std::fs::read_to_string(&file)
                .unwrap()
                .starts_with("my thesis")
        );
    }

    #[test]
    fn a_model_is_its_files_contents() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let identity = || model_identity(&[folder.path()]).unwrap();
        write("model.safetensors", "weights");
        write("config.json", "{}");
        let first = identity();
        write("notes.txt", "nothing to do with it");
        assert_eq!(identity(), first);
        write("model.safetensors", "other weights");
        assert_ne!(identity(), first);
    }
}
