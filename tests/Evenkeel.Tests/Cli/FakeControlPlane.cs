using System.Net;
using System.Runtime.CompilerServices;
using Evenkeel.Agent.Configuration;
using Evenkeel.Agent.Control;
using Evenkeel.Core.Model;

namespace Evenkeel.Tests.Cli;

/// <summary>A control plane with a committed spec, two nodes and a memory of what it was told.</summary>
internal sealed class FakeControlPlane(string cluster = "shop", string node = "n1") : IControlPlane
{
    public static readonly DateTimeOffset At = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);
    public List<string> Told { get; } = [];
    public Versioned<ClusterSpec>? Spec { get; set; }
    public StatusReport Status { get; set; } = Healthy(cluster, node);
    /// <summary>What it is once somebody asked for a move, look by look; the last stays.</summary>
    public Queue<StatusReport> AfterMove { get; } = new();
    private bool _moved;
    /// <summary>Completed by a test to end a followed stream.</summary>
    public TaskCompletionSource MoreEvents { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Hello Hello { get; } = new(cluster, new NodeName(node), "test");

    public static StatusReport Healthy(string cluster, string node) => new()
    {
        Cluster = cluster,
        AnsweredBy = new NodeName(node),
        At = At,
        SpecRevision = 7,
        Controller = new Controller(new NodeName("n1"), 3),
        Store = new StoreReport("managed", HasQuorum: true, "n1", []),
        Nodes = [.. new[] { "n1", "n2", "n3" }.Select((name, index) => new NodeReport
        {
            Name = new NodeName(name), Role = name == "n3" ? NodeRole.Witness : NodeRole.Full, Reach = Reach.Alive, GuardConnected = true, Ready = true,
            Public = IPAddress.Parse($"203.0.113.{11 + index}"), Private = [IPAddress.Parse($"10.10.0.{11 + index}")],
        })],
        Vips = [new VipReport("front", IPAddress.Parse("203.0.113.10"), new Owner(new NodeName("n2"), new GuardSession(1), new Epoch(1, 4)), "") { Held = true }],
        Services = [new ServiceReport
        {
            Name = "web", Redundancy = Redundancy.Hot, Activity = Activity.Spread, Wanted = 2, Doors = ["http://203.0.113.10:80"], Rto = TimeSpan.FromSeconds(1),
            Instances = [.. new[] { "n1", "n2" }.Select(name => new InstanceReport(new NodeName(name), InstanceStatus.Running, Health.Healthy, 0, ""))],
        }],
    };

    public Task<StatusReport> GetStatusAsync(CancellationToken cancellation)
    {
        if (_moved && AfterMove.TryDequeue(out var next)) Status = next;
        return Task.FromResult(Status);
    }

    public Task<Versioned<ClusterSpec>?> GetSpecAsync(CancellationToken cancellation) => Task.FromResult(Spec);
    public Answer<ClusterSpec> Adopt(ClusterSpec fromFile) => fromFile;

    public Task<Answer<Applied>> ApplyAsync(ClusterSpec spec, long expectedRevision, CancellationToken cancellation)
    {
        if (expectedRevision != (Spec?.Revision ?? 0))
            return Task.FromResult<Answer<Applied>>(new Problem(ProblemKind.Refused, "somebody was quicker"));
        Spec = new Versioned<ClusterSpec>(spec, expectedRevision + 1);
        Told.Add("apply");
        return Task.FromResult<Answer<Applied>>(new Applied(expectedRevision + 1));
    }

    public async IAsyncEnumerable<ClusterEvent> EventsAsync(long after, int limit, bool follow, [EnumeratorCancellation] CancellationToken cancellation)
    {
        for (var sequence = Math.Max(after + 1, 4 - limit); sequence <= 3; sequence++)
            yield return new ClusterEvent(sequence, At, EventSeverity.Warning, "node-lost", "node/n2", $"event {sequence}");
        if (!follow)
            yield break;
        await MoreEvents.Task.WaitAsync(cancellation);
        yield return new ClusterEvent(4, At, EventSeverity.Info, "node-back", "node/n2", "event 4");
    }

    public Task<Answer<Explanation>> ExplainAsync(string service, CancellationToken cancellation) => Task.FromResult<Answer<Explanation>>(
        service != "web" ? new Problem(ProblemKind.Unknown, $"there is no service '{service}'")
        : new Explanation("web", "runs on n1 and n2", [new NodeVerdict(new NodeName("n3"), Verdict.Excluded, null, ["it is a witness"])]));

    public Task<Answer<Done>> SetNodeModeAsync(NodeName name, NodeMode mode, string reason, CancellationToken cancellation)
    {
        Told.Add($"{name} {mode} {reason}");
        return Task.FromResult<Answer<Done>>(name.Value == "n1" ? new Problem(ProblemKind.Refused, "n1 is the only node that can own front", "Resume n2 first") : new Done($"{name} is draining"));
    }

    public Task<Answer<Done>> FenceAsync(NodeName node, FenceWish wish, string by, CancellationToken cancellation)
    {
        Told.Add($"fence {node} {wish}");
        if (wish is FenceWish.Off or FenceWish.Confirm)
            Status = Status with { Nodes = [.. Status.Nodes.Select(one => one.Name == node ? one with { Fence = new FenceReport(FencePhase.Confirmed, "asked", "fence_dummy says so") } : one)] };
        return Task.FromResult<Answer<Done>>(new Done($"{node}: {wish}"));
    }

    public Task<Answer<Done>> MoveAsync(ResourceId resource, NodeName to, CancellationToken cancellation)
    {
        Told.Add($"{resource} to {to}");
        _moved = true;
        return Task.FromResult<Answer<Done>>(new Done($"{resource} moves to {to}") { Revision = Status.Revision + 1 });
    }

    public Task<Answer<Done>> RestartAsync(string service, NodeName node, CancellationToken cancellation)
    {
        Told.Add($"restart {service} on {node}");
        return Task.FromResult<Answer<Done>>(new Done($"{service} is asked to restart on {node}"));
    }

    public Task<Answer<IAsyncEnumerable<LogLine>>> LogsAsync(string service, NodeName? from, int lines, bool follow, CancellationToken cancellation) =>
        Task.FromResult<Answer<IAsyncEnumerable<LogLine>>>(service == "web" ? new(Lines(from ?? new NodeName("n1"), lines), null)
            : new(null, new Problem(ProblemKind.Unknown, $"there is no service '{service}'")));

    private static async IAsyncEnumerable<LogLine> Lines(NodeName from, int lines)
    {
        for (var i = 1; i <= lines; i++)
            yield return new LogLine(At, from, "stdout", $"line {i}");
        await Task.CompletedTask;
    }
}
