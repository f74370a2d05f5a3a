//! Bad task files, by what is wrong with them. `=== NAME` in a text begins another file beside it.

/// The data that they read.
pub(crate) const ROWS: &str = "{\"q\": \"one\", \"a\": \"two\", \"c\": [\"x\", \"y\"], \"l\": 0}\n{\"q\": \"three\", \"a\": \"four\", \"c\": [\"x\"], \"l\": 0}\n";

/// The beginning that most have in common.
macro_rules! head {
    () => {
        "task: mine\ndataset_path: json\ndataset_kwargs: {data_files: {test: rows.jsonl}}\ntest_split: test\n"
    };
}

/// Name and text of each.
pub(crate) const CASES: &[(&str, &str)] = &[
    (
        "a tab as indentation",
        concat!(
            head!(),
            "doc_to_text: \"{{q}}\"\ndoc_to_target: a\nmetadata:\n\tversion: 1\n"
        ),
    ),
    (
        "a quote that is not closed",
        concat!(
            head!(),
            "doc_to_text: \"{{q}}\"\ndoc_to_target: a\ndescription: 'open\n"
        ),
    ),
    (
        "a bracket that is not closed",
        concat!(
            head!(),
            "doc_to_text: \"{{q}}\"\ndoc_to_target: a\nmetric_list: [{metric: exact_match}\n"
        ),
    ),
    (
        "a colon in plain text",
        concat!(
            head!(),
            "doc_to_text: \"{{q}}\"\ndoc_to_target: a\ndescription: Question: what\n"
        ),
    ),
    ("a list where keys are due", "- task: mine\n- x\n"),
    (
        "an alias without an anchor",
        concat!(
            head!(),
            "doc_to_text: \"{{q}}\"\ndoc_to_target: a\ndescription: *nowhere\n"
        ),
    ),
    (
        "a merge of text",
        "<<: text\ntask: mine\ndataset_path: json\ndataset_kwargs: {data_files: {test: rows.jsonl}}\ntest_split: test\ndoc_to_text: \"{{q}}\"\ndoc_to_target: a\n",
    ),
    (
        "an unknown escape",
        concat!(
            head!(),
            "doc_to_text: \"{{q}}\"\ndoc_to_target: a\ndescription: \"\\q\"\n"
        ),
    ),
    (
        "a bad number after a tag",
        concat!(
            head!(),
            "doc_to_text: \"{{q}}\"\ndoc_to_target: a\nnum_fewshot: !!int three\n"
        ),
    ),
    (
        "a control character",
        concat!(
            head!(),
            "doc_to_text: \"{{q}}\"\ndoc_to_target: a\ndescription: a\u{1}b\n"
        ),
    ),
    (
        "no output type of that name",
        concat!(
            head!(),
            "output_type: multiple_choices\ndoc_to_text: q\ndoc_to_target: l\n"
        ),
    ),
    (
        "no split",
        "task: mine\ndataset_path: json\ndataset_kwargs: {data_files: {test: rows.jsonl}}\ndoc_to_text: q\ndoc_to_target: a\n",
    ),
    (
        "no data set",
        "task: mine\ntest_split: test\ndoc_to_text: q\ndoc_to_target: a\n",
    ),
    (
        "choices that are missing",
        concat!(
            head!(),
            "output_type: multiple_choice\ndoc_to_text: q\ndoc_to_target: l\n"
        ),
    ),
    (
        "a split that is not there",
        "task: mine\ndataset_path: json\ndataset_kwargs: {data_files: {test: rows.jsonl}}\ntest_split: tset\ndoc_to_text: \"{{q}}\"\ndoc_to_target: a\n",
    ),
    (
        "a slice that is none",
        "task: mine\ndataset_path: json\ndataset_kwargs: {data_files: {test: rows.jsonl}}\ntest_split: test[5]\ndoc_to_text: \"{{q}}\"\ndoc_to_target: a\n",
    ),
    (
        "a file that is not there",
        "task: mine\ndataset_path: json\ndataset_kwargs: {data_files: {test: row.jsonl}}\ntest_split: test\ndoc_to_text: \"{{q}}\"\ndoc_to_target: a\n",
    ),
    (
        "a template with an open brace",
        concat!(head!(), "doc_to_text: \"Q: {{q\"\ndoc_to_target: a\n"),
    ),
    (
        "a template with an unknown name",
        concat!(
            head!(),
            "doc_to_text: \"Question: {{quesiton}}\\nAnswer:\"\ndoc_to_target: a\n"
        ),
    ),
    (
        "a template with an unknown filter",
        concat!(head!(), "doc_to_text: \"{{q|uper}}\"\ndoc_to_target: a\n"),
    ),
    (
        "a template with an unknown method",
        concat!(
            head!(),
            "doc_to_text: \"{{q.stripp()}}\"\ndoc_to_target: a\n"
        ),
    ),
    (
        "a template with an unknown test",
        concat!(
            head!(),
            "doc_to_text: \"{% if q is nothing %}x{% endif %}\"\ndoc_to_target: a\n"
        ),
    ),
    (
        "a template without its end",
        concat!(
            head!(),
            "doc_to_text: \"{% for x in c %}{{x}}\"\ndoc_to_target: a\n"
        ),
    ),
    (
        "a template that fails on a later document",
        concat!(head!(), "doc_to_text: \"{{ c[1] }}\"\ndoc_to_target: a\n"),
    ),
    (
        "choices that are no list",
        concat!(
            head!(),
            "output_type: multiple_choice\ndoc_to_text: \"{{q}}\"\ndoc_to_choice: \"{{q}}\"\ndoc_to_target: l\n"
        ),
    ),
    (
        "a label beyond the choices",
        concat!(
            head!(),
            "output_type: multiple_choice\ndoc_to_text: \"{{q}}\"\ndoc_to_choice: c\ndoc_to_target: 7\n"
        ),
    ),
    (
        "a target that is none of the choices",
        concat!(
            head!(),
            "output_type: multiple_choice\ndoc_to_text: \"{{q}}\"\ndoc_to_choice: c\ndoc_to_target: q\n"
        ),
    ),
    (
        "an image column",
        concat!(
            head!(),
            "doc_to_text: \"{{q}}\"\ndoc_to_target: a\ndoc_to_image: picture\n"
        ),
    ),
    (
        "an audio column",
        concat!(
            head!(),
            "doc_to_text: \"{{q}}\"\ndoc_to_target: a\ndoc_to_audio: [sound]\n"
        ),
    ),
    (
        "a pattern that is none",
        concat!(
            head!(),
            "doc_to_text: \"{{q}}\"\ndoc_to_target: a\nfilter_list:\n- name: x\n  filter:\n  - {function: regex, regex_pattern: '(a'}\n"
        ),
    ),
    (
        "a filter without a function",
        concat!(
            head!(),
            "doc_to_text: \"{{q}}\"\ndoc_to_target: a\nfilter_list:\n- name: x\n  filter:\n  - {regex_pattern: a}\n"
        ),
    ),
    (
        "a pipeline without a name",
        concat!(
            head!(),
            "doc_to_text: \"{{q}}\"\ndoc_to_target: a\nfilter_list:\n- filter:\n  - {function: take_first}\n"
        ),
    ),
    (
        "a list of filters that is a map",
        concat!(
            head!(),
            "doc_to_text: \"{{q}}\"\ndoc_to_target: a\nfilter_list: {name: x}\n"
        ),
    ),
    (
        "an aggregation that is none",
        concat!(
            head!(),
            "doc_to_text: \"{{q}}\"\ndoc_to_target: a\nmetric_list:\n- {metric: exact_match, aggregation: maen}\n"
        ),
    ),
    (
        "a metric without a name",
        concat!(
            head!(),
            "doc_to_text: \"{{q}}\"\ndoc_to_target: a\nmetric_list:\n- {aggregation: mean}\n"
        ),
    ),
    (
        "a sampler that is none",
        concat!(
            head!(),
            "doc_to_text: \"{{q}}\"\ndoc_to_target: a\nfewshot_config:\n  sampler: random\n"
        ),
    ),
    (
        "samples that are no maps",
        concat!(
            head!(),
            "doc_to_text: \"{{q}}\"\ndoc_to_target: a\nfewshot_config:\n  samples: [a, b]\n"
        ),
    ),
    (
        "a group with an unknown member",
        "group: mine\ntask:\n- miner\n- other\n=== other.yaml\ntask: other\ndataset_path: json\ndataset_kwargs: {data_files: {test: rows.jsonl}}\ntest_split: test\ndoc_to_text: \"{{q}}\"\ndoc_to_target: a\n",
    ),
    (
        "a group that contains itself",
        "group: mine\ntask: [inner]\n=== inner.yaml\ngroup: inner\ntask: [mine]\n",
    ),
    (
        "a mean that is none in a group",
        "group: mine\ntask: [other]\naggregate_metric_list:\n- {metric: exact_match, aggregation: median}\n=== other.yaml\ntask: other\ndataset_path: json\ndataset_kwargs: {data_files: {test: rows.jsonl}}\ntest_split: test\ndoc_to_text: \"{{q}}\"\ndoc_to_target: a\n",
    ),
    (
        "an include that is no path",
        "include: {a: b}\ntask: mine\ndataset_path: json\ndataset_kwargs: {data_files: {test: rows.jsonl}}\ntest_split: test\ndoc_to_text: \"{{q}}\"\ndoc_to_target: a\n",
    ),
    (
        "an include of itself",
        "include: mine.yaml\ntask: mine\ndataset_path: json\ndataset_kwargs: {data_files: {test: rows.jsonl}}\ntest_split: test\ndoc_to_text: \"{{q}}\"\ndoc_to_target: a\n",
    ),
    (
        "an error in an included file",
        "include: _base\ntask: mine\ndataset_path: json\ndataset_kwargs: {data_files: {test: rows.jsonl}}\ntest_split: test\ndoc_to_text: \"{{q}}\"\ndoc_to_target: a\n=== _base\nnum_fewshots: 3\n",
    ),
    (
        "more repeats than none",
        concat!(
            head!(),
            "doc_to_text: \"{{q}}\"\ndoc_to_target: a\nrepeats: -1\n"
        ),
    ),
    (
        "stop strings that are numbers",
        concat!(
            head!(),
            "doc_to_text: \"{{q}}\"\ndoc_to_target: a\ngeneration_kwargs: {until: 5}\n"
        ),
    ),
];
