using System.Diagnostics;
using Evenkeel.Agent.Configuration;
using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>Three bare servers in network namespaces, to be made nodes by the program's own commands; all gone when disposed.</summary>
internal sealed class Servers : IAsyncDisposable
{
    // One command after the other would take a processor from the nodes that it waits for.
    private static readonly TimeSpan pause = TimeSpan.FromMilliseconds(500);
    private readonly Dictionary<string, Process> agents = [];
    private readonly LabNetwork network;
    private readonly string cluster;

    private Servers(string cluster, string source, string directory)
    {
        (this.cluster, Directory) = (cluster, directory);
        network = new LabNetwork(ClusterFile.Parse(source).Spec!);
    }

    public string Directory { get; }
    public string ClusterFilePath => Path.Combine(Directory, "cluster.yaml");
    public string Namespace(string node) => network.Namespace(node);
    public string State(string node) => Path.Combine(Directory, node, "state");
    public string Log(string node) => File.Exists(LogFile(node)) ? File.ReadAllText(LogFile(node)) : "";
    private string[] GuardLog(string node) => File.Exists(Path.Combine(State(node), "guard.log")) ? File.ReadAllLines(Path.Combine(State(node), "guard.log")) : [];
    private string LogFile(string node) => Path.Combine(Directory, node + ".log");

    /// <param name="text">The cluster's file, of that name; the web example's when null.</param>
    public static async Task<Servers> StartAsync(string cluster, string? text = null)
    {
        var examples = Path.Combine(Checkout.Root, "examples", "web");
        var source = (text ?? await File.ReadAllTextAsync(Path.Combine(examples, "cluster.yaml"))).Replace("cluster: demo", $"cluster: {cluster}", StringComparison.Ordinal)
            .Replace("./service", Path.Combine(examples, "service"), StringComparison.Ordinal);
        _ = Checkout.Program;
        var servers = new Servers(cluster, source, System.IO.Directory.CreateTempSubdirectory("evenkeel-servers-").FullName);
        await File.WriteAllTextAsync(servers.ClusterFilePath, source);
        await servers.network.UpAsync(CancellationToken.None);
        return servers;
    }

    /// <summary>Makes all three nodes of a new cluster.</summary>
    public async Task InitAllAsync(string? program = null)
    {
        program ??= Checkout.Program;
        Expect(0, await RunProgramAsync("n1", program, "init", ClusterFilePath, "--node", "n1", "--bundles", "--state", State("n1")));
        foreach (var other in new[] { "n2", "n3" })
            Expect(0, await RunProgramAsync(other, program, "init", "--bundle", Path.Combine(State("n1"), "bundles", other + ".bundle"), "--state", State(other)));
    }

    public void StartAgents()
    {
        foreach (var node in new[] { "n1", "n2", "n3" }) StartAgent(node);
    }

    /// <param name="program">Of another build than this checkout's, where given.</param>
    public void StartAgent(string node, string? program = null)
    {
        // The shell is the node's journal: it outlives no agent, for it becomes one.
        agents[node] = Process.Start("nsenter", [$"--net=/run/netns/{network.Namespace(node)}", "sh", "-c", "exec \"$0\" agent --configuration \"$1\" >>\"$2\" 2>&1",
            program ?? Checkout.Program, Path.Combine(State(node), "agent.json"), LogFile(node)]);
    }

    /// <summary>Waits until the agent's log says the words.</summary>
    public async Task SaysAsync(string node, string words)
    {
        for (var limit = Stopwatch.StartNew(); !Log(node).Contains(words, StringComparison.Ordinal); await Task.Delay(20, TestContext.Current.CancellationToken))
            Assert.True(limit.Elapsed < TimeSpan.FromSeconds(60), $"{node} never said '{words}':\n{Log(node)}");
    }

    public void StopAgent(string node)
    {
        if (!agents.Remove(node, out var agent)) return;
        Signals.Send(agent.Id, Signals.Terminate);
        if (!agent.WaitForExit(TimeSpan.FromSeconds(20))) agent.Kill();
        agent.Dispose();
    }

    /// <summary>The agent alone ends, in order; what it runs goes on. As the unit restarts it.</summary>
    public async Task LeaveAsync(string node)
    {
        agents.Remove(node, out var agent);
        Signals.Send(agent!.Id, Signals.HangUp);
        await EndedAsync(agent);
    }

    /// <summary>Its exit code, when it ends by itself.</summary>
    public async Task<int> EndAsync(string node)
    {
        agents.Remove(node, out var agent);
        return await EndedAsync(agent!);
    }

