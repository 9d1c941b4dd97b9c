/* Philox against published vectors: test_known_answers FILE. The file says what its lines mean. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "srcore/srcore.h"

#define X "%" SCNx32 " "

static void check_block(const char *line)
{
    int rounds;
    uint32_t counter[4], key[2], expected[4], got[4];
    int const fields =
        sscanf(line, "block %d " X X X X X X X X X X, &rounds, &counter[0], &counter[1], &counter[2], &counter[3],
               &key[0], &key[1], &expected[0], &expected[1], &expected[2], &expected[3]);
    CHECK(fields == 11, "%s", line);
    if (fields != 11) return;
    sr_philox4x32(counter, key, rounds, got);
    CHECK(memcmp(got, expected, sizeof got) == 0, "%s", line);
}

static void check_word(const char *line)
{
    uint64_t seed, stream, index;
    uint32_t expected, got[3] = {0, 0, 0};
    int const fields =
        sscanf(line, "word %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu32, &seed, &stream, &index, &expected);
    CHECK(fields == 4, "%s", line);
    if (fields != 4) return;
    sr_philox_fill(seed, stream, 0, index, 1, got);
    CHECK(got[0] == expected, "%s", line);
    sr_philox_fill(seed, stream, index / 4, index % 4, 1, got); /* the same word, counted from its block */
    CHECK(got[0] == expected, "%s", line);
    if (index < 2) return;
    sr_philox_fill(seed, stream, 0, index - 2, 3, got); /* and as the last of three */
    CHECK(got[2] == expected, "%s", line);
}

int main(int argc, char **argv)
{
    char line[512];
    long blocks = 0, words = 0;
    FILE *const file = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (!file) {
        printf("usage: test_known_answers FILE\n");
        return 2;
    }
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, "block ", 6) == 0) {
            check_block(line);
            blocks++;
        } else if (strncmp(line, "word ", 5) == 0) {
            check_word(line);
            words++;
        } else {
            CHECK(line[0] == '#' || line[0] == '\n', "unknown line: %s", line);
        }
    }
    fclose(file);
    CHECK(blocks >= 6 && words >= 9, "%ld blocks, %ld words", blocks, words);
    return check_report();
}
