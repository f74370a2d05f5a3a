//! Models from elsewhere: ids of a hub that runs in this process, taken by every command that takes a model.

use std::path::PathBuf;

use crate::hub_server::{COMMIT, HubServer, PRIVATE, PUBLIC, TOKEN};
use crate::world::{Outcome, World};

/// A world with a hub that serves its model, and an empty cache.
pub(crate) struct Online {
    pub(crate) world: World,
    pub(crate) server: HubServer,
}

impl Online {
    pub(crate) fn new() -> Self {
        let world = World::new();
        let server = HubServer::start(&world.path("model"), false);
        Self { world, server }
    }

    /// Runs `harness` with nothing of the hub in the environment but `more`.
    pub(crate) fn run(&self, arguments: &[&str], more: &[(&str, &str)]) -> Outcome {
        let home = self
            .world
            .path("home")
            .into_os_string()
            .into_string()
            .unwrap();
        let mut environment = vec![
            ("HF_ENDPOINT", self.server.endpoint.as_str()),
            ("HF_HOME", home.as_str()),
            ("no_proxy", "127.0.0.1"),
        ];
        for name in [
            "HF_TOKEN",
            "HUGGING_FACE_HUB_TOKEN",
            "HF_TOKEN_PATH",
            "HF_HUB_CACHE",
            "HUGGINGFACE_HUB_CACHE",
            "HF_HUB_OFFLINE",
            "TRANSFORMERS_OFFLINE",
        ] {
            environment.push((name, ""));
        }
        environment.extend(more);
        self.world.harness_with(arguments, &environment)
    }

    pub(crate) fn fails(
        &self,
        code: i32,
        arguments: &[&str],
        more: &[(&str, &str)],
        parts: &[&str],
    ) {
        let outcome = self.run(arguments, more);
        assert_eq!(outcome.code, code, "{arguments:?}: {}", outcome.stderr);
        assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
        for part in parts {
            assert!(
                outcome.stderr.contains(part),
                "no {part:?} in {}",
                outcome.stderr
            );
        }
    }

    fn repository(&self, cache: &str) -> PathBuf {
        self.world.path(cache).join("models--org--tiny")
    }
}

fn eval(model: &str) -> [&str; 5] {
    ["eval", "--model", model, "--tasks", "tasks/choices.yaml"]
}

/// The table without the line that names the model.
pub(crate) fn scores(outcome: &Outcome) -> Vec<String> {
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    outcome.stdout.lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn an_id_is_downloaded_once_and_scores_as_its_directory() {
    let online = Online::new();
    let want = scores(&online.run(&eval("model"), &[]));
    assert!(
        online.server.requests().is_empty(),
        "a directory asks nobody"
    );
    let first = online.run(&eval(PUBLIC), &[]);
    assert_eq!(scores(&first), want);
    assert!(
        first.stdout.contains("pretrained=org/tiny"),
        "{}",
        first.stdout
    );
    let asked = online.server.requests();
    assert_eq!(asked[0], "/api/models/org/tiny/revision/main");
    assert!(
        asked.iter().any(|path| path == "/cdn/model.safetensors"),
        "{asked:?}"
    );
    let repository = online.repository("home/hub");
    assert_eq!(
        std::fs::read_to_string(repository.join("refs/main")).unwrap(),
        COMMIT
    );
    let weights = repository
        .join("snapshots")
        .join(COMMIT)
        .join("model.safetensors");
    let original = std::fs::read(online.world.path("model/model.safetensors")).unwrap();
    assert_eq!(std::fs::read(weights).unwrap(), original);
    let arguments = [
        "eval",
        "--model",
        "hf",
        "--model_args",
        "pretrained=org/tiny,revision=main",
    ];
    let again = online.run(
        &[&arguments[..], &["--tasks", "tasks/choices.yaml"]].concat(),
        &[],
    );
    assert_eq!(scores(&again), want);
    assert_eq!(
        online.server.requests(),
        ["/api/models/org/tiny/revision/main"]
    );
}

#[test]
fn the_cache_serves_offline_and_while_the_hub_is_away() {
    let online = Online::new();
    let elsewhere = online
        .world
        .path("elsewhere")
        .into_os_string()
        .into_string()
        .unwrap();
    let offline = [
        ("HF_HUB_OFFLINE", "1"),
        ("HF_HUB_CACHE", elsewhere.as_str()),
    ];
    online.fails(
        2,
        &eval(PUBLIC),
        &offline,
        &[PUBLIC, "HF_HUB_OFFLINE", &elsewhere],
    );
    let want = scores(&online.run(&eval(PUBLIC), &offline[1..]));
    assert!(online.repository("elsewhere").is_dir() && !online.world.path("home").exists());
    online.server.requests();
    assert_eq!(scores(&online.run(&eval(PUBLIC), &offline)), want);
    let away = [offline[1], ("HF_ENDPOINT", "http://127.0.0.1:9")];
    let outcome = online.run(&eval(PUBLIC), &away);
    assert_eq!(scores(&outcome), want);
    assert!(
        outcome
            .stderr
            .contains("http://127.0.0.1:9 cannot be reached"),
        "{}",
        outcome.stderr
    );
    assert!(online.server.requests().is_empty());
    online.fails(
        1,
        &eval("org/other"),
        &away,
        &["org/other", "http://127.0.0.1:9", &elsewhere],
    );
}

#[test]
fn what_the_hub_refuses_is_said() {
    let online = Online::new();
    let none = online.server.endpoint.clone();
    online.fails(
        2,
        &eval("org/tyni"),
        &[],
        &["org/tyni", "404", &none, "no such directory"],
    );
    online.fails(2, &eval(PRIVATE), &[], &[PRIVATE, "401", "set HF_TOKEN"]);
    online.fails(
        2,
        &eval(PRIVATE),
        &[("HF_TOKEN", "hf_wrong")],
        &[PRIVATE, "401", "may not read"],
    );
    for variable in ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"] {
        assert_eq!(
            online.run(&eval(PRIVATE), &[(variable, TOKEN)]).code,
            0,
            "{variable}"
        );
    }
    let arguments = [
        "eval",
        "--model",
        "hf",
        "--model_args",
        "pretrained=org/tiny,revision=v9",
    ];
    online.fails(
        2,
        &[&arguments[..], &["--tasks", "tasks/choices.yaml"]].concat(),
        &[],
        &["404"],
    );
    online.world.write("file", "in the way");
    let cache = online
        .world
        .path("file")
        .into_os_string()
        .into_string()
        .unwrap();
    online.fails(1, &eval(PUBLIC), &[("HF_HUB_CACHE", &cache)], &[&cache]);
}

