//! The C header, made from the contract's source. The test fails where `harness_method.h` is not what the source says; with
//! `HARNESS_WRITE_HEADER` set it writes the file instead. It refuses source that it does not understand.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use std::fmt::Write as _;
use std::path::Path;

use harness_abi::{
    ABI_MAJOR, ABI_MINOR, ENTRY_SYMBOL, FIRST_SPAWNED_MODEL, HIDDEN_STATES, TRAINER,
};

const FILES: [&str; 5] = [
    "lib.rs",
    "host.rs",
    "operation.rs",
    "method.rs",
    "trainer.rs",
];

/// The name of a Rust type in C.
fn c_type(rust: &str) -> String {
    if let Some(inner) = rust.strip_prefix("*const ") {
        return format!("const {} *", c_type(inner));
    }
    if let Some(inner) = rust.strip_prefix("*mut ") {
        return format!("{} *", c_type(inner));
    }
    let plain = match rust {
        "usize" => "size_t",
        "u8" => "uint8_t",
        "u32" => "uint32_t",
        "u64" => "uint64_t",
        "f64" => "double",
        "c_void" => "void",
        "Handle" => "harness_handle",
        "Status" => "harness_status",
        "Text" => "harness_text",
        "TextSink" => "harness_text_sink",
        "HostTable" => "harness_host_table",
        "MethodTable" => "harness_method_table",
        "HiddenStates" => "harness_hidden_states",
        "TrainerTable" => "harness_trainer_table",
        other => panic!("no C type is known for `{other}`"),
    };
    plain.to_owned()
}

fn snake(name: &str) -> String {
    let mut snake = String::new();
    for (place, letter) in name.chars().enumerate() {
        if letter.is_uppercase() && place > 0 {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

/// One field, constant or variant: its documentation and its text on one line.
struct Item {
    doc: String,
    text: String,
}

/// The items of a braced block, each ending with a comma at the outer level.
fn items(block: &str) -> Vec<Item> {
    let (mut items, mut doc, mut text, mut depth) = (Vec::new(), String::new(), String::new(), 0);
    for line in block.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix("///") {
            doc.push_str(comment);
            doc.push('\n');
            continue;
        }
        for letter in line.chars() {
            depth += i32::from("(<".contains(letter)) - i32::from(letter == ')');
            depth -= i32::from(letter == '>' && !text.ends_with('-'));
            if letter == ',' && depth == 0 {
                items.push(Item {
                    doc: std::mem::take(&mut doc),
                    text: std::mem::take(&mut text).trim().to_owned(),
                });
            } else {
                text.push(letter);
            }
        }
        text.push(' ');
    }
    items
}

/// What stands between the braces that open after `start`.
fn block<'a>(source: &'a str, start: &str) -> &'a str {
    let begin = source.find(start).unwrap() + start.len();
    let end = source[begin..].find("\n}").unwrap();
    &source[begin..begin + end]
}

/// Documentation without the marks that only Rust reads.
fn plain(line: &str) -> String {
    ["[`", "`]", "`", "crate::"]
        .iter()
        .fold(line.to_owned(), |line, mark| line.replace(mark, ""))
}

fn comment(out: &mut String, indent: &str, doc: &str) {
    let mut lines = doc.lines().map(str::trim_end).peekable();
    if lines.peek().is_none() {
        return;
    }
    for line in lines {
        writeln!(out, "{indent}//{}", plain(line)).unwrap();
    }
}

fn declaration(name: &str, rust: &str) -> String {
    let Some(function) = rust.strip_prefix("Option<") else {
        return format!("{} {name}", c_type(rust));
    };
    let function = function.trim().trim_end_matches(',').trim_end();
    let function = function
        .strip_suffix('>')
        .unwrap()
        .trim()
        .trim_end_matches(',');
    let arguments = function.split_once('(').unwrap().1;
    let (arguments, result) = arguments.rsplit_once(')').unwrap();
    let result = result
        .trim()
        .strip_prefix("->")
        .map_or("void".to_owned(), |rust| c_type(rust.trim()));
    let arguments = arguments
        .split(',')
        .map(str::trim)
        .filter(|argument| !argument.is_empty());
    let argument = |text: &str| match text.split_once(':') {
        Some((name, rust)) => format!("{} {name}", c_type(rust.trim())),
        None => c_type(text),
    };
    let arguments: Vec<String> = arguments.map(argument).collect();
    format!("{result} (*{name})({})", arguments.join(", "))
}

