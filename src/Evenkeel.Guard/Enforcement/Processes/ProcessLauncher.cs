using Evenkeel.Core.PrivateConnection;
using Evenkeel.Guard.Enforcement.Native;

namespace Evenkeel.Guard.Enforcement.Processes;

/// <summary>
/// Starts services as children of the calling thread, which must be the guard's main thread: a parent-death signal follows the
/// thread that spawned. Keeps the list of what runs (a restarted agent adopts from it), reports starts and exits by
/// <see cref="Tick"/>, and ends whole trees. Nothing waits, except <see cref="Forbid"/> for a bounded moment.
/// </summary>
public sealed class ProcessLauncher : IDisposable
{
    private readonly IReadOnlyList<string> ownCommand;
    private readonly string mark;
    private readonly CgroupRoot? cgroups;
    private readonly KeeperLink keeper;
    private readonly WakeSet wakes = new();
    private readonly Dictionary<string, LaunchedProcess> running = [];
    private readonly HashSet<string> permitted = [];
    private readonly List<string> missing = [];

    /// <param name="name">Unique among the guards of this machine, such as <c>evenkeel-n1</c>: the cgroup directory and the mark of its processes.</param>
    /// <param name="ownCommand">How to start the guard's binary; null for this process's own.</param>
    /// <param name="useCgroups">False to see how it works without.</param>
    public ProcessLauncher(string name, IReadOnlyList<string>? ownCommand = null, bool useCgroups = true)
    {
        this.ownCommand = ownCommand ?? ChildProcess.OwnCommand;
        mark = $"{name}.{Environment.ProcessId}";
        string? reason = "switched off";
        cgroups = useCgroups ? CgroupRoot.TryCreate(name, out reason) : null;
        Swept = cgroups?.Sweep() ?? [];
        cgroups?.Remove(); // Until the first launch: a guard that runs nothing leaves nothing.
        if (cgroups is null)
            missing.Add($"no cgroup for services ({reason}): a process that leaves its session and clears its environment outlives its service");
        else if (!cgroups.LimitsProcesses)
            missing.Add("the pids controller is not delegated: a closed service's cgroup is emptied by cgroup.kill alone");
        if (cgroups is { KillsAtOnce: false }) missing.Add("no cgroup.kill (Linux 5.14): trees are ended process by process");
        keeper = new KeeperLink(this.ownCommand, cgroups?.DirectoryPath ?? mark + "/");
    }

    /// <summary>What is not permitted or not there, in words for <c>status</c>.</summary>
    public IReadOnlyList<string> Missing => missing;

    /// <summary>Instances of an earlier guard whose processes were found and ended.</summary>
    public IReadOnlyList<string> Swept { get; }

    /// <summary>Readable when <see cref="Tick"/> has something to report.</summary>
    public int Descriptor => wakes.Descriptor;

    /// <summary>What runs (or is on its way to): for the hello to a restarted agent.</summary>
    public IReadOnlyList<RunningInstance> Running =>
        [.. running.Values.Where(p => !p.Ended).Select(p => new RunningInstance(p.Request.Instance, p.Id, p.Request.Lease, p.Request))];

    /// <summary>Lets requests with a lease start under this instance's name; <see cref="CgroupDoor.Open"/> calls it.</summary>
    public void Permit(string instance) => permitted.Add(instance);

    /// <summary>Starts nothing more under this name and ends all that runs, at once; waits at most <paramref name="milliseconds"/>.</summary>
    /// <returns>Null once nothing of it runs; else what is left (a process in an uninterruptible wait), and the call is repeated.</returns>
    public string? Forbid(string instance, int milliseconds = 20)
    {
        permitted.Remove(instance);
        var process = running.GetValueOrDefault(instance);
        var tree = process?.Tree ?? Tree(instance);
        tree.Kill(process?.Id ?? 0);
        return tree.IsGone(process?.Id ?? 0, milliseconds) ? null : $"processes of {instance} were killed but have not ended yet";
    }

