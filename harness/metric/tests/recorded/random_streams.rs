//! `PythonRandom` against streams recorded from Python; needs the golden folder, without it nothing is checked.

use harness_metric::PythonRandom;
use serde_json::Value;

use crate::golden::recorded;

fn number(case: &Value, key: &str) -> usize {
    case[key]
        .as_u64()
        .unwrap_or_else(|| panic!("{key} in {case}")) as usize
}

fn indices(value: &Value) -> Vec<usize> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|index| index.as_u64().unwrap() as usize)
        .collect()
}

/// Runs `check` on the cases of one section, with a generator of the case's seed.
fn for_each_case(section: &str, mut check: impl FnMut(&Value, &mut PythonRandom)) {
    let Some(recorded) = recorded("python/random_streams.json") else {
        return;
    };
    let mut checked = 0;
    for case in recorded[section].as_array().unwrap() {
        // Negative and huge seeds are outside what the harness accepts.
        let Some(seed) = case["seed"].as_u64() else {
            continue;
        };
        check(case, &mut PythonRandom::new(seed));
        checked += 1;
    }
    assert!(checked > 0, "no case in {section}");
}

#[test]
fn raw_draws() {
    for_each_case("raw", |case, random| {
        let Some(expected) = case["random"].as_array() else {
            return;
        };
        for value in expected {
            assert_eq!(random.random(), value.as_f64().unwrap(), "{case}");
        }
        for pair in case["getrandbits"].as_array().unwrap() {
            let bits = pair[0].as_u64().unwrap() as u32;
            assert_eq!(
                random.getrandbits(bits).to_string(),
                pair[1].as_str().unwrap(),
                "{bits} bits, {case}"
            );
        }
        assert_eq!(
            random.random(),
            case["random_after"].as_f64().unwrap(),
            "{case}"
        );
    });
}

#[test]
fn samples_without_replacement() {
    for_each_case("sample", |case, random| {
        let drawn = random.sample(number(case, "n"), number(case, "k")).unwrap();
        assert_eq!(drawn, indices(&case["sample"]), "{case}");
        assert_eq!(
            random.random(),
            case["then_random"].as_f64().unwrap(),
            "{case}"
        );
    });
    for_each_case("sample_repeated", |case, random| {
        for call in case["calls"].as_array().unwrap() {
            assert_eq!(
                random.sample(number(case, "n"), number(case, "k")).unwrap(),
                indices(call),
                "{case}"
            );
        }
    });
    assert!(PythonRandom::new(0).sample(3, 5).is_err());
}

#[test]
fn shuffles() {
    for_each_case("shuffle", |case, random| {
        for key in ["first", "second"] {
            let mut items: Vec<usize> = (0..number(case, "n")).collect();
            random.shuffle(&mut items);
            assert_eq!(items, indices(&case[key]), "{case}");
        }
        assert_eq!(
            random.random(),
            case["then_random"].as_f64().unwrap(),
            "{case}"
        );
    });
}

#[test]
fn choices_with_replacement() {
    for_each_case("choices", |case, random| {
        for key in ["first", "second"] {
            assert_eq!(
                random.choices(number(case, "n"), number(case, "k")),
                indices(&case[key]),
                "{case}"
            );
        }
    });
    for_each_case("choice", |case, random| {
        for expected in indices(&case["calls"]) {
            assert_eq!(random.randbelow(number(case, "n")), expected, "{case}");
        }
    });
}

/// What holds for every seed, without a recording.
#[test]
fn draws_keep_their_promises() {
    for seed in (0..200).chain([u64::from(u32::MAX), 1 << 32, u64::MAX]) {
        let (random, twin) = (&mut PythonRandom::new(seed), &mut PythonRandom::new(seed));
        for population in [1, 2, 21, 22, 85, 86, 1000] {
            let count = random.randbelow(population + 1);
            assert_eq!(count, twin.randbelow(population + 1), "seed {seed}");
            let sample = random.sample(population, count).unwrap();
            assert_eq!(sample, twin.sample(population, count).unwrap());
            let distinct: std::collections::BTreeSet<_> = sample.iter().collect();
            assert_eq!(
                distinct.len(),
                count,
                "{sample:?} of {population}, seed {seed}"
            );
            assert!(sample.iter().all(|&drawn| drawn < population), "{sample:?}");

            let in_order: Vec<usize> = (0..population).collect();
            let mut shuffled = in_order.clone();
            random.shuffle(&mut shuffled);
            let mut again = in_order.clone();
            twin.shuffle(&mut again);
            assert_eq!(shuffled, again, "seed {seed}");
            shuffled.sort_unstable();
            assert_eq!(shuffled, in_order, "seed {seed}");

            assert!((0.0..1.0).contains(&random.random()));
            twin.random();
            assert!(random.choice_index(population) < population);
            twin.choice_index(population);
        }
    }
}
