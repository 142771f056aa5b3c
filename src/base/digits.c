/* A double is m * 2^e. Multiplied by the power of ten that makes an integer part of 17 digits, which are
 * always enough, its shortest digits are those of the roundest number nearer than half the gap to the
 * neighbouring double. The powers are kept to 128 bits with a known error; where that decides, we do not. */
#include "base/digits.h"

#include <pthread.h>
#include <string.h>

__extension__ typedef unsigned __int128 wide;

enum { LEAST = -300, MOST = 330, POWERS = MOST - LEAST + 1 };

/* 10^k is mantissa * 2^exponent, the mantissa's top bit set. */
struct power {
    wide mantissa;
    int exponent;
};

/* Each step from 10^0 loses less than one unit of 2^-127, so all are right to 2^-118. */
static struct power powers[POWERS];
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* mantissa * 10 / 16: ten eighths is 1.25, and so the top bit stays or goes up by one. */
static struct power times_ten(struct power p)
{
    wide more = p.mantissa + (p.mantissa >> 2); /* 1.25 of it, perhaps beyond 128 bits */
    if (more < p.mantissa)
        return (struct power){more >> 1 | (wide)1 << 127, p.exponent + 4};
    return (struct power){more, p.exponent + 3};
}

/* 0.8 = 1 - 0.2, then 2^-3: by fifths, to keep within 128 bits. */
static struct power by_ten(struct power p)
{
    wide less = p.mantissa - p.mantissa / 5;
    if (less >> 127)
        return (struct power){less, p.exponent - 3};
    /* One bit to the left; the bit that comes in is the next one of the quotient. */
    wide rest = p.mantissa % 5; /* 0.8 m = 4 (m / 5) + 4 rest / 5 */
    return (struct power){(4 * (p.mantissa / 5) << 1) + (8 * rest) / 5, p.exponent - 4};
}

static void fill_powers(void)
{
    struct power *one = &powers[-LEAST];
    *one = (struct power){(wide)1 << 127, -127};
    for (int k = 1; k <= MOST; k++)
        one[k] = times_ten(one[k - 1]);
    for (int k = -1; k >= LEAST; k--)
        one[k] = by_ten(one[k + 1]);
}

static const uint64_t tens[] = {1,
                                10,
                                100,
                                1000,
                                10000,
                                100000,
                                1000000,
                                10000000,
                                100000000,
                                1000000000,
                                10000000000,
                                100000000000,
                                1000000000000,
                                10000000000000,
                                100000000000000,
                                1000000000000000,
                                10000000000000000,
                                100000000000000000};

enum { DIGITS = 17, DOUBT = 4096 }; /* of 2^-64; the true error is below 64 */

/* A number around 10^17 and half its gap, with 64 bits of fraction. */
struct scaled {
    wide number, half_gap;
};

static struct scaled scale(uint64_t mantissa, int exponent, int k)
{
    const struct power *power = &powers[k - LEAST];
    uint64_t normal = mantissa << 11;
    wide product = (wide)normal * (uint64_t)(power->mantissa >> 64) +
                   (((wide)normal * (uint64_t)power->mantissa) >> 64);
    /* product * 2^(exponent - 11 + power->exponent + 64) is the number; 64 bits of it stay as fraction. */
    int shift = -(exponent - 11 + power->exponent + 64) - 64;
    return (struct scaled){product >> shift, power->mantissa >> (54 + shift)};
}

/* Of 2^e, for the e of doubles; 78913 / 2^18 is near enough to log10(2). */
static int floor_log10(int e)
{
    int scaled = e * 78913;
    return scaled >= 0 ? scaled >> 18 : -((-scaled + (1 << 18) - 1) >> 18);
}

/* Is a multiple of 10^j near enough? 1: yes, and it is *nearest; 0: no; -1: too close to say. */
static int round_to(const struct scaled *scaled, int j, uint64_t *nearest)
{
    uint64_t whole = (uint64_t)(scaled->number >> 64);
    uint64_t rest = whole % tens[j];
    wide below = (wide)rest << 64 | (uint64_t)scaled->number;
    wide above = ((wide)tens[j] << 64) - below;
    wide distance = below < above ? below : above;
    wide difference = below < above ? above - below : below - above;
    if (distance > scaled->half_gap + DOUBT)
        return 0;
    *nearest = whole - rest + (below < above ? 0 : tens[j]);
    return difference > DOUBT && distance + DOUBT < scaled->half_gap ? 1 : -1;
}

bool digits_find(double value, uint64_t *digits, int *exponent)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint64_t mantissa = bits & ((UINT64_C(1) << 52) - 1);
    int e = (int)(bits >> 52);
    if (e == 0 || e >= 2047 || mantissa == 0) /* e >= 2047 also where the sign is set */
        return false;
    pthread_once(&once, fill_powers);
    mantissa |= UINT64_C(1) << 52;
    e -= 1075;
    int k = DIGITS - 1 - floor_log10(e + 52);
    struct scaled scaled = scale(mantissa, e, k);
    if ((uint64_t)(scaled.number >> 64) >= tens[DIGITS])
        scaled = scale(mantissa, e, --k);
    int j = 0, found;
    uint64_t nearest = 0, best = 0;
    while (j <= DIGITS && (found = round_to(&scaled, j, &nearest)) == 1) {
        best = nearest;
        j++;
    }
    if (j == 0 || found < 0)
        return false;
    j--;
    *digits = best / tens[j];
    *exponent = j - k;
    return true;
}
