using System.Diagnostics;
using System.Globalization;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Guard.Enforcement.Native;
using Evenkeel.Guard.Enforcement.Processes;
using Xunit;

namespace Evenkeel.EndToEnd.Enforcement;

/// <summary>Real children through the real guard binary's run mode. Synchronous, so that one thread makes a test's children.</summary>
[Collection("namespaces")]
[Trait("needs", "root")]
[Trait("Turn", "3")]
public sealed class ProcessLauncherTests : IDisposable
{
    private static int counter;
    private readonly string name = string.Create(CultureInfo.InvariantCulture, $"evenkeel-test{Environment.ProcessId}x{Interlocked.Increment(ref counter)}");
    private readonly string directory = Directory.CreateTempSubdirectory("evenkeel-launch").FullName;

    public ProcessLauncherTests() => File.SetUnixFileMode(directory, (UnixFileMode)0b111_101_101);

    [Fact]
    public void Start_Command_RunsWithItsDirectoryEnvironmentAndLogAndNothingInherited()
    {
        using var launcher = Launcher(cgroup: true);
        var seen = Run(launcher, Request("""
            pwd; echo $GREETING; grep -E 'SigIgn|SigBlk' /proc/self/status; ls /proc/$$/fd | tr '\n' ' '; ps -o cls=,ni=,sid= -p $$
            cat /proc/self/cgroup | grep ^0; echo wrong >&2; exit 7
            """) with { WorkingDirectory = "/usr", Environment = new Dictionary<string, string> { ["GREETING"] = "a b" } });

        var launched = Assert.IsType<Launched>(seen[0]);
        Assert.Null(launched.Error);
        Assert.Equal(new Exited("svc", launched.ProcessId, 7), Assert.IsType<Exited>(seen[1]));
        var log = File.ReadAllText(LogFile);
        Assert.StartsWith("/usr\na b\nSigBlk:\t0000000000000000\nSigIgn:\t", log, StringComparison.Ordinal);
        // Signals 32 and 33 belong to the C library, which lets nobody reset them; a parent of this test may have ignored them.
        var ignored = ulong.Parse(log.Split("SigIgn:\t")[1].AsSpan(0, 16), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        Assert.Equal(0ul, ignored & ~0x1_8000_0000ul);
        Assert.Matches(@"\n0 1 2 (255 )?\s*TS\s+0\s+" + launched.ProcessId, log);
        Assert.Contains($"/{name}/svc\n", log, StringComparison.Ordinal);
        Assert.EndsWith("wrong\n", log, StringComparison.Ordinal);
    }

    [Fact]
    public void Start_AsAnotherUser_HasItsGroupsHomeAndNoMore()
    {
        using var launcher = Launcher(cgroup: true);
        var seen = Run(launcher, Request("id -u; id -g; id -G; echo $USER $HOME; touch /etc/evenkeel-must-fail && echo written") with { User = "daemon" });
        Assert.IsType<Launched>(seen[0]);
        Assert.StartsWith("1\n1\n1\ndaemon /usr/sbin\n", File.ReadAllText(LogFile), StringComparison.Ordinal);
        Assert.DoesNotContain("written", File.ReadAllText(LogFile), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("no-such-program", null, null, "no-such-program: not found in PATH")]
    [InlineData("/no/such", null, null, "/no/such: not found")]
    [InlineData("/etc/passwd", null, null, "/etc/passwd: not permitted to execute it")]
    [InlineData("/bin/true", "no-such-user", null, "there is no user no-such-user")]
    [InlineData("/bin/true", null, "/no/such/directory", "working directory /no/such/directory: ")]
    public void Start_Impossible_ReportsTheReasonAndNoExit(string command, string? user, string? workingDirectory, string reason)
    {
        using var launcher = Launcher(cgroup: true);
        var seen = Run(launcher, Request("") with { Command = [command], User = user, WorkingDirectory = workingDirectory });
        var launched = Assert.IsType<Launched>(Assert.Single(seen));
        Assert.Equal(0, launched.ProcessId);
        Assert.StartsWith(reason, launched.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Signal_EndsIt_ExitIs128PlusSignal()
    {
        using var launcher = Launcher(cgroup: true);
        var seen = new List<GuardMessage>();
        Assert.Null(launcher.Start(Request("exec sleep 60")));
        Until(launcher, seen, () => seen.Count == 1);
        Assert.NotNull(launcher.Start(Request("true")));
        Assert.Equal("svc", Assert.Single(launcher.Running).Instance);
        Assert.Null(launcher.Signal("svc", 15, tree: false));
        Until(launcher, seen, () => seen.Count == 2);
        Assert.Equal(143, Assert.IsType<Exited>(seen[1]).ExitCode);
        Until(launcher, seen, () => launcher.Running.Count == 0 && launcher.Signal("svc", 0, false) is not null);
    }

    [Theory, InlineData(true), InlineData(false)]
    public void Close_ForkingTreeThatLeavesItsSession_IsDeadWhenItReturns(bool cgroup)
    {
        using var launcher = Launcher(cgroup);
        var door = new CgroupDoor(launcher, "svc");
        var lease = new HeldLease(ResourceId.Service("svc"), new Epoch(0, 1));
        var request = Request(ForkingScript) with { Lease = lease };
        Assert.NotNull(launcher.Start(request));
        Assert.Null(door.Open(BootClock.Now() + TimeSpan.FromSeconds(10)));
        var seen = new List<GuardMessage>();
        Assert.Null(launcher.Start(request));
        Until(launcher, seen, () => Alive().Count >= 8);

        string? left = "";
        Assert.True(SpinWait.SpinUntil(() => (left = door.Close()) is null, 5000), left);

        Assert.Empty(Alive());
        Assert.NotNull(launcher.Start(request));
        Until(launcher, seen, () => seen.OfType<Exited>().Any());
        Assert.Equal(137, seen.OfType<Exited>().Single().ExitCode);
    }

    [Theory, InlineData(true), InlineData(false)]
    public void Guard_KilledOutright_WholeTreeDiesWithIt(bool cgroup)
    {
        var script = Path.Combine(directory, "tree.sh");
        File.WriteAllText(script, ForkingScript);
        using var guard = Helper.Start($"launch {name} {(cgroup ? "cgroup" : "session")} {script}");
        Assert.Equal("starting", guard.StandardOutput.ReadLine());
        Assert.StartsWith("Launched { Instance = tree", guard.StandardOutput.ReadLine(), StringComparison.Ordinal);
        Assert.True(SpinWait.SpinUntil(() => Alive().Count >= 8, 10000));
        guard.Kill();
        guard.WaitForExit();
        Assert.True(SpinWait.SpinUntil(() => Alive().Count == 0, 5000), $"{Alive().Count} processes outlived the guard");
        Assert.True(SpinWait.SpinUntil(() => Directory.GetDirectories("/sys/fs/cgroup", name, SearchOption.AllDirectories).Length == 0, 5000), "its cgroup stayed");
    }

    [Fact]
    public void Guard_KilledBeforeItsChildBecameTheService_ChildGivesUp()
    {
        var file = ChildProcess.MemoryFile("plan", new RunPlan("svc", "", "", LogFile, "", ["/bin/echo", "alive"], ["PATH=/bin"]).Encode());
        Assert.True(ChildProcess.Pipe(out var read, out var write));
        // Told another parent's id than its own: as if the guard had died and it had been handed on.
        var child = ChildProcess.Spawn([Helper.GuardBinary, "run", "1", "3", "4"], [-1, file, write]);
        Assert.True(SpinWait.SpinUntil(() => ChildProcess.Reap(child) == 127, 10000));
        Assert.Equal("the guard is gone", ChildProcess.ReadAvailable(read));
        Assert.Equal("", File.ReadAllText(LogFile));
        foreach (var descriptor in (ReadOnlySpan<int>)[file, read, write]) _ = Libc.close(descriptor);
    }

    [Fact]
    public void Tick_ManyShortLives_NoExitIsLost()
    {
        using var launcher = Launcher(cgroup: true);
        var seen = new List<GuardMessage>();
        for (var i = 0; i < 10; i++) Assert.Null(launcher.Start(Request($"exit {i}") with { Instance = $"svc{i}" }));
        Until(launcher, seen, () => seen.OfType<Exited>().Count() == 10);
        Assert.Equal(Enumerable.Range(0, 10), seen.OfType<Exited>().OrderBy(e => e.Instance, StringComparer.Ordinal).Select(e => e.ExitCode));
        Assert.Equal(10, seen.OfType<Launched>().Count(l => l.Error is null));
    }

    /// <summary>
    /// A guard that launches something keeps the leases of everything else: it does not wait for a child that gets no processor, here beside
    /// others as urgent as agents are.
    /// </summary>
    [Fact]
    public void Start_OnABusyMachine_HoldsTheUrgentLoopForAMoment_AndTheServiceIsNotUrgent()
    {
        using var busy = new BusyLoops(2 * Environment.ProcessorCount, niceness: -15);
        using var guard = Helper.Start($"urgent {name} {LogFile}");
        Assert.DoesNotContain("no real-time priority", guard.StandardOutput.ReadLine(), StringComparison.Ordinal);
        var stood = guard.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => double.Parse(line, CultureInfo.InvariantCulture)).Order().ToList();
        guard.WaitForExit();
        TestContext.Current.TestOutputHelper!.WriteLine($"it stood still for {stood[stood.Count / 2]:F1} ms in the middle, {stood[^1]:F1} at most");
        Assert.Equal(7, stood.Count);
        Assert.InRange(stood[stood.Count / 2], 0, 20);
        Assert.Equal(Enumerable.Repeat("TS", 7), File.ReadAllText(LogFile).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
    }

    // Four children, each in a session of its own with a grandchild, all with a mark in their arguments.
    private string ForkingScript => $"for i in 1 2 3 4; do setsid bash -c 'sleep 1000.{Mark} & sleep 1000.{Mark}' & done; wait\n";
    private string Mark => name[(name.IndexOf('x', StringComparison.Ordinal) + 1)..] + Environment.ProcessId;
    private string LogFile => Path.Combine(directory, "svc.log");

    private List<string> Alive() => [.. Directory.GetDirectories("/proc").Where(d => char.IsAsciiDigit(d[6])).Where(d =>
    {
        try
        {
            return File.ReadAllText(d + "/cmdline").StartsWith($"sleep\01000.{Mark}", StringComparison.Ordinal);
        }
        catch (IOException)
        {
            return false;
        }
    })];

    private ProcessLauncher Launcher(bool cgroup) => new(name, [Helper.GuardBinary], cgroup);

    private LaunchRequest Request(string script) => new() { Instance = "svc", Command = ["/bin/bash", "-c", script], LogFile = LogFile };

    private static List<GuardMessage> Run(ProcessLauncher launcher, LaunchRequest request)
    {
        var seen = new List<GuardMessage>();
        Assert.Null(launcher.Start(request));
        Until(launcher, seen, () => seen.Any(m => m is Exited or Launched { Error: not null }));
        return seen;
    }

    private static void Until(ProcessLauncher launcher, List<GuardMessage> seen, Func<bool> condition)
    {
        var clock = Stopwatch.StartNew();
        while (!condition())
        {
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(30), $"only this happened: {string.Join(", ", seen)}");
            var entry = new PollEntry { Descriptor = launcher.Descriptor, Wanted = PollEntry.In };
            unsafe { _ = Libc.poll(&entry, 1, 20); }
            launcher.Tick(seen.Add);
        }
    }

    public void Dispose() => Directory.Delete(directory, recursive: true);
}
