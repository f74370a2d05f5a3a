//! What the fuzzer begins with: YAML files of the folders that it is given, the templates in them, and seeds of its own for
//! every kind of input.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use harness_metric::PythonRandom;
use harness_task::yaml::{Node, NodeValue, parse};
use serde_json::Value;

use crate::mutation::mutate;

const YAML: &[&str] = &[
    "task: t\ndataset_path: json\ntest_split: test\noutput_type: multiple_choice\ndoc_to_text: q\ndoc_to_target: l\n\
     doc_to_choice: c\nmetric_list:\n  - metric: acc\n    aggregation: mean\n    higher_is_better: true\n",
    "task: t\ndataset_path: json\ntest_split: test[:50%]+test\noutput_type: generate_until\ndoc_to_text: '{{q}}'\n\
     doc_to_target: '{{s}}'\nfilter_list:\n- name: x\n  filter:\n  - function: regex\n    regex_pattern: '(\\d+)'\n\
     \x20 - function: take_first\ngeneration_kwargs: {until: [\"\\n\"], do_sample: false}\nrepeats: 2\n",
    "group: g\ntask:\n- t\n- {task: t, num_fewshot: 2}\naggregate_metric_list:\n- {metric: acc, weight_by_size: true}\n",
    "a: &a {b: [1, 2.5, yes, ~, 1:30, 0x1f, 2001-01-01]}\nc: *a\n<<: *a\nd: !!str 1\ne: |-\n  x\n  y\nf: >\n  z\n\n  w\n",
    "task: t\nnum_fewshot: 3\nfewshot_config: {sampler: first_n, samples: [{q: a, l: 0}], split: train}\ndescription: \"x\\ty\\u00e9\"\n",
];

const TEMPLATES: &[&str] = &[
    "{{q}}",
    "{{[c[0], s.strip(), 1, 2.5, none, true]}}",
    "{% for x in c %}{{loop.index}}. {{x}}{% if not loop.last %}, {% endif %}{% endfor %}",
    "{{ ['A', 'B'][l] if l is defined else '' }}",
    "{% set y = q.split(' ') %}{{ y[-1] }}{{ y[1:] | join('-') }}",
    "{{ s|regex_replace('(a|b)+', '\\\\1x') }}{{ q[::-1] }}{{ d.k }}{{ d['k'] }}",
    "{{ '%s and %d' % (q, l) }}{{ '{}'.format(q) }}{{ q ~ l }}{{ c | length }}{{ range(3) | list }}",
    "{{ d.items() | list }}{{ c | map('upper') | list }}{{ s.index('x') if 'x' in s else -1 }}{{ x|int / 2 // 1 ** 2 }}",
    "{{ s.replace('a', 'b').capitalize().title().zfill(10).center(5) }}{{ c.index('a') }}{{ c.count('a') }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1) }}{# comment #}{% raw %}{{ }}{% endraw %}",
    "['a', \"it's\", 'n\\nl', 1, -2.5e3, None, True, ('x',), {'k': [1]}, r'\\d', '\\x41\\u00e9']",
];

const PATTERNS: &[&str] = &[
    r"(-?[$0-9.,]{2,})|(-?[0-9]+)",
    r"(?i)(?P<n>a+)(?P=n)\b\B\d\D\w\W\s\S[^\]a-z\d]*?(?:x|y){2,3}$",
    r"(?s:.)(?=a)(?!b)(?<=c)(?<!d)\1\A\Z\x41\u00e9\0\12",
    r"(?x) a b # c",
    r"(a)?(?(1)b|c)|[\w.-]+@[\w-]+",
    r"The answer is (?:\(?([A-D])\)?)",
];

const SPLITS: &[&str] = &[
    "test",
    "test[:10%]+train[5:]",
    "test[-10%:](pct1_dropremainder)",
    "test[1_0:-3]",
    "train[33%:66%](closest) + test[:1]",
];

const CHAT: &[&str] = &[
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}{% endfor %}\
     {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    "{{ bos_token }}{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('no') }}\
     {% endif %}{{ m.content | trim }}{% endfor %}{{ messages | tojson(indent=2) }}{{ strftime_now('%Y %b %d') }}",
    "{%- set ns = namespace(found=false) -%}{%- for m in messages[::-1] -%}{%- set ns.found = true -%}{%- generation -%}\
     {{ m.content.split('x')[-1].lstrip('\\n') }}{%- endgeneration -%}{%- endfor -%}",
];

/// Texts by kind.
pub(crate) struct Corpus {
    kinds: BTreeMap<&'static str, Vec<String>>,
}

impl Corpus {
    pub(crate) fn read(folders: &[PathBuf]) -> Self {
        let mut kinds = BTreeMap::new();
        for (kind, seeds) in [
            ("yaml", YAML),
            ("template", TEMPLATES),
            ("pattern", PATTERNS),
            ("split", SPLITS),
            ("chat", CHAT),
        ] {
            let seeds: Vec<String> = seeds.iter().map(|&seed| seed.to_owned()).collect();
            kinds.insert(kind, seeds);
        }
        for folder in folders {
            add_files(folder, &mut kinds);
        }
        // What names its data stands for itself; the seeds come up often, as they are sure to run.
        let tasks = kinds["yaml"]
            .iter()
            .filter(|text| text.contains("dataset_path"));
        let seeds = YAML.iter().map(|&seed| seed.to_owned()).cycle().take(30);
        let tasks = tasks.cloned().chain(seeds).collect();
        kinds.insert("task", tasks);
        Self { kinds }
    }

    /// One of the texts of a kind with some changes, which may bring in parts of another.
    pub(crate) fn changed(&self, kind: &str, random: &mut PythonRandom) -> String {
        let texts = &self.kinds[kind];
        let text = &texts[random.randbelow(texts.len())];
        let other = &texts[random.randbelow(texts.len())];
        mutate(text, other, random)
    }
}

fn add_files(folder: &Path, kinds: &mut BTreeMap<&'static str, Vec<String>>) {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            add_files(&path, kinds);
        } else if path.extension().is_none_or(|kind| kind == "yaml")
            && let Ok(text) = std::fs::read_to_string(&path)
            && text.len() < 10_000
        {
            if let Ok(node) = parse(&text, &path) {
                add_texts(&node, kinds);
            }
            kinds.entry("yaml").or_default().push(text);
        }
    }
}

/// The templates and patterns in a file.
fn add_texts(node: &Node, kinds: &mut BTreeMap<&'static str, Vec<String>>) {
    match &node.value {
        NodeValue::Scalar(Value::String(text)) if text.contains("{{") => {
            kinds.entry("template").or_default().push(text.clone());
        }
        NodeValue::Scalar(_) => {}
        NodeValue::Sequence(items) => items.iter().for_each(|item| add_texts(item, kinds)),
        NodeValue::Mapping(mapping) => {
            for (key, _, value) in mapping.iter() {
                match &value.value {
                    NodeValue::Scalar(Value::String(text)) if key.contains("regex") => {
                        kinds.entry("pattern").or_default().push(text.clone());
                    }
                    _ => add_texts(value, kinds),
                }
            }
        }
    }
}
