/*
 * Stands between a .NET program and libc as the "libc" that it imports clock_gettime from: CLOCK_BOOTTIME and CLOCK_MONOTONIC_RAW
 * run at the rates that the environment says (BOOT_RATE, RAW_RATE; 1 is the kernel's), from the program's start on. Everything
 * else is found in libc itself. libfaketime cannot do this: an import by name does not pass through LD_PRELOAD.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static struct { const char *name; double rate; long long from; } clocks[] = {
    [CLOCK_BOOTTIME] = { "BOOT_RATE", 1, 0 }, [CLOCK_MONOTONIC_RAW] = { "RAW_RATE", 1, 0 },
};

static long long of_kernel(clockid_t clock)
{
    struct timespec now;
    syscall(SYS_clock_gettime, clock, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

__attribute__((constructor)) static void begin(void)
{
    for (clockid_t clock = 0; clock <= CLOCK_BOOTTIME; clock++)
        if (clocks[clock].name && getenv(clocks[clock].name)) {
            clocks[clock].rate = atof(getenv(clocks[clock].name));
            clocks[clock].from = of_kernel(clock);
        }
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    if (clock < 0 || clock > CLOCK_BOOTTIME || !clocks[clock].name || clocks[clock].rate == 1) return syscall(SYS_clock_gettime, clock, time);
    long long at = clocks[clock].from + (long long)((of_kernel(clock) - clocks[clock].from) * clocks[clock].rate);
    time->tv_sec = at / 1000000000LL;
    time->tv_nsec = at % 1000000000LL;
    return 0;
}
