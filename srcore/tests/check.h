/* Counting checks: a failed one prints where it is and what it was, and the program goes on. */
#ifndef SRCORE_TESTS_CHECK_H
#define SRCORE_TESTS_CHECK_H

#include <stdio.h>

static long checks_passed, checks_failed;

#define CHECK(condition, ...)                                                  \
    do {                                                                       \
        if (condition) {                                                       \
            checks_passed++;                                                   \
        } else {                                                               \
            if (checks_failed++ < 20) {                                        \
                printf("%s:%d: %s: ", __FILE__, __LINE__, #condition);         \
                printf(__VA_ARGS__);                                           \
                printf("\n");                                                  \
            }                                                                  \
        }                                                                      \
    } while (0)

static int check_report(void)
{
    printf("%ld passed, %ld failed\n", checks_passed, checks_failed);
    return checks_failed != 0 || checks_passed == 0;
}

#endif
