// A method as it was written for ABI 1.0: it must go on compiling against its own header, loading and running. The macros let tests make
// the versions and sizes that a host must refuse.

#include "harness_method_1_0.h"

#include <stdlib.h>
#include <string.h>

#ifndef MAJOR
#define MAJOR HARNESS_ABI_MAJOR
#endif
#ifndef MINOR
#define MINOR HARNESS_ABI_MINOR
#endif
#ifndef SIZE
#define SIZE sizeof(harness_method_table)
#endif

static harness_text lend(const char *text) {
    harness_text lent = {(const uint8_t *)text, strlen(text)};
    return lent;
}

static harness_status describe(harness_text_sink description, harness_text_sink error) {
    (void)error;
    description.write(description.context,
                      lend("{\"id\": \"frozen\", \"version\": \"1.0.0\", \"summary\": \"A method of ABI 1.0.\","
                           " \"needs\": [\"retain\", \"reference\", \"every_position\"], \"options\":"
                           " [{\"name\": \"alpha\", \"type\": \"number\", \"default\": 1.0, \"doc\": \"Weight.\"}]}"));
    return 0;
}

static harness_status create(harness_text options, void **instance, harness_text_sink error) {
    (void)options;
    *instance = malloc(1);
    if (*instance == NULL) {
        error.write(error.context, lend("out of memory"));
        return 1;
    }
    return 0;
}

// Calls every function that 1.0 had.
static harness_status loss(void *instance, const harness_host_table *host, harness_handle *loss, harness_text_sink error) {
    (void)instance;
    if (host->abi_major != HARNESS_ABI_MAJOR || host->struct_size < sizeof(harness_host_table)) {
        error.write(error.context, lend("the host is older than this method"));
        return 1;
    }
    void *c = host->context;
    harness_handle tokens = host->token_logprobs(c, HARNESS_MODEL_POLICY, HARNESS_ROLE_FORGET);
    harness_handle sums = host->sequence_sum(c, HARNESS_ROLE_FORGET, HARNESS_POSITIONS_ANSWER, tokens);
    harness_handle counts = host->position_counts(c, HARNESS_ROLE_FORGET, HARNESS_POSITIONS_ANSWER);
    harness_handle pair[2] = {sums, counts};
    harness_handle means = host->apply(c, HARNESS_OPERATION_DIVIDE, pair, 2, NULL, 0);
    harness_handle forget = host->apply(c, HARNESS_OPERATION_MEAN, &means, 1, NULL, 0);
    harness_handle kl = host->measure(c, HARNESS_MEASURE_DIVERGENCE, HARNESS_ROLE_RETAIN, HARNESS_POSITIONS_EVERY,
                                      HARNESS_MODEL_REFERENCE, 0.0, 0);
    harness_handle retain = host->apply(c, HARNESS_OPERATION_MEAN, &kl, 1, NULL, 0);
    double one = 1.0;
    harness_handle scale = host->constant(c, &one, 1, NULL, 0);
    harness_handle both[2] = {retain, scale};
    retain = host->apply(c, HARNESS_OPERATION_MULTIPLY, both, 2, NULL, 0);
    double value = 0.0;
    size_t count = 0;
    if (host->check(c, retain, error) != 0 || host->read(c, retain, &value, 1, &count) != 0 || count != 1) {
        return 1;
    }
    size_t length = 3;
    harness_handle random = host->random(c, 7, HARNESS_DISTRIBUTION_UNIFORM, &length, 1);
    if (host->release(c, random) != 0 || host->progress(c, HARNESS_PROGRESS_STEPS) < 0.0) {
        return 1;
    }
    const harness_hidden_states *hidden = host->extension(c, lend(HARNESS_HIDDEN_STATES));
    if (hidden != NULL && hidden->struct_size < sizeof(harness_hidden_states)) {
        return 1;
    }
    host->log_scalar(c, lend("retain_loss"), retain);
    host->log_message(c, HARNESS_LEVEL_INFO, lend("still here"));
    harness_handle terms[2] = {forget, retain};
    *loss = host->apply(c, HARNESS_OPERATION_ADD, terms, 2, NULL, 0);
    return 0;
}

static void destroy(void *instance) {
    free(instance);
}

static const harness_method_table TABLE = {
    .struct_size = SIZE,
    .abi_major = MAJOR,
    .abi_minor = MINOR,
    .describe = describe,
    .create = create,
    .loss = loss,
    .destroy = destroy,
};

const harness_method_table *harness_method_entry(void) {
    return &TABLE;
}
