/* A fuzz target without libFuzzer: fuzz_x [--runs N] [--first K], random inputs by number, or fuzz_x FILE ... */
#include "fuzz.h"

#include <signal.h>

#define LONGEST 2048

static unsigned long run;

/* A sanitizer that aborts lets the run's number be told. */
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);
const char *__asan_default_options(void) { return "abort_on_error=1"; }
const char *__ubsan_default_options(void) { return "abort_on_error=1:print_stacktrace=1"; }

static void tell(int number)
{
    (void)number;
    fprintf(stderr, "run %lu; again: --first %lu --runs 1\n", run, run);
    signal(SIGABRT, SIG_DFL);
    abort();
}

/* Bytes of all values, or mostly small ones: those are the ordinary choices. */
static size_t make(unsigned long number, uint8_t *data)
{
    uint64_t state = number;
    size_t const size = next_random(&state) % (next_random(&state) % 4 ? 128 : LONGEST);
    int const small = next_random(&state) % 2 != 0;
    for (size_t i = 0; i < size; i++) {
        uint64_t const r = next_random(&state);
        data[i] = (uint8_t)(small && r >> 8 & 3 ? r & 7 : r);
    }
    return size;
}

static int run_file(const char *name)
{
    FILE *const file = fopen(name, "rb");
    uint8_t *data = NULL;
    size_t size = 0;
    int c;
    if (!file) {
        perror(name);
        return 1;
    }
    while ((c = getc(file)) != EOF) {
        uint8_t *const more = (uint8_t *)realloc(data, size + 1);
        if (!more) return 1;
        data = more;
        data[size++] = (uint8_t)c;
    }
    fclose(file);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 0;
}

int main(int argc, char **argv)
{
    unsigned long runs = 30000, first = 0;
    int files = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--runs") == 0 && i + 1 < argc) {
            runs = strtoul(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--first") == 0 && i + 1 < argc) {
            first = strtoul(argv[++i], NULL, 10);
        } else {
            if (run_file(argv[i])) return 1;
            files++;
        }
    }
    if (files) return 0;
    signal(SIGABRT, tell);
    for (run = first; run < first + runs; run++) {
        uint8_t *const room = (uint8_t *)malloc(LONGEST);
        uint8_t *data;
        size_t size;
        if (!room) return 1;
        size = make(run, room);
        data = (uint8_t *)malloc(size ? size : 1); /* so that reading beyond the input is seen */
        if (!data) return 1;
        memcpy(data, room, size);
        LLVMFuzzerTestOneInput(data, size);
        free(data);
        free(room);
    }
    printf("%lu random inputs\n", runs);
    return 0;
}
