using System.Net;
using System.Net.Sockets;
using Evenkeel.Core.Model;
using Evenkeel.Tests.Tracing;
using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>The web lab with a collector of traces among the clients.</summary>
public sealed class TraceLab() : NamespaceLab("tr")
{
    private static readonly IPEndPoint collector = new(IPAddress.Parse("203.0.113.200"), 4318);

    internal OtlpReceiver Receiver { get; private set; } = null!;

    protected override string FileText => $$"""
        version: 1
        cluster: {{Name}}
        networks: { public: 203.0.113.0/24, private: [10.77.0.0/24] }
        vips: { front: 203.0.113.10 }
        nodes:
          n1: { public: 203.0.113.11, private: [10.77.0.11] }
          n2: { public: 203.0.113.12, private: [10.77.0.12] }
          n3: { public: 203.0.113.13, private: [10.77.0.13] }
        services:
          web:
            process:
              command: [./service/bin/web, --urls, "http://{private}:5000", --node, "{node}"]
            redundancy: hot
            health: { http: /healthz, every: 100ms, timeout: 100ms }
            publish: [{ vip: front, port: 80, protocol: http }]
        telemetry: { otlp: "http://{{collector}}" }
        """;

    protected override string WorkingDirectory => Path.Combine(Checkout.Root, "examples", "web");

    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        Receiver = await OtlpReceiver.StartAsync(listen: _ => NetworkSpace.In(Cluster.Network.Namespace("client"), () =>
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(collector);
            return socket;
        }));
    }

    public override async ValueTask DisposeAsync()
    {
        await Receiver.DisposeAsync();
        await base.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    internal Task<Observer> ObserveAsync() => Observer.StartAsync(Cluster.Network.Namespace("client"), "203.0.113.10:80");

    internal async Task<NodeName> OwnerAsync() => await Cluster.FrontDoorOwnerAsync(Deadline()) ?? throw new InvalidOperationException("nobody holds the front door");
}

/// <summary>A failover is one trace: which phases it had, where, and for how long, at a collector that clients' network reaches.</summary>
[Trait("needs", "root")]
[Trait("Stage", "long")]
public sealed class TraceTests(TraceLab lab, ITestOutputHelper output) : IClassFixture<TraceLab>
{
    private static readonly string[] phases = ["detect", "decide", "commit", "take over", "promise", "wait", "grant", "open", "first request"];

    [Fact]
    public Task OwnerLost_IsOneTraceWithEveryPhase() => lab.PlayAsync(async () =>
    {
        var owner = await lab.OwnerAsync();
        using var observer = await lab.ObserveAsync();
        var before = lab.Receiver.Spans.Count;
        lab.Cluster.Kill(owner);
        var spans = await lab.Receiver.UntilAsync(all => Roots(all, before, "failover of vip/front").Any(root => phases.All(phase => Of(all, root).Any(span => span.Name == phase))), NamespaceLab.Deadline());
        var seen = await observer.EndAsync();
        await lab.RestoreAsync();

        var root = Assert.Single(Roots(spans, before, "failover of vip/front"));
        var trace = Of(spans, root);
        output.WriteLine($"no client was answered for {seen.LongestSilence:0} ms; trace: {string.Join(", ", trace.OrderBy(span => span.Start).Select(span => $"{span.Name} {span.Milliseconds:0.0} ms ({span.Attributes.GetValueOrDefault("evenkeel.node", "")})"))}");
        Assert.Equal(owner.Value, root.Attributes["evenkeel.from"]);
        Assert.NotEqual(owner.Value, root.Attributes["evenkeel.to"]);
        Assert.Equal(0, root.Status);
        // A tree: the controller's part and what the new owner did below the root, the steps of the lease below the takeover.
        var takeOver = Assert.Single(trace, span => span.Name == "take over");
        Assert.All(trace.Where(span => span != root), span => Assert.Equal(span.Name is "promise" or "wait" or "grant" or "open" ? takeOver.Id : root.Id, span.Parent));
        Assert.Equal(root.Attributes["evenkeel.to"], takeOver.Resource["service.instance.id"]);
        // Silence for the detection time of 150 ms began it; the steps of the lease follow each other without a gap.
        Assert.InRange(Phase(trace, "detect").Milliseconds, 145, 2000);
        Assert.InRange(Math.Abs((double)Phase(trace, "detect").Start - root.Start) / 1e6, 0, 1);
        Assert.InRange(Math.Abs((double)Phase(trace, "promise").Start - takeOver.Start) / 1e6, 0, 1);
        // The new owner's watch may bring the decision before the store has answered who wrote it.
        Assert.True(Phase(trace, "commit").Start <= takeOver.Start && takeOver.End <= root.End, "the takeover began before the decision, or ended after the failover");
        Assert.Equal(takeOver.Milliseconds, new[] { "promise", "wait", "grant", "open" }.Sum(step => Phase(trace, step).Milliseconds), 2.0);
        // What clients saw of it is what the trace says, from the last beat of the lost node to the first request served.
        Assert.InRange((Phase(trace, "first request").End - root.Start) / 1e6, seen.LongestSilence - 250, seen.LongestSilence + 250);
    });

    [Fact]
    public Task MoveByPlan_IsATraceWithoutDetection() => lab.PlayAsync(async () =>
    {
        var owner = await lab.OwnerAsync();
        var to = lab.Cluster.Spec.Nodes.Keys.First(node => node != owner);
        var before = lab.Receiver.Spans.Count;
        Assert.Null(await lab.Cluster.MoveAsync(ResourceId.Vip("front"), to, NamespaceLab.Deadline()));
        var spans = await lab.Receiver.UntilAsync(all => Roots(all, before, "change of owner of vip/front").Any(root => Of(all, root).Any(span => span.Name == "open")), NamespaceLab.Deadline());
        var root = Roots(spans, before, "change of owner of vip/front").First();
        Assert.Equal((to.Value, "planned"), (root.Attributes["evenkeel.to"], root.Attributes["evenkeel.cause"]));
        Assert.DoesNotContain(Of(spans, root), span => span.Name == "detect");
    });

    private static IEnumerable<ReceivedSpan> Roots(IReadOnlyList<ReceivedSpan> spans, int after, string name) => spans.Skip(after).Where(span => span.Parent.Length == 0 && span.Name == name);
    private static IReadOnlyList<ReceivedSpan> Of(IReadOnlyList<ReceivedSpan> spans, ReceivedSpan root) => [.. spans.Where(span => span.Trace == root.Trace)];
    private static ReceivedSpan Phase(IReadOnlyList<ReceivedSpan> trace, string name) => Assert.Single(trace, span => span.Name == name);
}
