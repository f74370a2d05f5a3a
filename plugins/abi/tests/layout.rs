//! The contract's layout and codes, written down once more: a change here breaks libraries in the field. It refuses to be updated for anything
//! but an addition at the end (raise `ABI_MINOR`) or a deliberate break (raise `ABI_MAJOR`).
#![cfg(target_pointer_width = "64")]

use std::mem::{offset_of, size_of};

use harness_abi::{
    HEADER_SIZE, Handle, HostTable, Level, MethodTable, Model, Operation, Role, Status, Text,
    TextSink,
};

macro_rules! offsets {
    ($table:ty: $($field:ident),*) => { [$(offset_of!($table, $field)),*] };
}

#[test]
fn tables_start_with_the_header_and_continue_in_words() {
    assert_eq!(HEADER_SIZE, 16);
    assert_eq!(
        offsets!(MethodTable: struct_size, abi_major, abi_minor, describe, create, loss, destroy),
        [0, 8, 12, 16, 24, 32, 40]
    );
    assert_eq!(size_of::<MethodTable>(), 48);
    assert_eq!(
        offsets!(HostTable: struct_size, abi_major, abi_minor, context, token_logprobs, answer_tokens, sequence_sum,
            apply, constant, log_scalar, log_message, check, release),
        [0, 8, 12, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88]
    );
    assert_eq!(size_of::<HostTable>(), 96);
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
         sqrt add_scalar multiply_scalar sum mean detach"
    );
    for (code, &operation) in (0..).zip(Operation::ALL) {
        assert_eq!(operation.code(), code);
        assert_eq!(Operation::from_code(code), Some(operation));
    }
    assert_eq!(Operation::from_code(names.len() as u32), None);
    assert_eq!([Role::Forget.code(), Role::Retain.code()], [0, 1]);
    assert_eq!([Model::Policy.code(), Model::Reference.code()], [0, 1]);
    assert_eq!([Level::Info.code(), Level::Warning.code()], [0, 1]);
    assert_eq!([Status::OK.0, Status::ERROR.0, Status::PANIC.0], [0, 1, 2]);
}
