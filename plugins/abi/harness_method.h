// The C contract between `harness` and the library of an unlearning method. Made from plugins/abi/src by its test `header`:
// HARNESS_WRITE_HEADER=1 cargo test -p harness-abi --test header
//
// The C contract between harness and an unlearning method's library: types and constants only, no behaviour.
//
// It refuses to hold anything that is not #[repr(C)] data or a name for it, so that any language can speak it and no compiler,
// allocator or tensor library leaks through it.
//
// # Handshake
//
// A library exports one symbol, ENTRY_SYMBOL, of type Entry. The host resolves it, calls it, and checks the MethodTable it
// gets in this order before it calls anything else:
//
// 1. the symbol is there; 2. the table pointer is not null; 3. struct_size is sane (at least HEADER_SIZE, at most
//    MAX_STRUCT_SIZE); 4. abi_major equals ABI_MAJOR and abi_minor is at most the host's ABI_MINOR; 5. struct_size
//    covers every field of that minor version, and each function pointer is set, of loss and train exactly one.
//
// # Growth
//
// The first three fields of a table never change. New fields go at the end of a table, new operations, roles, models and status values
// get new numbers, and each such addition raises ABI_MINOR; whatever breaks an existing library raises ABI_MAJOR. A reader
// touches only the fields that lie within the struct_size it was given. So a library built against x.y loads in every host x.z with z >= y.
//
// # Rules that hold at every entry
//
// - **Thread**: the host calls a method from one thread at a time; a method calls the host only from the thread that called it, and only
//   until that call returns.
// - **Text** crosses as Text, pointer and length, UTF-8, never NUL-terminated. It is borrowed: whoever receives it copies it before
//   returning. Text that flows back goes through a TextSink, so no memory changes owner.
// - **Panics and exceptions** must not cross: they abort the process. A method reports them as Status::PANIC.
// - **Failed operations** do not stop a method: they return a *poisoned* handle that remembers what failed. Poison spreads to all that is computed from it,
//   and the host reports the first failure when the loss is returned.
//
// # Two tiers
//
// A library sets either loss, asked once a step by the harness's own loop, or since 1.1 train, which has a loop of its own and asks
// the host, through the extension TRAINER, for batches, gradients and steps.
#ifndef HARNESS_METHOD_H
#define HARNESS_METHOD_H

#include <stddef.h>
#include <stdint.h>

#define HARNESS_ABI_MAJOR 1u
#define HARNESS_ABI_MINOR 1u
#define HARNESS_HIDDEN_STATES "harness.hidden_states.1"
#define HARNESS_TRAINER "harness.trainer.1"
#define HARNESS_FIRST_SPAWNED_MODEL 16u

// Names a tensor of the current step, a parameter set or an optimiser; 0 names nothing.
typedef uint64_t harness_handle;
// 0: done. 1: refused or failed, the reason is in the error sink. 2: a bug was caught.
typedef int32_t harness_status;

typedef struct harness_text {
    // First byte.
    const uint8_t * pointer;
    // Length in bytes.
    size_t length;
} harness_text;

typedef struct harness_text_sink {
    // Passed back as the first argument of write; the callee never looks into it.
    void * context;
    // Appends text, which the sink copies before it returns. An absent function discards the text.
    void (*write)(void * context, harness_text text);
} harness_text_sink;

enum harness_role {
    // What must go.
    HARNESS_ROLE_FORGET = 0,
    // What must stay.
    HARNESS_ROLE_RETAIN = 1,
    // The forget prompts, in the same order, each with another answer: a refusal, or another plausible one.
    HARNESS_ROLE_ALTERNATE = 2,
    // General prompts and answers that the model should go on treating as the original does.
    HARNESS_ROLE_NORMAL = 3,
    // The forget prompts, each with some answers that belong to other prompts of the normal set. How many is the value of the
    // method's option mismatched_answers, else 1.
    HARNESS_ROLE_MISMATCH = 4,
};

enum harness_model {
    // The model being trained: differentiable.
    HARNESS_MODEL_POLICY = 0,
    // The frozen original: constants; there only if the method's description says that it needs reference.
    HARNESS_MODEL_REFERENCE = 1,
};

