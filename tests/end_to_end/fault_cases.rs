//! The faults that `fault_table` commits in a run of four steps: how each is brought about, and what must come of it.

/// Something that goes wrong in a run of four steps.
pub(crate) struct Fault {
    /// What goes wrong, for the table.
    pub(crate) name: &'static str,
    pub(crate) library: &'static str,
    pub(crate) settings: &'static [&'static str],
    /// More of the command line.
    pub(crate) arguments: &'static [&'static str],
    pub(crate) code: i32,
    /// What the error says besides the library's name.
    pub(crate) says: &'static [&'static str],
    /// Steps that the log keeps.
    pub(crate) kept: usize,
}

/// A fault of the fatal library in its second step.
const IN_A_STEP: Fault = Fault {
    name: "",
    library: "fatal",
    settings: &[],
    arguments: &[],
    code: 1,
    says: &[],
    kept: 1,
};

/// As many steps as there was room for.
pub(crate) const SOME: usize = usize::MAX;

pub(crate) const FAULTS: [Fault; 16] = [
    Fault {
        name: "panic in `create`",
        settings: &["fault=panic", "entry=create"],
        code: 2,
        says: &["method `fatal`", "panicked in `create`", "told to panic"],
        kept: 0,
        ..IN_A_STEP
    },
    Fault {
        name: "panic in `loss`",
        settings: &["fault=panic"],
        says: &["method `fatal`", "panicked in `loss`", "step 2"],
        ..IN_A_STEP
    },
    Fault {
        name: "panic in `destroy`",
        settings: &["fault=panic", "entry=destroy"],
        code: 0,
        says: &["panicked in `destroy`", "told to panic"],
        kept: 4,
        ..IN_A_STEP
    },
    Fault {
        name: "segmentation fault",
        settings: &["fault=segfault"],
        says: &["crashed (segmentation fault, signal 11)", "in step 2"],
        ..IN_A_STEP
    },
    Fault {
        name: "segmentation fault in `destroy`",
        settings: &["fault=segfault", "entry=destroy"],
        code: 0,
        says: &["segmentation fault", "the model is whole"],
        kept: 4,
        ..IN_A_STEP
    },
    Fault {
        name: "abort",
        settings: &["fault=abort"],
        says: &["crashed (abort, signal 6)", "in step 2"],
        ..IN_A_STEP
    },
    Fault {
        name: "loss that is NaN",
        library: "misbehaving",
        settings: &["fault=nan"],
        says: &["method `misbehaving`", "NaN", "step 1"],
        kept: 0,
        ..IN_A_STEP
    },
    Fault {
        name: "tensors whose shapes do not fit",
        library: "misbehaving",
        settings: &["fault=shapes"],
        says: &["method `misbehaving`", "operation `add`", "step 1"],
        kept: 0,
        ..IN_A_STEP
    },
    Fault {
        name: "handle of an earlier step",
        library: "misbehaving",
        settings: &["fault=stale"],
        says: &["method `misbehaving`", "handle", "step 2"],
        ..IN_A_STEP
    },
    Fault {
        name: "double free",
        settings: &["fault=double free"],
        says: &["crashed (abort, signal 6)", "in step 2"],
        ..IN_A_STEP
    },
    Fault {
        name: "endless loop in `create`",
        settings: &["fault=loop", "entry=create"],
        arguments: &["--step-timeout", "4"],
        says: &[
            "was ended while library and model were loaded",
            "--step-timeout",
        ],
        kept: 0,
        ..IN_A_STEP
    },
    Fault {
        name: "endless loop in `loss`",
        settings: &["fault=loop"],
        arguments: &["--step-timeout", "4"],
        says: &["was ended in step 2", "--step-timeout"],
        ..IN_A_STEP
    },
    Fault {
        name: "endless loop in `destroy`",
        settings: &["fault=loop", "entry=destroy"],
        code: 0,
        says: &[
            "did not end after the model was written",
            "the model is whole",
        ],
        kept: 4,
        ..IN_A_STEP
    },
    Fault {
        name: "memory without end",
        settings: &["fault=memory"],
        arguments: &["--max-memory", "500MiB"],
        says: &["was ended in step 2", "more than 500 MiB", "--max-memory"],
        ..IN_A_STEP
    },
    // Where a limit on the size of files stands for a full disk, its signal is ignored as at a full disk.
    Fault {
        name: "full disk, at the log",
        settings: &[],
        arguments: &["1"],
        says: &["out.partial/unlearn.jsonl", "too large"],
        kept: SOME,
        ..IN_A_STEP
    },
    Fault {
        name: "full disk, at the weights",
        settings: &[],
        arguments: &["40"],
        says: &["out.partial/model.safetensors", "too large"],
        kept: 4,
        ..IN_A_STEP
    },
];
