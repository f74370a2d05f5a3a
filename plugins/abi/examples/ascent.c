// Gradient ascent in C: a whole method without the SDK. The library is called libharness_method_ascent.so (.dylib on macOS).

#include "harness_method.h"

#include <stdlib.h>
#include <string.h>

static void write_text(harness_text_sink sink, const char *text) {
    harness_text lent = {(const uint8_t *)text, strlen(text)};
    if (sink.write != NULL) {
        sink.write(sink.context, lent);
    }
}

static harness_status describe(harness_text_sink description, harness_text_sink error) {
    (void)error;
    write_text(description,
               "{\"id\": \"ascent\", \"version\": \"1.0.0\", \"summary\": \"Gradient ascent, written in C.\","
               " \"needs\": [], \"options\": []}");
    return 0;
}

static harness_status create(harness_text options, void **instance, harness_text_sink error) {
    // Without options, the host sends an empty object; anything longer is a mistake.
    if (options.length > 2) {
        write_text(error, "this method has no options");
        return 1;
    }
    *instance = malloc(1);
    if (*instance == NULL) {
        write_text(error, "out of memory");
        return 1;
    }
    return 0;
}

static harness_status loss(void *instance, const harness_host_table *host, harness_handle *loss, harness_text_sink error) {
    (void)instance;
    if (host->abi_major != HARNESS_ABI_MAJOR || host->struct_size < sizeof(harness_host_table)) {
        write_text(error, "the host is older than this method");
        return 1;
    }
    void *context = host->context;
    harness_handle logprobs = host->token_logprobs(context, HARNESS_MODEL_POLICY, HARNESS_ROLE_FORGET);
    // The mean log-probability: what descent lowers.
    harness_handle mean = host->apply(context, HARNESS_OPERATION_MEAN, &logprobs, 1, NULL, 0);
    harness_text name = {(const uint8_t *)"forget_loss", 11};
    host->log_scalar(context, name, mean);
    *loss = mean;
    return 0;
}

static void destroy(void *instance) {
    free(instance);
}

static const harness_method_table TABLE = {
    .struct_size = sizeof(harness_method_table),
    .abi_major = HARNESS_ABI_MAJOR,
    .abi_minor = HARNESS_ABI_MINOR,
    .describe = describe,
    .create = create,
    .loss = loss,
    .destroy = destroy,
};

const harness_method_table *harness_method_entry(void) {
    return &TABLE;
}