    /// <summary>
    /// Starts the request. Null when it is under way: a <see cref="Launched"/> follows from <see cref="Tick"/>, with an error if
    /// the command could not be executed. Otherwise the reason, and nothing follows.
    /// </summary>
    public string? Start(LaunchRequest request)
    {
        if (request.Command.Count == 0) return $"{request.Instance}: no command";
        if (request.Lease is not null && !permitted.Contains(request.Instance)) return $"{request.Instance}: its lease is not held";
        if (running.ContainsKey(request.Instance)) return $"{request.Instance}: runs already, or its last processes have not ended yet";
        var tree = Tree(request.Instance);
        if (tree.Prepare() is { } reason) return reason;
        return Spawn(request, tree, Encode(request, tree, out reason), reason);
    }

    /// <summary>Sends a signal to the main process, or SIGKILL to the whole tree. Null when sent.</summary>
    public string? Signal(string instance, int number, bool tree)
    {
        if (!running.TryGetValue(instance, out var process) || (process.Ended && !tree)) return $"{instance} does not run";
        if (tree) process.Tree.Kill(process.Ended ? 0 : process.Id);
        else if (Libc.kill(process.Id, number) != 0) return Libc.Describe(Libc.LastError);
        return null;
    }

    /// <summary>Reports what has started and what has ended (or, killed, has not ended for a second) since the last call. No exit is lost or reported twice, none comes before its start.</summary>
    public void Tick(Action<GuardMessage> report)
    {
        keeper.Tick();
        List<string>? over = null;
        foreach (var (instance, process) in running)
            if (process.Advance(report, keeper)) (over ??= []).Add(instance);
        foreach (var instance in over ?? []) running.Remove(instance);
    }

    /// <summary>Ends every tree and waits for each at most a second. For the guard's own clean end.</summary>
    public void Dispose()
    {
        foreach (var process in running.Values) process.Tree.Kill(process.Id);
        foreach (var process in running.Values)
        {
            _ = process.Tree.IsGone(process.Id, 1000);
            process.Dispose();
        }
        running.Clear();
        cgroups?.Sweep();
        cgroups?.Remove();
        keeper.Dispose();
        wakes.Dispose();
    }

    private IProcessTree Tree(string instance) =>
        cgroups is not null ? cgroups.Tree(instance) : new SessionTree($"{mark}/{instance}\0");

    private byte[]? Encode(LaunchRequest request, IProcessTree tree, out string? reason)
    {
        try
        {
            reason = null;
            var environment = LaunchEnvironment.For(request, $"{mark}/{request.Instance}");
            return new RunPlan(request.Instance, request.User ?? "", request.WorkingDirectory ?? "", request.LogFile, tree.JoinPath, request.Command, environment).Encode();
        }
        catch (ArgumentException zeroByte)
        {
            reason = $"{request.Instance}: {zeroByte.Message}";
            return null;
        }
    }

    private string? Spawn(LaunchRequest request, IProcessTree tree, byte[]? plan, string? reason)
    {
        if (plan is null) return reason;
        keeper.EnsureRuns();
        var file = ChildProcess.MemoryFile("evenkeel-plan", plan);
        if (file < 0 || !ChildProcess.Pipe(out var read, out var write)) return $"{request.Instance}: {Libc.Describe(Libc.LastError)}";
        var process = ChildProcess.Spawn([.. ownCommand, "run", $"{Libc.getpid()}", "3", "4"], [-1, file, write]);
        _ = Libc.close(file);
        _ = Libc.close(write);
        if (process > 0)
        {
            running[request.Instance] = new LaunchedProcess(request, tree, process, read, wakes);
            return null;
        }
        _ = Libc.close(read);
        return $"{request.Instance}: the guard's own binary {ownCommand[0]} could not be started: {Libc.Describe(-process)}";
    }
}
