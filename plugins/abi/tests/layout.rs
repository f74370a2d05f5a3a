//! The contract's layout and codes, written down once more: a change here breaks libraries in the field. It refuses to be updated for anything
//! but an addition at the end (raise `ABI_MINOR`) or a deliberate break (raise `ABI_MAJOR`).
#![cfg(target_pointer_width = "64")]

use std::mem::{offset_of, size_of};

use harness_abi::{
    Distribution, HEADER_SIZE, Handle, HiddenStates, HostTable, Level, Measure, MethodTable, Model,
    Operation, Positions, Progress, Role, Status, Text, TextSink, TrainerTable,
};

macro_rules! offsets {
    ($table:ty: $($field:ident),*) => { [$(offset_of!($table, $field)),*] };
}

#[test]
fn tables_start_with_the_header_and_continue_in_words() {
    assert_eq!(HEADER_SIZE, 16);
    assert_eq!(
        offsets!(MethodTable: struct_size, abi_major, abi_minor, describe, create, loss, destroy, train),
        [0, 8, 12, 16, 24, 32, 40, 48]
    );
    assert_eq!(size_of::<MethodTable>(), 56);
    assert_eq!([0, 1].map(MethodTable::size_at), [48, 56]);
    assert_eq!(
        offsets!(HostTable: struct_size, abi_major, abi_minor, context, token_logprobs, position_counts, sequence_sum,
            apply, constant, log_scalar, log_message, check, release, measure, read, random, progress, extension),
        [
            0, 8, 12, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120, 128
        ]
    );
    assert_eq!(size_of::<HostTable>(), 136);
    assert_eq!(
        offsets!(HiddenStates: struct_size, width, squared_distance, length),
        [0, 8, 16, 24]
    );
    assert_eq!(
        offsets!(TrainerTable: struct_size, next_batch, steps_left, cancelled, learning_rate, gradients, weights, set_weights,
            update, scale_change, combine, dot, quantile, select, random, optimizer, step, finish_step, spawn, drop_model,
            contrast_cross_entropy),
        [
            0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120, 128, 136, 144, 152,
            160
        ]
    );
    assert_eq!(size_of::<TrainerTable>(), 168);
}

#[test]
fn values_that_cross_have_fixed_sizes() {
    assert_eq!((size_of::<Handle>(), size_of::<Status>()), (8, 4));
    assert_eq!(offsets!(Text: pointer, length), [0, 8]);
    assert_eq!(offsets!(TextSink: context, write), [0, 8]);
}

#[test]
fn codes_stay() {
    let names: Vec<&str> = Operation::ALL
        .iter()
        .map(|operation| operation.name())
        .collect();
    assert_eq!(
        names.join(" "),
        "add subtract multiply divide maximum minimum negate exp log sigmoid log_sigmoid softplus tanh relu square \
         sqrt add_scalar multiply_scalar sum mean detach greater"
    );
    for (code, &operation) in (0..).zip(Operation::ALL) {
        assert_eq!(operation.code(), code);
        assert_eq!(Operation::from_code(code), Some(operation));
    }
    assert_eq!(Operation::from_code(names.len() as u32), None);
    assert_eq!(
        Role::ALL,
        [
            Role::Forget,
            Role::Retain,
            Role::Alternate,
            Role::Normal,
            Role::Mismatch
        ]
    );
    assert_eq!(Model::ALL, [Model::Policy, Model::Reference]);
    assert_eq!(
        Positions::ALL,
        [Positions::Answer, Positions::AnswerInputs, Positions::Every]
    );
    assert_eq!(
        Measure::ALL,
        [
            Measure::Divergence,
            Measure::CrossEntropy,
            Measure::LogitSpread
        ]
    );
    assert_eq!(
        Distribution::ALL,
        [Distribution::Uniform, Distribution::Normal]
    );
    assert_eq!(
        Progress::ALL,
        [Progress::Step, Progress::Steps, Progress::Epoch]
    );
    assert!(Role::ALL.iter().map(|role| role.code()).eq(0..5));
    assert!(
        Positions::ALL
            .iter()
            .map(|positions| positions.code())
            .eq(0..3)
    );
    assert!(Measure::ALL.iter().map(|measure| measure.code()).eq(0..3));
    assert_eq!([Level::Info.code(), Level::Warning.code()], [0, 1]);
    assert_eq!([Status::OK.0, Status::ERROR.0, Status::PANIC.0], [0, 1, 2]);
}
