using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>One lab for the classes that need two families: each leaves it as it was.</summary>
[CollectionDefinition(Name)]
public sealed class DualStackCollection : ICollectionFixture<DualStackLab>
{
    public const string Name = "dual stack";
}

/// <summary>
/// IPv4 and IPv6 side by side: a virtual IP of each that move together, and a third that another node owns meanwhile. What is measured here
/// is not how fast a loss is noticed, so timings forgive a processor that three nodes share.
/// </summary>
public sealed class DualStackLab() : NamespaceLab("d")
{
    public const string Four = "203.0.113.10", Six = "2001:db8:113::10", Other = "2001:db8:113::20";

    protected override string FileText => $$"""
        version: 1
        cluster: {{Name}}
        timings: { lease: 300ms, detection: 300ms, loop_stall: 1s }
        networks:
          public: [203.0.113.0/24, "2001:db8:113::/64"]
          private: [10.77.0.0/24, "fd77::/64"]
        vips:
          four: { address: {{Four}}, group: front, prefer: [n1] }
          six: { address: "{{Six}}", group: front, prefer: [n1] }
          other: { address: "{{Other}}", prefer: [n2] }
        nodes:
          n1: { public: [203.0.113.11, "2001:db8:113::11"], private: [10.77.0.11, "fd77::11"] }
          n2: { public: [203.0.113.12, "2001:db8:113::12"], private: [10.77.0.12, "fd77::12"] }
          n3: { public: [203.0.113.13, "2001:db8:113::13"], private: [10.77.0.13, "fd77::13"] }
        services:
          web:
            process:
              command: [./service/bin/web, --urls, "http://{private}:5000", --node, "{node}"]
            redundancy: hot
            health: { http: /healthz, every: 100ms, timeout: 100ms, rise: 2, fall: 2 }
            publish:
              - { vip: four, port: 80, protocol: http }
              - { vip: six, port: 80, protocol: http }
              - { vip: other, port: 80, protocol: http }
        """;

    protected override string WorkingDirectory => Path.Combine(Checkout.Root, "examples", "web");

    internal string Client => Cluster.Network.Namespace("client");

    /// <summary>The file that the lab begins with.</summary>
    internal string Text => FileText;

    internal async Task<NodeName?> OwnerAsync(string vip) =>
        (await Cluster.StatusAsync(Deadline()))?.Vips.Single(one => one.Name == vip) is { Held: true, Owner.Node: var owner } ? owner : null;

    internal async Task<NodeName> OwnerAsync(string vip, Predicate<NodeName> awaited)
    {
        for (var deadline = Deadline(); ; await Task.Delay(50, deadline))
            if (await OwnerAsync(vip) is { } owner && awaited(owner)) return owner;
    }

    /// <summary>Whom the client's kernel sends to when it means this address.</summary>
    internal async Task<string> NeighbourAsync(string address) =>
        (await SystemCommand.RunAsync(["ip", "-n", Client, "neigh", "show", address], Deadline())).Split("lladdr ")[1].Split(' ')[0];

    internal Task<string> HardwareOf(NodeName node) => HardwareIn(Cluster.Network.Namespace(node.Value));

    /// <summary>As the guard writes it.</summary>
    internal async Task<string> ClientHardwareAsync() => (await HardwareIn(Client)).Replace(":", "", StringComparison.Ordinal);

    private static async Task<string> HardwareIn(string space) =>
        (await SystemCommand.RunAsync(["ip", "netns", "exec", space, "cat", "/sys/class/net/pub0/address"], Deadline())).Trim();
}