    private static async Task<int> EndedAsync(Process agent)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(TimeSpan.FromSeconds(30));
        await agent.WaitForExitAsync(limit.Token);
        var code = agent.ExitCode;
        agent.Dispose();
        return code;
    }

    /// <summary>The agent alone dies; its etcd runs on.</summary>
    public void KillAgent(string node)
    {
        if (!agents.Remove(node, out var agent)) return;
        agent.Kill();
        agent.WaitForExit();
        agent.Dispose();
    }

    /// <summary>Makes a cluster of all three by token, the first on n1, and waits until it is whole.</summary>
    public async Task JoinAllAsync()
    {
        Expect(0, await RunAsync("n1", "init", ClusterFilePath, "--node", "n1", "--state", State("n1")));
        StartAgent("n1");
        await SaysAsync("n1", "is up");
        foreach (var node in new[] { "n2", "n3" })
        {
            await JoinAsync(node, await AskAsync("n1", "token", node, "--cluster", LocalPaths.ControlSocket(cluster, "n1")));
            StartAgent(node);
        }

        await WholeAsync();
    }

    /// <param name="line">As <c>token</c> and <c>replace</c> print it.</param>
    public async Task JoinAsync(string node, string line) => Expect(0, await RunAsync(node, [.. line.Trim().Split(' ').Skip(1), "--state", State(node)]));

    /// <summary>Repeats a command until it ends so and says all the words.</summary>
    public async Task UntilAsync(int code, string where, string[] command, params string[] words)
    {
        (int Code, string Output) last;
        var limit = Stopwatch.StartNew();
        while (!Said(last = await RunAsync(where, command)) && limit.Elapsed < TimeSpan.FromSeconds(40)) await Task.Delay(pause);
        Expect(code, last, words);

        bool Said((int Code, string Output) result) => result.Code == code && words.All(word => result.Output.Contains(word, StringComparison.Ordinal));
    }

    /// <summary>The program's status command says that everything is all right.</summary>
    public async Task WholeAsync()
    {
        (int Code, string Output) status;
        var limit = Stopwatch.StartNew();
        // Who was quarantined at a busy start is let in again after a minute.
        while ((status = await RunAsync("n1", "status", "--cluster", cluster)).Code != 0 && limit.Elapsed < TimeSpan.FromSeconds(150)) await Task.Delay(pause);
        Assert.True(status.Code == 0, status.Output + string.Concat(agents.Keys.Select(node => $"\n{node}:\n{Log(node)}")));
    }

    /// <summary>A client is served at the virtual IP. The balancer may hear a moment after the status command that an instance is up.</summary>
    public async Task ServesAsync()
    {
        (int Code, string Output) answer;
        var limit = Stopwatch.StartNew();
        while ((answer = await RunProgramAsync("client", "curl", "-sSi", "--fail-with-body", "-m", "5", "http://203.0.113.10/")).Code != 0
            && limit.Elapsed < TimeSpan.FromSeconds(20)) await Task.Delay(pause);
        Expect(0, answer);
    }

    /// <summary>Clients ask all the while: not one of them fails, and the virtual IP stays where it is.</summary>
    /// <param name="act">Done anew when the whole machine stood still meanwhile, and clients may have failed for that: twice at most.</param>
    public async Task UndisturbedAsync(Func<Task> act)
    {
        using var stalls = new StallWatch();
        for (var again = 2; ; again--)
        {
            await Settled.UntilAsync(() => agents.Values.Select(agent => agent.Id));
            stalls.Reset();
            using var observer = await ObserveAsync();
            await act();
            var seen = await observer.EndAsync();
            Safety.OneOwner(seen);
            Assert.True(seen.Requests.Count > 100, $"only {seen.Requests.Count} requests");
            if (seen.Failed.Count == 0 && seen.Claims.Select(claim => claim.Hardware).Distinct().Count() <= 1) return;
            Assert.True(again > 0 && stalls.Worst > TimeSpan.FromMilliseconds(60), $"the machine stood still for {stalls.Worst.TotalMilliseconds:F0} ms; {Evidence(seen)}");
        }
    }

    /// <summary>What failed, when the owner changed, and the last that each node said; each with its time of day.</summary>
    public string Evidence(Sighting seen)
    {
        var booted = DateTime.UtcNow - TimeSpan.FromMilliseconds(Environment.TickCount64);
        return string.Join('\n', seen.Failed.Take(20).Select(one => $"{At(one.At)} {one.Failure} after {one.Took:F0} ms")
            .Prepend($"{seen.Failed.Count} of {seen.Requests.Count} requests failed")
            .Concat(seen.Claims.Zip(seen.Claims.Skip(1)).Where(pair => pair.First.Hardware != pair.Second.Hardware)
                .Select(pair => $"{At(pair.Second.At)} the owner is {pair.Second.Hardware}, was {pair.First.Hardware}"))
            .Concat(agents.Keys.SelectMany(node => Log(node).Split('\n').TakeLast(60).Prepend(node + ":").Append(node + "'s guard:").Concat(GuardLog(node)))));

        string At(double milliseconds) => (booted + TimeSpan.FromMilliseconds(milliseconds)).ToString("HH:mm:ss.fff", System.Globalization.CultureInfo.InvariantCulture);
    }

    /// <summary>Waits until the virtual IP is held, and says by whom.</summary>
    public async Task<string> OwnerAsync()
    {
        for (var deadline = NamespaceLab.Deadline(); ; await Task.Delay(50, deadline))
            foreach (var node in agents.Keys)
                if ((await ControlCalls.StatusAsync(LocalPaths.ControlSocket(cluster, node), deadline))?.Vips.Single() is { Held: true, Owner: { } owner }) return owner.Node.Value;
    }

    public Task<(int Code, string Output)> StatusAsync() => RunAsync("n1", "status", "--cluster", cluster);

    /// <summary>What a program on one of the servers said, standard output alone.</summary>
    public async Task<string> AskAsync(string where, params string[] words)
    {
        var (code, output) = await RunProgramAsync(where, "sh", ["-c", "exec \"$0\" \"$@\" 2>/dev/null", Checkout.Program, .. words]);
        Assert.True(code == 0, $"ended with {code}: {output}");
        return output;
    }

    /// <summary>For <see cref="ObserveAsync"/>: a client's kernel asks again after a second when its first SYN met an address that was just moving.</summary>
    public const int Patient = 1500;

    public Task<Observer> ObserveAsync(int connectMilliseconds = 200) => Observer.StartAsync(network.Namespace("client"), "203.0.113.10:80", connectMilliseconds);

    public Task<(int Code, string Output)> RunAsync(string where, params string[] words) => RunProgramAsync(where, Checkout.Program, words);

    public Task<(int Code, string Output)> RunProgramAsync(string where, string program, params string[] words) => TellAsync(where, "", program, words);

    /// <param name="input">For its standard input, which ends with that.</param>
    public async Task<(int Code, string Output)> TellAsync(string where, string input, string program, params string[] words)
    {
        using var process = Process.Start(new ProcessStartInfo("nsenter", [$"--net=/run/netns/{network.Namespace(where)}", program, .. words])
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
        })!;
        await process.StandardInput.WriteAsync(input);
        process.StandardInput.Close();
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        var output = process.StandardOutput.ReadToEndAsync(limit.Token);
        var errors = process.StandardError.ReadToEndAsync(limit.Token);
        await process.WaitForExitAsync(limit.Token);
        return (process.ExitCode, await output + await errors);
    }

    public static void Expect(int code, (int Code, string Output) result, params string[] words)
    {
        Assert.True(result.Code == code, $"ended with {result.Code}, not {code}: {result.Output}");
        Assert.All(words, word => Assert.Contains(word, result.Output, StringComparison.Ordinal));
    }

    /// <summary>A small disk of its own for one server.</summary>
    public async Task MountAsync(string node, string options)
    {
        var mount = System.IO.Directory.CreateDirectory(Path.Combine(Directory, node)).FullName;
        await SystemCommand.RunAsync(["mount", "-t", "tmpfs", "-o", options, "none", mount], CancellationToken.None);
    }

    public Task RemountAsync(string node, string options) =>
        SystemCommand.RunAsync(["mount", "-o", "remount," + options, Path.Combine(Directory, node)], CancellationToken.None);

    public async ValueTask DisposeAsync()
    {
        foreach (var node in agents.Keys.ToList()) StopAgent(node);
        await network.DownAsync();
        await UnmountUnderAsync(Directory);
        System.IO.Directory.Delete(Directory, recursive: true);
    }

    /// <summary>Small disks, and what a writer of a volume that was killed left: in the directory's way.</summary>
    public static async Task UnmountUnderAsync(string directory)
    {
        foreach (var point in (await File.ReadAllLinesAsync("/proc/self/mountinfo")).Select(line => line.Split(' ')[4]).Where(point => point.StartsWith(directory + "/", StringComparison.Ordinal)).Reverse())
            await SystemCommand.RunAsync(["umount", "-l", point], CancellationToken.None);
    }
}
