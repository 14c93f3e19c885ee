using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Guard.Enforcement.Native;
using Evenkeel.Guard.Enforcement.Processes;
using Evenkeel.Guard.Enforcement.Scheduling;
using Evenkeel.Guard.Enforcement.VirtualIp;

namespace Evenkeel.EndToEnd.Enforcement;

/// <summary>
/// This test program as another process that stands for a guard and may be stopped or killed: chosen by an environment variable
/// before the test runner begins. It says what it did on standard output, a line each.
/// </summary>
internal static class Helper
{
    private const string Variable = "EVENKEEL_TEST_HELPER";

    public static string GuardBinary => Path.Combine(AppContext.BaseDirectory, "evenkeel-guard");

    public static Process Start(string role, params string[] prefix)
    {
        string[] command = [.. prefix, Environment.ProcessPath!];
        var start = new ProcessStartInfo(command[0], command[1..]) { RedirectStandardOutput = true };
        start.Environment[Variable] = role;
        return Process.Start(start)!;
    }

#pragma warning disable CA2255 // An executable's own start, before the runner's Main.
    [ModuleInitializer]
    internal static void Begin()
    {
        if (Environment.GetEnvironmentVariable(Variable) is not { } role) return;
        Environment.SetEnvironmentVariable(Variable, null);
        var words = role.Split(' ');
        if (words[0] == "hold") Hold(words[1]);
        else if (words[0] == "urgent") LaunchUrgently(words[1], words[2]);
        else Launch(words[1], words[2] == "cgroup", words[3]);
        Environment.Exit(0);
    }
#pragma warning restore CA2255

    // Holds an address as a guard would: renews every 20 ms for 300 ms, and gives up when it comes too late.
    private static void Hold(string address)
    {
        var stack = VirtualIpStack.Open();
        Console.WriteLine($"swept {string.Join(' ', stack.Swept)}");
        var door = stack.Door(new VipEnforcement(address, address.Contains(':', StringComparison.Ordinal) ? 64 : 24, "eth0"));
        // Long at first: a cold process takes its time for its first steps, which is not what is timed here. The kernel
        // keeps the address itself as long as this first lease says.
        var failed = door.Open(BootClock.Now() + TimeSpan.FromSeconds(4));
        stack.Tick(BootClock.Now(), _ => { });
        var until = BootClock.Now() + TimeSpan.FromMilliseconds(300);
        Console.WriteLine(failed ?? door.Renew(until) ?? "open");
        while (true)
        {
            Thread.Sleep(20);
            var now = BootClock.Now();
            var failure = now.IsPastDeadline(until) ? "the lease has run out" : door.Renew(until = now + TimeSpan.FromMilliseconds(300));
            stack.Tick(now, _ => { });
            if (failure is null) continue;
            Console.WriteLine(failure);
            return;
        }
    }

    // Launches as a guard's loop with real-time priority, and says how long the loop stood still each time, in ms.
    private static void LaunchUrgently(string name, string log)
    {
        Console.WriteLine($"raised, but for: {string.Join("; ", GuardPriority.Raise())}");
        using var launcher = new ProcessLauncher(name, [GuardBinary]);
        for (var i = 0; i < 7; i++)
        {
            var clock = Stopwatch.StartNew();
            _ = launcher.Start(new LaunchRequest { Instance = $"svc{i}", Command = ["/bin/sh", "-c", "ps -o cls= -p $$"], LogFile = log });
            var stood = clock.Elapsed.TotalMilliseconds;
            for (var ended = false; !ended; Thread.Sleep(5)) launcher.Tick(message => ended |= message is Exited);
            Console.WriteLine(stood.ToString(CultureInfo.InvariantCulture));
        }
    }

    // Launches a shell script with its own binary as the runner, then ticks until killed.
    private static void Launch(string name, bool cgroup, string script)
    {
        var launcher = new ProcessLauncher(name, [GuardBinary], cgroup);
        Console.WriteLine(launcher.Start(new LaunchRequest
        {
            Instance = "tree", Command = ["/bin/bash", script], LogFile = script + ".log",
        }) ?? "starting");
        while (true)
        {
            launcher.Tick(message => Console.WriteLine(message));
            Thread.Sleep(5);
        }
    }
}
