using Evenkeel.Guard.Enforcement.Native;

namespace Evenkeel.Guard.Enforcement.Processes.Hosting;

/// <summary>
/// Spawns an action as the leader of its own process group, with default signals and nothing inherited but two pipes: its
/// standard output and error.
/// </summary>
internal static unsafe class ActionChild
{
    private const short SetGroup = 2, SetDefaultSignals = 4, SetMask = 8;

    /// <param name="command">The program with its directory, then its arguments.</param>
    /// <returns>The process id, or a negative error number.</returns>
    public static int Spawn(IReadOnlyList<string> command, IEnumerable<string> environment, int output, int errors)
    {
        using var arguments = new StringVector(command);
        using var variables = new StringVector([.. environment]);
        var actions = stackalloc byte[256];
        _ = Libc.posix_spawn_file_actions_init(actions);
        _ = Libc.posix_spawn_file_actions_addopen(actions, 0, "/dev/null", 0, 0);
        _ = Libc.posix_spawn_file_actions_adddup2(actions, output, 1);
        _ = Libc.posix_spawn_file_actions_adddup2(actions, errors, 2);
        var attributes = stackalloc byte[512]; // posix_spawnattr_t is 336 bytes in glibc and musl.
        var signals = stackalloc ulong[16];    // sigset_t: 128 bytes.
        _ = Libc.posix_spawnattr_init(attributes);
        _ = Libc.posix_spawnattr_setflags(attributes, SetGroup | SetDefaultSignals | SetMask);
        _ = Libc.posix_spawnattr_setpgroup(attributes, 0);
        new Span<ulong>(signals, 16).Clear();
        _ = Libc.posix_spawnattr_setsigmask(attributes, signals);
        // Not 32 and 33, which belong to the C library, nor KILL and STOP, which nobody may set.
        signals[0] = ~((1ul << 31) | (1ul << 32) | (1ul << (Libc.SigKill - 1)) | (1ul << 18));
        _ = Libc.posix_spawnattr_setsigdefault(attributes, signals);
        int process;
        var error = Libc.posix_spawn(&process, arguments.First, actions, attributes, arguments.Pointers, variables.Pointers);
        _ = Libc.posix_spawnattr_destroy(attributes);
        _ = Libc.posix_spawn_file_actions_destroy(actions);
        return error == 0 ? process : -error;
    }
}
