//! A server of this process that answers as the Hugging Face hub does: one public and one private model, from a
//! directory, and data sets and single files from the folder `hub` beside it.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::json;

pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
pub(crate) const CONVERTED: &str = "fedcba9876543210fedcba9876543210fedcba98";
pub(crate) const PUBLIC: &str = "org/tiny";
pub(crate) const PRIVATE: &str = "org/secret";
pub(crate) const TOKEN: &str = "hf_right";

/// A running server; it ends with the process.
pub(crate) struct HubServer {
    pub(crate) endpoint: String,
    requests: Arc<Mutex<Vec<String>>>,
}

/// What the server needs to answer.
#[derive(Clone)]
struct Shelf {
    directory: PathBuf,
    endpoint: String,
    /// Breaks connections off in the middle of the weights.
    breaks_off: bool,
}

struct Request {
    path: String,
    token: Option<String>,
    /// Tag of what the client has.
    tag: Option<String>,
    /// First byte asked for, and the last where one is named.
    range: Option<(usize, Option<usize>)>,
}

impl HubServer {
    /// Serves the files of `directory` as both models.
    pub(crate) fn start(directory: &Path, breaks_off: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let shelf = Shelf {
            directory: directory.to_owned(),
            endpoint: endpoint.clone(),
            breaks_off,
        };
        let log = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shelf, log) = (shelf.clone(), Arc::clone(&log));
                // A client that hangs up ends its thread only.
                std::thread::spawn(move || drop(shelf.serve(&stream, &log)));
            }
        });
        Self { endpoint, requests }
    }

    /// Paths asked for since the last call.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }
}

impl Shelf {
    fn serve(&self, stream: &TcpStream, log: &Mutex<Vec<String>>) -> std::io::Result<()> {
        let Some(request) = Request::read(stream)? else {
            return Ok(());
        };
        log.lock().unwrap().push(request.path.clone());
        for model in [PUBLIC, PRIVATE] {
            let listing = format!("/api/models/{model}/revision/");
            let files = format!("/{model}/resolve/");
            let rest = |start: &str| {
                request
                    .path
                    .strip_prefix(start)
                    .filter(|rest| is_known(rest))
            };
            let (listed, file) = (rest(&listing), rest(&files));
            if listed.or(file).is_none() {
                continue;
            }
            if model == PRIVATE && request.token.as_deref() != Some(TOKEN) {
                return respond(stream, "401 Unauthorized", "", b"{}");
            }
            return match file.and_then(|file| file.split_once('/')) {
                Some((_, name)) => self.file(stream, name, &request),
                None => self.listing(stream),
            };
        }
        match request.path.strip_prefix("/cdn/") {
            Some(name) => self.content(stream, name, &request),
            None => self.dataset(stream, &request),
        }
    }

    /// A data set's listing, one of its files, or a file that belongs to none: `hub/ORG/NAME/<main or converted>/…`, or
    /// `hub/files/…`.
    fn dataset(&self, stream: &TcpStream, request: &Request) -> std::io::Result<()> {
        let hub = self.directory.with_file_name("hub");
        let path = request.path.as_str();
        if let Some((id, revision)) =
            (path.strip_prefix("/api/datasets/")).and_then(|rest| rest.split_once("/revision/"))
        {
            let (folder, commit) = match revision {
                "main" => ("main", COMMIT),
                "refs%2Fconvert%2Fparquet" => ("converted", CONVERTED),
                _ => return respond(stream, "404 Not Found", "", b"{}"),
            };
            let root = hub.join(id).join(folder);
            if !root.is_dir() {
                return respond(stream, "404 Not Found", "", b"{}");
            }
            return list(stream, commit, &names_below(&root, ""));
        }
        let file = (path.strip_prefix("/datasets/"))
            .and_then(|rest| rest.split_once("/resolve/"))
            .and_then(|(id, rest)| Some((id, rest.split_once('/')?)));
        let (root, name, commit) = match file {
            Some((id, (COMMIT, name))) => (hub.join(id).join("main"), name, COMMIT),
            Some((id, (commit, name))) => (hub.join(id).join("converted"), name, commit),
            None => (hub, path.trim_start_matches('/'), COMMIT),
        };
        if request.tag.as_deref() == Some(&format!("\"{}\"", etag(name))) {
            return respond(stream, "304 Not Modified", "", b"");
        }
        let shelf = Self {
            directory: root,
            ..self.clone()
        };
        shelf.content_of(stream, name, commit, request)
    }

