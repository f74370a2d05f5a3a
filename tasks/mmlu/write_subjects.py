"""Writes the YAMLs of MMLU's 57 subjects in its three variants: one small file each, which includes what they share.

Usage: python3 write_subjects.py, in any folder. The files are committed; run it again after changing the table.
"""

from pathlib import Path

CATEGORIES = {
    "stem": """abstract_algebra anatomy astronomy college_biology college_chemistry college_computer_science
        college_mathematics college_physics computer_security conceptual_physics electrical_engineering
        elementary_mathematics high_school_biology high_school_chemistry high_school_computer_science
        high_school_mathematics high_school_physics high_school_statistics machine_learning""",
    "other": """business_ethics clinical_knowledge college_medicine global_facts human_aging management marketing
        medical_genetics miscellaneous nutrition professional_accounting professional_medicine virology""",
    "social_sciences": """econometrics high_school_geography high_school_government_and_politics
        high_school_macroeconomics high_school_microeconomics high_school_psychology human_sexuality
        professional_psychology public_relations security_studies sociology us_foreign_policy""",
    "humanities": """formal_logic high_school_european_history high_school_us_history high_school_world_history
        international_law jurisprudence logical_fallacies moral_disputes moral_scenarios philosophy prehistory
        professional_law world_religions""",
}

# Folder: ending of the task's name, ending of the tag after the category, what the questions are called.
VARIANTS = {
    "choice": ("", "_tasks", "multiple choice questions"),
    "continuation": ("_continuation", "_continuation", "questions"),
    "generative": ("_generative", "_generative", "multiple choice questions"),
}

YAML = """\
include: ../_{variant}_yaml
task: mmlu_{subject}{task_ending}
task_alias: {subject}
tag: mmlu_{category}{tag_ending}
dataset_name: {subject}
description: "The following are {questions} (with answers) about {words}.\\n\\n"
"""

here = Path(__file__).parent
for variant, (task_ending, tag_ending, questions) in VARIANTS.items():
    (here / variant).mkdir(exist_ok=True)
    for category, subjects in CATEGORIES.items():
        for subject in subjects.split():
            text = YAML.format(
                variant=variant,
                subject=subject,
                task_ending=task_ending,
                words=subject.replace("_", " "),
                category=category,
                tag_ending=tag_ending,
                questions=questions,
            )
            (here / variant / f"{subject}.yaml").write_text(text)
