using System.Diagnostics;
using System.Net;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Services.Ocf.Attributes;
using Xunit;

namespace Evenkeel.EndToEnd.Ocf;

/// <summary>Redis as a warm service of two nodes, by the stock agent heartbeat:redis alone: it replicates, and its replica takes over.</summary>
[Collection("namespaces")]
[Trait("needs", "redis")]
[Trait("Machine", "shared"), Trait("Turn", "3")]
public sealed class RedisTests : IDisposable
{
    private const string FirstAddress = "127.90.4.1", SecondAddress = "127.90.4.2";
    private readonly string _directory = Directory.CreateTempSubdirectory("ek-redis-").FullName;

    [Fact]
    public async Task Redis_ReplicatesToTheStandby_WhichIsPromotedWithEveryWrite()
    {
        var shared = new AttributeFile(Path.Combine(_directory, "attributes.json"));
        await using var first = new OcfNode(name: "n1", address: FirstAddress, attributes: shared);
        await using var second = new OcfNode(name: "n2", address: SecondAddress, attributes: shared);
        await first.StartAsync(Order(first, FirstAddress, null));
        var promoted = await first.Driver.PromoteAsync("svc", new Epoch(1, 1), OcfNode.Token);
        Assert.True(promoted.Succeeded, promoted.Reason + first.Log());
        Assert.Equal("OK", Redis(FirstAddress, "set", "kept", "yes"));

        await second.StartAsync(Order(second, SecondAddress, Following(FirstAddress, "n1", 1)));
        Assert.Equal("yes", Await(SecondAddress, "yes", "get", "kept"));
        Assert.Contains("READONLY", Redis(SecondAddress, "set", "other", "no"), StringComparison.Ordinal);
        Assert.Equal("OK", Redis(FirstAddress, "set", "late", "too"));
        Assert.Equal("too", Await(SecondAddress, "too", "get", "late"));

        // The owner's lease is over: the guard kills its tree, and the standby is promoted under the next epoch.
        Assert.Null(await first.Guard.ForbidAsync("svc"));
        promoted = await second.Driver.PromoteAsync("svc", new Epoch(1, 2), OcfNode.Token);
        Assert.True(promoted.Succeeded, promoted.Reason + second.Log());
        Assert.Equal("yes", Redis(SecondAddress, "get", "kept"));
        Assert.Equal("OK", Redis(SecondAddress, "set", "after", "takeover"));

        // The former owner comes back as a standby of the new one.
        await first.StartAsync(Order(first, FirstAddress, Following(SecondAddress, "n2", 2)));
        Assert.Null(first.Facts.Epoch);
        Assert.Equal("takeover", Await(FirstAddress, "takeover", "get", "after"));
        Assert.True(first.Facts.PromotionScore > 0);
        await first.StopAsync();
        await second.StopAsync();
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private static ReplicationOrder Following(string address, string node, long epoch) => new()
    {
        Upstream = new Upstream(new NodeName(node), new PrivateEndpoint(IPAddress.Parse(address), 6399), new Epoch(1, epoch)),
    };

    private InstanceOrder Order(OcfNode node, string address, ReplicationOrder? replication)
    {
        var data = Directory.CreateDirectory(Path.Combine(_directory, address)).FullName;
        var configuration = Path.Combine(data, "redis.conf");
        File.WriteAllText(configuration, $"bind {address}\nport 6399\ndir {data}\nprotected-mode no\nsave \"\"\nrepl-diskless-sync yes\nrepl-diskless-sync-delay 0\n");
        return node.Order("heartbeat:redis", new()
        {
            ["config"] = configuration, ["rundir"] = Path.Combine(data, "run"), ["port"] = "6399", ["user"] = "root",
        }, Redundancy.Warm, change: spec => spec with { NodesByAddress = true }, replication: replication);
    }

    private static string Await(string address, string wanted, params string[] command)
    {
        var clock = Stopwatch.StartNew();
        string answer;
        while ((answer = Redis(address, command)) != wanted && clock.Elapsed < TimeSpan.FromSeconds(15)) Thread.Yield();
        return answer;
    }

    private static string Redis(string address, params string[] command)
    {
        using var process = Process.Start(new ProcessStartInfo("redis-cli", ["-h", address, "-p", "6399", .. command]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var text = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return text.Trim();
    }
}
