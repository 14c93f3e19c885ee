using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>
/// A virtual IP in a network that is nobody's link: clients reach it by a route alone, which the manual's own hook
/// (examples/hooks/route) points to the owner. The client's namespace stands for the router.
/// </summary>
public sealed class HookLab() : NamespaceLab("h")
{
    public const string Address = "198.51.100.10";

    protected override string FileText => $$"""
        version: 1
        cluster: {{Name}}
        networks:
          public: [203.0.113.0/24, 198.51.100.0/24]
          private: [10.77.0.0/24]
        vips:
          front:
            address: {{Address}}
            hook:
              command: [env, "ROUTER=ip netns exec ek-{{Name}}-client", {{Path.Combine(Checkout.Root, "examples", "hooks", "route")}}]
              time_limit: 5s
              every: 1s
        nodes:
          n1: { public: 203.0.113.11, private: [10.77.0.11] }
          n2: { public: 203.0.113.12, private: [10.77.0.12] }
          n3: { public: 203.0.113.13, private: [10.77.0.13] }
        services:
          web:
            process:
              command: [./service/bin/web, --urls, "http://{private}:5000", --node, "{node}"]
            redundancy: hot
            health: { http: /healthz, every: 100ms, timeout: 100ms, rise: 2, fall: 2 }
            publish: { vip: front, port: 80, protocol: http }
        """;

    protected override string WorkingDirectory => Path.Combine(Checkout.Root, "examples", "web");

    internal string Client => Cluster.Network.Namespace("client");

    internal async Task<NodeName> OwnerAsync(NodeName? than = null)
    {
        for (var deadline = Deadline(); ; await Task.Delay(50, deadline))
            if (await Cluster.FrontDoorOwnerAsync(deadline) is { } owner && owner != than) return owner;
    }

    /// <summary>The next hop of the router's route to the address; empty when there is none.</summary>
    internal async Task<string> HopAsync() =>
        (await SystemCommand.RunAsync(["ip", "-n", Client, "route", "show", $"{Address}/32"], Deadline())) is var route && route.Contains("via ", StringComparison.Ordinal) ? route.Split("via ")[1].Split(' ')[0] : "";

    internal async Task HopIsAsync(NodeName node)
    {
        for (var deadline = Deadline(); await HopAsync() != Cluster.Spec.Nodes[node].Public!.ToString(); await Task.Delay(50, deadline)) { }
    }

    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        // The client is on no link with the address: nothing that ARP says reaches it.
        await SystemCommand.RunAsync(["ip", "-n", Client, "addr", "flush", "dev", "pub0", "to", "198.51.100.0/24"], Deadline());
    }
}

[Trait("needs", "root")]
[Trait("Turn", "1")]
public sealed class HookTests(HookLab lab, ITestOutputHelper output) : IClassFixture<HookLab>
{
    [Fact]
    public Task Owner_LosesItsPower_TheNetworkIsToldAndClientsReachTheNext() => lab.PlayAsync(async () =>
    {
        var owner = await lab.OwnerAsync();
        await lab.HopIsAsync(owner);
        using var observer = await Observer.StartAsync(lab.Client, $"{HookLab.Address}:80", arp: false);
        lab.Cluster.Kill(owner);
        var next = await lab.OwnerAsync(owner);
        await lab.HopIsAsync(next);
        await Task.Delay(1000, TestContext.Current.CancellationToken);
        var seen = await observer.EndAsync();
        output.WriteLine($"outage {seen.LongestOutage:F0} ms, {seen.Failed.Count} of {seen.Requests.Count} failed");
        Assert.InRange(seen.LongestOutage, 0, 3000);
        Assert.Null(seen.Requests[^1].Failure);
    });

    [Fact]
    public Task Move_ByPlan_TheRouteFollows_AndTheFormerOwnersReleaseLeavesItAlone() => lab.PlayAsync(async () =>
    {
        var owner = await lab.OwnerAsync();
        var to = lab.Cluster.Spec.Nodes.Keys.First(node => node != owner);
        Assert.Null(await lab.Cluster.MoveAsync(ResourceId.Vip("front"), to, TestContext.Current.CancellationToken));
        await lab.OwnerAsync(owner);
        await lab.HopIsAsync(to);
    });

    [Fact]
    public Task Route_SomebodyElseChangesIt_IsPutRight() => lab.PlayAsync(async () =>
    {
        var owner = await lab.OwnerAsync();
        await lab.HopIsAsync(owner);
        var other = lab.Cluster.Spec.Nodes.Values.First(node => node.Name != owner).Public!;
        await SystemCommand.RunAsync(["ip", "-n", lab.Client, "route", "replace", $"{HookLab.Address}/32", "via", other.ToString()], NamespaceLab.Deadline());
        await lab.HopIsAsync(owner);
    });
}