[Collection(DualStackCollection.Name)]
[Trait("needs", "root")]
[Trait("Turn", "1")]
public sealed class DualStackTests(DualStackLab lab, ITestOutputHelper output)
{
    [Theory]
    [InlineData("power", Traits = ["Stage", "long"])]
    [InlineData("public cable pulled")]
    public Task OwnerOfAGroup_Lost_BothFamiliesMoveTogetherAndTheOtherAddressStays(string fault) => lab.PlayAsync(async () =>
    {
        // No preemption: what an earlier test moved stays moved.
        var owner = await lab.OwnerAsync("four", _ => true);
        Assert.Equal(owner, await lab.OwnerAsync("six"));
        var bystander = await lab.OwnerAsync("other", _ => true);
        if (owner == bystander)
        {
            var elsewhere = lab.Cluster.Spec.Nodes.Keys.First(node => node != owner);
            Assert.Null(await lab.Cluster.MoveAsync(ResourceId.Vip("other"), elsewhere, TestContext.Current.CancellationToken));
            bystander = await lab.OwnerAsync("other", node => node == elsewhere);
        }
        // The three together ask as often as the one of other tests.
        using var four = await Observer.StartAsync(lab.Client, $"{DualStackLab.Four}:80", every: 15);
        using var six = await Observer.StartAsync(lab.Client, $"[{DualStackLab.Six}]:80", arp: false, every: 15);
        using var other = await Observer.StartAsync(lab.Client, $"[{DualStackLab.Other}]:80", connectMilliseconds: 1500, arp: false, every: 15);
        if (fault == "power") lab.Cluster.Kill(owner);
        else await lab.Cluster.Network.CutAsync(owner, LabLink.Public, NamespaceLab.Deadline());
        var next = await lab.OwnerAsync("four", node => node != owner);
        Assert.Equal(next, await lab.OwnerAsync("six", node => node != owner));
        await Task.Delay(1000, TestContext.Current.CancellationToken);
        Assert.Equal(await lab.HardwareOf(next), await lab.NeighbourAsync(DualStackLab.Six));
        Assert.Equal(await lab.HardwareOf(next), await lab.NeighbourAsync(DualStackLab.Four));
        Assert.Equal(await lab.HardwareOf(bystander), await lab.NeighbourAsync(DualStackLab.Other));
        await lab.RestoreAsync();
        var (seenFour, seenSix, seenOther) = (await four.EndAsync(), await six.EndAsync(), await other.EndAsync());
        output.WriteLine($"{fault}: outage {seenFour.LongestOutage:F0} ms by IPv4, {seenSix.LongestOutage:F0} ms by IPv6; {seenOther.Failed.Count} of {seenOther.Requests.Count} failed at the other address");
        Safety.Owners([await lab.HardwareOf(owner), await lab.HardwareOf(next)], seenFour);
        Assert.InRange(seenFour.LongestOutage, 0, 3000);
        Assert.InRange(seenSix.LongestOutage, 0, 3000);
        Assert.Null(seenSix.Requests[^1].Failure);
        Assert.Empty(seenOther.Failed);
    });

    [Fact]
    public Task Address_AnotherMachineHasItToo_OperatorIsTold() => lab.PlayAsync(async () =>
    {
        var owner = await lab.OwnerAsync("other", _ => true);
        var to = lab.Cluster.Spec.Nodes.Keys.First(node => node != owner);
        await SystemCommand.RunAsync(["ip", "-n", lab.Client, "addr", "add", $"{DualStackLab.Other}/64", "dev", "pub0", "nodad"], NamespaceLab.Deadline());
        try
        {
            Assert.Null(await lab.Cluster.MoveAsync(ResourceId.Vip("other"), to, TestContext.Current.CancellationToken));
            await lab.OwnerAsync("other", node => node == to);
            // Leases have decided whose it is, so a takeover waits for no objection; but a stranger's must be heard.
            var claim = $"{DualStackLab.Other} on pub0 is claimed by {await lab.ClientHardwareAsync()} too";
            for (var deadline = NamespaceLab.Deadline(); ; await Task.Delay(100, deadline))
                if ((await SystemCommand.RunAsync([Checkout.Program, "events", "--cluster", LocalPaths.ControlSocket(lab.Cluster.Spec.Cluster, to.Value)], deadline)).Contains(claim, StringComparison.Ordinal)) break;
        }
        finally
        {
            await SystemCommand.RunAsync(["ip", "-n", lab.Client, "addr", "del", $"{DualStackLab.Other}/64", "dev", "pub0"], NamespaceLab.Deadline());
        }
    });
}