enum harness_positions {
    // Those that predict an answer token.
    HARNESS_POSITIONS_ANSWER = 0,
    // Those whose input is an answer token: one later than answer, to the end of the sequence.
    HARNESS_POSITIONS_ANSWER_INPUTS = 1,
    // All, prompts included.
    HARNESS_POSITIONS_EVERY = 2,
};

enum harness_measure {
    // Kullback-Leibler divergence of the policy from the teacher: sum over tokens of q (log q - log p), in nats.
    HARNESS_MEASURE_DIVERGENCE = 0,
    // Cross-entropy to the teacher: - sum over tokens of q log p, in nats. Its gradient is that of the divergence.
    HARNESS_MEASURE_CROSS_ENTROPY = 1,
    // Largest logit of the policy less its mean logit. Teacher, shift and stand-in mean nothing.
    HARNESS_MEASURE_LOGIT_SPREAD = 2,
};

enum harness_distribution {
    // Uniformly in [0, 1).
    HARNESS_DISTRIBUTION_UNIFORM = 0,
    // Normally with mean 0 and variance 1.
    HARNESS_DISTRIBUTION_NORMAL = 1,
};

enum harness_progress {
    // Optimiser steps that are done.
    HARNESS_PROGRESS_STEP = 0,
    // Optimiser steps of the whole run.
    HARNESS_PROGRESS_STEPS = 1,
    // How often the forget set has been gone through, with fractions, before this step.
    HARNESS_PROGRESS_EPOCH = 2,
};

enum harness_level {
    // Worth knowing.
    HARNESS_LEVEL_INFO = 0,
    // Probably not what the user wants.
    HARNESS_LEVEL_WARNING = 1,
};

enum harness_operation {
    // a + b.
    HARNESS_OPERATION_ADD = 0,
    // a - b.
    HARNESS_OPERATION_SUBTRACT = 1,
    // a * b.
    HARNESS_OPERATION_MULTIPLY = 2,
    // a / b.
    HARNESS_OPERATION_DIVIDE = 3,
    // The larger of a and b; a tie shares the gradient equally.
    HARNESS_OPERATION_MAXIMUM = 4,
    // The smaller of a and b; a tie shares the gradient equally.
    HARNESS_OPERATION_MINIMUM = 5,
    // -a.
    HARNESS_OPERATION_NEGATE = 6,
    // e to the a.
    HARNESS_OPERATION_EXP = 7,
    // Natural logarithm.
    HARNESS_OPERATION_LOG = 8,
    // 1 / (1 + e^-a).
    HARNESS_OPERATION_SIGMOID = 9,
    // log(1 / (1 + e^-a)), without overflow or cancellation at either end.
    HARNESS_OPERATION_LOG_SIGMOID = 10,
    // log(1 + e^a), without overflow.
    HARNESS_OPERATION_SOFTPLUS = 11,
    // Hyperbolic tangent.
    HARNESS_OPERATION_TANH = 12,
    // max(a, 0).
    HARNESS_OPERATION_RELU = 13,
    // a * a.
    HARNESS_OPERATION_SQUARE = 14,
    // Square root.
    HARNESS_OPERATION_SQRT = 15,
    // a + s for the one scalar parameter s.
    HARNESS_OPERATION_ADD_SCALAR = 16,
    // a * s for the one scalar parameter s.
    HARNESS_OPERATION_MULTIPLY_SCALAR = 17,
    // Sum over all elements, to a scalar.
    HARNESS_OPERATION_SUM = 18,
    // Mean over all elements, to a scalar.
    HARNESS_OPERATION_MEAN = 19,
    // The same values as constants: no gradient flows through.
    HARNESS_OPERATION_DETACH = 20,
    // Since 1.1. 1 where a > b, else 0: constants.
    HARNESS_OPERATION_GREATER = 21,
};

