// One call split over threads: each does a piece of the array at its offset, and the result has the same bits as without
// threads.
#include <srcore/srcore.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

int main()
{
    const std::size_t n = 100003, count = 4;
    const sr_rounding rounding = {SR_MODE_SR, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 0.0};
    const sr_words words = {7, 0, 0, 0, nullptr, 0};
    sr_format format;
    sr_plan plan;
    if (sr_format_named(&format, "bfloat16") != SR_OK || sr_plan_init(&plan, &format, &rounding) != SR_OK) return 1;

    std::vector<float> x(n), whole(n), pieces(n);
    for (std::size_t i = 0; i < n; i++) x[i] = static_cast<float>(i) / 4096.0f - 11.0f;
    if (sr_round_f32(&plan, &words, n, x.data(), 1, nullptr, 0, whole.data(), 1, nullptr) != SR_OK) return 1;

    std::vector<std::thread> threads;
    std::vector<sr_status> status(count);
    for (std::size_t t = 0; t < count; t++) {
        threads.emplace_back([&, t] {
            const std::size_t from = n * t / count, to = n * (t + 1) / count;
            sr_words own = words;
            own.offset = from; // element i of the call owns word i, whoever rounds it
            status[t] = sr_round_f32(&plan, &own, to - from, &x[from], 1, nullptr, 0, &pieces[from], 1, nullptr);
        });
    }
    for (auto &thread : threads) thread.join();
    for (sr_status s : status)
        if (s != SR_OK) {
            std::fprintf(stderr, "%s\n", sr_strerror(s));
            return 1;
        }

    std::uint64_t hash = 0xCBF29CE484222325u; // FNV-1a of the bit patterns
    for (float y : pieces) {
        std::uint32_t bits;
        std::memcpy(&bits, &y, sizeof bits);
        hash = (hash ^ bits) * 0x100000001B3u;
    }
    const bool same = std::memcmp(whole.data(), pieces.data(), n * sizeof(float)) == 0;
    std::printf("%zu elements in %zu pieces: %s, hash %016llx\n", n, count, same ? "the same bits" : "DIFFERENT",
                static_cast<unsigned long long>(hash));
    return same && hash == 0x42773E826AC6E137u ? 0 : 1;
}