fn structure(out: &mut String, source: &str, name: &str) {
    let c_name = c_type(name);
    writeln!(out, "typedef struct {c_name} {{").unwrap();
    for item in items(block(source, &format!("pub struct {name} {{"))) {
        let (field, rust) = item
            .text
            .strip_prefix("pub ")
            .unwrap()
            .split_once(':')
            .unwrap();
        comment(out, "    ", &item.doc);
        writeln!(out, "    {};", declaration(field, rust.trim())).unwrap();
    }
    writeln!(out, "}} {c_name};\n").unwrap();
}

fn enumeration(out: &mut String, source: &str, name: &str) {
    writeln!(out, "enum harness_{} {{", snake(name)).unwrap();
    for item in items(block(source, &format!("\n    {name} {{")).trim_end_matches([' ', '}'])) {
        let (variant, code) = item.text.split_once('=').unwrap();
        let code = code.trim().split(' ').next().unwrap();
        let constant = format!("{name}{}", variant.trim());
        comment(out, "    ", &item.doc);
        writeln!(
            out,
            "    HARNESS_{} = {code},",
            snake(&constant).to_uppercase()
        )
        .unwrap();
    }
    writeln!(out, "}};\n").unwrap();
}

fn header() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap() + "\n";
    let source: String = FILES.map(read).concat();
    let mut out = String::from(
        "// The C contract between `harness` and the library of an unlearning method. Made from plugins/abi/src by its test `header`:\n\
         // HARNESS_WRITE_HEADER=1 cargo test -p harness-abi --test header\n//\n",
    );
    for line in read("lib.rs")
        .lines()
        .take_while(|line| line.starts_with("//!"))
    {
        writeln!(out, "//{}", plain(&line[3..])).unwrap();
    }
    writeln!(
        out,
        "#ifndef HARNESS_METHOD_H\n#define HARNESS_METHOD_H\n\n#include <stddef.h>\n#include <stdint.h>\n\n\
         #define HARNESS_ABI_MAJOR {ABI_MAJOR}u\n#define HARNESS_ABI_MINOR {ABI_MINOR}u\n\
         #define HARNESS_HIDDEN_STATES \"{HIDDEN_STATES}\"\n\
         #define HARNESS_TRAINER \"{TRAINER}\"\n\
         #define HARNESS_FIRST_SPAWNED_MODEL {FIRST_SPAWNED_MODEL}u\n\n\
         // Names a tensor of the current step, a parameter set or an optimiser; 0 names nothing.\ntypedef uint64_t harness_handle;\n\
         // 0: done. 1: refused or failed, the reason is in the error sink. 2: a bug was caught.\ntypedef int32_t harness_status;\n"
    )
    .unwrap();
    for name in ["Text", "TextSink"] {
        structure(&mut out, &source, name);
    }
    for name in [
        "Role",
        "Model",
        "Positions",
        "Measure",
        "Distribution",
        "Progress",
        "Level",
        "Operation",
    ] {
        enumeration(&mut out, &source, name);
    }
    for name in ["HostTable", "HiddenStates", "TrainerTable", "MethodTable"] {
        structure(&mut out, &source, name);
    }
    writeln!(
        out,
        "// The one symbol that a library exports.\nconst harness_method_table *{ENTRY_SYMBOL}(void);\n\n#endif"
    )
    .unwrap();
    out
}

#[test]
fn the_header_is_what_the_source_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("harness_method.h");
    if std::env::var_os("HARNESS_WRITE_HEADER").is_some() {
        std::fs::write(&file, header()).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == header(),
        "harness_method.h is stale: HARNESS_WRITE_HEADER=1 cargo test -p harness-abi --test header"
    );
}