typedef struct harness_host_table {
    // Size of this struct in bytes as the host was compiled.
    size_t struct_size;
    // ABI_MAJOR of the host.
    uint32_t abi_major;
    // ABI_MINOR of the host.
    uint32_t abi_minor;
    // First argument of every function below; opaque.
    void * context;
    // Since 1.0. Log-probabilities (nats) of the answer tokens of the role batch under model: shape [answer tokens], the sequences end to
    // end. Asking twice costs nothing.
    harness_handle (*token_logprobs)(void * context, uint32_t model, uint32_t role);
    // Since 1.0. How many of the Positions positions each sequence of the role batch has: shape [batch], constants; answer
    // positions are at least 1.
    harness_handle (*position_counts)(void * context, uint32_t role, uint32_t positions);
    // Since 1.0. Sums values, shape [positions] of the role batch, over each sequence: shape [batch].
    harness_handle (*sequence_sum)(void * context, uint32_t role, uint32_t positions, harness_handle values);
    // Since 1.0. Applies the Operation with code operation to inputs (inputs_length handles) and scalars (scalars_length
    // numbers); both arrays are borrowed for the call. Wrong counts, shapes or codes poison the result.
    harness_handle (*apply)(void * context, uint32_t operation, const harness_handle * inputs, size_t inputs_length, const double * scalars, size_t scalars_length);
    // Since 1.0. A constant tensor: values, row-major, borrowed for the call; dimensions (rank of them, at most 8; rank 0 is a scalar)
    // whose product must be values_length.
    harness_handle (*constant)(void * context, const double * values, size_t values_length, const size_t * dimensions, size_t rank);
    // Since 1.0. Records the value of the scalar value under name in the step's log, each name once a step. A failure is also reported by the host at the end of the step.
    harness_status (*log_scalar)(void * context, harness_text name, harness_handle value);
    // Since 1.0. Records a message for the user; level is a Level code, an unknown one counts as a warning.
    harness_status (*log_message)(void * context, uint32_t level, harness_text text);
    // Since 1.0. Status::OK if handle names a good tensor; otherwise Status::ERROR, and what is wrong with it (operation, shapes) in reason.
    harness_status (*check)(void * context, harness_handle handle, harness_text_sink reason);
    // Since 1.0. Forgets handle; using it afterwards is an error. Frees the tensor unless the gradient still needs it. Optional: the step's end releases everything.
    harness_status (*release)(void * context, harness_handle handle);
    // Since 1.0. The Measure measure at the Positions positions of the role batch: shape [positions], sequences end to end.
    // teacher is a Model code. shift is taken off the teacher's logit of the token that a position predicts, infinity
    // removes the token. Where a position predicts no answer token nothing is shifted, or if stand_in is not 0, the token that
    // many from the end of the vocabulary is. The logits are never stored as a whole.
    harness_handle (*measure)(void * context, uint32_t measure, uint32_t role, uint32_t positions, uint32_t teacher, double shift, uint32_t stand_in);
    // Since 1.0. Copies the values of tensor, row-major, to the capacity numbers at values, which stay the method's, and writes how
    // many there are to length. Status::ERROR and nothing copied if tensor is no good tensor or has more values.
    harness_status (*read)(void * context, harness_handle tensor, double * values, size_t capacity, size_t * length);
    // Since 1.0. Random constants of this shape (as in constant), of a Distribution. They depend on the run's seed, stream and
    // the place in the tensor alone: the same stream gives the same numbers in every step.
    harness_handle (*random)(void * context, uint64_t stream, uint32_t distribution, const size_t * dimensions, size_t rank);
    // Since 1.0. How far the run is, by Progress code; NaN for a code that the host does not know.
    double (*progress)(void * context, uint32_t quantity);
    // Since 1.0. The functions of an optional power, by its name, such as HIDDEN_STATES: a table of the host's that begins with its size
    // and is valid as long as this one; null where the host does not have it.
    const void * (*extension)(void * context, harness_text name);
} harness_host_table;

