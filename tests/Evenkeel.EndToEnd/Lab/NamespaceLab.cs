using Evenkeel.Agent.Configuration;
using Evenkeel.Agent.Control;
using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>Nodes in network namespaces, made from a cluster file, for a class of tests: each test leaves it whole.</summary>
public abstract class NamespaceLab(string prefix) : IAsyncLifetime
{
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(120);
    private readonly StallWatch stalls = new();

    /// <summary>The cluster's name: two labs never meet.</summary>
    protected string Name { get; } = $"{prefix}{Environment.ProcessId % 10000}";

    internal LabCluster Cluster { get; private set; } = null!;

    protected abstract string FileText { get; }
    /// <summary>Where relative paths of the file begin.</summary>
    protected abstract string WorkingDirectory { get; }
    /// <summary>Whose output is evidence of a failed run, beside the agents' and guards'.</summary>
    protected virtual string? KeptService => null;

    /// <summary>Each node answers for its roles at this port of its public address.</summary>
    protected virtual int? RolesPort => null;

    /// <summary>A command to run a node's agent under; none by default.</summary>
    protected virtual IReadOnlyList<string> WrapperOf(NodeName node) => [];

    internal static CancellationToken Deadline()
    {
        var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(patience);
        return limit.Token;
    }

    public virtual async ValueTask InitializeAsync()
    {
        var program = Checkout.Program;
        var read = ClusterFile.Parse(FileText, "cluster.yaml");
        var spec = read.Spec ?? throw new InvalidOperationException($"the lab's own file is refused: {string.Join("; ", read.Diagnostics)}");
        Cluster = new LabCluster(spec, FileText, WorkingDirectory) { ProgramFile = program, WrapperOf = WrapperOf, RolesPort = RolesPort };
        await Cluster.StartAsync(Deadline());
        await WholeAsync();
        await SettledAsync();
    }

    /// <summary>The agents have done with their beginning.</summary>
    internal Task SettledAsync() => Settled.UntilAsync(() => Cluster.Nodes.Values.Select(node => node.AgentId).OfType<int>());

    public virtual async ValueTask DisposeAsync()
    {
        // Evidence of a failed run: what each node said goes away with the lab.
        if (Environment.GetEnvironmentVariable("EVENKEEL_LAB_LOGS") is { Length: > 0 } keep && Directory.Exists(keep))
            foreach (var node in Cluster.Nodes.Keys)
                foreach (var log in new[] { "agent.log", "guard.log", $"logs/{KeptService}.log" })
                    if (Path.Combine(LocalPaths.Node(Name, node.Value), log) is var from && File.Exists(from))
                        File.Copy(from, Path.Combine(keep, $"{node}-{Path.GetFileName(log)}"), overwrite: true);
        await Cluster.DisposeAsync();
        stalls.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>
    /// Tells a scenario's failure from the machine's: one during which the machine itself stood still for longer than a
    /// detection takes less two beats is played again, at most twice.
    /// </summary>
    /// <param name="scenario">From a whole cluster.</param>
    /// <param name="excusable">Which failures a machine that stands still explains; any, when null.</param>
    internal async Task PlayAsync(Func<Task> scenario, Func<Xunit.Sdk.XunitException, bool>? excusable = null)
    {
        for (var again = 2; ; again--)
        {
            await RestoreAsync();
            stalls.Reset();
            try
            {
                await scenario();
                return;
            }
            catch (Xunit.Sdk.XunitException failure) when (again > 0 && (excusable?.Invoke(failure) ?? true) && stalls.Worst > TimeSpan.FromMilliseconds(60))
            {
                TestContext.Current.SendDiagnosticMessage("the machine stood still for {0:F0} ms; played again", stalls.Worst.TotalMilliseconds);
            }
        }
    }

    /// <summary>Everything lives, votes, serves. What is not after a while is said in the failure.</summary>
    internal Task WholeAsync() => InTimeAsync(UntilWholeAsync, async () => $"the cluster did not become whole again: {await DescribeAsync()}");

    /// <param name="otherwise">Says what was waited for in vain, when the lab's patience is over.</param>
    protected static async Task InTimeAsync(Func<CancellationToken, Task> wait, Func<Task<string>> otherwise)
    {
        try
        {
            await wait(Deadline());
        }
        catch (OperationCanceledException) when (!TestContext.Current.CancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException(await otherwise());
        }
    }

    /// <summary>How it stands, in a line, for the failure of a test that waited in vain.</summary>
    protected async Task<string> DescribeAsync() => await Cluster.StatusAsync(CancellationToken.None) is not { } status ? "no agent answers" : string.Join("; ",
        StatusFindings.Of(status).Select(finding => finding.What)
            .Concat(status.Nodes.Select(node => $"{node.Name} {node.Reach} ready={node.Ready} {node.Mode}"))
            .Concat(status.Services.SelectMany(service => service.Instances.Select(instance => $"{service.Name}@{instance.Node} {instance.Status} {instance.Health} active={instance.Active} {instance.Detail}")))
            .Concat(status.Services.Where(service => service.Data is not null).Select(service => $"{service.Name} in sync: {string.Join(" ", service.Data!.InSync)}"))
            .Concat(status.Vips.Select(vip => $"{vip.Name} held={vip.Held}"))
            .Append($"as {status.Controller?.Node} sees it"));

    /// <summary>Undoes whatever a test did, or a failed one left behind, then waits until all is well.</summary>
    internal async Task RestoreAsync()
    {
        await UndoAsync();
        await WholeAsync();
    }

    protected virtual Task UntilWholeAsync(CancellationToken deadline) => Cluster.WaitUntilWholeAsync(deadline);

    protected virtual async Task UndoAsync()
    {
        foreach (var node in Cluster.Nodes.Keys)
        {
            foreach (var link in Enum.GetValues<LabLink>()) await Cluster.Network.HealAsync(node, link, Deadline());
            foreach (var process in await LabNetwork.ProcessesIn(Cluster.Network.Namespace(node.Value))) Signals.Send(process, Signals.Continue);
            Cluster.BringBack(node);
        }
    }
}
