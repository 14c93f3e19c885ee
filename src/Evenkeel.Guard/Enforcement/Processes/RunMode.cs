using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Evenkeel.Guard.Enforcement.Native;
using Evenkeel.Guard.Enforcement.Processes.Hosting;

namespace Evenkeel.Guard.Enforcement.Processes;

// A service is a child of the guard's main thread, but between fork and exec a runtime with threads may not run managed code.
// So the guard spawns its own binary, which prepares itself as the service's process and then becomes it by execve: same process
// id, same parent. (Rejected: a C shim, as the guard should stay one file; a shell, as it cannot set a parent-death signal.)

/// <summary>
/// The guard binary's tiny modes: <c>run</c> becomes a service's process, <c>keep</c> is the guard's keeper, <c>host</c> runs a
/// driver's actions inside an instance's tree, and <c>tool</c> is a command that those actions call.
/// </summary>
public static class RunMode
{
    /// <summary>Call first in Main, on the main thread: true when the arguments name a tiny mode, which then has run to its end.</summary>
    public static bool TryHandle(string[] arguments, out int exitCode)
    {
        exitCode = 0;
        if (arguments is ["run" or "keep", ..]) ProcessState.ResetScheduling(); // The guard's own children are born as urgent as it is.
        switch (arguments)
        {
            case ["run", var parent, var plan, var error]:
                exitCode = Run(Number(parent), Number(plan), Number(error));
                return true;
            case ["keep", var tree]:
                exitCode = Keeper.Run(tree);
                return true;
            case ["host", var socket, var instance]:
                exitCode = ActionHost.Run(socket, instance);
                return true;
            case ["tool", var program, .. var words]:
                exitCode = ToolCaller.Run(program, [.. words]);
                return true;
            default:
                return false;
        }
    }

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);

    private static unsafe int Run(int parent, int planDescriptor, int errorDescriptor)
    {
        string? reason;
        try
        {
            reason = Become(parent, planDescriptor);
        }
        catch (Exception unexpected) when (unexpected is IOException or UnauthorizedAccessException or FormatException)
        {
            reason = unexpected.Message;
        }
        // Only a failure comes back here.
        var bytes = Encoding.UTF8.GetBytes(reason);
        fixed (byte* start = bytes) _ = Libc.write(errorDescriptor, start, bytes.Length);
        return 127;
    }

    private static string Become(int parent, int planDescriptor)
    {
        var plan = ReadPlan(planDescriptor);
        // Into the group first: whatever happens from here on dies with it.
        if (plan.CgroupProcs.Length > 0) File.WriteAllText(plan.CgroupProcs, Libc.getpid().ToString(CultureInfo.InvariantCulture));
        if (ProcessState.OpenLog(plan.LogFile) is { } log) return log;
        _ = Libc.setsid();
        if (ProcessState.BecomeUser(plan.User, out var userEnvironment) is { } user) return user;
        if (plan.WorkingDirectory.Length > 0 && Libc.chdir(plan.WorkingDirectory) != 0)
            return $"working directory {plan.WorkingDirectory}: {Libc.Describe(Libc.LastError)}";
        // After the change of user, which clears it. Then look: a parent that died before gives no signal any more.
        _ = Libc.prctl(Libc.SetParentDeathSignal, Libc.SigKill, 0, 0, 0);
        if (Libc.getppid() != parent) return "the guard is gone";
        ProcessState.ResetSignals();
        ProcessState.CloseOnExec();
        return Execute(plan.Command, [.. userEnvironment.Where(u => !plan.Environment.Any(e => SameName(e, u))), .. plan.Environment]);
    }

    private static bool SameName(string left, string right) =>
        left.AsSpan(0, left.IndexOf('=', StringComparison.Ordinal) + 1).SequenceEqual(right.AsSpan(0, right.IndexOf('=', StringComparison.Ordinal) + 1));

    private static unsafe string Execute(IReadOnlyList<string> command, string[] environment)
    {
        const int notFound = 2, notExecutable = 8, denied = 13, notDirectory = 20;
        var path = environment.LastOrDefault(e => e.StartsWith("PATH=", StringComparison.Ordinal))?[5..] ?? "/usr/local/bin:/usr/bin:/bin";
        var candidates = command[0].Contains('/', StringComparison.Ordinal) ? [command[0]]
            : path.Split(':').Select(d => Path.Combine(d.Length == 0 ? "." : d, command[0])).ToArray();
        using var arguments = new StringVector(command);
        using var variables = new StringVector(environment);
        var worst = notFound;
        foreach (var candidate in candidates)
        {
            using var program = new StringVector([candidate]);
            _ = Libc.execve(program.First, arguments.Pointers, variables.Pointers);
            var error = Libc.LastError;
            if (error is notFound or notDirectory)
            {
                if (File.Exists(candidate)) return $"{candidate}: its interpreter (the program after #!, or the dynamic loader) was not found";
                continue;
            }
            worst = error;
            if (error != denied) break;
        }
        return worst switch
        {
            notFound => candidates.Length == 1 ? $"{command[0]}: not found" : $"{command[0]}: not found in PATH ({path})",
            denied => $"{command[0]}: not permitted to execute it",
            notExecutable => $"{command[0]}: neither a program for this machine nor a script that begins with #!",
            _ => $"{command[0]}: {Libc.Describe(worst)}",
        };
    }

    private static unsafe RunPlan ReadPlan(int descriptor)
    {
        using var bytes = new MemoryStream();
        var block = stackalloc byte[4096];
        _ = Libc.lseek(descriptor, 0, 0);
        for (nint count; (count = Libc.read(descriptor, block, 4096)) > 0;) bytes.Write(new ReadOnlySpan<byte>(block, (int)count));
        return RunPlan.Decode(bytes.GetBuffer().AsSpan(0, (int)bytes.Length));
    }
}