typedef struct harness_hidden_states {
    // Size of this struct in bytes as the host was compiled.
    size_t struct_size;
    // Since 1.0. Numbers in a hidden state; 0 where that is not known.
    size_t (*width)(void * context);
    // Since 1.0. Mean over the width of the squared difference between the output of layer layer (counted from 0) of the policy and
    // target, at the Positions positions of the role batch: shape [positions]. target has shape [width];
    // Handle::NONE stands for the output of the same layer of the reference, which the description must need then.
    harness_handle (*squared_distance)(void * context, uint32_t role, uint32_t positions, uint32_t layer, harness_handle target);
    // Since 1.1. Euclidean length of the output of layer layer (counted from 0) of model, at the Positions positions of the role
    // batch: shape [positions]; constants under the reference.
    harness_handle (*length)(void * context, uint32_t model, uint32_t role, uint32_t positions, uint32_t layer);
} harness_hidden_states;

typedef struct harness_trainer_table {
    // Size of this struct in bytes as the host was compiled.
    size_t struct_size;
    // Since 1.1. Draws the next batch of the forget set and of every role that the description needs, by the run's seed. Every tensor of
    // the batch before is void. Before the first batch there is no tensor to ask for.
    harness_status (*next_batch)(void * context, harness_text_sink reason);
    // Since 1.1. Optimiser steps that the run still allows; 0 where the context is not the current one.
    uint64_t (*steps_left)(void * context);
    // Since 1.1. 1 if the run is to end soon: the method should restore what it wants kept, and return; else 0.
    uint32_t (*cancelled)(void * context);
    // Since 1.1. The learning rate that the run's schedule has for the next optimiser step.
    double (*learning_rate)(void * context);
    // Since 1.1. The gradients of the scalar loss by every trainable parameter: a set, zeros where the loss does not depend on a parameter. A
    // loss that depends on none, or is not finite, poisons the set. loss keeps its value.
    harness_handle (*gradients)(void * context, harness_handle loss);
    // Since 1.1. A copy of the parameters as they are now: a set.
    harness_handle (*weights)(void * context);
    // Since 1.1. Makes the parameters equal to set, whose values must be finite.
    harness_status (*set_weights)(void * context, harness_handle set, harness_text_sink reason);
    // Since 1.1. Adds factor times set to the parameters; the sum must be finite.
    harness_status (*update)(void * context, harness_handle set, double factor, harness_text_sink reason);
    // Since 1.1. Makes the change of the model since the parameters were since factor times as large: the parameters become since + factor *
    // (now - since). The change of a low-rank adapter is the product of its halves, so its second half is scaled instead, which
    // must have been zero in since.
    harness_status (*scale_change)(void * context, harness_handle since, double factor, harness_text_sink reason);
    // Since 1.1. Applies the Operation with code operation, which must be elementwise, to each parameter's tensors of sets
    // (sets_length handles) and scalars (scalars_length numbers): a set. Both arrays are borrowed for the call.
    harness_handle (*combine)(void * context, uint32_t operation, const harness_handle * sets, size_t sets_length, const double * scalars, size_t scalars_length);
    // Since 1.1. Writes the sum over all elements of first times second, summed in 64 bits in a fixed order, to product.
    harness_status (*dot)(void * context, harness_handle first, harness_handle second, double * product, harness_text_sink reason);
    // Since 1.1. Writes the value below which the share share, from 0 to 1, of all elements of set lies, between two neighbours
    // by linear interpolation, to value.
    harness_status (*quantile)(void * context, harness_handle set, double share, double * value, harness_text_sink reason);
    // Since 1.1. Ones for the parameters whose whole name the regular expression pattern matches, zeros for the others: a set. A pattern
    // that matches none poisons it.
    harness_handle (*select)(void * context, harness_text pattern);
    // Since 1.1. Random numbers of a Distribution: a set. They depend on the run's seed, stream, the parameter's name and the place in
    // it alone.
    harness_handle (*random)(void * context, uint64_t stream, uint32_t distribution);
    // Since 1.1. An optimiser of all trainable parameters without a step behind it. kind is adamw or sgd; options is a JSON object: for
    // both max_gradient_norm (null: no clipping), for adamw also weight_decay, beta1, beta2 and epsilon. Absent
    // names, and an empty text, mean the run's.
    harness_handle (*optimizer)(void * context, harness_text kind, harness_text options);
    // Since 1.1. Takes a step of optimizer along gradients, a set, and writes their joint norm before clipping to norm. Refused when the
    // run's steps are used up, and when a gradient is not finite.
    harness_status (*step)(void * context, harness_handle optimizer, harness_handle gradients, double learning_rate, double * norm, harness_text_sink reason);
    // Since 1.1. Ends a step: the run's log gets a line with the value of the scalar loss, which must be finite, what log_scalar recorded, and what went through
    // the models since the step before. Refused when the run's steps are used up.
    harness_status (*finish_step)(void * context, harness_handle loss, harness_text_sink reason);
    // Since 1.1. A frozen copy of the model with the parameters of set, whose values must be finite; writes its code, FIRST_SPAWNED_MODEL
    // or more, to model. The set may be released then. The host owns the copy; its memory is that of the parameters.
    harness_status (*spawn)(void * context, harness_handle set, uint32_t * model, harness_text_sink reason);
    // Since 1.1. Drops the spawned model with code model: its memory is free, tensors that it gave stay, and its code names nothing. Optional: the
    // return of train drops all.
    harness_status (*drop_model)(void * context, uint32_t model, harness_text_sink reason);
    // Since 1.1. Cross-entropy of the policy to a teacher that goes away from a second model where that one is surer, at the Positions
    // positions of the role batch, in nats: - sum over tokens of q log p, q the softmax of t - alpha * max(s - t, 0) for
    // logits t of teacher and s of second, both model codes. Shape [positions]; q is a constant. The logits are never stored as a whole.
    harness_handle (*contrast_cross_entropy)(void * context, uint32_t role, uint32_t positions, uint32_t teacher, uint32_t second, double alpha);
} harness_trainer_table;