#[test]
fn repositories_that_hold_no_model_we_read() {
    let online = Online::new();
    let weights = online.world.path("model/model.safetensors");
    std::fs::rename(&weights, online.world.path("model/pytorch_model.bin")).unwrap();
    online.fails(
        2,
        &eval(PUBLIC),
        &[],
        &[PUBLIC, "model.safetensors.index.json", "safetensors"],
    );
    online.world.write(
        "model/model.safetensors.index.json",
        r#"{"weight_map": {"a": "../../x"}}"#,
    );
    online.fails(2, &eval(PUBLIC), &[], &[PUBLIC, "weight_map"]);
    std::fs::remove_file(online.world.path("model/config.json")).unwrap();
    let cache = online
        .world
        .path("fresh")
        .into_os_string()
        .into_string()
        .unwrap();
    online.fails(
        2,
        &eval(PUBLIC),
        &[("HF_HUB_CACHE", &cache)],
        &[PUBLIC, "no config.json"],
    );
}

#[test]
fn shards_are_those_of_the_index() {
    let online = Online::new();
    let want = scores(&online.run(&eval("model"), &[]));
    let shard = "model-00001-of-00001.safetensors";
    std::fs::rename(
        online.world.path("model/model.safetensors"),
        online.world.path("model").join(shard),
    )
    .unwrap();
    let index = format!(r#"{{"weight_map": {{"model.norm.weight": "{shard}"}}}}"#);
    online
        .world
        .write("model/model.safetensors.index.json", &index);
    assert_eq!(scores(&online.run(&eval(PUBLIC), &[])), want);
}

#[test]
fn a_broken_download_is_resumed() {
    let mut online = Online::new();
    let sound = std::mem::replace(
        &mut online.server,
        HubServer::start(&online.world.path("model"), true),
    );
    online.fails(1, &eval(PUBLIC), &[], &[PUBLIC, "model.safetensors"]);
    assert!(
        !online.repository("home/hub").join("refs/main").exists(),
        "not whole, so not there"
    );
    online.server = sound;
    let want = scores(&online.run(&eval("model"), &[]));
    assert_eq!(scores(&online.run(&eval(PUBLIC), &[])), want);
}

#[test]
fn unlearning_and_relearning_take_ids() {
    let online = Online::new();
    let unlearn = [
        "unlearn",
        "--model",
        PUBLIC,
        "--method",
        "grad_ascent",
        "--forget",
        "tasks/facts.yaml",
        "--steps",
        "1",
        "--output-path",
        "out",
    ];
    let outcome = online.run(&unlearn, &[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let relearn = [
        "relearn",
        "--original",
        PUBLIC,
        "--unlearned",
        "out",
        "--forget",
        "tasks/facts.yaml",
        "--max-steps",
        "1",
    ];
    let outcome = online.run(&relearn, &[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
}