    fn listing(&self, stream: &TcpStream) -> std::io::Result<()> {
        let mut names: Vec<String> = std::fs::read_dir(&self.directory)?
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        list(stream, COMMIT, &names)
    }

    /// Weights lie elsewhere, as large files of the hub do.
    fn file(&self, stream: &TcpStream, name: &str, request: &Request) -> std::io::Result<()> {
        if !name.ends_with(".safetensors") {
            return self.content(stream, name, request);
        }
        let headers = format!(
            "Location: {}/cdn/{name}\r\nx-linked-etag: \"{}\"\r\nx-repo-commit: {COMMIT}\r\n",
            self.endpoint,
            etag(name)
        );
        respond(stream, "302 Found", &headers, b"")
    }

    fn content(&self, stream: &TcpStream, name: &str, request: &Request) -> std::io::Result<()> {
        self.content_of(stream, name, COMMIT, request)
    }

    fn content_of(
        &self,
        stream: &TcpStream,
        name: &str,
        commit: &str,
        request: &Request,
    ) -> std::io::Result<()> {
        let Ok(bytes) = std::fs::read(self.directory.join(name)) else {
            return respond(stream, "404 Not Found", "", b"{}");
        };
        let (start, end) = match request.range {
            Some((start, end)) => (start, end.unwrap_or(bytes.len() - 1).min(bytes.len() - 1)),
            None => (0, bytes.len() - 1),
        };
        let headers = format!(
            "ETag: \"{}\"\r\nx-repo-commit: {commit}\r\nContent-Range: bytes {start}-{end}/{}\r\n",
            etag(name),
            bytes.len()
        );
        let part = &bytes[start..=end];
        if self.breaks_off && name.ends_with(".safetensors") && start == 0 && part.len() > 1 {
            let mut stream = stream;
            write!(stream, "HTTP/1.1 206 Partial Content\r\n{headers}")?;
            write!(
                stream,
                "Content-Length: {}\r\nConnection: close\r\n\r\n",
                part.len()
            )?;
            return stream.write_all(&part[..part.len() / 2]);
        }
        respond(stream, "206 Partial Content", &headers, part)
    }
}

impl Request {
    fn read(stream: &TcpStream) -> std::io::Result<Option<Self>> {
        let mut lines = BufReader::new(stream).lines();
        let Some(first) = lines.next().transpose()? else {
            return Ok(None);
        };
        let mut request = Self {
            path: first.split(' ').nth(1).unwrap_or_default().to_owned(),
            token: None,
            tag: None,
            range: None,
        };
        for line in lines {
            let line = line?;
            let Some((name, value)) = line.split_once(": ") else {
                break;
            };
            match name.to_ascii_lowercase().as_str() {
                "authorization" => request.token = value.strip_prefix("Bearer ").map(str::to_owned),
                "if-none-match" => request.tag = Some(value.to_owned()),
                "range" => {
                    let (start, end) = value
                        .strip_prefix("bytes=")
                        .unwrap()
                        .split_once('-')
                        .unwrap();
                    request.range = Some((start.parse().unwrap(), end.parse().ok()));
                }
                _ => {}
            }
        }
        Ok(Some(request))
    }
}

/// Whether a path that goes on like this names a revision there is.
fn is_known(rest: &str) -> bool {
    let revision = rest.split('/').next();
    [Some("main"), Some(COMMIT)].contains(&revision)
}

/// Any text that differs from file to file.
fn etag(name: &str) -> String {
    name.replace(['.', '/'], "-")
}

fn list(stream: &TcpStream, commit: &str, names: &[String]) -> std::io::Result<()> {
    let siblings: Vec<_> = (names.iter())
        .map(|name| json!({ "rfilename": name }))
        .collect();
    let body = json!({ "sha": commit, "siblings": siblings }).to_string();
    respond(
        stream,
        "200 OK",
        "Content-Type: application/json\r\n",
        body.as_bytes(),
    )
}

fn names_below(folder: &Path, prefix: &str) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.path().is_dir() {
            names.extend(names_below(&entry.path(), &format!("{name}/")));
        } else {
            names.push(name);
        }
    }
    names.sort();
    names
}

fn respond(
    mut stream: &TcpStream,
    status: &str,
    headers: &str,
    body: &[u8],
) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(body)
}
