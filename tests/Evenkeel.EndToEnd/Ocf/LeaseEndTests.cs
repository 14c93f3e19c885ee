using System.Diagnostics;
using System.Net.Sockets;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.EndToEnd.Ocf;

/// <summary>What a stock agent started ends with the lease: daemons in the tree at once, addresses by the agent's own stop.</summary>
[Collection("namespaces")]
[Trait("needs", "resource-agents")]
[Trait("Turn", "3")]
public sealed class LeaseEndTests(ITestOutputHelper output)
{
    private static readonly Epoch First = new(1, 1);

    [Theory]
    [InlineData(true, "127.90.1.1")]
    [InlineData(false, "127.90.1.2")]
    public async Task Lease_ThatEnds_KillsTheDaemonisedServerAtOnce(bool cgroups, string address)
    {
        await using var node = new OcfNode(cgroups);
        await node.Guard.PermitAsync("svc");
        await node.StartAsync(node.Order("heartbeat:nginx", Nginx(node, address), epoch: First));
        Assert.Equal(First, node.Facts.Epoch);
        Assert.True(Answers(address));
        var watch = Stopwatch.StartNew();
        Assert.Null(await node.Guard.ForbidAsync("svc"));
        output.WriteLine($"killed in {watch.Elapsed.TotalMilliseconds:0} ms");
        Assert.False(Answers(address));
        await node.UntilAsync(facts => facts.Status == InstanceStatus.Failed);
        await node.StopAsync();
    }

    [Fact]
    public async Task Start_WithoutTheLease_IsRefusedByTheGuard()
    {
        await using var node = new OcfNode();
        var result = await node.Driver.StartAsync(node.Order("heartbeat:nginx", Nginx(node, "127.90.1.3"), epoch: First), OcfNode.Token);
        Assert.Contains("its lease is not held", result.Reason, StringComparison.Ordinal);
        Assert.False(Answers("127.90.1.3"));
    }

    [Fact]
    public async Task Server_ThatSomebodyElseStarted_IsStoppedAndStartedInTheTree()
    {
        await using var node = new OcfNode();
        var parameters = Nginx(node, "127.90.1.4");
        Run("nginx", "-c", parameters["configfile"]);
        Assert.True(Answers("127.90.1.4"));
        await node.Guard.PermitAsync("svc");
        await node.StartAsync(node.Order("heartbeat:nginx", parameters, epoch: First));
        Assert.True(Answers("127.90.1.4"));
        Assert.Null(await node.Guard.ForbidAsync("svc"));
        Assert.False(Answers("127.90.1.4"));
    }

    [Fact]
    public async Task Address_OfAnAgent_IsTakenBackByItsStopAfterTheLeaseEnded()
    {
        await using var node = new OcfNode();
        await node.Guard.PermitAsync("svc");
        await node.StartAsync(node.Order("heartbeat:IPaddr2", new() { ["ip"] = "192.0.2.77", ["nic"] = "lo", ["cidr_netmask"] = "32" }, epoch: First));
        Assert.Contains("192.0.2.77/32", Run("ip", "-4", "addr", "show", "lo"), StringComparison.Ordinal);
        await node.Guard.ForbidAsync("svc");
        await node.UntilAsync(facts => facts.Detail.Contains("ended from outside", StringComparison.Ordinal));
        await node.UntilAsync(facts => facts.Status is InstanceStatus.Stopped);
        Assert.DoesNotContain("192.0.2.77", Run("ip", "-4", "addr", "show", "lo"), StringComparison.Ordinal);
    }

    private static Dictionary<string, string> Nginx(OcfNode node, string address)
    {
        var configuration = Path.Combine(node.Directory, "nginx.conf");
        File.WriteAllText(configuration, $$"""
            pid {{node.Directory}}/nginx.pid;
            error_log {{node.Directory}}/error.log;
            worker_processes 1;
            events { worker_connections 64; }
            http { access_log off; server { listen {{address}}:8099; location / { return 200 "here\n"; } location /nginx_status { stub_status; } } }
            """);
        return new() { ["configfile"] = configuration, ["httpd"] = "/usr/sbin/nginx", ["status10url"] = $"http://{address}:8099/nginx_status" };
    }

    private static bool Answers(string address)
    {
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            client.Connect(address, 8099);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static string Run(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true })!;
        var text = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return text;
    }
}