typedef struct harness_method_table {
    // Size of this struct in bytes as the library was compiled.
    size_t struct_size;
    // ABI_MAJOR the library was compiled against.
    uint32_t abi_major;
    // ABI_MINOR the library was compiled against.
    uint32_t abi_minor;
    // Since 1.0. Writes the method's description to description, as one JSON object:
    //
    // json
    // {"id": "npo", "version": "0.1.0", "summary": "…", "needs": ["retain", "reference"],
    //  "options": [{"name": "beta", "type": "number", "default": 0.1, "doc": "…"}]}
    // 
    //
    // id matches the library's file name and is made of a-z 0-9 _. needs lists what the host must have ready: the roles retain,
    // alternate, normal and mismatch (a batch in every step), reference (the frozen original) and every_position (other
    // positions than those that predict answers); a host refuses a need that it does not know.
    // type is number, integer, boolean or string. Any thread; on failure the reason goes to error.
    harness_status (*describe)(harness_text_sink description, harness_text_sink error);
    // Since 1.0. Makes an instance from options, a JSON object of option names and values; absent names mean the default. On
    // Status::OK writes a non-null pointer to *instance: the library owns what it points to, the host owns the right to use it until it calls destroy exactly
    // once. From then on the instance is used from the thread that made it.
    harness_status (*create)(harness_text options, void * * instance, harness_text_sink error);
    // Since 1.0. The tier of methods that are a loss; null where train is set. Computes one training step's loss and writes the handle of a differentiable scalar to *loss; the host then owns that
    // handle. host, all it points to, and all handles of the step are the host's and valid only until this call returns. The method
    // may release handles early, and need not release any.
    harness_status (*loss)(void * instance, const harness_host_table * host, harness_handle * loss, harness_text_sink error);
    // Since 1.0. Frees the instance, which is not used after that. Cannot fail.
    void (*destroy)(void * instance);
    // Since 1.1. The tier of methods that own their loop; null where loss is set. Called once: trains, and returns when the weights are as they
    // are to be kept. host, all it points to, the extension TRAINER and all handles are the host's and valid only until this call
    // returns; the method may release handles early, and need not release any.
    harness_status (*train)(void * instance, const harness_host_table * host, harness_text_sink error);
} harness_method_table;

// The one symbol that a library exports.
const harness_method_table *harness_method_entry(void);

#endif
