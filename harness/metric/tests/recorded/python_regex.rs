//! `PythonRegex` against Python's `re`, on the patterns of lm-eval's task files.

use harness_metric::{PatternError, PythonRegex};
use serde_json::{Value, json};

use crate::golden::{for_each_case, recorded, text};

const RECORDING: &str = "python/regex_filters.json";

/// What `re.findall` returns, as JSON.
fn find_all(regex: &PythonRegex, text: &str) -> Value {
    let found = regex.find_all(text).unwrap();
    let entries = found.into_iter().map(|groups| match groups.as_slice() {
        [one] => json!(one),
        several => json!(several),
    });
    entries.collect()
}

#[test]
fn finds_what_python_finds() {
    let mut checked = 0;
    for_each_case(RECORDING, "filters", |filter| {
        let Some(pattern) = filter["args"]["regex_pattern"].as_str() else {
            return;
        };
        let regex = PythonRegex::new(pattern).unwrap();
        assert_eq!(regex.group_count() as u64, filter["n_groups"], "{pattern}");
        for case in filter["cases"].as_array().unwrap() {
            let found = find_all(&regex, text(case, "text"));
            assert_eq!(found, case["findall"], "{pattern} in {case}");
            checked += 1;
        }
    });
    assert!(checked > 500 || recorded(RECORDING).is_none(), "{checked}");
}

#[test]
fn deletes_what_python_deletes() {
    for_each_case(RECORDING, "regexes_to_ignore", |case| {
        let regex = PythonRegex::new(text(case, "pattern")).unwrap();
        let deleted = regex.sub("", text(case, "text"), 0).unwrap();
        assert_eq!(deleted, text(case, "sub_empty"), "{case}");
    });
}

#[test]
fn replaces_what_python_replaces() {
    for_each_case(RECORDING, "regex_replace", |case| {
        let regex = PythonRegex::new(text(case, "pattern")).unwrap();
        let count = case["count"].as_u64().unwrap() as usize;
        let replaced = regex.sub(text(case, "repl"), text(case, "text"), count);
        assert_eq!(replaced.unwrap(), text(case, "expected"), "{case}");
    });
}

/// Patterns whose meaning differs between the two languages, with what `CPython`'s documentation says of them.
#[test]
fn where_the_languages_differ() {
    let cases: [(&str, &str, Value); 28] = [
        (r"a$", "a\n", json!(["a"])),
        (r"a\Z", "a\n", json!([])),
        (r"(?m)^.$", "a\nb\n", json!(["a", "b"])),
        (r"a*", "baac", json!(["", "aa", "", ""])),
        (r"|a", "a", json!(["", "a", ""])),
        (r"[[]a", "[a", json!(["[a"])),
        (r"[a&&b]", "&", json!(["&"])),
        (r"[]a]", "]", json!(["]"])),
        (r"[^]]", "]x", json!(["x"])),
        (r"[a\-z]", "-", json!(["-"])),
        (r"[+--]", ",", json!([","])),
        (r"[a-]", "-", json!(["-"])),
        (r"\s", "\u{1c}", json!(["\u{1c}"])),
        (r"[^\S\n]", "\u{1f}\n", json!(["\u{1f}"])),
        (r"\w+", "x²½_", json!(["x²½_"])),
        (r"\w", "\u{301}", json!([])),
        (r"(?a)\w+", "éa", json!(["a"])),
        (r"\bb", "\u{301}b", json!(["b"])),
        (r"x{,2}y", "xxxy", json!(["xxy"])),
        (r"{a}", "{a}", json!(["{a}"])),
        (r"a{}", "a{}", json!(["a{}"])),
        (r"\x41\u0042\103\0", "ABC\0", json!(["ABC\0"])),
        (r"(a)(?(1)b|c)(?#note)", "ab", json!(["a"])),
        ("(?x) a b # c\n \\ ", "ab ", json!(["ab "])),
        (r"(?P<q>['\x22])x(?P=q)", "'x'", json!(["'"])),
        (r"(?P<q>a)(b)\1\2", "abab", json!([["a", "b"]])),
        (r"\B", "", json!([])),
        (r"(?i:A)\<", "a<", json!(["a<"])),
    ];
    for (pattern, text, expected) in cases {
        let regex = PythonRegex::new(pattern).unwrap();
        assert_eq!(find_all(&regex, text), expected, "{pattern}");
    }
}

#[test]
fn what_python_refuses_is_refused() {
    for pattern in [
        r"\h", r"\K", r"\", "[a", "(a", "a)", "(?<x>a)", "a(?i)", "[z-a]", "[\\d-z]", "*a", r"\xg",
    ] {
        let refused = PythonRegex::new(pattern).err();
        assert!(
            matches!(refused, Some(PatternError::Pattern { .. })),
            "{pattern}: {refused:?}"
        );
    }
    let regex = PythonRegex::new("(?P<word>a)").unwrap();
    for replacement in [r"\2", r"\g<other>", r"\q", r"\", r"\g"] {
        let refused = regex.sub(replacement, "a", 0).err();
        assert!(
            matches!(refused, Some(PatternError::Replacement { .. })),
            "{replacement}: {refused:?}"
        );
    }
    assert_eq!(regex.sub(r"<\g<word>\101\.>", "a", 0).unwrap(), r"<aA\.>");
}

#[test]
fn a_search_without_end_is_given_up() {
    let regex = PythonRegex::new(r"^(a|aa)+(?=b)$").unwrap();
    let refused = regex.find_all(&"a".repeat(200)).err();
    assert!(
        matches!(refused, Some(PatternError::GaveUp { .. })),
        "{refused:?}"
    );
}

/// A pattern from a task file may not hold up a run before it begins: long ones are refused, and soon.
#[test]
fn a_pattern_that_is_too_long_is_refused() {
    for pattern in [
        r"\b".repeat(20_000),
        "[".to_owned() + &"-".repeat(70_000) + "]",
    ] {
        let refused = PythonRegex::new(&pattern).err();
        assert!(
            matches!(refused, Some(PatternError::TooLong { bytes, .. }) if bytes == pattern.len()),
            "{refused:?}"
        );
        assert!(refused.unwrap().to_string().len() < 400);
    }
    let words: Vec<String> = (0..300).map(|word| format!(r"\b{word}\b")).collect();
    let regex = PythonRegex::new(&words.join("|")).unwrap();
    assert_eq!(find_all(&regex, "7 x299 299"), json!(["7", "299"]));
}
